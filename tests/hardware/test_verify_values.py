"""What ``verify`` says of every value that may differ, field by field, by plain loops. Mutants are tried on it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.base.errors import BackendError, DoesNotVerify, InputError
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import Lif, Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection, SparseProjection
from conntra_hardware.proof import verify as verify_module
from conntra_hardware.proof.verify import Certificate, verify

RNG = np.random.default_rng(2)
STEPS, SAMPLES = 3, 3


def made() -> Program:
    """Return two populations side by side, delays, a way back, and a readout two hops from the inputs."""

    def drawn(*shape: int) -> np.ndarray:
        return RNG.integers(-2, 3, shape)

    lif = Lif(2, voltage_decay=163)
    populations = (
        Population("a", lif, [0, 1, 0]),
        Population("b", Threshold(), [0, -1]),
        Population("out", Readout(), [3, -2]),
    )
    projections = (
        Projection(INPUT, "a", drawn(3, 4)),
        Projection(INPUT, "a", drawn(3, 4), 2),
        Projection("a", "a", drawn(3, 3)),
        SparseProjection(INPUT, "b", sp.coo_array(drawn(2, 4)), 1),
        Projection("a", "out", drawn(2, 3)),
        Projection("b", "out", drawn(2, 2), 1),
    )
    slices = tuple(CoreSlice(p.name, 0, p.size, core) for core, p in enumerate(populations))
    return Program(load_chip("loihi1"), 4, populations, projections, slices, steps=STEPS)


PROGRAM = made()
INPUTS = RNG.integers(0, 2, (SAMPLES, STEPS, 4)).astype(np.uint8)
ROWS = INPUTS.reshape(-1, 4)
RIGHT = ReferenceBackend().execute(PROGRAM, ROWS, RunOptions())


class Recorded:
    """A backend that gives a recording, whatever it is asked; ``asked`` keeps what that was."""

    def __init__(self, name: str, recording: Recording = RIGHT) -> None:
        self.name, self.recording, self.asked = name, recording, []

    def availability(self) -> Availability:
        return Availability(ok=True)

    def execute(self, program: Program, inputs: np.ndarray, options: RunOptions) -> Recording:
        self.asked.append((program, inputs, options))
        return self.recording


def changed(*places: tuple[str, int, int]) -> Recording:
    """Return the recording with values raised by one: of a population's row (a readout's sample) and neuron."""
    spikes, logits = {name: values.copy() for name, values in RIGHT.spikes.items()}, RIGHT.logits.copy()
    for name, row, neuron in places:
        values = logits if name == "out" else spikes[name]
        values[row, neuron] = values[row, neuron] + 1
    return replace(RIGHT, spikes=spikes, logits=logits)


@pytest.fixture(autouse=True)
def _no_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diagnoses have tests of their own."""

    def stands_in(program: Program, inputs: np.ndarray, backend: str, expected: Recording, got: Recording) -> Any:
        assert expected is not got
        return _Cause(backend)

    monkeypatch.setattr(verify_module, "diagnose", stands_in)


class _Cause:
    def __init__(self, backend: str, explained: bool = True) -> None:
        self.backend, self.explained = backend, explained

    def __str__(self) -> str:
        return f"a cause on {self.backend}"


def compared(*places: tuple[str, int, int]) -> Certificate:
    return verify(PROGRAM, INPUTS, [Recorded("right"), Recorded("wrong", changed(*places))])


PLACES = [
    (p.name, row, n) for p in PROGRAM.populations for row in range(9 if p.name != "out" else 3) for n in range(p.size)
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_field_of_a_divergence(place: tuple[str, int, int]) -> None:
    name, at, neuron = place
    certificate = compared(place)
    found = certificate.first_divergence
    assert found is not None
    assert not certificate.equal
    depth = 2 if name == "out" else 1
    row = at if name != "out" else at * STEPS + STEPS - 1
    sent = {INPUT: ROWS, **RIGHT.spikes}
    inputs, weights, potential, offset = [], [], int(PROGRAM.population(name).bias[neuron]), 0
    for p in PROGRAM.projections:
        if p.target != name:
            continue
        before = row - p.delay - (p.source == name)
        for source in range(p.shape[1]):
            if before >= row // STEPS * STEPS and p.weights[neuron, source] and sent[p.source][before, source]:
                inputs.append(offset + source)
                weights.append(int(p.weights[neuron, source]))
                potential += weights[-1] * int(sent[p.source][before, source])
        offset += p.shape[1]
    values = RIGHT.logits if name == "out" else RIGHT.spikes[name]
    assert (found.backend, found.layer, found.neuron, found.sample) == ("wrong", name, neuron, row // STEPS)
    assert found.time_step == row + depth - 1
    assert found.kind == ("potential" if name == "out" else "spike")
    assert (found.expected, found.got) == (values[at, neuron], values[at, neuron] + 1)
    assert found.source == {"a": "input + input + a", "b": "input", "out": "a + b"}[name]
    assert (found.inputs, found.weights, found.potential) == (tuple(inputs), tuple(weights), potential)
    assert found.bias == PROGRAM.population(name).bias[neuron]
    said = f"wrong: layer {name}, neuron {neuron}, time step {found.time_step}, sample {found.sample}: {found.kind} "
    assert str(found).startswith(f"{said}{found.expected} expected, got {found.got}; potential {potential} from ")
    one, none = ({"spikes": 0, "potentials": 1}, {"spikes": 1, "potentials": 0})
    assert certificate.differing == {"wrong": one if name == "out" else none}


@pytest.mark.parametrize(
    ("places", "first"),
    [
        ([("a", 4, 2), ("a", 4, 1), ("a", 5, 0)], ("a", 1, 4)),  # the lower neuron of a row
        ([("a", 4, 2), ("b", 3, 1)], ("b", 1, 3)),  # the earlier row
        ([("a", 4, 0), ("b", 4, 0)], ("a", 0, 4)),  # the lower population of a step
        ([("out", 0, 1), ("a", 3, 0)], ("a", 0, 3)),  # logits of sample 0 are complete at step 3, with row 3 of a
        ([("out", 0, 1), ("a", 4, 0)], ("out", 1, 3)),
        ([("out", 1, 0), ("out", 0, 1)], ("out", 1, 3)),
    ],
)
def test_the_first_in_time_then_in_layers_then_in_neurons(places: list[Any], first: tuple[str, int, int]) -> None:
    certificate = compared(*places)
    found = certificate.first_divergence
    assert found is not None
    assert (found.layer, found.neuron, found.time_step) == first
    potentials = sum(name == "out" for name, _, _ in places)
    assert certificate.differing == {"wrong": {"spikes": len(places) - potentials, "potentials": potentials}}


def test_of_several_backends_the_earliest_then_the_first_named() -> None:
    late, early = changed(("a", 5, 0)), changed(("b", 2, 1))
    backends = [
        Recorded("right"),
        Recorded("late", late),
        Recorded("even"),
        Recorded("early", early),
        Recorded("too", early),
    ]
    certificate = verify(PROGRAM, INPUTS, backends)
    assert certificate.first_divergence is not None
    assert certificate.first_divergence.backend == "early"
    assert certificate.backends == ("right", "late", "even", "early", "too")
    assert [d.backend for d in certificate.diagnoses] == ["late", "early", "too"]
    none, one = {"spikes": 0, "potentials": 0}, {"spikes": 1, "potentials": 0}
    assert certificate.differing == {"late": one, "even": none, "early": one, "too": one}
    digests = certificate.recordings_sha256
    assert list(digests) == ["right", "late", "even", "early", "too"]
    assert digests["right"] == digests["even"] != digests["late"] != digests["early"] == digests["too"]
    with pytest.raises(DoesNotVerify, match=r"^early: layer b, .*; cause: a cause on early$"):
        certificate.require_equal()
    assert repr(certificate) == "Certificate(NOT equal, first on early: right, late, even, early, too, 3 samples)"


def test_of_two_backends_at_one_step_the_lower_layer() -> None:
    given = {"right": RIGHT, "upper": changed(("b", 4, 0)), "lower": changed(("a", 4, 2)), "last": changed(("a", 4, 1))}
    certificate = verify(PROGRAM, INPUTS, [Recorded(name, recording) for name, recording in given.items()])
    assert certificate.first_divergence is not None
    assert certificate.first_divergence.backend == "last"
    certificate = verify(PROGRAM, INPUTS, [Recorded(name, given[name]) for name in ("right", "upper", "lower")])
    assert certificate.first_divergence is not None
    assert certificate.first_divergence.backend == "lower"


def test_a_cause_that_explains_nothing_is_not_named() -> None:
    certificate = replace(compared(("a", 0, 0)), diagnoses=(_Cause("wrong", False), _Cause("another")))  # type: ignore[arg-type]
    with pytest.raises(DoesNotVerify, match=r"bias 0$"):
        certificate.require_equal()


def test_a_certificate_of_what_is_equal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Recorded("right"), Recorded("also")
    with caplog.at_level(logging.INFO):
        certificate = verify(PROGRAM, INPUTS, [first, second], time_limit_s=7.0, batch_size=1, chosen={"data": "d"})
    assert "also equals right on 3 samples" in caplog.text
    assert certificate.equal
    assert certificate.require_equal() is certificate
    assert (certificate.samples, certificate.first_divergence, certificate.diagnoses) == (3, None, ())
    assert (certificate.chip, certificate.chosen) == ("loihi1", {"data": "d"})
    assert certificate.compared == {
        "spikes": 9 * 5,
        "potentials": 3 * 2,
        "layers": {"a": 27, "b": 18, "out": 6},
        "time_steps": 9,
    }
    for backend in (first, second):
        ((program, inputs, options),) = backend.asked
        assert program is PROGRAM
        np.testing.assert_array_equal(inputs, ROWS)
        assert (options.time_limit_s, options.batch_size) == (7.0, 1)
    assert (certificate.overflow[0]["population"], certificate.overflow[0]["holds"]) == ("a", True)
    certificate.save(tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text()
    assert text.endswith("\n}\n")
    assert text.splitlines()[1].startswith('  "equal": true')
    assert json.loads(text) == certificate.to_dict()
    assert verify(PROGRAM, INPUTS, [first, second]).chosen == {}
    assert first.asked[1][2].batch_size is None
    assert repr(certificate) == "Certificate(equal: right, also, 3 samples)"


def test_what_is_not_to_be_compared() -> None:
    right = Recorded("right")
    for backends, says in (
        ("reference", "backends 'reference': a list of names expected"),
        ([right], r"backends \['right'\]: at least 2 different ones expected"),
        ([right, Recorded("right")], r"backends \['right', 'right'\]: at least 2 different"),
        ([], r"backends \[\]: at least 2"),
    ):
        with pytest.raises(InputError, match=says):
            verify(PROGRAM, INPUTS, backends)
    pair = [right, Recorded("also")]
    with pytest.raises(InputError, match="samples: none given; at least 1 expected"):
        verify(PROGRAM, INPUTS[:0], pair)
    with pytest.raises(InputError, match="batch size 0"):
        verify(PROGRAM, INPUTS, pair, batch_size=0)
    with pytest.raises(InputError, match="time"):
        verify(PROGRAM, INPUTS, pair, time_limit_s=0)
    assert right.asked == []
    assert verify(PROGRAM, INPUTS, ["loop", "reference"]).equal


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        (
            replace(RIGHT, spikes={"a": RIGHT.spikes["a"]}),
            r"recorded nothing of population b; \(9, 2\) expected",
        ),
        (
            replace(RIGHT, spikes=RIGHT.spikes | {"b": RIGHT.spikes["b"][1:]}),
            r"wrong: recorded shape \(8, 2\) of population b; \(9, 2\)",
        ),
        (
            replace(RIGHT, logits=RIGHT.logits[:2]),
            r"recorded shape \(2, 2\) of population out; \(3, 2\)",
        ),
    ],
)
def test_a_recording_that_lacks_something(recording: Recording, says: str) -> None:
    for backends in (
        [Recorded("right"), Recorded("wrong", recording)],
        [Recorded("wrong", recording), Recorded("right")],
    ):
        with pytest.raises(BackendError, match=says):
            verify(PROGRAM, INPUTS, backends)  # type: ignore[arg-type]


def test_spikes_of_a_last_population_are_what_is_compared() -> None:
    populations = (Population("a", Threshold(), [0, 0]), Population("out", Threshold(), [0, 1]))
    projections = (Projection(INPUT, "a", [[1, 0], [0, 1]]), Projection("a", "out", [[1, -1], [-1, 1]]))
    slices = (CoreSlice("a", 0, 2, 0), CoreSlice("out", 0, 2, 1))
    program = Program(load_chip("loihi1"), 2, populations, projections, slices)
    x = np.array([[1, 0], [0, 1]], np.uint8)
    right = ReferenceBackend().execute(program, x, RunOptions())
    wrong = replace(right, spikes=right.spikes | {"out": 1 - right.spikes["out"]})
    certificate = verify(program, x, [Recorded("right", right), Recorded("also", right)])
    assert certificate.compared["potentials"] == 4
    assert certificate.equal
    found = verify(program, x, [Recorded("right", right), Recorded("wrong", wrong)]).first_divergence
    assert found is not None
    assert (found.kind, found.layer, found.time_step, found.sample) == ("spike", "out", 1, 0)

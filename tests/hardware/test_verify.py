"""Verification: equal backends are certified, wrong ones caught, and the first divergence named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_strategies import Case, build_program, cases, random_case
from wrong_backends import WrongBackend, changed_weight, delayed, off_by_one, saturated

from conntra_hardware.backends.protocol import Availability, Backend, Recording, RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.base.errors import BackendError, DoesNotVerify, FileFormatError, InputError
from conntra_hardware.program import Program
from conntra_hardware.program.input_encoding import ThresholdEncoder
from conntra_hardware.proof.verify import inputs_sha256, verify


@pytest.fixture
def tiny() -> tuple[Program, np.ndarray]:
    """Two inputs, two hidden neurons, one readout, worked out by hand.

    h1[0] = x0 + x1 - 1 > 0 (both), h1[1] = x0 - x1 + 0 > 0 (the first alone), out = 3 h1[0] - 2 h1[1] + 5.
    """
    program = build_program([np.array([[1, 1], [1, -1]]), np.array([[3, -2]])], [np.array([-1, 0]), np.array([5])])
    return program, np.array([[0, 0], [1, 1], [1, 0], [0, 1]], np.uint8)


def check(program: Program, x: np.ndarray, *wrong: Backend):
    certificate = verify(program, x, ["reference", *wrong])
    assert not certificate.equal
    assert certificate.first_divergence is not None
    return certificate.first_divergence


def test_equal_backends_are_certified(tiny: tuple[Program, np.ndarray]) -> None:
    program, x = tiny
    certificate = verify(program, x, ["reference", WrongBackend("another")])
    assert certificate.equal
    assert certificate.require_equal() is certificate
    assert certificate.first_divergence is None
    assert certificate.backends == ("reference", "another")
    layers = {"h1": 8, "out": 4}
    assert certificate.compared == {"spikes": 8, "potentials": 4, "time_steps": 4, "layers": layers}
    assert certificate.differing == {"another": {"spikes": 0, "potentials": 0}}
    assert {"python", "numpy", "conntra-neuro"} <= certificate.versions.keys()
    assert certificate.chip == "loihi1"


def test_off_by_one_threshold(tiny: tuple[Program, np.ndarray]) -> None:
    # h1[0] spikes for one input already: first at sample 2, where x0 alone spikes and the potential is 0.
    program, x = tiny
    found = check(program, x, off_by_one("h1", 0))
    assert (found.backend, found.layer, found.neuron, found.sample, found.time_step) == ("off-by-one", "h1", 0, 2, 2)
    assert (found.kind, found.expected, found.got) == ("spike", 0, 1)
    assert (found.source, found.inputs, found.weights, found.bias, found.potential) == ("input", (0,), (1,), -1, 0)


def test_dropped_synapse_in_the_readout(tiny: tuple[Program, np.ndarray]) -> None:
    # out lacks -2 of h1[1], which spikes at sample 2: the logit 3 becomes 5, one step after the spike.
    program, x = tiny
    found = check(program, x, changed_weight("out", 0, source=1))
    assert (found.layer, found.neuron, found.sample, found.time_step) == ("out", 0, 2, 3)
    assert (found.kind, found.expected, found.got) == ("potential", 3, 5)
    assert (found.source, found.inputs, found.weights, found.bias, found.potential) == ("h1", (1,), (-2,), 5, 3)


def test_delay_of_one_step(tiny: tuple[Program, np.ndarray]) -> None:
    program, x = tiny
    found = check(program, x, delayed("h1"))
    assert (found.layer, found.neuron, found.sample, found.time_step, found.expected) == ("h1", 0, 1, 1, 1)
    # The readout's logits a step late: 5 becomes 0 at the first sample, which leaves a pipeline of two at step 1.
    late = check(program, x, delayed("out"))
    assert (late.layer, late.sample, late.time_step, late.expected, late.got) == ("out", 0, 1, 5, 0)


def test_an_earlier_time_step_comes_before_a_lower_layer(tiny: tuple[Program, np.ndarray]) -> None:
    # Wrong logits from sample 0 on (step 1) come before a wrong spike of layer 1 at sample 2 (step 2) ...
    program, x = tiny
    broken = off_by_one("h1", 0)
    both = WrongBackend("both", program=broken._program, recording=lambda r: replace(r, logits=r.logits + 1))
    assert check(program, x, both).layer == "out"
    # ... and the earliest of several backends is shown, wherever it is named.
    assert check(program, x, broken, saturated(4)).backend == "saturated"
    # At the same step the lower layer counts.
    same = WrongBackend("same", program=broken._program, recording=delayed("out")._recording)
    logits_of_1 = WrongBackend(
        "tie",
        program=broken._program,
        recording=lambda r: replace(r, logits=r.logits + (np.arange(4) == 1)[:, None]),
    )
    assert check(program, x, same).layer == "out"
    assert check(program, x, logits_of_1).layer == "h1"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(max_width=40), st.integers(0, 2**32 - 1))
def test_the_first_divergence_is_the_first(case: Case, seed: int) -> None:
    """Random values are flipped in the recording; the first one in time order must be named."""
    rng = np.random.default_rng(seed)
    names = [p.name for p in case.program.populations]
    flips = set()
    for _ in range(int(rng.integers(1, 6))):
        depth = int(rng.integers(len(names)))
        sample = int(rng.integers(case.samples))
        neuron = int(rng.integers(case.program.population(names[depth]).size))
        flips.add((sample + depth, depth, neuron))

    def flip(recording: Recording) -> Recording:
        arrays = {name: values.copy() for name, values in recording.spikes.items()} | {"out": recording.logits.copy()}
        for step, depth, neuron in flips:
            at = (step - depth, neuron)
            values = arrays[names[depth]]
            values[at] = values[at] + 1 if names[depth] == "out" else 1 - values[at]
        logits = arrays.pop("out")
        return replace(recording, spikes=arrays, logits=logits)

    certificate = verify(case.program, case.inputs, ["reference", WrongBackend("flipped", recording=flip)])
    found = certificate.first_divergence
    assert found is not None
    step, depth, neuron = min(flips)
    assert (found.time_step, found.layer, found.neuron, found.sample) == (step, names[depth], neuron, step - depth)
    counts = certificate.differing["flipped"]
    assert counts["spikes"] + counts["potentials"] == len(flips)
    # The synapses named add up to the potential, which decides the spike or is the logit.
    assert found.potential == sum(found.weights) + found.bias
    assert found.expected == (found.potential if found.kind == "potential" else int(found.potential > 0))


def slow_first_difference(program: Program, a: Recording, b: Recording) -> tuple[int, str, int] | None:
    """Look at every value in the order of the chip: time step, layer, neuron."""
    samples, depth = len(a.logits), len(program.populations)
    for step in range(samples + depth - 1):
        for layer, population in enumerate(program.populations):
            sample = step - layer
            if not 0 <= sample < samples:
                continue
            for neuron in range(population.size):
                one, other = (_values(r, population.name)[sample, neuron] for r in (a, b))
                if one != other:
                    return step, population.name, neuron
    return None


def _values(recording: Recording, layer: str) -> np.ndarray:
    return recording.spikes.get(layer, recording.logits)


@pytest.mark.parametrize("seed", range(7))
def test_wrong_backends_are_caught_on_random_programs(seed: int) -> None:
    case = random_case(seed, samples=12)
    rng = np.random.default_rng(seed)
    reference = ReferenceBackend().execute(case.program, case.inputs, RunOptions())
    for population in case.program.populations:
        (projection,) = case.program.incoming(population.name)
        source = case.inputs if projection.source == "input" else case.spikes[projection.source]
        potentials = source @ projection.weights.T.astype(np.int64) + population.bias
        # A neuron on the threshold for some sample, and one with a synapse.
        on_threshold = int(np.flatnonzero((potentials == 0).any(axis=0) | (not population.neuron.spikes))[0])
        neuron, synapse = rng.choice(np.argwhere(projection.weights))
        flipped = -int(projection.weights[neuron, synapse])
        wrong = [
            off_by_one(population.name, on_threshold),
            changed_weight(population.name, int(neuron), int(synapse)),
            changed_weight(population.name, int(neuron), int(synapse), flipped, name="flipped"),
            delayed(population.name),
        ]
        for backend in wrong:
            got = backend.execute(case.program, case.inputs, RunOptions())
            expected = slow_first_difference(case.program, reference, got)
            found = verify(case.program, case.inputs, ["reference", backend]).first_divergence
            assert (found is None) == (expected is None)
            if found is not None:
                assert (found.time_step, found.layer, found.neuron) == expected
        assert slow_first_difference(case.program, reference, wrong[0].execute(case.program, case.inputs, RunOptions()))


def test_simulators_agree_and_a_wrong_one_among_them_is_named() -> None:
    case = random_case(4, samples=30)
    backends = [name for name in ("lava", "brian2") if _available(name)]
    layer = case.program.readout.name
    certificate = verify(case.program, case.inputs, ["reference", *backends, off_by_one(layer, 2)])
    assert certificate.first_divergence is not None
    assert (certificate.first_divergence.backend, certificate.first_divergence.neuron) == ("off-by-one", 2)
    for name in backends:
        assert certificate.differing[name] == {"spikes": 0, "potentials": 0}
    assert certificate.differing["off-by-one"] == {"spikes": 0, "potentials": 30}
    with pytest.raises(DoesNotVerify, match=r"off-by-one: layer out, neuron 2, time step"):
        certificate.require_equal()


def _available(name: str) -> bool:
    from conntra_hardware.backends import load_backend

    return load_backend(name).availability().ok


def test_json_has_the_interface_fields_and_round_trips(tiny: tuple[Program, np.ndarray], tmp_path: Path) -> None:
    program, x = tiny
    certificate = verify(program, x, [ReferenceBackend(), off_by_one("h1", 0)])
    path = tmp_path / "certificate.json"
    certificate.save(path)
    read = json.loads(path.read_text())
    assert read == certificate.to_dict()
    assert list(tmp_path.iterdir()) == [path]
    fields = {"equal", "samples", "backends", "compared", "first_divergence", "versions", "program_sha256"}
    assert fields <= read.keys()
    divergence = {"backend", "layer", "neuron", "time_step", "sample", "expected", "got", "inputs", "kind"}
    assert divergence <= read["first_divergence"].keys()
    assert read["first_divergence"]["inputs"] == [0]
    with pytest.raises(FileFormatError):
        certificate.save(tmp_path / "missing" / "certificate.json")


def test_checksums_follow_program_and_inputs(tiny: tuple[Program, np.ndarray]) -> None:
    program, x = tiny
    first, again = (verify(program, x, ["reference", WrongBackend("same")]) for _ in range(2))
    assert first == again
    other = verify(off_by_one("h1", 0)._program(program), x, ["reference", WrongBackend("same")])
    assert other.program_sha256 != first.program_sha256
    assert other.inputs_sha256 == first.inputs_sha256
    assert inputs_sha256(x) != inputs_sha256(1 - x)
    assert inputs_sha256(x) != inputs_sha256(x.reshape(2, 4))


def test_raw_features_pass_the_encoder(tiny: tuple[Program, np.ndarray]) -> None:
    program, x = tiny
    encoded = replace(program, encoder=ThresholdEncoder(np.array([0.5, 10.0])))
    certificate = encoded.verify(x * [0.7, 11.0], ["reference", WrongBackend("same")])
    assert certificate.equal
    assert certificate.inputs_sha256 == inputs_sha256(x)


@pytest.mark.parametrize(
    "backends", [["reference"], ["reference", "reference"], [], "reference,lava", ["reference", "nest"]]
)
def test_wrong_lists_of_backends(tiny: tuple[Program, np.ndarray], backends: list[str] | str) -> None:
    with pytest.raises(InputError, match="backend"):
        verify(*tiny, backends)


def test_no_samples(tiny: tuple[Program, np.ndarray]) -> None:
    with pytest.raises(InputError, match="samples: none given"):
        verify(tiny[0], tiny[1][:0], ["reference", WrongBackend("same")])


def test_an_unavailable_backend_is_named_before_anything_runs(tiny: tuple[Program, np.ndarray]) -> None:
    class Missing(WrongBackend):
        def availability(self) -> Availability:
            return Availability(ok=False, reason="it is not installed", remedy="install it")

    class NeverRun(WrongBackend):
        def execute(self, program: Program, inputs: np.ndarray, options: RunOptions) -> Recording:
            raise AssertionError("it ran")

    with pytest.raises(BackendError, match=r"^missing: it is not installed; install it$"):
        verify(*tiny, [NeverRun("never"), Missing("missing")])


def test_an_incomplete_recording_is_an_error(tiny: tuple[Program, np.ndarray]) -> None:
    silent = WrongBackend("silent", recording=lambda r: replace(r, spikes={}))
    short = WrongBackend("short", recording=lambda r: replace(r, logits=r.logits[:-1]))
    with pytest.raises(BackendError, match=r"silent: recorded nothing of population h1; \(4, 2\) expected"):
        verify(*tiny, ["reference", silent])
    with pytest.raises(BackendError, match=r"short: recorded shape \(3, 1\) of population out; \(4, 1\) expected"):
        verify(*tiny, ["reference", short])


def test_options_reach_the_backends(tiny: tuple[Program, np.ndarray]) -> None:
    seen: list[RunOptions] = []

    class Watching(WrongBackend):
        def execute(self, program: Program, inputs: np.ndarray, options: RunOptions) -> Recording:
            seen.append(options)
            return super().execute(program, inputs, options)

    verify(*tiny, ["reference", Watching("watching")], time_limit_s=5, batch_size=2)
    assert seen == [RunOptions(5, 2)]

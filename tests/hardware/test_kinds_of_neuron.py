"""A neuron is in one place: a kind that the package does not have goes all the way, and what has no row is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from leaky_neuron import LeakyNeuron, StrangeNeuron

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.backends.brian2.backend import FORMS as BRIAN2_FORMS
from conntra_hardware.backends.lava.registers import FORMS as LAVA_FORMS
from conntra_hardware.backends.loop import ANSWERS
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import ConntraError, InputError
from conntra_hardware.cost.energy import estimate_all
from conntra_hardware.cost.events import count_events
from conntra_hardware.fit.overflow import prove_no_overflow
from conntra_hardware.neurons import (
    NEURON_KINDS,
    GradedRelu,
    IntegrateAndFire,
    Lif,
    MultiThreshold,
    Neuron,
    Readout,
    SigmaDelta,
    Threshold,
    neuron_from_dict,
    neuron_to_dict,
)
from conntra_hardware.program.program_file import load_program, save_program
from conntra_hardware.proof import fuzz_case, fuzz_layers
from conntra_hardware.proof.fuzz import fuzz
from conntra_hardware.proof.verify import verify

STEPS, N_IN, HIDDEN, CLASSES = 6, 30, 20, 5


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (LeakyNeuron, StrangeNeuron):
        monkeypatch.setitem(NEURON_KINDS, kind.kind, kind)


def network(neuron: Neuron, seed: int = 0) -> cn.DiscreteNetwork:
    rng = np.random.default_rng(seed)
    hidden = cn.Dense(rng.integers(-1, 2, (HIDDEN, N_IN)), rng.integers(-1, 2, HIDDEN), neuron)
    return cn.DiscreteNetwork([hidden, cn.Dense(rng.integers(-1, 2, (CLASSES, HIDDEN)), activation="readout")])


def spikes(n: int = 7, steps: int = STEPS) -> np.ndarray:
    return (np.random.default_rng(1).random((n, steps, N_IN)) < 0.3).astype(np.uint8)


NEURONS = [
    LeakyNeuron(2, STEPS),
    LeakyNeuron(3, STEPS, 163, reset="soft"),
    LeakyNeuron(1, STEPS, 2048, strict=False),
    LeakyNeuron(tuple(1 + i % 3 for i in range(HIDDEN)), STEPS, tuple(100 * i for i in range(1, HIDDEN + 1))),
]


@pytest.mark.parametrize("neuron", NEURONS, ids=range(len(NEURONS)))
def test_a_new_kind_goes_all_the_way(kinds: None, neuron: LeakyNeuron, tmp_path: Path) -> None:
    net, x = network(neuron), spikes()
    program = cn.compile(net, chip="loihi1")
    expected = net.forward(x)
    assert expected.any()
    assert program.steps == STEPS
    for backend in ("reference", "loop"):
        assert np.array_equal(program.run(x, backend=backend).logits, expected)
    assert verify(program, x, backends=["reference", "loop", "brian2"]).equal
    assert all(proof.holds for proof in prove_no_overflow(program))
    result = program.run(x)
    counts = count_events(program, program.encode(x), result.spikes)
    assert counts.totals() == result.counts.totals()
    assert all(estimate.dynamic_j > 0 for estimate in estimate_all(counts, program))
    save_program(program, tmp_path / "leaky.program")
    assert load_program(tmp_path / "leaky.program").populations[0].neuron == neuron
    cn.save(net, tmp_path / "leaky.conntra")
    assert np.array_equal(cn.load(tmp_path / "leaky.conntra").forward(x), expected)


def test_a_leaky_neuron_is_active_while_it_decays(kinds: None) -> None:
    """One input spike, then silence: the charge keeps its neuron active, in a memoryless one it is gone."""
    weight = np.zeros((1, 2), int)
    weight[0, 0] = 1
    readout = cn.Dense(np.ones((2, 1), int), activation="readout")
    x = np.zeros((1, STEPS, 2), np.uint8)
    x[0, 0, 0] = 1
    active = {}
    for decay in (0, 2048, 4096):
        net = cn.DiscreteNetwork([cn.Dense(weight, activation=LeakyNeuron(9, STEPS, decay)), readout])
        active[decay] = cn.compile(net, chip="loihi1").run(x).counts.totals()["active_updates"]
    assert active[4096] < active[2048] == active[0]  # half of 64, of 32, ... lasts longer than a sample


def wide_sums() -> cn.DiscreteNetwork:
    """One step's sum, 30,000, fits 17 bits; six of them do not."""
    big = cn.Dense(np.full((1, 1000), 30), activation=LeakyNeuron(100, STEPS, 10))
    return cn.DiscreteNetwork([big, cn.Dense([[1], [1]], activation="readout")])


def test_overflow_is_proved_over_the_steps_of_a_sample(kinds: None) -> None:
    program = cn.compile(wide_sums(), chip="loihi1")
    proof = next(p for p in prove_no_overflow(program) if p.register == "loihi1" and p.population == "hidden0")
    assert (proof.low, proof.high, proof.holds) == (0, 180_000, False)


def test_a_new_kind_is_fuzzed(kinds: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(rng: np.random.Generator, steps: int, largest: int, bound: int) -> LeakyNeuron:
        return LeakyNeuron(int(rng.integers(1, max(2, largest))), steps, int(rng.integers(1, 4096)))

    monkeypatch.setitem(fuzz_layers.DRAWS, LeakyNeuron.kind, fuzz_layers.Draw(leaky, over_time=True))
    monkeypatch.setattr(fuzz_layers, "MIXES", ((LeakyNeuron.kind,), (LeakyNeuron.kind, "threshold")))
    drawn = [fuzz_case.random_case(0, index).program for index in range(30)]
    assert any(p.neuron.kind == LeakyNeuron.kind for program in drawn for p in program.populations)
    report = fuzz(30, backends=["reference", "brian2"], limits={"brian2": 6})
    assert report.equal, report.failures


@pytest.mark.parametrize("neuron", [LeakyNeuron(2, STEPS), StrangeNeuron()], ids=["leaky", "strange"])
@pytest.mark.parametrize("backend", ["lava", "lava-stock", "sanafe", "loihi-dry", "loop", "brian2"])
def test_a_backend_without_a_row_refuses_by_name(kinds: None, backend: str, neuron: Neuron) -> None:
    simulator = load_backend(backend)
    if not simulator.availability().ok:
        pytest.skip(simulator.availability().reason)
    if neuron.facts.form == "leaky" and backend in ("loop", "brian2", "lava", "lava-stock", "sanafe"):
        return  # these have a row: the tests above
    program = cn.compile(network(neuron), chip="loihi1")
    with pytest.raises(ConntraError, match=neuron.kind):
        simulator.execute(program, program.encode(spikes(2, program.steps)), RunOptions(time_limit_s=60))


@pytest.mark.parametrize("neuron", [LeakyNeuron(2, STEPS), StrangeNeuron()], ids=["leaky", "strange"])
@pytest.mark.parametrize("name", ["a.nir", "a.net", "a.onnx", "a.h"])
def test_a_format_without_a_row_refuses_by_name(kinds: None, name: str, neuron: Neuron, tmp_path: Path) -> None:
    if neuron.facts.form == "leaky" and name != "a.onnx":
        cn.export(network(neuron), tmp_path / name)  # these have a row
        return
    with pytest.raises(InputError, match=neuron.kind):
        cn.export(network(neuron), tmp_path / name)
    assert not (tmp_path / name).exists()


def test_training_from_a_kind_that_it_does_not_know_is_refused_by_name(kinds: None) -> None:
    data = cn.load_dataset("digits")
    first = cn.train(data, layers=[8], sweeps=1)
    hidden, readout = first.network.layers
    strange = cn.Dense(hidden.weight, hidden.bias, StrangeNeuron(), hidden.levels)
    initial = cn.DiscreteNetwork([strange, readout], first.network.encoder)
    with pytest.raises(InputError, match="strange neurons cannot be trained"):
        cn.train(data, layers=[8], initial=initial, sweeps=1)
    for neuron in ("relu", "if8"):
        with pytest.raises(InputError, match="strange neurons cannot be trained"):
            cn.train(data, layers=[8], neuron=neuron, initial=initial, sweeps=1)
    integrating = cn.Dense(hidden.weight, hidden.bias, IntegrateAndFire(3, 8), hidden.levels)
    with pytest.raises(InputError, match="if8 neurons cannot be trained as threshold"):
        cn.train(data, layers=[8], initial=cn.DiscreteNetwork([integrating, readout]), sweeps=1)


def test_every_table_has_a_row_for_every_kind_of_the_package() -> None:
    package = [Threshold(), GradedRelu(2), IntegrateAndFire(3, 4), IntegrateAndFire(3, 4, "soft"), Readout()]
    package += [Lif(3, voltage_decay=4), Readout("max", voltage_decay=4), SigmaDelta(3), MultiThreshold([0, 2])]
    assert {type(neuron) for neuron in package} == set(NEURON_KINDS.values())
    forms = {neuron.facts.form for neuron in package}
    assert "other" not in forms
    for table in (LAVA_FORMS, BRIAN2_FORMS, ANSWERS):
        assert forms <= set(table)


STORED = [GradedRelu((1, 2)), IntegrateAndFire((3, 4), 5, "soft"), Readout()]
STORED += [MultiThreshold([0, 2, 5]), MultiThreshold([[0, 2], [-1, 7]])]


@pytest.mark.parametrize("neuron", [*NEURONS, *STORED])
def test_a_neuron_survives_its_file_form(kinds: None, neuron: Neuron) -> None:
    again = neuron_from_dict(neuron_to_dict(neuron))
    assert again == neuron
    assert hash(again) == hash(neuron)


@pytest.mark.parametrize("backend", ["reference", "loop", "lava", "brian2"])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_thresholds_may_differ_by_neuron(backend: str, reset: str) -> None:
    if not load_backend(backend).availability().ok:
        pytest.skip(load_backend(backend).availability().reason)
    thresholds = [1 + index % 4 for index in range(HIDDEN)]
    net, x = network(IntegrateAndFire(thresholds, STEPS, reset)), spikes()
    expected = net.forward(x)
    assert not np.array_equal(expected, network(IntegrateAndFire(1, STEPS, reset)).forward(x))
    assert np.array_equal(cn.compile(net, chip="loihi1").run(x, backend=backend).logits, expected)


@pytest.mark.parametrize("backend", ["reference", "loop", "lava", "brian2"])
def test_shifts_may_differ_by_neuron(backend: str) -> None:
    if not load_backend(backend).availability().ok:
        pytest.skip(load_backend(backend).availability().reason)
    net, x = network(GradedRelu([index % 3 for index in range(HIDDEN)])), spikes(steps=1)
    expected = net.forward(x)
    assert not np.array_equal(expected, network(GradedRelu(0)).forward(x))
    assert np.array_equal(cn.compile(net, chip="loihi2").run(x, backend=backend).logits, expected)


def test_thresholds_of_a_convolution_are_given_a_channel() -> None:
    rng = np.random.default_rng(0)
    neuron = IntegrateAndFire([1, 2, 3], 4)
    conv = cn.Conv2d(rng.integers(-1, 2, (3, 1, 2, 2)), activation=neuron, input_shape=(1, 4, 4))
    assert conv.neuron == IntegrateAndFire([1] * 9 + [2] * 9 + [3] * 9, 4)
    net = cn.DiscreteNetwork([conv, cn.Dense(rng.integers(-1, 2, (4, 27)), activation="readout")])
    x = (rng.random((5, 4, 16)) < 0.5).astype(np.uint8)
    program = cn.compile(net, chip="loihi1")
    assert np.array_equal(program.run(x, backend="loop").logits, net.forward(x))


@pytest.mark.parametrize("wrong", [[1, 2, 3], [0] * HIDDEN, [1.5] * HIDDEN, [[1]], []])
def test_parameters_that_do_not_fit_are_refused(wrong: list) -> None:
    with pytest.raises(InputError, match="threshold"):
        network(IntegrateAndFire(wrong, STEPS))

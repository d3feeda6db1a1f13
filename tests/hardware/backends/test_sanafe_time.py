"""SANA-FE over time: what its model of Loihi's soma says, spike for spike; and what it says otherwise, by name."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.sanafe.backend import SanafeBackend
from conntra_hardware.backends.sanafe.registers import check_sayable
from conntra_hardware.base.errors import UnsupportedProgram
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import IntegrateAndFire, Lif, Neuron, Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection, SparseProjection
from conntra_hardware.proof.fuzz import fuzz
from conntra_hardware.runtime import run

needs_sanafe = pytest.mark.skipif(find_spec("sanafe") is None, reason="sanafe is not installed")

SIZE, N_INPUTS = 12, 9


def lif(rng: np.random.Generator, **changed: Any) -> Lif:
    """Return neurons of all that SANA-FE can say, each of parameters of its own."""
    soft = bool(rng.random() < 0.5)
    pauses = rng.choice([0, 0, 1, 3], SIZE)
    drawn: dict[str, Any] = {
        "voltage_decay": rng.choice([0, 1, 163, 1024, 4095, 4096], SIZE),
        "current_decay": np.where(pauses > 0, 4096, rng.choice([0, 4096], SIZE, p=[0.2, 0.8])),
        "refractory": pauses,
        "reset": "soft" if soft else "hard",
        "strict": bool(soft or rng.random() < 0.5),
    }
    if soft:
        drawn["voltage_decay"] = np.where(pauses > 0, rng.choice([0, 4096], SIZE), drawn["voltage_decay"])
    return Lif(tuple(rng.choice([1, 2, 3, 5, 9], SIZE).tolist()), **drawn | changed)


def neuron(rng: np.random.Generator, steps: int) -> Neuron:
    kind = rng.integers(6)
    if kind == 0:
        return Threshold()
    if kind == 1:
        return IntegrateAndFire(
            tuple(rng.integers(1, 6, SIZE).tolist()), steps, "soft" if rng.random() < 0.5 else "hard"
        )
    return lif(rng)


def synapses(rng: np.random.Generator, source: str, target: str, n_in: int, delayed: bool):
    """Return projections of one to three delays, dense or sparse."""
    delays = rng.choice(6, int(rng.integers(1, 4)), replace=False).tolist() if delayed else [0]
    for delay in delays:
        weights = rng.integers(-3, 5, (SIZE, n_in)) * (rng.random((SIZE, n_in)) < 0.4)
        if rng.random() < 0.3:
            import scipy.sparse as sp

            yield SparseProjection(source, target, sp.coo_array(weights), delay)
        else:
            yield Projection(source, target, weights, delay)


def random_program(seed: int) -> tuple[Program, np.ndarray]:
    """1 to 4 layers that live in time, with and without delays and ways back, cut over cores."""
    rng = np.random.default_rng(seed)
    steps, depth, delayed = int(rng.integers(1, 13)), int(rng.integers(1, 5)), seed % 2 == 1
    populations, projections, slices = [], [], []
    source, n_in = INPUT, N_INPUTS
    for layer in range(depth):
        name = f"p{layer}"
        last = layer == depth - 1
        readout = Readout(("last", "max")[layer % 2], voltage_decay=int(rng.choice([0, 163, 4096])))
        kind = (Readout(), readout, lif(rng))[rng.integers(3)] if last else neuron(rng, steps)
        populations.append(Population(name, kind, rng.integers(-2, 3, SIZE)))
        projections += synapses(rng, source, name, n_in, delayed)
        if kind.spikes and rng.random() < 0.6:
            projections += synapses(rng, name, name, SIZE, delayed)
        cut = int(rng.integers(1, SIZE))
        slices += [CoreSlice(name, 0, cut, layer), CoreSlice(name, cut, SIZE, layer + 4)]
        source, n_in = name, SIZE
    program = Program(load_chip("loihi1"), N_INPUTS, tuple(populations), tuple(projections), tuple(slices), steps=steps)
    inputs = (rng.random((int(rng.integers(2, 7)) * steps, N_INPUTS)) < rng.choice([0.2, 0.5])).astype(np.uint8)
    return program, inputs


@needs_sanafe
@pytest.mark.parametrize("seed", range(8))
def test_it_gives_every_spike_and_every_logit(seed: int) -> None:
    program, inputs = random_program(seed)
    samples = inputs.reshape(-1, program.steps, N_INPUTS)
    expected = run(program, samples)
    recording, took = SanafeBackend().measure(program, inputs, RunOptions(time_limit_s=60))
    for name, spikes in expected.spikes.items():
        assert np.array_equal(recording.spikes[name], spikes), name
    assert np.array_equal(recording.logits, expected.logits)
    assert took.step_time_s.shape == (len(samples),)
    assert took.dynamic_j > 0


def one_neuron(kind: Neuron, weight: int = 1, delay: int = 0, steps: int = 4, size: int = 1) -> Program:
    populations = (Population("p", kind, np.zeros(size, int)), Population("out", Readout(), np.zeros(1, int)))
    projections = (
        Projection(INPUT, "p", np.full((size, 1), weight), delay),
        Projection("p", "out", np.ones((1, size), int)),
    )
    slices = (CoreSlice("p", 0, size, 0), CoreSlice("out", 0, 1, 1))
    return Program(load_chip("loihi2"), 1, populations, projections, slices, steps=steps)


ONES = np.ones((4, 1), np.uint8)
LEAKY = Lif(3, voltage_decay=163)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (one_neuron(replace(LEAKY, current_decay=1024)), "a current that decays: SANA-FE's u keeps fractions"),
        (one_neuron(replace(LEAKY, current_decay=0, refractory=1)), "refractory steps beside a current that stays"),
        (one_neuron(replace(LEAKY, reset="soft", strict=False)), "a threshold that is not strict"),
        (one_neuron(replace(LEAKY, reset="soft", refractory=2)), "refractory steps and a soft reset"),
        (one_neuron(LEAKY, delay=6), "a delay of 6 steps; SANA-FE's dendrites hold up to 5"),
        (one_neuron(LEAKY, size=1025), "core 0: 1025 neurons; SANA-FE's cores hold 1024"),
        (one_neuron(LEAKY, weight=2**17), "a current or a potential that wraps round"),
        (one_neuron(replace(LEAKY, current_decay=0), weight=2**15), "a current or a potential that wraps round"),
        (one_neuron(Lif(1, voltage_decay=0, reset="soft"), weight=2**15 + 2), "stops at the end of Loihi's 24 bits"),
    ],
)
def test_what_its_soma_says_otherwise_is_refused_with_the_reason(program: Program, reason: str) -> None:
    with pytest.raises(UnsupportedProgram, match=reason):
        check_sayable(program, ONES)


def test_registers_are_looked_at_only_where_some_input_could_exceed_them() -> None:
    """What the weights allow does not matter where the inputs do not do it."""
    program = one_neuron(Lif(1, voltage_decay=0, reset="soft"), weight=2**15 + 2)
    check_sayable(program, ONES * np.array([[1], [0], [1], [0]], np.uint8))


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the backend run what it refuses."""
    monkeypatch.setattr("conntra_hardware.backends.sanafe.backend.check_sayable", lambda *_: None)


@needs_sanafe
def test_convolutions_pooling_and_residual_connections() -> None:
    rng = np.random.default_rng(2)
    layers = [
        cn.Conv2d(rng.integers(-1, 2, (2, 1, 3, 3)), input_shape=(1, 8, 8), activation=Lif(2, voltage_decay=400)),
        cn.SumPool(2, input_shape=(2, 6, 6)),
        cn.Conv2d(rng.integers(-1, 2, (4, 2, 2, 2)), rng.integers(-1, 2, 4), input_shape=(2, 3, 3), delay=2),
        cn.Dense(rng.integers(-1, 2, (16, 16)), activation=cn.IntegrateAndFire(2, 6)),
        cn.Dense(rng.integers(-1, 2, (3, 16)), activation="readout"),
    ]
    skip = cn.Residual(2, 4, cn.Dense(rng.integers(-1, 2, (3, 16)), activation="readout"))
    network = cn.DiscreteNetwork(layers, steps=6, residuals=[skip])
    x = (rng.random((3, 6, 64)) < 0.3).astype(np.uint8)
    program = cn.compile(network, chip="loihi1")
    assert any(len(program.incoming(p.name)) > 1 for p in program.populations)
    assert program.verify(x, backends=["reference", "sanafe"]).equal
    assert network.forward(x).any()


@needs_sanafe
def test_fuzzing_over_all_kinds_of_program_finds_nothing() -> None:
    report = fuzz(64, seed=1, backends=["sanafe"], limits={"sanafe": 12})
    assert report.equal, report.failures
    assert report.backends["sanafe"].programs >= 5


@needs_sanafe
@pytest.mark.parametrize(
    "changed",
    [
        lambda: {"current_decay": 1024},
        lambda: {"current_decay": 0, "refractory": 2},
        lambda: {"reset": "soft", "strict": False, "voltage_decay": 10},
        lambda: {"reset": "soft", "refractory": 2, "voltage_decay": 1024},
    ],
    ids=["current", "pause and current", "not strict", "pause and leak"],
)
def test_each_refusal_is_one_that_shows(changed: Callable[[], dict], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all the same, the refused neurons do differ: none is refused for nothing."""
    blind(monkeypatch)
    rng = np.random.default_rng(5)
    fixed = {"reset": "hard", "strict": True, "refractory": 0, "voltage_decay": 163, "current_decay": 4096}
    kind = lif(rng, **fixed | changed())
    populations = (Population("p", kind, rng.integers(-1, 2, SIZE)),)
    weights = rng.integers(-3, 5, (SIZE, N_INPUTS))
    program = Program(
        load_chip("loihi1"),
        N_INPUTS,
        populations,
        (Projection(INPUT, "p", weights),),
        (CoreSlice("p", 0, SIZE, 0),),
        steps=40,
    )
    inputs = (rng.random((400, N_INPUTS)) < 0.4).astype(np.uint8)
    expected = run(program, inputs.reshape(-1, 40, N_INPUTS)).spikes["p"]
    found = SanafeBackend().execute(program, inputs, RunOptions(time_limit_s=60)).spikes["p"]
    assert not np.array_equal(found, expected)

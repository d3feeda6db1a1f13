"""Samples of several steps on a Loihi 2, as far as they go without one: wiring, adapters that are late, refusals."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends.host import Host
from conntra_hardware.backends.loihi import backend as loihi_backend
from conntra_hardware.backends.loihi.backend import LoihiBackend
from conntra_hardware.backends.loihi.over_time import MAX_LATENCY, lives_in_time, time_plan
from conntra_hardware.backends.loihi.registers import check_deployable
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import UnsupportedProgram
from conntra_hardware.cost.measured import Measured
from conntra_hardware.fit.overflow import synaptic_bounds
from conntra_hardware.neurons import IntegrateAndFire, Lif, Neuron, Readout, Threshold
from conntra_hardware.program import Population, Program, Projection

# The wiring's stand-ins run beside Lava, in this Python: behind the door to another one they are not found.
pytestmark = pytest.mark.skipif(find_spec("lava") is None, reason="needs Lava in this Python")

EXTENSION = Path(__file__).parents[2] / "support" / "loihi_extension"
DRY = LoihiBackend(on_chip=False)


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> LoihiBackend:
    """The backend "loihi" with stand-ins for the extension, whose stock processes run on the CPU."""
    if not DRY.availability().ok:
        pytest.skip(DRY.availability().reason)
    monkeypatch.syspath_prepend(str(EXTENSION))
    monkeypatch.setattr(loihi_backend, "_MODULE", "wired_loihi")
    backend = LoihiBackend()
    backend.module = "wired_loihi"
    return backend


def network(kind: str, seed: int = 0) -> tuple[cn.DiscreteNetwork, np.ndarray]:
    """Three layers over 5 steps of leaky, integrating and memoryless neurons, with what ``kind`` says besides."""
    rng, steps = np.random.default_rng(seed), 5
    lasting = kind == "current"
    first = Lif((1, 2, 3, 4, 1, 2), voltage_decay=163, current_decay=1000 if lasting else 4096)
    bias = None if lasting else rng.integers(-1, 2, 6)
    second = cn.IntegrateAndFire(3, steps) if kind == "counted" else "threshold"
    last: Any = Lif(2, voltage_decay=90) if kind == "counted" else "readout"
    layers = [
        cn.Dense(rng.integers(-2, 4, (6, 5)), bias, first, delay=rng.integers(0, 4, 5) if kind == "delay" else 0),
        cn.Dense(rng.integers(-2, 4, (5, 6)), rng.integers(-1, 2, 5), second, delay=2 if kind == "delay" else 0),
        cn.Dense(rng.integers(-2, 3, (3, 5)), rng.integers(-3, 4, 3), last),
    ]
    loops = [] if kind == "counted" else [cn.Recurrent(0, rng.integers(-2, 4, (6, 6)), int(kind == "delay"))]
    spikes = (rng.random((4, steps, 5)) < 0.5).astype(np.uint8)
    spikes[2] = 0  # what is left of the sample before would show
    return cn.DiscreteNetwork(layers, steps=steps, recurrent=loops), spikes


def same(backend: LoihiBackend, net: cn.DiscreteNetwork, spikes: np.ndarray, options: RunOptions) -> None:
    program = cn.compile(net, chip="loihi2")
    expected = program.run(spikes)
    recording = backend.execute(program, program.encode(spikes), options)
    assert np.array_equal(recording.logits, expected.logits)
    for name, sent in recording.spikes.items():
        assert np.array_equal(sent, expected.spikes[name]), name
        assert sent.any()


@pytest.mark.parametrize("kind", ["delay", "counted"])
def test_the_processes_give_every_spike(kind: str) -> None:
    if not DRY.availability().ok:
        pytest.skip(DRY.availability().reason)
    same(DRY, *network(kind), RunOptions(120))


@pytest.mark.parametrize(("kind", "late"), [("delay", MAX_LATENCY), ("current", 3)])
def test_samples_stand_apart_however_late_the_adapters_are(
    wired: LoihiBackend, kind: str, late: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_STEPS_IN", str(late))
    same(wired, *network(kind, 1), RunOptions(120, host=Host()))


def test_without_probes_counted_spikes_come_all_the_same(wired: LoihiBackend) -> None:
    net, spikes = network("counted", 2)
    program = cn.compile(net, chip="loihi2")
    recording = wired.execute(program, program.encode(spikes), RunOptions(120, host=Host(), probe=False))
    assert recording.spikes == {}
    assert np.array_equal(recording.logits, net.forward(spikes))
    assert recording.measured.sample_steps == 5 + MAX_LATENCY + 1


def test_energy_and_throughput_are_a_samples_and_not_a_steps() -> None:
    measured = Measured(step_time_s=1e-5, power_w=2.0, static_w=0.5, sample_steps=22)
    assert measured.energy_per_inference_j == pytest.approx(2.0 * 22e-5)
    assert measured.dynamic_per_inference_j == pytest.approx(1.5 * 22e-5)
    assert measured.throughput_hz == pytest.approx(1 / 22e-5)
    assert replace(measured, sample_steps=None).throughput_hz == pytest.approx(1e5)


def population(rng: np.random.Generator) -> tuple[Population, np.ndarray, np.ndarray]:
    """Return neurons with the weights of their inputs, (3, 7), and of themselves, (3, 3)."""
    kinds: list[Neuron] = [
        Lif(
            int(rng.integers(0, 6)),
            voltage_decay=int(rng.integers(0, 4097)),
            current_decay=int(rng.integers(300, 4097)),
        ),
        Threshold(),
        IntegrateAndFire(int(rng.integers(1, 6)), 6),
    ]
    scale = int(rng.choice([1, 1, 40]))
    weights, back = scale * rng.integers(-3, 5, (3, 7)), scale * rng.integers(-3, 5, (3, 3))
    return Population("p", kinds[rng.integers(3)], np.zeros(3, int)), weights, back


def looped(rng: np.random.Generator, delay: int) -> tuple[Program, np.ndarray, np.ndarray]:
    hidden, weights, back = population(rng)
    layers = [
        cn.Dense(weights, None, hidden.neuron),
        cn.Dense(np.ones((2, 3), int), None, "readout"),
    ]
    net = cn.DiscreteNetwork(layers, steps=6, recurrent=[cn.Recurrent(0, back, delay)])
    return cn.compile(net, chip="loihi2"), weights, back


@pytest.mark.parametrize("seed", range(60))
def test_what_is_held_down_does_not_spike(seed: int) -> None:
    """The weight that is taken off in silent steps is enough, whatever is still on its way; and no current wraps."""
    rng = np.random.default_rng(seed)
    delay = int(rng.integers(0, 4))
    program, weights, back = looped(rng, delay)
    plan = time_plan("loihi", program)
    assert plan.silent == 1 + delay
    weight = plan.silencers["hidden0"]
    neuron = program.populations[0].neuron
    state, sent = None, []
    for step in range(plan.steps + plan.silent):
        spikes = rng.random(7) < 0.9 if step < plan.steps else np.zeros(7)
        sums = weights @ spikes.astype(int) - weight * int(step >= plan.steps)
        if step >= plan.silent:
            sums = sums + back @ sent[step - plan.silent].astype(int)
        found = neuron.advance(sums[None, None].astype(np.int64), 0, state)
        state = found.state
        sent.append(found.sent[0, 0])
    assert not np.any(sent[plan.steps :])


def test_samples_are_apart_by_more_than_adapters_may_take() -> None:
    net, _ = network("delay")
    program = cn.compile(net, chip="loihi2")
    plan = time_plan("loihi", program)
    assert lives_in_time(program)
    assert plan.silent == max(program.lag(p) for p in program.projections) > 1
    assert (plan.steps, plan.period) == (5, 5 + plan.silent + MAX_LATENCY + 1)
    low, high = synaptic_bounds(program.populations[1], program.incoming("hidden1"), {})
    assert plan.silencers["hidden1"] >= high.max()
    assert low.min() <= 0
    plain = cn.DiscreteNetwork([cn.Dense([[1]]), cn.Dense([[1], [1]], activation="readout")])
    assert check_deployable("loihi", cn.compile(plain, chip="loihi2"), np.ones((1, 1), np.uint8)) is None


LEAKY = Lif(3, voltage_decay=163)


@pytest.mark.parametrize(
    ("neuron", "bias", "weight", "reason"),
    [
        (replace(LEAKY, current_decay=100), 1, 1, "biases beside a current that lasts"),
        (IntegrateAndFire(3, 4, "soft"), 0, 1, "a soft reset: Lava's LIFReset has none"),
        (replace(LEAKY, reset="soft"), 0, 1, "on stock processes: lava-stock: .* soft reset, refractory steps"),
        (replace(LEAKY, refractory=2), 0, 1, "on stock processes: lava-stock: .* soft reset, refractory steps"),
        (Readout("last", voltage_decay=9), 0, 1, "a readout that leaks: what leaves the chip is a graded spike"),
        (cn.SigmaDelta(3), 0, 1, "sigma_delta neurons; it runs threshold, integrating, leaky, readout"),
        (LEAKY, 4000, 127 * 2**10, "with biases that come as synapses here; a current holds 131071"),
        (LEAKY, 0, 120 * 2**10, "to hold them down between samples, while spikes are on their way"),
    ],
)
def test_what_a_chip_could_not_do_is_refused_with_the_reason(
    neuron: Neuron, bias: int, weight: int, reason: str
) -> None:
    hidden = Population("out" if not neuron.spikes else "h", neuron, np.array([bias]))
    populations = (hidden,) if not neuron.spikes else (hidden, Population("out", Readout(), np.zeros(1, int)))
    projections = [Projection("input", hidden.name, np.array([[weight]]))]
    if neuron.spikes:
        projections.append(Projection("h", "out", np.array([[1]])))
        projections += [Projection("h", "h", np.array([[1]]))] if bias == 0 else []
    template = cn.compile(network("current")[0], chip="loihi2")
    slices = tuple(
        replace(template.slices[0], population=p.name, start=0, stop=1, core=i) for i, p in enumerate(populations)
    )
    program = Program(template.chip, 1, populations, tuple(projections), slices, steps=4)
    with pytest.raises(UnsupportedProgram, match=f"^loihi: .*{reason}"):
        check_deployable("loihi", program, np.ones((4, 1), np.uint8))

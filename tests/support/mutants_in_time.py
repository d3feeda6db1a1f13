"""Mutants of programs that live in time: one known mistake each, and what verification made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from wrong_backends import WrongBackend

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Availability, Backend, Recording, RunOptions
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import Lif, Readout
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection
from conntra_hardware.program.arrivals import arriving_sums

SAMPLES, STEPS, N_IN = 30, 24, 14


def timed_program(seed: int, strict: bool = True, recurrent: bool = True) -> tuple[Program, np.ndarray]:
    """Two layers of leaky neurons with delays, a leaky readout; input spikes (samples * steps, N_IN)."""
    rng = np.random.default_rng(seed)

    def lif() -> Lif:
        return Lif(
            int(rng.integers(2, 7)),
            voltage_decay=int(rng.integers(100, 1500)),
            current_decay=int(rng.integers(200, 3000)),
            reset=str(rng.choice(["hard", "soft"])),  # type: ignore[arg-type]
            strict=strict,
            refractory=int(rng.integers(0, 3)),
        )

    sizes = {"h1": 10, "h2": 8, "out": 4}
    neurons: dict[str, Any] = {"h1": lif(), "h2": lif(), "out": Readout("last", voltage_decay=300)}
    populations = tuple(Population(name, neurons[name], rng.integers(-1, 2, size)) for name, size in sizes.items())
    ends = [(INPUT, "h1", N_IN, 2), ("h1", "h1", 10, 1), ("h1", "h2", 10, 3), ("h2", "h2", 8, 0), ("h2", "out", 8, 0)]
    drawn = [Projection(source, target, rng.integers(-3, 4, (sizes[target], n)), d) for source, target, n, d in ends]
    projections = tuple(p for p in drawn if recurrent or p.source != p.target)
    slices = tuple(CoreSlice(p.name, 0, p.size, core) for core, p in enumerate(populations))
    program = Program(load_chip("loihi2"), N_IN, populations, projections, slices, steps=STEPS)
    return program, (rng.random((SAMPLES * STEPS, N_IN)) < 0.25).astype(np.uint8)


class _Stepping:
    """The reference, with a layer whose neurons go another way; later layers see it. Without ways back to itself."""

    def __init__(self, layer: str, run: Callable[[Lif, np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.name, self.layer, self.run = "mutant", layer, run

    def availability(self) -> Availability:
        return Availability(ok=True, versions={})

    def execute(self, program: Program, inputs: np.ndarray, options: RunOptions) -> Recording:
        before = load_backend("reference").execute(program, inputs, options)
        sent = {INPUT: inputs, **before.spikes}
        over_time = {name: values.reshape(-1, STEPS, values.shape[1]) for name, values in sent.items()}
        population = program.population(self.layer)
        sums = arriving_sums(program, self.layer, over_time)
        changed = self.run(population.neuron, sums, population.bias)  # type: ignore[arg-type]
        spikes = {**before.spikes, self.layer: changed.reshape(-1, population.size).astype(np.uint8)}
        for later in program.populations[program.populations.index(population) + 1 :]:
            over_time |= {name: v.reshape(-1, STEPS, v.shape[1]) for name, v in spikes.items()}
            answer = later.neuron.respond(arriving_sums(program, later.name, over_time), later.bias)
            if not later.neuron.spikes:
                return replace(before, spikes=spikes, logits=answer)
            spikes[later.name] = answer.reshape(-1, later.size)
        return replace(before, spikes=spikes)


def _slowly(neuron: Lif, sums: np.ndarray, bias: np.ndarray, whole: bool, late: bool, runs_on: bool) -> np.ndarray:
    """Leaky neurons one number at a time, with a mistake."""
    out = np.zeros(sums.shape, int)
    theta = 64 * int(neuron.threshold)  # type: ignore[arg-type]
    for i in range(sums.shape[2]):
        u = v = waits = spiked = 0
        for sample in range(len(sums)):
            if not runs_on:
                u = v = waits = spiked = 0
            for step in range(sums.shape[1]):
                u, v_left = _decay(u, neuron.current_decay), _decay(v, neuron.voltage_decay)
                if whole:
                    u, v_left = int(u / 64) * 64, int(v_left / 64) * 64
                u += 64 * int(sums[sample, step, i])
                if waits == 0:
                    v = v_left + u + 64 * int(bias[i])
                fires = waits == 0 and (v > theta if neuron.strict else v >= theta)
                if spiked if late else fires:
                    v = 0 if neuron.reset == "hard" else v - theta
                waits = int(neuron.refractory) if fires else max(waits - 1, 0)  # type: ignore[arg-type]
                out[sample, step, i] = spiked = int(fires)
    return out


def _decay(x: int, decay: Any) -> int:
    return (1 if x >= 0 else -1) * (abs(x) * (4096 - decay) >> 12)


def _with(layer: str, **changes: Callable[[Any], Any]) -> Backend:
    """A layer whose neurons have other parameters."""

    def changed(program: Program) -> Program:
        neuron: Any = program.population(layer).neuron
        other = replace(neuron, **{name: change(getattr(neuron, name)) for name, change in changes.items()})
        populations = [replace(p, neuron=other) if p.name == layer else p for p in program.populations]
        return replace(program, populations=tuple(populations))

    return WrongBackend("mutant", program=changed)


def _delayed(source: str, target: str, by: int) -> Backend:
    def changed(program: Program) -> Program:
        projections = [
            replace(p, delay=p.delay + by) if (p.source, p.target) == (source, target) else p
            for p in program.projections
        ]
        return replace(program, projections=tuple(projections))

    return WrongBackend("mutant", program=changed)


def _stepping(**mistake: bool) -> Callable[[str], Backend]:
    given = {"whole": False, "late": False, "runs_on": False, **mistake}
    return lambda layer: _Stepping(layer, lambda neuron, sums, bias: _slowly(neuron, sums, bias, **given))


@dataclass(frozen=True)
class TimedMutant:
    """``make(layer)`` is a backend with the mistake; ``cause`` and ``words`` are what diagnosis is to say."""

    cause: str
    words: str
    make: Callable[[str], Backend]
    layers: tuple[str, ...] = ("h1", "h2")
    recurrent: bool = True


TIMED_MUTANTS: dict[str, TimedMutant] = {
    "voltage decays by one too much": TimedMutant(
        "decay", "the voltage's decay is 1 too large", lambda layer: _with(layer, voltage_decay=lambda d: d + 1)
    ),
    "current decays by one too little": TimedMutant(
        "decay", "the current's decay is 1 too small", lambda layer: _with(layer, current_decay=lambda d: d - 1)
    ),
    "no leak": TimedMutant(
        "decay", "the voltage does not decay", lambda layer: _with(layer, voltage_decay=lambda d: 0)
    ),
    "fractions are lost": TimedMutant("lost fraction", "cut to whole weights", _stepping(whole=True), recurrent=False),
    "another rule at the threshold": TimedMutant(
        "threshold", "strict", lambda layer: _with(layer, strict=lambda s: not s)
    ),
    "another reset": TimedMutant(
        "reset", "the reset is", lambda layer: _with(layer, reset=lambda r: "soft" if r == "hard" else "hard")
    ),
    "a reset that comes a step late": TimedMutant(
        "late reset", "one step after their spike", _stepping(late=True), recurrent=False
    ),
    "refractory for a step more": TimedMutant(
        "refractory", "refractory one step longer", lambda layer: _with(layer, refractory=lambda r: r + 1)
    ),
    "state that leaks into the next sample": TimedMutant(
        "missing reset", "not cleared between samples", _stepping(runs_on=True), recurrent=False
    ),
    "a delay one too long": TimedMutant("delay", "one step late", lambda layer: _delayed("h1", "h2", 1), ("h2",)),
    "a delay one too short": TimedMutant("delay", "one step early", lambda layer: _delayed(INPUT, "h1", -1), ("h1",)),
    "a delay left out": TimedMutant(
        "delay", "their delay is left out", lambda layer: _delayed("h1", "h2", -3), ("h2",)
    ),
    "a way back one step late": TimedMutant("delay", "one step late", lambda layer: _delayed("h2", "h2", 1), ("h2",)),
}

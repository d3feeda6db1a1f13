"""The plainest backend: time step by time step, neuron by neuron, in Python integers and 64-bit sums.

It shares no arithmetic with the reference (no floating point, no batches, no bits, no convolutions: every projection is
the matrix that it stands for), and is what that one is held to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.errors import BackendError, UnsupportedProgram
from conntra_hardware.neurons import GRADED_MAX, Facts, Parameter, row_for
from conntra_hardware.program import INPUT, Population, Program

__all__ = ["LoopBackend"]


class LoopBackend:
    """A pipeline of populations that each see, at every time step, what was sent at the step before."""

    name = "loop"

    def availability(self) -> Availability:
        """Always there."""
        return Availability(ok=True, versions={"numpy": np.__version__})

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (rows, n_inputs) through the program."""
        start = time.perf_counter()
        rows, steps, populations = len(inputs), program.steps, program.populations
        recorded = {p.name: np.zeros((rows, p.size), np.int64) for p in populations}
        answers = {p.name: _row(p) for p in populations}
        state = {p.name: [(0, 0)] * p.size for p in populations}
        weights = {(p.source, p.target): p.weights for p in program.projections}
        sent: dict[str, IntArray] = {}
        for step in range(rows + program.depth):
            now: dict[str, IntArray] = {}
            for population in populations:
                row = step - program.depths[population.name]
                if not 0 <= row < rows:
                    continue
                if row % steps == 0:
                    state[population.name] = [(0, 0)] * population.size
                sums = _sums(population, weights, sent)
                now[population.name] = recorded[population.name][row] = _answers(
                    population, answers[population.name], state[population.name], sums
                )
            if step < rows:
                now[INPUT] = inputs[step]
            sent = now
        spikes = {
            p.name: recorded[p.name].astype(np.int32 if p.neuron.graded else np.uint8)
            for p in populations
            if p.neuron.spikes
        }
        logits = recorded[program.readout.name][steps - 1 :: steps]
        return Recording(spikes, logits, run_seconds=time.perf_counter() - start)


def _sums(
    population: Population, weights: Mapping[tuple[str, str], IntArray], sent: Mapping[str, IntArray]
) -> IntArray:
    sums = np.zeros(population.size, np.int64)
    for (source, target), matrix in weights.items():
        if target == population.name:
            # Add up the columns of the sources that spiked, times their values: what synapses do.
            for spiking in np.flatnonzero(sent[source]).tolist():
                sums = sums + matrix[:, spiking].astype(np.int64) * int(sent[source][spiking])
    return sums


State = tuple[int, int]
"""A neuron's u and v."""
Answer = Callable[[Facts, int, State, int, int], tuple[int, State]]
"""What a neuron (its index given) with a state sends at a synaptic sum and a bias, and the state that it is left in."""


def _answers(population: Population, answer: Answer, state: list[State], sums: IntArray) -> IntArray:
    """Return what the neurons send, or for a readout their sums so far; ``state`` is changed."""
    sent = np.empty(population.size, np.int64)
    facts = population.neuron.facts
    for neuron, (total, bias) in enumerate(zip(sums.tolist(), population.bias.tolist(), strict=True)):
        sent[neuron], state[neuron] = answer(facts, neuron, state[neuron], total, bias)
        if sent[neuron] > GRADED_MAX and population.neuron.graded:
            raise BackendError(
                f"loop: population {population.name}: a spike of {sent[neuron]}; at most {GRADED_MAX} fits"
            )
    return sent


def _of(value: Parameter | None, index: int) -> int:
    assert value is not None
    return value[index] if isinstance(value, tuple) else value


def _threshold(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    return int(total + bias > 0), (0, 0)


def _graded(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    return max((total + bias) // 2 ** _of(facts.shift, index), 0), (0, 0)


def _readout(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    v = state[1] + total + bias
    return v, (0, v)


def _integrating(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    v, theta = state[1] + total + bias, _of(facts.threshold, index)
    if not (v > theta if facts.strict else v >= theta):
        return 0, (0, v)
    return 1, (0, 0 if facts.reset == "hard" else v - theta)


def _leaky(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    """Loihi's neuron, u and v with 6 binary places, decays towards zero."""
    u = _decayed(state[0], _of(facts.current_decay, index)) + 64 * total
    v = _decayed(state[1], _of(facts.voltage_decay, index)) + u + 64 * bias
    theta = 64 * _of(facts.threshold, index)
    if not (v > theta if facts.strict else v >= theta):
        return 0, (u, v)
    return 1, (u, 0 if facts.reset == "hard" else v - theta)


def _decayed(value: int, decay: int) -> int:
    left = abs(value) * (4096 - decay) // 4096
    return left if value >= 0 else -left


ANSWERS: dict[str, Answer] = {
    "threshold": _threshold,
    "graded": _graded,
    "integrating": _integrating,
    "leaky": _leaky,
    "readout": _readout,
}


def _row(population: Population) -> Answer:
    where = f"loop: population {population.name}"
    return row_for(ANSWERS, population.neuron, where, "use backend reference", UnsupportedProgram)

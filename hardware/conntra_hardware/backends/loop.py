"""The plainest backend: time step by time step, neuron by neuron, in Python integers and 64-bit sums.

It shares no arithmetic with the reference (no floating point, no batches, no bits, no convolutions: every projection is
the matrix that it stands for), and is what that one is held to.
"""

from __future__ import annotations

import time
from collections.abc import Callable

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
        state = {p.name: [_BEGINNING] * p.size for p in populations}
        weights = [p.weights for p in program.projections]
        sent: list[dict[str, IntArray]] = []
        for step in range(rows + program.depth):
            now: dict[str, IntArray] = {}
            for population in populations:
                row = step - program.depths[population.name]
                if not 0 <= row < rows:
                    continue
                if row % steps == 0:
                    state[population.name] = [_BEGINNING] * population.size
                sums = np.zeros(population.size, np.int64)
                for projection, matrix in zip(program.projections, weights, strict=True):
                    # What left so long ago that it arrives now, unless that was in the sample before.
                    before = len(sent) - 1 - projection.delay
                    if projection.target == population.name and row % steps >= program.lag(projection):
                        sums = sums + _arriving(matrix, sent[before][projection.source])
                now[population.name] = recorded[population.name][row] = _answers(
                    population, answers[population.name], state[population.name], sums
                )
            if step < rows:
                now[INPUT] = inputs[step]
            sent.append(now)
        spikes = {
            p.name: recorded[p.name].astype(np.int32 if p.neuron.graded else np.uint8)
            for p in populations
            if p.neuron.spikes
        }
        seen = recorded[program.readout.name].reshape(-1, steps, program.readout.size)
        logits = seen.max(axis=1) if program.readout.neuron.facts.read == "max" else seen[:, -1]
        if program.readout.neuron.spikes:
            logits = seen.sum(axis=1)
        return Recording(spikes, logits, run_seconds=time.perf_counter() - start)


def _arriving(matrix: IntArray, sent: IntArray) -> IntArray:
    sums = np.zeros(len(matrix), np.int64)
    # Add up the columns of the sources that spiked, times their values: what synapses do.
    for spiking in np.flatnonzero(sent).tolist():
        sums = sums + matrix[:, spiking].astype(np.int64) * int(sent[spiking])
    return sums


State = tuple[int, ...]
"""A neuron's u and v, and for how many steps it is refractory; or its sigma, act, residue and error."""
_BEGINNING: State = (0, 0, 0, 0)
Answer = Callable[[Facts, int, State, int, int], tuple[int, State]]
"""What a neuron (its index given) with a state sends at a synaptic sum and a bias, and the state that it is left in."""


def _answers(population: Population, answer: Answer, state: list[State], sums: IntArray) -> IntArray:
    """Return what the neurons send, or for a readout their sums so far; ``state`` is changed."""
    sent = np.empty(population.size, np.int64)
    facts = population.neuron.facts
    for neuron, (total, bias) in enumerate(zip(sums.tolist(), population.bias.tolist(), strict=True)):
        sent[neuron], state[neuron] = answer(facts, neuron, state[neuron], total, bias)
        if population.neuron.graded and abs(sent[neuron]) > GRADED_MAX:
            raise BackendError(
                f"loop: population {population.name}: a spike of {sent[neuron]}; at most {GRADED_MAX} fits"
            )
    return sent


def _of(value: Parameter | None, index: int) -> int:
    assert value is not None
    return value[index] if isinstance(value, tuple) else value


def _threshold(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    return int(total + bias > 0), _BEGINNING


def _graded(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    ceiling = _of(facts.ceiling, index)
    y = max((total + bias) // 2 ** _of(facts.shift, index), 0)
    return y if ceiling == GRADED_MAX else min(y, ceiling), _BEGINNING


def _multi_threshold(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    row = facts.thresholds[index if len(facts.thresholds) > 1 else 0]
    return len([threshold for threshold in row if total + bias > threshold]), _BEGINNING


def _readout(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    v = state[1] + total + bias
    return v, (0, v, 0)


def _integrating(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    v, theta = state[1] + total + bias, _of(facts.threshold, index)
    if not (v > theta if facts.strict else v >= theta):
        return 0, (0, v, 0)
    return 1, (0, 0 if facts.reset == "hard" else v - theta, 0)


def _leaky_readout(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    u, v = _charged(facts, index, state, total, bias)
    return v, (u, v, 0)


def _leaky(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    """Loihi's neuron, u and v with 6 binary places, decays towards zero."""
    u, v = _charged(facts, index, state, total, bias)
    if state[2]:
        return 0, (u, state[1], state[2] - 1)
    theta = 64 * _of(facts.threshold, index)
    if not (v > theta if facts.strict else v >= theta):
        return 0, (u, v, 0)
    return 1, (u, 0 if facts.reset == "hard" else v - theta, _of(facts.refractory, index))


def _sigma_delta(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, State]:
    """Lava's SigmaDelta, line by line: what arrives is added to sigma, and what changes is sent."""
    sigma, act, residue, error = state
    sigma += total
    activated = sigma + bias
    if facts.delta == "relu" and activated < 0:
        activated = 0
    delta = activated - act + residue
    error += delta
    size = abs(error) if facts.cumulative_error else abs(delta)
    if size < _of(facts.threshold, index) or delta == 0:
        return 0, (sigma, activated, delta, error)
    return delta // 2 ** _of(facts.shift, index), (sigma, activated, 0, 0)


def _charged(facts: Facts, index: int, state: State, total: int, bias: int) -> tuple[int, int]:
    u = _decayed(state[0], _of(facts.current_decay, index)) + 64 * total
    while u > 2**23:
        u -= 2**24
    while u <= -(2**23):
        u += 2**24
    v = _decayed(state[1], _of(facts.voltage_decay, index)) + u + 64 * bias
    return u, max(min(v, 2**23 - 1), 1 - 2**23)


def _decayed(value: int, decay: int) -> int:
    left = abs(value) * (4096 - decay) // 4096
    return left if value >= 0 else -left


ANSWERS: dict[str, Answer] = {
    "threshold": _threshold,
    "graded": _graded,
    "multi threshold": _multi_threshold,
    "integrating": _integrating,
    "leaky": _leaky,
    "sigma delta": _sigma_delta,
    "readout": _readout,
    "leaky readout": _leaky_readout,
}


def _row(population: Population) -> Answer:
    where = f"loop: population {population.name}"
    return row_for(ANSWERS, population.neuron, where, "use backend reference", UnsupportedProgram)

"""The plainest backend: time step by time step, neuron by neuron, in Python integers and 64-bit sums.

It shares no arithmetic with the reference (no floating point, no batches, no bits, no convolutions: every projection is
the matrix that it stands for), and is what that one is held to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.errors import BackendError
from conntra_hardware.neurons import GRADED_MAX, GradedRelu, IntegrateAndFire, Readout
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
        state = {p.name: [0] * p.size for p in populations}
        weights = {(p.source, p.target): p.weights for p in program.projections}
        sent: dict[str, IntArray] = {}
        for step in range(rows + program.depth):
            now: dict[str, IntArray] = {}
            for population in populations:
                row = step - program.depths[population.name]
                if not 0 <= row < rows:
                    continue
                if row % steps == 0:
                    state[population.name] = [0] * population.size
                potentials = _potentials(population, weights, sent)
                answer = [
                    _answer(population, state[population.name], neuron, int(potential))
                    for neuron, potential in enumerate(potentials)
                ]
                now[population.name] = recorded[population.name][row] = np.array(answer, np.int64)
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


def _potentials(
    population: Population, weights: Mapping[tuple[str, str], IntArray], sent: Mapping[str, IntArray]
) -> IntArray:
    potentials = population.bias.astype(np.int64)
    for (source, target), matrix in weights.items():
        if target == population.name:
            # Add up the columns of the sources that spiked, times their values: what synapses do.
            for spiking in np.flatnonzero(sent[source]).tolist():
                potentials = potentials + matrix[:, spiking].astype(np.int64) * int(sent[source][spiking])
    return potentials


def _answer(population: Population, state: list[int], index: int, potential: int) -> int:
    """Return what a neuron sends at a potential, or for a readout its sum so far; ``state`` is changed."""
    neuron = population.neuron
    if isinstance(neuron, Readout):
        state[index] += potential
        return state[index]
    if isinstance(neuron, IntegrateAndFire):
        state[index] += potential
        if state[index] < neuron.threshold:
            return 0
        state[index] = 0 if neuron.reset == "hard" else state[index] - neuron.threshold
        return 1
    if isinstance(neuron, GradedRelu):
        value = max(potential // 2**neuron.shift, 0)
        if value > GRADED_MAX:
            raise BackendError(f"loop: population {population.name}: a spike of {value}; at most {GRADED_MAX} fits")
        return value
    return int(potential > 0)

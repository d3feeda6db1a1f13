"""The plainest backend: time step by time step, neuron by neuron, in Python integers and 64-bit sums.

It shares no arithmetic with the reference (no floating point, no batches, no bits), and is what that one is held to.
"""

from __future__ import annotations

import time

import numpy as np

from conntra_hardware.arrays import IntArray, SpikeArray
from conntra_hardware.errors import BackendError
from conntra_hardware.program import INPUT, Population, Program
from conntra_hardware.runtime import Availability, Recording, RunOptions

__all__ = ["LoopBackend"]


class LoopBackend:
    """A pipeline of populations that each see, at every time step, what was sent at the step before."""

    name = "loop"

    def availability(self) -> Availability:
        """Always there."""
        return Availability(ok=True, versions={"numpy": np.__version__})

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (n, n_inputs) through the program."""
        _require_memoryless(program)
        start = time.perf_counter()
        n, populations = len(inputs), program.populations
        recorded = {p.name: np.zeros((n, p.size), np.int64) for p in populations}
        sent: dict[str, IntArray] = {}
        for step in range(n + len(populations)):
            now: dict[str, IntArray] = {}
            for depth, population in enumerate(populations, start=1):
                sample = step - depth
                if 0 <= sample < n:
                    potentials = _potentials(program, population, sent)
                    now[population.name] = recorded[population.name][sample] = _answer(population, potentials)
            if step < n:
                now[INPUT] = inputs[step]
            sent = now
        spikes = {p.name: recorded[p.name].astype(np.uint8) for p in populations if p.neuron.spikes}
        return Recording(spikes, recorded[program.readout.name], run_seconds=time.perf_counter() - start)


def _potentials(program: Program, population: Population, sent: dict[str, IntArray]) -> IntArray:
    potentials = population.bias.astype(np.int64)
    for projection in program.incoming(population.name):
        # Add up the columns of the sources that spiked: what synapses do.
        spiking = np.flatnonzero(sent[projection.source])
        potentials = potentials + projection.weights[:, spiking].sum(axis=1, dtype=np.int64)
    return potentials


def _answer(population: Population, potentials: IntArray) -> IntArray:
    return (potentials > 0).astype(np.int64) if population.neuron.spikes else potentials


def _require_memoryless(program: Program) -> None:
    for population in program.populations:
        if population.neuron.kind not in ("threshold", "readout"):
            raise BackendError(f"loop: population {population.name}: {population.neuron.kind} neurons; use reference")

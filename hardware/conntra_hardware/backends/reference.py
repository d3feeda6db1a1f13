"""The reference backend: batched matrix products, exact in floating point by a bound that is checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import SpikeArray
from conntra_hardware.program import Population, Program
from conntra_hardware.runtime import Availability, Recording, RunOptions

__all__ = ["ReferenceBackend"]

_FLOAT32_EXACT = 2**24
_BATCH = 4096


class ReferenceBackend:
    """NumPy: as fast as the matrix products, no more memory than batch times layer beside the recording."""

    name = "reference"

    def availability(self) -> Availability:
        """Always there."""
        return Availability(ok=True, versions={"numpy": np.__version__})

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (n, n_inputs) through the program."""
        start = time.perf_counter()
        n = len(inputs)
        matrices = {p.name: _matrix(program, p) for p in program.populations}
        spikes = {p.name: np.empty((n, p.size), np.uint8) for p in program.populations if p.neuron.spikes}
        logits = np.empty((n, program.readout.size), np.int64)
        for rows in _batches(n, options.batch_size or _BATCH):
            source = inputs[rows]
            for population in program.populations:
                weights = matrices[population.name]
                potential = source.astype(weights.dtype) @ weights + population.bias.astype(weights.dtype)
                if not population.neuron.spikes:
                    logits[rows] = potential.astype(np.int64)
                    break
                source = np.greater(potential, 0, out=spikes[population.name][rows].view(bool)).view(np.uint8)
        return Recording(spikes, logits, run_seconds=time.perf_counter() - start)


def _matrix(program: Program, population: Population) -> npt.NDArray[Any]:
    """Return the weights (n_source, n_target) in the narrowest type whose products are exact integers."""
    (projection,) = program.incoming(population.name)
    magnitude = np.abs(projection.weights.astype(np.int64)).sum(axis=1) + np.abs(population.bias)
    largest = int(magnitude.max(initial=0))
    exact = np.float32 if largest < _FLOAT32_EXACT else np.float64 if largest < 2**53 else np.int64
    return np.ascontiguousarray(projection.weights.T.astype(exact))


def _batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))

"""The reference backend: batched products, exact integers throughout.

Large products of spikes with ternary weights count bits, all others are matrix products in the narrowest floating
point that a bound proves exact. Both use every core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import SpikeArray
from conntra_hardware.popcount import TernaryProduct
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
        products = {p.name: _product(program, p, n) for p in program.populations}
        spikes = {p.name: np.empty((n, p.size), np.uint8) for p in program.populations if p.neuron.spikes}
        logits = np.empty((n, program.readout.size), np.int64)
        for rows in _batches(n, options.batch_size or _BATCH):
            source = inputs[rows]
            for population in program.populations:
                potential = products[population.name](source)
                potential += population.bias.astype(potential.dtype)
                if not population.neuron.spikes:
                    logits[rows] = potential.astype(np.int64)
                    break
                source = np.greater(potential, 0, out=spikes[population.name][rows].view(bool)).view(np.uint8)
        return Recording(spikes, logits, run_seconds=time.perf_counter() - start)


def _product(program: Program, population: Population, n: int) -> Callable[[SpikeArray], npt.NDArray[Any]]:
    """Return a function from spikes (rows, n_source) to their synaptic sums (rows, size), for ``n`` rows in all.

    The type it returns holds the sums with the bias exactly, and all partial sums on the way.
    """
    (projection,) = program.incoming(population.name)
    weights = projection.weights
    magnitude = np.abs(weights.astype(np.int64)).sum(axis=1) + np.abs(population.bias)
    largest = int(magnitude.max(initial=0))
    if largest < 2**31 and TernaryProduct.pays(weights, n):
        return TernaryProduct(weights)
    exact = np.float32 if largest < _FLOAT32_EXACT else np.float64 if largest < 2**53 else np.int64
    matrix = np.ascontiguousarray(weights.T.astype(exact))
    return lambda source: source.astype(exact) @ matrix


def _batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))

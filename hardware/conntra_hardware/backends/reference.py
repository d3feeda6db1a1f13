"""The reference backend: batched products, exact integers throughout.

Large products of spikes with ternary weights count bits, all others are matrix products in the narrowest floating
point that a bound proves exact; convolutions are such products, too. All use every core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.bit_product import TernaryProduct
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.program import INPUT, AnyProjection, Population, Program, Projection

__all__ = ["ReferenceBackend"]

_FLOAT32_EXACT = 2**24
_BATCH = 4096

Product = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class ReferenceBackend:
    """NumPy: as fast as the matrix products, no more memory than batch times layer beside the recording."""

    name = "reference"

    def availability(self) -> Availability:
        """Always there."""
        return Availability(ok=True, versions={"numpy": np.__version__})

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (rows, n_inputs) through the program."""
        start = time.perf_counter()
        rows, steps = len(inputs), program.steps
        products = {p.name: _products(program, p, rows) for p in program.populations}
        spikes = {
            p.name: np.empty((rows, p.size), np.int32 if p.neuron.graded else np.uint8)
            for p in program.populations
            if p.neuron.spikes
        }
        logits = np.empty((rows // steps, program.readout.size), np.int64)
        batch = max(1, (options.batch_size or _BATCH) // steps)
        for samples in _batches(rows // steps, batch):
            block = slice(samples.start * steps, samples.stop * steps)
            sent: dict[str, npt.NDArray[Any]] = {INPUT: inputs[block]}
            for population in program.populations:
                potentials = _potentials(population, products[population.name], sent)
                if population.neuron.spikes:
                    out = spikes[population.name][block]
                    _respond(population, potentials, steps, out)
                    sent[population.name] = out
                else:
                    shaped = potentials.astype(np.int64).reshape(-1, steps, population.size)
                    logits[samples] = population.neuron.respond(shaped)
        return Recording(spikes, logits, run_seconds=time.perf_counter() - start)


def _potentials(
    population: Population, products: Mapping[str, Product], sent: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    potentials, *others = (product(sent[source]) for source, product in products.items())
    for other in others:
        potentials = potentials + other
    potentials += population.bias.astype(potentials.dtype)
    return potentials


def _respond(population: Population, potentials: npt.NDArray[Any], steps: int, out: npt.NDArray[Any]) -> None:
    """Write what the neurons of a population send at ``potentials`` (rows, size) into ``out``."""
    if population.neuron.facts.form == "threshold":
        np.greater(potentials, 0, out=out.view(bool))
        return
    shaped = potentials.astype(np.int64, copy=False).reshape(-1, steps, population.size)
    try:
        out[:] = population.neuron.respond(shaped).reshape(out.shape)
    except InputError as error:
        raise BackendError(f"reference: population {population.name}: {error}") from None


def _products(program: Program, population: Population, rows: int) -> dict[str, Product]:
    """Return by source the functions from spikes (rows, n_source) to synaptic sums (rows, size), for ``rows`` in all.

    The types they return hold the sums with the bias exactly, and all partial sums on the way.
    """
    incoming = program.incoming(population.name)
    graded = {p.source for p in incoming if p.source != INPUT and program.population(p.source).neuron.graded}
    if graded or len(incoming) > 1:
        return {p.source: p.apply for p in incoming}
    return {p.source: _product(p, population, rows) for p in incoming}


def _product(projection: AnyProjection, population: Population, rows: int) -> Product:
    if not isinstance(projection, Projection):
        return projection.apply
    weights = projection.weights
    largest = int((projection.magnitudes() + np.abs(population.bias)).max(initial=0))
    if largest < 2**31 and TernaryProduct.pays(weights, rows):
        return TernaryProduct(weights)
    exact = np.float32 if largest < _FLOAT32_EXACT else np.float64 if largest < 2**53 else np.int64
    matrix = np.ascontiguousarray(weights.T.astype(exact))
    return lambda source: source.astype(exact) @ matrix


def _batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))

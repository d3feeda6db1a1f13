"""The reference backend: batched products, exact integers throughout.

Large products of spikes with weights of up to 8 bits add the rows of the sources that spike, or count bits; all others
are matrix products in the narrowest floating point that a bound proves exact, convolutions too. All use every core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.protocol import Availability, Recording, RunOptions, spike_counts
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.neurons import later, respond_recurrently
from conntra_hardware.neurons.compiled import FORMS, counts_of, spikes_of
from conntra_hardware.program import (
    INPUT,
    AnyProjection,
    ConvProjection,
    Population,
    Program,
    Projection,
    SparseProjection,
)

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
        traces = {p.name: np.empty((rows, p.size), np.uint8) for p in program.populations if _traceable(program, p)}
        traces = traces if options.traces else {}
        logits = np.empty((rows // steps, program.readout.size), np.int64)
        batch = max(1, (options.batch_size or _BATCH) // steps)
        for samples in _batches(rows // steps, batch):
            block = slice(samples.start * steps, samples.stop * steps)
            sent: dict[str, npt.NDArray[Any]] = {INPUT: inputs[block]}
            for population in program.populations:
                sums = _sums(products[population.name], sent, steps)
                if population.neuron.spikes:
                    out = spikes[population.name][block]
                    trace = traces.get(population.name)
                    _respond(program, population, sums, out, trace if trace is None else trace[block])
                    sent[population.name] = out
                else:
                    shaped = sums.astype(np.int64).reshape(-1, steps, population.size)
                    if population.name in traces:
                        _trace_readout(population, shaped, traces[population.name][block])
                    logits[samples] = population.neuron.respond(shaped, population.bias)
        if program.readout.neuron.spikes:
            logits = spike_counts(program, spikes)
        return Recording(spikes, logits, run_seconds=time.perf_counter() - start, traces=traces)


def _traceable(program: Program, population: Population) -> bool:
    """Return whether its neurons keep a state within a sample, are compiled, and do not see their own spikes."""
    form = population.neuron.facts.form
    alone = all(p.source != population.name for p in program.incoming(population.name))
    return program.steps > 1 and form in FORMS and form != "threshold" and alone


def _trace_readout(population: Population, sums: npt.NDArray[np.int64], trace: npt.NDArray[np.uint8]) -> None:
    unsent = np.empty(sums.shape, np.uint8)
    spikes_of(population.neuron.facts, population.bias, sums, [], unsent, trace.reshape(sums.shape))


def _sums(
    products: Mapping[tuple[str, int], Product], sent: Mapping[str, npt.NDArray[Any]], steps: int
) -> npt.NDArray[Any]:
    """Return the synaptic sums (rows, size) of what other populations sent."""
    found: npt.NDArray[Any] | None = None
    for (source, delay), product in products.items():
        sums = product(sent[source])
        if delay:
            sums = later(sums.reshape(-1, steps, sums.shape[1]), delay).reshape(sums.shape)
        found = sums if found is None else found + sums
    assert found is not None
    return found


def _respond(
    program: Program,
    population: Population,
    sums: npt.NDArray[Any],
    out: npt.NDArray[Any],
    trace: npt.NDArray[np.uint8] | None,
) -> None:
    """Write what the neurons of a population send at ``sums`` (rows, size) into ``out``, and their traces."""
    neuron, bias = population.neuron, population.bias
    loops = [(program.lag(p), p) for p in program.incoming(population.name) if p.source == population.name]
    if neuron.facts.form == "threshold" and not loops:
        sums += bias.astype(sums.dtype)
        np.greater(sums, 0, out=out.view(bool))
        return
    if neuron.facts.form == "multi threshold" and not loops:
        counts_of(neuron.facts, bias, sums, out)
        return
    shape = (-1, program.steps, population.size)
    if neuron.facts.form in FORMS:
        wired = [(lag, p.matrix()) for lag, p in loops]
        traces = trace if trace is None else trace.reshape(shape)
        spikes_of(neuron.facts, bias, sums.reshape(shape), wired, out.reshape(shape), traces)
        return
    shaped = sums.astype(np.int64, copy=False).reshape(shape)
    try:
        if loops:
            found = respond_recurrently(neuron, shaped, bias, [(lag, p.apply) for lag, p in loops])
        else:
            found = neuron.respond(shaped, bias)
    except InputError as error:
        raise BackendError(f"reference: population {population.name}: {error}") from None
    out[:] = found.reshape(out.shape)


def _products(program: Program, population: Population, rows: int) -> dict[tuple[str, int], Product]:
    """Return by source and delay the functions from spikes (rows, n_source) to synaptic sums (rows, size), for ``rows``
    in all, those of its own spikes apart.

    The types they return hold the sums with the bias exactly, and all partial sums on the way.
    """
    incoming = [p for p in program.incoming(population.name) if p.source != population.name]
    graded = {p.source for p in incoming if p.source != INPUT and program.population(p.source).neuron.graded}
    if graded or len(incoming) > 1:
        return {(p.source, p.delay): p.apply for p in incoming}
    return {(p.source, p.delay): _product(p, population, rows) for p in incoming}


def _product(projection: AnyProjection, population: Population, rows: int) -> Product:
    if isinstance(projection, SparseProjection):
        return projection.apply
    largest = _largest_sum(projection, population)
    product = projection.spike_product(rows) if largest < 2**31 else None
    if product is not None:
        return product
    if isinstance(projection, ConvProjection):
        return projection.apply
    weights = projection.weights
    exact = np.float32 if largest < _FLOAT32_EXACT else np.float64 if largest < 2**53 else np.int64
    matrix = np.ascontiguousarray(weights.T.astype(exact))
    return lambda source: source.astype(exact) @ matrix


def _largest_sum(projection: Projection | ConvProjection, population: Population) -> int:
    """Return what no sum with its bias exceeds."""
    if isinstance(projection, Projection):
        return int((projection.magnitudes() + np.abs(population.bias)).max(initial=0))
    kernel = projection.kernel.reshape(len(projection.kernel), -1).astype(np.int64)
    return int(np.abs(kernel).sum(axis=1).max(initial=0)) + int(np.abs(population.bias).max(initial=0))


def _batches(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))

"""What a wrong backend did in one layer, beside what it should have done with the same spikes from below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.neurons import Neuron, later
from conntra_hardware.program import AnyProjection, ConvProjection, Population, Program

__all__ = ["Layer", "layer_of"]

Rows: TypeAlias = slice | npt.NDArray[np.intp]
"""Which samples."""
ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Layer:
    """One population of a recording.

    weights   (size, n_source) int64, the projections into it side by side; ``names`` are their sources, (name, index)
              of each column
    sources   (samples, steps, n_source) what arrived;  ``sent`` what had been sent, before its delays
    lags      of each column, the rows from a spike to its arrival
    got       (samples, steps, size) what its neurons are said to have sent; logits (samples, 1, size)
    kernels   the convolutions among the projections, each with the first of its columns
    """

    population: Population
    weights: IntArray
    names: tuple[tuple[str, int], ...]
    sources: IntArray
    sent: IntArray
    lags: IntArray
    got: IntArray
    kernels: tuple[tuple[int, ConvProjection], ...] = ()

    @property
    def neuron(self) -> Neuron:
        """The kind of its neurons."""
        return self.population.neuron

    @cached_property
    def potentials(self) -> IntArray:
        """Return the right potentials of each step, (samples, steps, size) int64."""
        return product(self.sources, self.weights) + self.population.bias

    def respond(self, potentials: IntArray, neuron: int | None = None) -> IntArray:
        """Return what the neurons send at ``potentials`` (samples, steps, size), in the shape of ``got``; or what the
        one ``neuron`` would at each of several, (samples, steps, k).
        """
        kind, bias = self.neuron, self.population.bias
        if neuron is not None:
            kind, bias = kind.take(np.full(potentials.shape[2], neuron)), bias[neuron]
        found = kind.respond(potentials - bias, bias)
        return found if self.neuron.spikes else found[:, None]

    @cached_property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Return where ``got`` is wrong for the spikes from below, (samples, steps or 1, size)."""
        return self.respond(self.potentials) != self.got

    @cached_property
    def wrong_samples(self) -> npt.NDArray[np.intp]:
        """Samples with a wrong value."""
        return np.flatnonzero(self.wrong.any(axis=(1, 2)))

    @cached_property
    def wrong_neurons(self) -> npt.NDArray[np.intp]:
        """Neurons with a wrong value."""
        return np.flatnonzero(self.wrong.any(axis=(0, 1)))

    def first(self, neuron: int | None = None) -> tuple[int, int, int]:
        """Return (sample, step, neuron) of the first wrong value, of ``neuron`` where one is given."""
        wrong = self.wrong if neuron is None else self.wrong[:, :, [neuron]]
        sample, step, at = (int(i) for i in np.argwhere(wrong)[0])
        return sample, step, at if neuron is None else neuron


def layer_of(
    program: Program, population: Population, inputs: Mapping[str, npt.NDArray[Any]], got: npt.NDArray[Any], steps: int
) -> Layer:
    """Return a layer; ``inputs`` maps sources to recorded spikes (rows, size), ``got`` is this layer's recording."""
    incoming = program.incoming(population.name)
    samples = len(got) // steps if population.neuron.spikes else len(got)
    first = np.cumsum([0, *(p.shape[1] for p in incoming)]).tolist()
    sent = [inputs[p.source].reshape(samples, steps, -1) for p in incoming]
    arrived = [later(spikes, program.lag(p)) for spikes, p in zip(sent, incoming, strict=True)]
    return Layer(
        population=population,
        weights=np.concatenate([_weights(p) for p in incoming], axis=1),
        names=tuple((p.source, i) for p in incoming for i in range(p.shape[1])),
        sources=np.concatenate(arrived, axis=2),
        sent=np.concatenate(sent, axis=2),
        lags=np.concatenate([np.full(p.shape[1], program.lag(p)) for p in incoming]),
        got=got.reshape(samples, -1, population.size),
        kernels=tuple((at, p) for at, p in zip(first, incoming, strict=False) if isinstance(p, ConvProjection)),
    )


def product(sources: IntArray, weights: IntArray) -> IntArray:
    """Return ``sources @ weights.T``, int64; float64 is exact below 2^53, which no sum of 32-bit weights reaches."""
    return (sources.astype(np.float64) @ weights.T.astype(np.float64)).astype(np.int64)


def _weights(projection: AnyProjection) -> IntArray:
    return np.asarray(projection.weights, dtype=np.int64)

"""Lower: from a network to populations and projections, the same for every chip.

A layer with neurons is a population, named after its index: "hidden0", "hidden3", ..., and "readout". A layer without
(SumPool, Flatten) goes into the weights of the next one. Each hop takes one time step, so a connection that skips
layers is handed on by relay populations, which repeat what they receive: "hidden0.relay2" stands at depth 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, Neuron, Threshold
from conntra_hardware.program import INPUT, AnyProjection, ConvProjection, Population, Projection, SparseProjection
from conntra_hardware.program.input_encoding import Encoder
from conntra_hardware.program.projection import one_to_one
from conntra_hardware.program.value_scale import ValueScale
from conntra_neuro.compiler.fold import add_up, compose
from conntra_neuro.network import Dense, DiscreteNetwork
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Flatten, MaxPool, Residual, SumPool, Weighted

__all__ = ["Lowered", "lower", "projection_of", "projections_of"]


@dataclass(frozen=True, eq=False)
class Lowered:
    """Populations by depth, the last one the readout, and the projections into each, in the same order."""

    n_inputs: int
    populations: tuple[Population, ...]
    projections: tuple[AnyProjection, ...]
    encoder: Encoder | None
    labels: tuple[Any, ...] | None
    steps: int = 1
    value: ValueScale | None = None

    def incoming(self, name: str) -> tuple[AnyProjection, ...]:
        """Return the projections into the population ``name``."""
        return tuple(p for p in self.projections if p.target == name)

    @property
    def layers(self) -> tuple[tuple[Population, tuple[AnyProjection, ...]], ...]:
        """Each population with the projections into it, in order."""
        return tuple((population, self.incoming(population.name)) for population in self.populations)


def lower(network: DiscreteNetwork) -> Lowered:
    """Return the populations of ``network`` and the synapses between them."""
    lowering = _Lowering(network)
    for index in range(len(network.layers)):
        lowering.layer(index)
    depth = lowering.depth
    populations = tuple(sorted(lowering.populations, key=lambda p: depth[p.name]))
    order = {p.name: index for index, p in enumerate(populations)}
    projections = tuple(sorted(lowering.projections, key=lambda p: order[p.target]))
    said = (network.encoder, network.labels, network.steps, network.value)
    return Lowered(network.n_in, populations, projections, *said)


def projections_of(layer: Any, source: str, target: str) -> list[AnyProjection]:
    """Return the linear map of a layer as projections, one for each delay that its synapses have."""
    whole = projection_of(layer, source, target)
    delay = getattr(layer, "delay", 0)
    if isinstance(delay, int):
        return [replace(whole, delay=delay)] if delay else [whole]
    if isinstance(whole, Projection):
        parts = [(int(d), np.where(delay == d, whole.weights, 0)) for d in np.unique(delay)]
        return [Projection(source, target, weights, d) for d, weights in parts if weights.any()] or [whole]
    import scipy.sparse as sp

    masks = [(int(d), sp.diags_array((delay == d).astype(np.int64), dtype=np.int64)) for d in np.unique(delay)]
    found = [SparseProjection(source, target, whole.matrix().astype(np.int64) @ mask, d) for d, mask in masks]
    return [p for p in found if p.n_synapses] or [whole]


@singledispatch
def projection_of(layer: Any, source: str, target: str) -> AnyProjection:
    """Return the linear map of a layer as a projection; one implementation a type of layer."""
    known = "Dense, Conv2d, SumPool, MaxPool, Flatten"
    raise InputError(f"{target}: a layer of type {type(layer).__name__} cannot be compiled; allowed: {known}")


@projection_of.register
def _(layer: Dense, source: str, target: str) -> AnyProjection:
    return Projection(source, target, layer.weight)


@projection_of.register
def _(layer: Conv2d, source: str, target: str) -> AnyProjection:
    return ConvProjection(source, target, layer.weight, layer.geometry)


@projection_of.register(SumPool)
@projection_of.register(MaxPool)
def _(layer: SumPool | MaxPool, source: str, target: str) -> AnyProjection:
    return ConvProjection(source, target, layer.kernel, layer.geometry)


class _Outlet(NamedTuple):
    """Where a layer's outputs stand: a population, and a linear map that is in nobody's weights yet."""

    population: str
    pending: AnyProjection | None


class _Lowering:
    """Populations and projections so far; ``depth`` of each population by name."""

    def __init__(self, network: DiscreteNetwork) -> None:
        self.network = network
        self.populations: list[Population] = []
        self.projections: list[AnyProjection] = []
        self.depth = {INPUT: 0}
        self._outlets = {INPUT_LAYER: _Outlet(INPUT, None)}

    def layer(self, index: int) -> None:
        """Add layer ``index``."""
        layer, (source, pending) = self.network.layers[index], self._outlets[index - 1]
        if isinstance(layer, Flatten):
            self._outlets[index] = _Outlet(source, pending)
        elif layer.neuron is None:
            self._outlets[index] = _Outlet(source, compose(pending, projection_of(layer, source, f"layer {index}")))
        else:
            name = "readout" if index == len(self.network.layers) - 1 else f"hidden{index}"
            arriving = [compose(pending, projection) for projection in projections_of(layer, source, name)]
            depth = self.depth[source] + 1
            arriving += [self._skipping(r, name, depth) for r in self.network.residuals if r.target == index]
            own = [r.connection for r in self.network.recurrent if r.layer == index]
            arriving += [projection for connection in own for projection in projections_of(connection, name, name)]
            bias = layer.neuron_bias if isinstance(layer, Weighted) else np.zeros(layer.n_out, np.int64)
            self._add(name, layer.neuron, bias, arriving, depth)
            self._outlets[index] = _Outlet(name, None)

    def _skipping(self, residual: Residual, name: str, depth: int) -> AnyProjection:
        """Return what a residual connection adds to the population ``name`` at ``depth``."""
        source, pending = self._outlets[residual.source]
        last = self._relayed(source, depth - 1)
        if residual.connection is not None:
            own = projection_of(residual.connection, last, name)
        else:
            own = one_to_one(last, name, self.network.layers[residual.target].n_out, residual.scale)
        found = compose(pending, own)
        return _from(found, last)

    def _relayed(self, source: str, depth: int) -> str:
        """Return the population at ``depth`` that repeats what ``source`` sent, with the relays on the way."""
        for at in range(self.depth[source] + 1, depth + 1):
            name = f"{source}.relay{at}"
            if name not in self.depth:
                before = source if at == self.depth[source] + 1 else f"{source}.relay{at - 1}"
                size, sender = self._sent(source)
                if sender is not None and sender.facts.delta:
                    raise InputError(
                        f"residual connection from {source}: {sender.kind} neurons send negative values, which no "
                        "relay hands on; leave it out"
                    )
                neuron = GradedRelu() if sender is not None and sender.graded else Threshold()
                self._add(name, neuron, np.zeros(size, np.int64), [one_to_one(before, name, size)], at)
        return source if self.depth[source] == depth else f"{source}.relay{depth}"

    def _sent(self, source: str) -> tuple[int, Neuron | None]:
        for population in self.populations:
            if population.name == source:
                return population.size, population.neuron
        return self.network.n_in, None

    def _add(self, name: str, neuron: Neuron, bias: Any, arriving: list[AnyProjection], depth: int) -> None:
        self.populations.append(Population(name, neuron, bias))
        self.projections += add_up(arriving)
        self.depth[name] = depth


def _from(projection: AnyProjection, source: str) -> AnyProjection:
    return projection if projection.source == source else replace(projection, source=source)

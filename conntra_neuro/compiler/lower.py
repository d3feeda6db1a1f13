"""Lower: from a network to populations and projections, the same for every chip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from conntra_hardware.encoding import Encoder
from conntra_hardware.errors import InputError
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, Population, Projection
from conntra_neuro.network import Dense, DiscreteNetwork

__all__ = ["Lowered", "lower", "lower_layer"]


@dataclass(frozen=True, eq=False)
class Lowered:
    """Populations in order, the last one the readout, and for each the projection into it."""

    n_inputs: int
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    encoder: Encoder | None
    labels: tuple[Any, ...] | None

    @property
    def layers(self) -> tuple[tuple[Population, Projection], ...]:
        """Each population with the projection into it, in order."""
        return tuple(zip(self.populations, self.projections, strict=True))


def lower(network: DiscreteNetwork) -> Lowered:
    """Return the populations "hidden0", "hidden1", ..., "readout" of ``network`` and the synapses between them."""
    names = [f"hidden{index}" for index in range(len(network.layers) - 1)] + ["readout"]
    populations, projections, source = [], [], INPUT
    for name, layer in zip(names, network.layers, strict=True):
        population, projection = lower_layer(layer, name, source)
        populations.append(population)
        projections.append(projection)
        source = name
    return Lowered(network.n_in, tuple(populations), tuple(projections), network.encoder, network.labels)


@singledispatch
def lower_layer(layer: Any, name: str, source: str) -> tuple[Population, Projection]:
    """Return the population ``name`` of a layer and its synapses from ``source``; one implementation a type of
    layer.
    """
    raise InputError(f"{name}: a layer of type {type(layer).__name__} cannot be compiled; allowed: Dense")


@lower_layer.register
def _(layer: Dense, name: str, source: str) -> tuple[Population, Projection]:
    if not isinstance(layer.neuron, (Threshold, Readout)):
        raise InputError(f"{name}: {layer.neuron.kind} neurons cannot be compiled; allowed: threshold, readout")
    return Population(name, layer.neuron, layer.bias), Projection(source, name, layer.weight)

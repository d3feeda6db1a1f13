"""What a layer sees of the past in C: the steps back that each of its synapses looks, and rings that hold as many.

A ring holds the outputs of a layer, or the input, at the last few time steps, and begins each sample empty. What looks
back one number of steps reads one of its rows; what looks back another number for each input gathers them first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.exchange.c.plan import Buffer
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer

__all__ = ["Arrival", "Ring", "arrivals", "own_arrivals", "rings", "source_of"]


@dataclass(frozen=True, eq=False)
class Arrival:
    """Synapses ``layer`` that see what their source sent ``lag`` steps before, one number or one an input, (n_in,).

    ``key`` names their tables.
    """

    key: str
    layer: Layer
    lag: int | IntArray = 0

    @property
    def longest(self) -> int:
        """The most steps that any of them looks back."""
        return int(np.max(self.lag))


@dataclass(frozen=True)
class Ring:
    """The rows of the last ``longest`` steps of a layer's outputs, and of this one, each as ``buffer`` has them."""

    source: int
    longest: int
    buffer: Buffer

    @property
    def name(self) -> str:
        """Its array."""
        return "past_input" if self.source < 0 else f"past{self.source}"

    @property
    def words(self) -> int:
        """32-bit words of all its rows."""
        return (self.longest + 1) * self.buffer.words

    def row(self, lag: str) -> str:
        """Return the C expression of the first word of the row ``lag`` steps back, ``NAME`` for the prefix."""
        return (
            f"NAME_{self.name} + (NAME_row[0] + {self.longest + 1} - {lag}) % {self.longest + 1} * {self.buffer.words}"
        )


def arrivals(key: str, layer: Layer, more: int = 0) -> list[Arrival]:
    """Return what arrives at ``layer`` by its delays, and ``more`` steps later; the first has the bias."""
    if not isinstance(layer, (Dense, Conv2d)):
        return [Arrival(key, layer, more)]
    if isinstance(layer.delay, int) or layer.delay.ndim == 1:
        return [Arrival(key, layer, layer.delay + more)]
    assert isinstance(layer, Dense)
    found = []
    for delay in np.unique(layer.delay[layer.weight != 0]).tolist() or [0]:
        weight = np.where(layer.delay == delay, layer.weight, 0)
        part = Dense(weight, None if found else layer.bias, "readout")
        found.append(Arrival(f"{key}d{delay}", part, delay + more))
    return found


def own_arrivals(network: DiscreteNetwork, index: int) -> list[Arrival]:
    """Return what arrives at layer ``index`` from itself."""
    own = [r.connection for r in network.recurrent if r.layer == index]
    return [a for number, c in enumerate(own) for a in arrivals(f"{index}own{number}", c, 1)]


def source_of(network: DiscreteNetwork, index: int) -> int:
    """Return the layer whose outputs layer ``index`` sees, -1 for the input: a Flatten is no other memory."""
    index -= 1
    while index >= 0 and isinstance(network.layers[index], Flatten):
        index -= 1
    return index


def rings(network: DiscreteNetwork, buffers: dict[int, Buffer]) -> dict[int, Ring]:
    """Return by layer the ring that its outputs need; none where nothing looks back."""
    longest: dict[int, int] = {}
    for index, layer in enumerate(network.layers):
        seen = [(source_of(network, index), a) for a in arrivals(f"{index}", layer)]
        seen += [(index, a) for a in own_arrivals(network, index)]
        for source, arrival in seen:
            longest[source] = max(longest.get(source, 0), arrival.longest)
    return {source: Ring(source, steps, buffers[source]) for source, steps in longest.items() if steps}

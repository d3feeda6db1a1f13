"""What a network takes in C: the width of its sums, and where each layer's output stands in one block of memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GRADED_MAX
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, SumPool

__all__ = ["Buffer", "Plan", "plan_of", "words"]

_INT32 = 2**31


@dataclass(frozen=True)
class Buffer:
    """Output of a layer, or the input: ``size`` spikes packed in bits, or values of 32 bits.

    ``offset`` counts 32-bit words into the block; None is memory that the caller holds. ``largest`` bounds the values.
    """

    size: int
    binary: bool
    largest: int
    offset: int | None = None

    @property
    def words(self) -> int:
        """32-bit words that it takes."""
        return words(self.size) if self.binary else self.size


@dataclass(frozen=True)
class Plan:
    """Buffers by layer (-1: the input), words of the block they share, and whether sums need 64 bits."""

    buffers: dict[int, Buffer]
    arena: int
    wide: bool


def words(bits: int) -> int:
    """Return the 32-bit words that hold so many bits."""
    return -(-bits // 32)


def plan_of(network: DiscreteNetwork) -> Plan:
    """Return the plan of ``network``; InputError where a value between layers may not fit 32 bits."""
    buffers = {-1: Buffer(network.n_in, True, 1)}
    most = 0
    for index, layer in enumerate(network.layers):
        given = buffers[index - 1]
        if isinstance(layer, Flatten):
            buffers[index] = given
            continue
        reach, passing = _reach(layer, given.largest), _passing(layer, given.largest)
        largest = GRADED_MAX if layer.neuron is not None and layer.neuron.graded else 1
        for own in (r.connection for r in network.recurrent if r.layer == index):
            reach += _reach(own, largest)
            passing += _reach(own, largest) + _passing(own, largest)
        for residual in (r for r in network.residuals if r.target == index):
            source = buffers[residual.source].largest
            added = _reach(residual.connection, source) if residual.connection else abs(residual.scale) * source
            reach += added
            passing += added + (_passing(residual.connection, source) if residual.connection else 0)
        most = max(most, reach, passing)
        buffers[index] = _output(index, layer, reach)
    return _placed(network, buffers, network.steps * most >= _INT32)


def _reach(layer: Layer, largest: int) -> int:
    """Return a bound on the magnitude of potentials, for inputs of 0 to ``largest``."""
    if isinstance(layer, (Dense, Conv2d)):
        rows = np.abs(layer.weight.astype(np.int64)).reshape(len(layer.bias), -1).sum(axis=1)
        return int((rows * largest + np.abs(layer.bias.astype(np.int64))).max())
    if not isinstance(layer, (SumPool, MaxPool)):
        raise InputError(f"export to C: {layer!r}: a layer of type {type(layer).__name__} has no C code")
    return int(np.prod(layer.geometry.kernel)) * largest


def _passing(layer: Layer, largest: int) -> int:
    """Return a bound on what a sum passes through: levels are counted from the lowest, which is added at the end."""
    if not isinstance(layer, (Dense, Conv2d)):
        return 0
    low, high = layer.levels.values[0], layer.levels.values[-1]
    if np.ndim(layer.delay):  # the synapses of other delays are zeros beside those of one
        low, high = min(low, 0), max(high, 0)
    fan_in = layer.n_weights // len(layer.bias)
    return fan_in * largest * (high - low + abs(low)) + int(np.abs(layer.bias.astype(np.int64)).max())


def _output(index: int, layer: Layer, reach: int) -> Buffer:
    if layer.neuron is not None and layer.neuron.graded:
        return Buffer(layer.n_out, False, int(layer.neuron.largest_spike(np.full(layer.n_out, reach)).max()))
    if layer.neuron is not None:
        return Buffer(layer.n_out, True, 1)
    if reach >= _INT32:
        raise InputError(
            f"export to C: layer {index} ({layer!r}): sums of up to {reach} between layers; 32 bits hold {_INT32 - 1}: "
            "use smaller windows, or shift the graded neurons before it"
        )
    return Buffer(layer.n_out, False, reach)


def _placed(network: DiscreteNetwork, buffers: dict[int, Buffer], wide: bool) -> Plan:
    """Give each buffer the first gap of the block among those that are in use at the same time."""
    last_use = {index: index + 1 for index in buffers}
    for index, layer in reversed(list(enumerate(network.layers))):
        if isinstance(layer, Flatten):  # the same memory
            last_use[index - 1] = max(last_use[index - 1], last_use[index])
        for residual in network.residuals:
            if residual.target == index:
                last_use[residual.source] = max(last_use[residual.source], index)
    # Once more, for residual connections that begin at a Flatten.
    for index, layer in reversed(list(enumerate(network.layers))):
        if isinstance(layer, Flatten):
            last_use[index - 1] = max(last_use[index - 1], last_use[index])
    placed: dict[int, Buffer] = {-1: buffers[-1]}
    arena = 0
    for index, layer in enumerate(network.layers[:-1]):
        if isinstance(layer, Flatten):
            placed[index] = placed[index - 1]
            continue
        taken = [(b.offset, b.words) for i, b in placed.items() if b.offset is not None and last_use[i] >= index]
        offset = 0
        for start, size in sorted(taken):
            if offset + buffers[index].words <= start:
                break
            offset = max(offset, start + size)
        buffer = buffers[index]
        placed[index] = Buffer(buffer.size, buffer.binary, buffer.largest, offset)
        arena = max(arena, offset + buffer.words)
    placed[len(network.layers) - 1] = buffers[len(network.layers) - 1]
    return Plan(placed, arena, wide)

"""A ReLU network of integers as a chain of layers: what calibration makes, and what becomes a ``DiscreteNetwork``.

Maxima of graded spikes are kept as such here. The chip has no neuron for them, but max(a, b) is relu(a - b) + b: the
network gets stages of graded neurons that do this two by two, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Neuron
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.input_encoding import CodeEncoder
from conntra_neuro.exchange.relu.net import Pool
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, SumPool
from conntra_neuro.network.layers import Layer

__all__ = ["InputCode", "IntLayer", "IntNet", "largest_of"]

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(eq=False)
class IntLayer:
    """Whole weights and biases (outputs,); graded neurons, or integrate-and-fire; the last layer has none.

    weight    (outputs, inputs), or a kernel of ``geometry``. Where ``constant`` is above 0 the last channel has no
              weights, and always sends that
    shift     (outputs,) of graded neurons, and ``ceiling`` (outputs,) of what they send
    threshold (outputs,) of integrate-and-fire neurons with a soft reset, over ``steps`` steps; None where graded
    pools     behind the neurons
    scale     (outputs,): integers of a sum to its float unit
    """

    name: str
    weight: Ints
    bias: Ints
    geometry: Geometry | None
    shift: Ints
    ceiling: Ints
    threshold: Ints | None
    pools: Sequence[Pool]
    scale: Array
    constant: int = 0

    @property
    def channels(self) -> int:
        """Outputs, or output channels."""
        return len(self.bias)

    @property
    def populations(self) -> int:
        """How many layers of the network its pools become."""
        return sum(
            1 if p.kind == "sum" else max(1, math.ceil(math.log2(math.prod(p.geometry.kernel)))) for p in self.pools
        )

    def sums(self, x: Array) -> Array:
        """Return the sums with biases (n, units) of rows ``x`` (n, inputs) of whole numbers, in their type."""
        weight, bias = self.weight.astype(x.dtype), self.bias.astype(x.dtype)
        if self.geometry is None:
            return x @ weight.T + bias
        g = self.geometry
        seen = g.columns(x).reshape(g.groups, len(x), g.positions, -1)
        kernel = weight.reshape(g.groups, -1, seen.shape[3])
        z = np.matmul(kernel[:, None], seen.transpose(0, 1, 3, 2))  # (groups, n, outputs, places)
        z = z.transpose(1, 0, 2, 3).reshape(len(x), g.out_channels, g.positions) + bias[:, None]
        return z.reshape(len(x), -1)

    def respond(self, z: Array) -> Array:
        """Return what graded neurons send at sums ``z`` (n, units), before pooling."""
        shaped = z.reshape(len(z), self.channels, -1)
        power = np.exp2(-self.shift.astype(z.dtype))[:, None]
        return np.clip(np.floor(shaped * power), 0, self.ceiling[:, None]).reshape(z.shape).astype(z.dtype)

    def pooled(self, y: Array) -> Array:
        """Return the maxima and sums of what neurons sent."""
        for pool in self.pools:
            y = pool.apply(y)
        return y


@dataclass(frozen=True, eq=False)
class InputCode:
    """How features enter: an ``encoder`` of codes, of images of ``shape``; ``constant`` as of an ``IntLayer``."""

    encoder: CodeEncoder
    shape: tuple[int, ...]
    constant: int = 0

    def rows(self, features: Array, dtype: Any = np.float32) -> Array:
        """Return what the first layer of codes sends, (n, codes), a constant channel last."""
        codes = self.encoder.codes(features).astype(dtype)
        if not self.constant:
            return codes
        more = codes.shape[1] // self.shape[0]
        return np.concatenate([codes, np.full((len(codes), more), self.constant, dtype)], axis=1)


@dataclass(eq=False)
class IntNet:
    """``code`` of the input, then ``layers``; ``steps`` of a sample, 1 where neurons are graded."""

    code: InputCode
    layers: list[IntLayer]
    single: bool = False
    steps: int = 1

    def network(self, labels: Sequence[Any] | None = None) -> DiscreteNetwork:
        """Return it as layers of the chip."""
        made: list[Layer] = [_code_layer(self.code, self.steps)]
        channels, copies = 1, 1  # of what comes before a layer: each channel in so many copies, to be added up
        for index, layer in enumerate(self.layers):
            last = index == len(self.layers) - 1
            neuron = "readout" if last else _neuron(layer, self.steps)
            made.append(_weighted(layer, neuron, channels, copies, last and self.single))
            channels, copies, ceiling = layer.channels, 1, layer.ceiling
            for pool in layer.pools:
                if pool.kind == "sum":
                    ceiling = ceiling * int(np.prod(pool.geometry.kernel))
                    made.append(
                        _overlapping(pool.geometry, copies, ceiling) if pool.overlaps else _sum(pool.geometry, copies)
                    )
                    copies = 1 if pool.overlaps else copies
                    continue
                made += _maxima(pool.geometry, copies, ceiling)
                copies = 1 if pool.geometry.kernel == (1, 1) and copies == 1 else 2
        return DiscreteNetwork(made, self.code.encoder, labels, steps=self.steps)


def _neuron(layer: IntLayer, steps: int) -> Neuron:
    if layer.threshold is None:
        return GradedRelu(layer.shift, ceiling=layer.ceiling)  # type: ignore[arg-type]
    return IntegrateAndFire(layer.threshold, steps, "soft")  # type: ignore[arg-type]


def _code_layer(code: InputCode, steps: int) -> Conv2d:
    """Return the layer that puts the digits of each feature together."""
    bits, n = code.encoder.bits, code.encoder.n_features
    image = len(code.shape) == 3
    channels, height, width = code.shape if image else (1, 1, n)
    kernel = np.zeros((channels + bool(code.constant), bits, channels), np.int64)
    for channel in range(channels):
        kernel[channel, :, channel] = 2 ** np.arange(bits)
    top = 2**bits - 1
    bias = np.zeros(len(kernel), np.int64)
    if steps == 1:
        neuron: Neuron = GradedRelu(0)
        bias[channels:] = code.constant
    else:
        neuron = IntegrateAndFire(top, steps, "soft")
        bias[:channels], bias[channels:] = top // (2 * steps), code.constant
    shape = (bits * channels, height, width)
    return Conv2d(kernel.reshape(len(kernel), -1, 1, 1), bias, neuron, input_shape=shape)


def _weighted(layer: IntLayer, neuron: Neuron | str, channels: int, copies: int, single: bool) -> Layer:
    """Return a layer whose inputs come as ``copies`` of each of ``channels``, side by side, that are to be added up."""
    weight, bias, geometry = layer.weight, layer.bias, layer.geometry
    if geometry is not None:
        window = geometry.window
        _, height, width = geometry.input_shape
        window["input_shape"] = (geometry.input_shape[0] * copies, height, width)
        return Conv2d(np.repeat(weight, copies, axis=1), bias, neuron, **window)
    if copies > 1:
        images = weight.reshape(len(weight), channels, 1, -1)
        weight = np.repeat(images, copies, axis=2).reshape(len(weight), -1)
    if single:  # the first class has no logit of its own: 0
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0], bias])
    return Dense(weight, bias, neuron)


def _sum(geometry: Geometry, copies: int) -> SumPool:
    g = geometry
    channels, height, width = g.input_shape
    return SumPool(g.kernel, input_shape=(channels * copies, height, width), stride=g.stride, padding=g.padding)


def _overlapping(geometry: Geometry, copies: int, ceiling: Ints) -> Conv2d:
    """Return sums of windows that overlap as neurons: without, the next weights would add up beyond 8 bits."""
    g = geometry
    channels, height, width = g.input_shape
    shape = (channels * copies, height, width)
    ones = np.ones((channels, copies, *g.kernel), np.int64)
    neuron = GradedRelu(0, ceiling=ceiling)  # type: ignore[arg-type]
    return Conv2d(ones, None, neuron, input_shape=shape, stride=g.stride, padding=g.padding, groups=channels)


def _maxima(geometry: Geometry, copies: int, ceiling: Ints) -> list[Layer]:
    """Return layers whose two copies of each channel add up to the largest of each window.

    The first sees the cells of a window, two by two as relu(a - b) and b; each of the next the sums of such pairs.
    """
    g = geometry
    channels, height, width = g.input_shape
    cells = int(np.prod(g.kernel))
    values = [np.tile(np.eye(cells)[cell], (copies, 1)) for cell in range(cells)]  # each a kernel (copies, cells)
    made: list[Layer] = []
    kernel, window = g.kernel, {"stride": g.stride, "padding": g.padding}
    inner, shape = copies, (channels * copies, height, width)
    while True:
        rows: list[Array] = []
        parts: list[list[int]] = []
        for first in range(0, len(values) - 1, 2):
            parts.append([len(rows), len(rows) + 1])
            rows += [values[first] - values[first + 1], values[first + 1]]
        if len(values) % 2:
            parts.append([len(rows)])
            rows.append(values[-1])
        block = np.stack(rows).reshape(len(rows), inner, *kernel)
        weight = np.tile(block, (channels, 1, 1, 1)).astype(np.int64)
        neuron = GradedRelu(0, ceiling=np.repeat(ceiling, len(rows)))  # type: ignore[arg-type]
        made.append(Conv2d(weight, None, neuron, input_shape=shape, groups=channels, **window))  # type: ignore[arg-type]
        inner, kernel, window = len(rows), (1, 1), {}
        shape = (channels * inner, *g.output_shape[1:])
        values = []
        for part in parts:
            value = np.zeros((inner, 1))
            value[part] = 1
            values.append(value)
        if len(values) == 1:
            return made


def largest_of(layer: IntLayer) -> Ints:
    """Return the largest that each unit behind the pools can send, as the proof of no overflow has it: (units,)."""
    shape = (1,) if layer.geometry is None else layer.geometry.output_shape[1:]
    ceiling = layer.ceiling if layer.threshold is None else np.ones_like(layer.ceiling)
    top = np.repeat(ceiling, int(np.prod(shape)))
    copies = 1
    for pool in layer.pools:
        top = pool.apply(top[None].astype(np.float64))[0].astype(np.int64)
        if pool.kind == "max":
            top, copies = top * 2 // copies, 2
        elif pool.overlaps:
            top, copies = top // copies, 1
    return top

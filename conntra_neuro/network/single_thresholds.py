"""Neurons of several thresholds as neurons of one, for chips and formats that have no other.

A spike's value k becomes k spikes: a neuron of k thresholds is k neurons that share their weights, each with one of the
thresholds in its bias, and whatever it sent to sees the k of them through k equal weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MultiThreshold
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, Recurrent, Residual, Shape, SumPool
from conntra_neuro.network.network import DiscreteNetwork

__all__ = ["has_several_thresholds", "single_thresholds"]

Index = npt.NDArray[np.intp]


def has_several_thresholds(network: DiscreteNetwork) -> bool:
    """Return whether a layer of ``network`` has ``MultiThreshold`` neurons."""
    return any(isinstance(layer.neuron, MultiThreshold) for layer in network.layers)


def single_thresholds(network: DiscreteNetwork) -> DiscreteNetwork:
    """Return a network with the same logits for all inputs, and k threshold neurons for each ``MultiThreshold`` one.

    The copies of a neuron, or of a channel, stand side by side. A last layer that is counted gets a readout behind it,
    which adds its copies up. ``network`` itself, where none of its neurons has several thresholds. InputError for
    thresholds that differ within a channel, and for images that are read in another shape than they were made.
    """
    if not has_several_thresholds(network):
        return network
    copies = [_copies(network, index) for index in range(len(network.layers))]
    copies.append(_Copies(network.n_in))  # of the input, whose index is -1

    layers = [_layer(index, layer, copies[index - 1], copies[index]) for index, layer in enumerate(network.layers)]
    if copies[-2].times > 1:
        layers.append(Dense(copies[-2].same_as(_Copies(copies[-2].size)).T, activation="readout"))
    residuals = [_residual(r, network, copies) for r in network.residuals]
    recurrent = [
        Recurrent(r.layer, _widened(r.connection, copies[r.layer], copies[r.layer], str(r))) for r in network.recurrent
    ]
    said = {"steps": network.steps, "recurrent": recurrent, "value": network.value}
    return DiscreteNetwork(layers, network.encoder, network.labels, residuals, **said)


@dataclass(frozen=True)
class _Copies:
    """How often each of a layer's ``size`` outputs is there: ``times``, after each run of ``places`` (a channel)."""

    size: int
    times: int = 1
    places: int = 1

    @property
    def origin(self) -> Index:
        """The output that each copy is of, (size * times,)."""
        channels = np.arange(self.size).reshape(-1, 1, self.places)
        return np.repeat(channels, self.times, axis=1).ravel()

    def same_as(self, other: _Copies) -> npt.NDArray[np.int64]:
        """Return which copies are of the same output, 0 or 1, (copies of this, copies of the other)."""
        return (self.origin[:, None] == other.origin).astype(np.int64)


def _copies(network: DiscreteNetwork, index: int) -> _Copies:
    """Return the copies of what layer ``index`` puts out."""
    layer = network.layers[index]
    if layer.neuron is not None:
        if not isinstance(layer.neuron, MultiThreshold):
            return _Copies(layer.n_out)
        times = layer.neuron.rows.shape[1]
        return _Copies(layer.n_out, times, _places(network, index)) if times > 1 else _Copies(layer.n_out)
    before = _copies(network, index - 1) if index else _Copies(network.n_in)
    if isinstance(layer, Flatten) or before.times == 1:
        return _Copies(layer.n_out, before.times, before.places)
    return _Copies(layer.n_out, before.times, _area(layer.output_shape))


def _places(network: DiscreteNetwork, index: int) -> int:
    """Return the neurons of a channel: of rows, as the first layer behind them that takes images sees them."""
    for layer in network.layers[index:]:
        shape = layer.output_shape if layer is network.layers[index] else layer.input_shape
        if len(shape) == 3:
            return _area(shape)
        if isinstance(layer, Dense) and layer is not network.layers[index]:
            break
    return 1


def _area(shape: Shape) -> int:
    return int(np.prod(shape[1:]))


def _layer(index: int, layer: Layer, given: _Copies, made: _Copies) -> Layer:
    what = f"layer {index} ({layer!r})"
    if isinstance(layer, (Dense, Conv2d)):
        return _widened(layer, given, made, what)
    if given.times == 1:
        return layer
    if isinstance(layer, Flatten):
        first, *rest = layer.input_shape
        return Flatten((first * given.times, *rest))
    if isinstance(layer, SumPool):
        g = layer.geometry
        shape = _wide_shape(g.input_shape, given, what)
        return SumPool(g.kernel, input_shape=shape, stride=g.stride, padding=g.padding)
    raise InputError(f"{what}: a layer of type {type(layer).__name__} behind neurons of several thresholds")


def _wide_shape(shape: Shape, given: _Copies, what: str) -> Shape:
    """Return the shape of an image whose channels are there several times, one after the other."""
    if given.times > 1 and given.places != _area(shape):
        raise InputError(
            f"{what}: takes {shape} of neurons with several thresholds that were made in another shape; use one shape, "
            "or a chip with graded spikes (loihi2)"
        )
    return (shape[0] * given.times, *shape[1:])


def _widened(layer: Dense | Conv2d, given: _Copies, made: _Copies, what: str) -> Dense | Conv2d:
    """Return a layer, or the weights of a connection, from copies to copies."""
    neuron: Any = "threshold" if isinstance(layer.neuron, MultiThreshold) else layer.neuron
    delay = layer.delay
    if isinstance(layer, Dense):
        rows, columns = made.origin, given.origin
        bias = layer.bias[rows] - _thresholds(layer, made, what)
        if not isinstance(delay, int):
            delay = delay[columns] if delay.ndim == 1 else delay[rows][:, columns]
        weight = layer.weight[rows][:, columns]
        return Dense(weight, bias, neuron, layer.levels, delay=delay)
    weight = np.repeat(np.repeat(layer.weight, made.times, axis=0), given.times, axis=1)
    bias = np.repeat(layer.bias, made.times) - _thresholds(layer, made, what)
    if not isinstance(delay, int):
        delay = delay[given.origin]
    window = {**layer.geometry.window, "input_shape": _wide_shape(layer.input_shape, given, what)}
    return Conv2d(weight, bias, neuron, layer.levels, delay=delay, **window)


def _thresholds(layer: Dense | Conv2d, made: _Copies, what: str) -> npt.NDArray[np.int64]:
    """Return the threshold of each copy, of a neuron or of a channel; 0 of those that have none."""
    if not isinstance(layer.neuron, MultiThreshold):
        return np.zeros(1, np.int64)
    rows = layer.neuron.rows
    if isinstance(layer, Dense):
        wide = np.broadcast_to(rows, (made.size, made.times)).reshape(-1, made.places, made.times)
        return wide.transpose(0, 2, 1).ravel()
    channels, places = layer.geometry.out_channels, layer.geometry.positions
    shaped = np.broadcast_to(rows, (channels * places, made.times)).reshape(channels, places, -1)
    if (shaped != shaped[:, :1]).any():
        raise InputError(
            f"{what}: thresholds that differ within a channel, which share weights and a bias; give one row a channel, "
            "or use a chip with graded spikes (loihi2)"
        )
    return shaped[:, 0].ravel()


def _residual(residual: Residual, network: DiscreteNetwork, copies: list[_Copies]) -> Residual:
    given, made = copies[residual.source], copies[residual.target]
    if given.times == made.times == 1:
        return residual
    if residual.connection is not None:
        return Residual(residual.source, residual.target, _widened(residual.connection, given, made, str(residual)))
    shape = network.layers[residual.target].output_shape
    if len(shape) == 3 and all(c.times == 1 or c.places == _area(shape) for c in (given, made)):
        weight = np.full((shape[0] * made.times, given.times, 1, 1), residual.scale)
        joined: Dense | Conv2d = Conv2d(
            weight, activation="readout", input_shape=_wide_shape(shape, given, str(residual)), groups=shape[0]
        )
    else:
        joined = Dense(residual.scale * made.same_as(given), activation="readout")
    return Residual(residual.source, residual.target, joined)

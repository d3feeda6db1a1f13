"""Repair of any feed-forward network of dense and convolutional layers, with neurons of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Flatten, Recurrent, SumPool
from conntra_neuro.network.layers import Layer
from conntra_neuro.training.calibrate import calibrated_scale
from conntra_neuro.training.repair.loop import Repaired, Samples, repaired
from conntra_neuro.training.repair.over_time import StageOverTime
from conntra_neuro.training.repair.stage import Stage

__all__ = ["held_rows", "repair_network"]

Array = npt.NDArray[Any]
_HELD_SHARE, _HELD_MOST = 0.1, 5_000
_SCALED = 500  # samples that say how to scale the logits
_BIAS, _SUMS = 4095.0, float((2**23 - 1) >> 6)


def held_rows(n: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which of n samples repair moves weights by, and which decide: a tenth, at most 5,000."""
    order = np.random.default_rng(seed).permutation(n)
    count = max(1, min(int(_HELD_SHARE * n), _HELD_MOST))
    return np.sort(order[count:]), np.sort(order[:count])


def repair_network(
    network: DiscreteNetwork,
    x: ArrayLike,
    y: npt.NDArray[np.int64],
    seed: int = 0,
    *,
    wanted: Array | None = None,
    **budget: Any,
) -> tuple[DiscreteNetwork, Repaired]:
    """Return ``network`` with weights and biases moved, and how it went.

    x, y    samples as ``DiscreteNetwork.predict`` takes them, and class indices; a tenth of them decides what is kept
    wanted  probabilities of the classes that are aimed at, (n, classes), as a float network's; None: those of ``y``
    budget  ``seconds`` or ``batches``, as ``repair.loop.repaired`` has them

    A layer's weights stay within its largest magnitude, and multiples of the power of two that they all are; recurrent
    connections stay as they are. InputError for residual connections, delays of the layers, maxima, and a readout of
    the largest value.
    """
    _refuse(network)
    samples, steps = np.asarray(x), network.steps
    stages, places = _stages(network)
    kept, held = held_rows(len(y), seed)
    if network.value is not None:
        raise InputError("repair: the network answers with a value; one of classes expected")
    logits = network.forward(network.encode(samples[kept[:_SCALED]]))
    scale = calibrated_scale(logits, y[kept[:_SCALED]])
    shape = network.layers[0].input_shape

    def inputs(rows: npt.NDArray[np.int64]) -> Array:
        spikes = network.encode(samples[rows]).astype(np.float32)
        if len(shape) != 3:
            return spikes
        return np.ascontiguousarray(spikes.reshape(-1, *shape).transpose(0, 2, 3, 1))

    wanted = np.eye(network.n_classes, dtype=np.float32)[y] if wanted is None else wanted.astype(np.float32)
    how = repaired(stages, Samples(inputs, y, wanted, kept, held, scale), seed=seed, **budget)
    layers: list[Layer] = list(network.layers)
    for stage, (index, before) in zip(stages, places, strict=True):
        layers[index] = _layer(layers[index], stage, before)
    found = DiscreteNetwork(layers, network.encoder, network.labels, steps=steps, recurrent=network.recurrent)
    return found, how


def _refuse(network: DiscreteNetwork) -> None:
    if network.residuals:
        raise InputError("repair: residual connections; chains of layers can be repaired")
    for index, layer in enumerate(network.layers):
        where = f"repair: layer {index} ({layer!r})"
        if not isinstance(layer, (Conv2d, Dense, Flatten, SumPool)) or (index == 0 and isinstance(layer, SumPool)):
            raise InputError(f"{where}: dense layers, convolutions, and sums behind them can be repaired")
        if isinstance(layer, (Conv2d, Dense)) and (layer.is_delayed or np.any(layer.neuron.facts.refractory)):
            raise InputError(f"{where}: delays or refractory steps cannot be repaired")
        if isinstance(layer, (Conv2d, Dense)) and (layer.neuron.graded or layer.neuron.facts.read == "max"):
            raise InputError(f"{where}: graded neurons, or a readout of the largest value, cannot be repaired so")


def _stages(network: DiscreteNetwork) -> tuple[list[Stage], list[tuple[int, tuple[int, ...]]]]:
    """Return the stages, and of each the index of its layer and the shape of what it takes."""
    found: list[Stage] = []
    places: list[tuple[int, tuple[int, ...]]] = []
    shape = network.layers[0].input_shape
    largest = 1.0
    for index, layer in enumerate(network.layers):
        if isinstance(layer, (Conv2d, Dense)):
            loops = [loop for r in network.recurrent if r.layer == index for loop in _loops(r, layer)]
            found.append(_stage(layer, shape, largest, network.steps, index == len(network.layers) - 1, loops))
            places.append((index, shape))
            largest, shape = 1.0, layer.output_shape
        elif isinstance(layer, SumPool):
            assert isinstance(found[-1].pools, list)
            found[-1].pools.append(("sum", layer.geometry))
            largest, shape = largest * float(np.prod(layer.geometry.kernel)), layer.output_shape
    return found, places


def _order(layer: Conv2d | Dense) -> npt.NDArray[np.int64]:
    """Return where each neuron stands in the network, in a stage's order, channel last."""
    if not isinstance(layer, Conv2d):
        return np.arange(layer.n_out)
    return np.arange(layer.n_out).reshape(len(layer.bias), -1).T.ravel()


def _loops(connection: Recurrent, layer: Conv2d | Dense) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Return a connection of a layer to itself as steps and weights, one a delay."""
    own, order = connection.connection, _order(layer)
    if not isinstance(own, Dense):
        raise InputError(f"repair: {connection}: a convolution; a dense connection can be repaired around")
    weight, delay = own.weight.astype(np.int64), np.broadcast_to(own.delay, (own.n_out, own.n_in))
    found = []
    for lag in np.unique(delay):
        part = np.where(delay == lag, weight, 0)[np.ix_(order, order)]
        diagonal = np.diag(part)
        found.append((1 + int(lag), diagonal.copy() if np.array_equal(part, np.diag(diagonal)) else part))
    return found


def _unit(weight: IntArray) -> int:
    """Return the largest power of two that all weights are multiples of."""
    shared = int(np.gcd.reduce(np.abs(weight.astype(np.int64)), axis=None))
    return max(1, shared & -shared)


def _stage(
    layer: Conv2d | Dense, shape: Sequence[int], largest: float, steps: int, last: bool, loops: list[Any]
) -> Stage:
    unit = _unit(layer.weight)
    weight, geometry, neuron = layer.weight // unit, None, layer.neuron
    if isinstance(layer, Conv2d):
        geometry = layer.geometry
        rows = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))
        neuron = neuron.take(_order(layer))
    else:
        rows = _channel_last(weight.T, shape)
    bound = np.full(len(rows), largest)
    most = int(np.abs(weight).max(initial=1))
    step = np.maximum(np.rint(np.maximum(np.abs(layer.bias) / 64, unit / 4)), 1).astype(np.float32)
    return StageOverTime(
        np.vstack([rows, layer.bias]).astype(np.float32),
        most,
        geometry,
        None,
        None,
        [],
        bound,
        max(_SUMS / steps / unit, _reach(rows, layer.bias, bound)),
        step,
        max(_BIAS, float(np.abs(layer.bias).max(initial=0))),
        neuron=neuron,
        steps=steps,
        last=last,
        unit=unit,
        loops=loops,
    )


def _reach(rows: Array, bias: Array, largest: Array) -> float:
    """Return what the sums reach as they are: what a network has already it may keep."""
    ends = np.maximum(largest @ np.maximum(rows, 0), largest @ np.maximum(-rows, 0)) + np.abs(bias)
    return float(ends.max())


def _channel_last(rows: Array, shape: Sequence[int]) -> Array:
    return rows if len(shape) != 3 else rows.reshape(*shape, -1).transpose(1, 2, 0, 3).reshape(rows.shape)


def _layer(layer: Layer, stage: Stage, shape: Sequence[int]) -> Layer:
    assert isinstance(stage, StageOverTime)
    rows, bias = stage.weight[:-1].astype(np.int64) * stage.unit, stage.weight[-1].astype(np.int64)
    if isinstance(layer, Conv2d):
        out, inner, height, width = layer.geometry.kernel_shape
        weight = rows.reshape(height, width, inner, out).transpose(3, 2, 0, 1)
        return Conv2d(weight, bias, layer.neuron, **layer.geometry.window)
    assert isinstance(layer, Dense)
    if len(shape) == 3:
        channels, height, width = shape
        rows = rows.reshape(height, width, channels, -1).transpose(2, 0, 1, 3).reshape(rows.shape)
    return Dense(rows.T, bias, layer.neuron)

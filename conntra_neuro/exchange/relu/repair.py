"""Repair of an imported ReLU network: its integers as stages that move, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import GRADED_MAX
from conntra_neuro.exchange.relu.calibrate import READ_LIMIT, held_bias
from conntra_neuro.exchange.relu.integer import IntLayer, IntNet, largest_of
from conntra_neuro.exchange.relu.spiking import code_spikes
from conntra_neuro.training.repair.loop import Repaired, Samples, repaired
from conntra_neuro.training.repair.network import held_rows
from conntra_neuro.training.repair.rates import StageOfRates
from conntra_neuro.training.repair.stage import Stage

__all__ = ["repair_ints"]

Array = npt.NDArray[Any]
_BIAS_LIMIT = 4095.0  # of a mantissa


def repair_ints(
    ints: IntNet,
    features: Array,
    y: npt.NDArray[np.int64],
    bits: int,
    seed: int = 0,
    *,
    wanted: Array | None = None,
    **budget: Any,
) -> tuple[IntNet, Repaired]:
    """Return ``ints`` after repair on features (n, features) and classes y, and how it went.

    ``wanted``: probabilities of the classes that are aimed at, (n, classes); None: those of ``y``.
    ``budget``: ``seconds`` or ``batches``, as ``training.repair.loop.repaired`` has them.

    A tenth of the samples, at most 5,000, decides which network is kept: never one that is worse on them.
    """
    kept, held = held_rows(len(y), seed)
    stages = _stages(ints, bits)
    classes = 2 if ints.single else ints.layers[-1].channels
    wanted = np.eye(classes, dtype=np.float32)[y] if wanted is None else wanted.astype(np.float32)
    scale = float(1 / ints.layers[-1].scale.mean() / ints.steps)
    samples = Samples(lambda rows: _entering(ints, features[rows]), y, wanted, kept, held, scale)
    how = repaired(stages, samples, seed=seed, **budget)
    return replace(ints, layers=_layers(ints, stages)), how


def _entering(ints: IntNet, features: Array) -> Array:
    """Return what the first stage takes of features: codes, or the spikes of each step."""
    return _images(ints, ints.code.rows(features) if ints.steps == 1 else code_spikes(ints.code, features, ints.steps))


def _images(ints: IntNet, x: Array) -> Array:
    """Return what the layer of codes sends as a stage takes it: rows, or images with the channel last."""
    x = x.reshape(-1, x.shape[-1]).astype(np.float32)
    if len(ints.code.shape) != 3:
        return x
    channels, height, width = ints.code.shape
    x = x.reshape(-1, channels + bool(ints.code.constant), height, width).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x)


def _stages(ints: IntNet, bits: int) -> list[Stage]:
    most, found = 2 ** (bits - 1) - 1, []
    shape: tuple[int, ...] = ints.code.shape
    if len(shape) == 3:
        shape = (shape[0] + bool(ints.code.constant), *shape[1:])
    largest = np.full(int(np.prod(shape)), 2.0**ints.code.encoder.bits - 1 if ints.steps == 1 else 1.0)
    for index, layer in enumerate(ints.layers):
        last = index == len(ints.layers) - 1
        weight, bound = _columns(layer, shape, largest)
        if last and ints.single:  # a first class whose logit is always 0
            zero = np.zeros((len(weight), 1), np.float32)
            weight = np.concatenate([weight, zero], axis=1)[:, ::-1].copy()
        found.append(_stage(ints, layer, last, weight, most, bound))
        shape = layer.pools[-1].geometry.output_shape if layer.pools else _shape(layer)
        largest = largest_of(layer).astype(np.float64)
    return found


def _stage(ints: IntNet, layer: IntLayer, last: bool, weight: Array, most: int, bound: Array) -> Stage:
    """Return a layer as what repair moves; ``bound``: the largest input of each weight."""
    pools = [(pool.kind, pool.geometry) for pool in layer.pools]
    ones, frozen = np.ones(weight.shape[1], np.float32), int(bool(layer.constant))
    if ints.steps > 1:
        threshold = None if layer.threshold is None else layer.threshold.astype(np.float32)
        step = ones if threshold is None else np.maximum(np.rint(threshold / (8 * ints.steps)), 1)
        limits = (float(READ_LIMIT / ints.steps), step.astype(np.float32), _BIAS_LIMIT)
        own: dict[str, Any] = {"steps": ints.steps, "threshold": threshold}
        return StageOfRates(weight, most, layer.geometry, None, None, pools, bound, *limits, frozen, **own)
    step = ones if last else np.exp2(np.maximum(layer.shift - 3, 0)).astype(np.float32)
    neurons = (None, None) if last else (layer.shift, layer.ceiling)
    limits = (float(READ_LIMIT if last else GRADED_MAX), step, _BIAS_LIMIT if last else _BIAS_LIMIT * 2**7)
    return Stage(weight, most, layer.geometry, *neurons, pools, bound, *limits, frozen)


def _shape(layer: IntLayer) -> tuple[int, ...]:
    return (layer.channels,) if layer.geometry is None else layer.geometry.output_shape


def _columns(layer: IntLayer, shape: tuple[int, ...], largest: Array) -> tuple[Array, Array]:
    """Return weights and biases as a stage holds them, and the largest input of each weight."""
    if layer.geometry is not None:
        rows = layer.weight.transpose(2, 3, 1, 0).reshape(-1, layer.channels)
        by_channel = largest.reshape(shape[0], -1).max(axis=1)
        inner = layer.weight.shape[1]
        bound = np.tile(
            by_channel[:inner] if layer.geometry.groups == 1 else np.full(inner, by_channel.max()), len(rows) // inner
        )
    else:
        rows, bound = layer.weight.T, largest
        if len(shape) == 3:
            rows = rows.reshape(*shape, -1).transpose(1, 2, 0, 3).reshape(rows.shape)
            bound = largest.reshape(shape).transpose(1, 2, 0).ravel()
    return np.vstack([rows, layer.bias]).astype(np.float32), bound


def _layers(ints: IntNet, stages: Sequence[Stage]) -> list[IntLayer]:
    found = []
    shape: tuple[int, ...] = ints.code.shape
    for layer, stage in zip(ints.layers, stages, strict=True):
        last = layer is ints.layers[-1]
        columns = stage.weight[:, 1:] if last and ints.single else stage.weight
        rows, bias = columns[:-1].astype(np.int64), columns[-1]
        if layer.geometry is not None:
            out, inner, height, width = layer.weight.shape
            weight = rows.reshape(height, width, inner, out).transpose(3, 2, 0, 1)
        else:
            if len(shape) == 3:
                channels, height, width = shape
                rows = rows.reshape(height, width, channels, -1).transpose(2, 0, 1, 3).reshape(rows.shape)
            weight = rows.T
        found.append(replace(layer, weight=np.ascontiguousarray(weight), bias=held_bias(bias, last or ints.steps > 1)))
        shape = layer.pools[-1].geometry.output_shape if layer.pools else _shape(layer)
    return found

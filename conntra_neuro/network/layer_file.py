"""Layers as the entries of a model file: JSON, and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.neurons import neuron_from_dict, stored_neuron
from conntra_hardware.program.program_file import Tensors, weights_from_file, weights_to_file
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, Residual, SumPool
from conntra_neuro.network.levels import Levels

__all__ = ["connection_from_file", "layer_from_file", "layer_to_file", "residual_from_file", "residual_to_file"]

_POOLS = {"sum_pool": SumPool, "max_pool": MaxPool}
_DILATED = "conv2d_dilated"
_DELAYED = "delayed"
Arrays = Mapping[str, npt.NDArray[Any]]


def layer_to_file(name: str, layer: Layer, tensors: Tensors) -> dict[str, Any]:
    """Add the arrays of ``layer`` to ``tensors`` under ``name``; return its header entry."""
    if isinstance(layer, (Dense, Conv2d)) and layer.is_delayed:
        # A type of its own, so that versions that do not know of delays refuse the file instead of leaving them out.
        entry = _undelayed(name, layer, tensors)
        one = isinstance(layer.delay, int)
        if not one:
            tensors[f"{name}.delay"] = np.asarray(layer.delay)
        return {**entry, "type": _DELAYED, "delayed": entry["type"], "delay": layer.delay if one else None}
    return _undelayed(name, layer, tensors)


def _undelayed(name: str, layer: Layer, tensors: Tensors) -> dict[str, Any]:
    if isinstance(layer, Dense):
        return {"type": "dense", **_weighted(name, layer, tensors)}
    if isinstance(layer, Conv2d):
        g = layer.geometry
        shapes = {"input_shape": g.input_shape, "stride": g.stride, "padding": g.padding}
        # A type of its own, so that versions that do not know of dilation refuse the file instead of leaving it out.
        kind, more = ("conv2d", {}) if g.dilation == (1, 1) else (_DILATED, {"dilation": g.dilation})
        listed = {key: list(value) for key, value in (shapes | more).items()}
        return {"type": kind, **_weighted(name, layer, tensors), **listed, "groups": g.groups}
    if isinstance(layer, (SumPool, MaxPool)):
        g = layer.geometry
        shapes = {"input_shape": g.input_shape, "size": g.kernel, "stride": g.stride, "padding": g.padding}
        kind = next(kind for kind, pool in _POOLS.items() if isinstance(layer, pool))
        return {"type": kind, **{key: list(value) for key, value in shapes.items()}}
    if isinstance(layer, Flatten):
        return {"type": "flatten", "input_shape": list(layer.input_shape)}
    known = "Dense, Conv2d, SumPool, MaxPool, Flatten"
    raise InputError(f"save: {name} is a {type(layer).__name__}; files hold {known}")


def layer_from_file(name: str, entry: Mapping[str, Any], tensors: Arrays) -> Layer:
    """Return the layer that ``layer_to_file`` stored."""
    kind, delay = entry["type"], 0
    if kind == _DELAYED:
        kind = entry["delayed"]
        delay = tensors[f"{name}.delay"] if entry["delay"] is None else entry["delay"]
    if kind == "flatten":
        return Flatten(tuple(entry["input_shape"]))
    if kind in _POOLS:
        window = {key: tuple(entry[key]) for key in ("input_shape", "stride", "padding")}
        return _POOLS[kind](tuple(entry["size"]), **window)
    if kind not in ("dense", "conv2d", _DILATED):
        raise FileFormatError(f"layer type {kind!r} is not known to this version")
    weight = weights_from_file(name, entry["weights"], tensors)
    common = (weight, tensors[f"{name}.bias"], neuron_from_dict(entry["activation"]))
    stored = entry["weights"]["levels"]  # None where they are too many to be packed
    levels = None if stored is None else Levels(tuple(stored))
    if kind == "dense":
        return Dense(*common, levels, delay=delay)
    keys = ("input_shape", "stride", "padding") + (("dilation",) if kind == _DILATED else ())
    window = {key: tuple(entry[key]) for key in keys}
    return Conv2d(*common, levels, **window, groups=entry["groups"], delay=delay)


def residual_to_file(name: str, residual: Residual, tensors: Tensors) -> dict[str, Any]:
    """Add the arrays of ``residual`` to ``tensors`` under ``name``; return its header entry."""
    connection = residual.connection
    entry = None if connection is None else layer_to_file(name, connection, tensors)
    return {"source": residual.source, "target": residual.target, "scale": residual.scale, "connection": entry}


def residual_from_file(name: str, entry: Mapping[str, Any], tensors: Arrays) -> Residual:
    """Return the residual connection that ``residual_to_file`` stored."""
    stored = entry["connection"]
    connection = None if stored is None else connection_from_file(name, stored, tensors)
    return Residual(entry["source"], entry["target"], connection, entry["scale"])


def connection_from_file(name: str, entry: Mapping[str, Any], tensors: Arrays) -> Dense | Conv2d:
    """Return the connection, a layer of weights, that ``layer_to_file`` stored; FileFormatError for another layer."""
    connection = layer_from_file(name, entry, tensors)
    if not isinstance(connection, (Dense, Conv2d)):
        raise FileFormatError(f"{name}: a connection of another type than dense and conv2d")
    return connection


def _weighted(name: str, layer: Dense | Conv2d, tensors: Tensors) -> dict[str, Any]:
    weight = layer.weight
    stored = weights_to_file(name, weight.reshape(len(weight), -1), layer.levels.values, tensors)
    tensors[f"{name}.bias"] = np.asarray(layer.bias)
    return {"activation": stored_neuron(layer.neuron), "weights": stored | {"shape": list(weight.shape)}}

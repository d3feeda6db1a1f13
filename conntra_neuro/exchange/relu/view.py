"""Values of a graph in floating point as what they are: a layer's outputs, scaled, shifted and laid out anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.graph import Node
from conntra_neuro.exchange.onnx.shapes import reshaped
from conntra_neuro.exchange.relu.net import Grid

__all__ = ["AFFINE", "View", "affine", "by_channel", "moved"]

AFFINE = ("Add", "BatchNormalization", "Div", "Mul", "Neg", "Sub")
"""Operators with constants that scale and shift."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class View:
    """Values of a graph: ``gain * x + shift`` of the outputs x of ``layer`` (-1: the input) at the places ``index``.

    All three arrays have the values' shape, without the batch. ``pools`` tells how many of the layer's pools x is
    behind; ``waiting`` are maxima taken of sums that are not rectified yet; ``pad`` is what a Pad node adds. ``grid``:
    rounded to whole numbers of it, between QuantizeLinear and DequantizeLinear; ``final``: behind a softmax.
    """

    layer: int
    index: npt.NDArray[np.int64]
    gain: Array
    shift: Array
    pools: int = 0
    waiting: tuple[Geometry, ...] = ()
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    grid: Grid | None = None
    final: bool = False

    @classmethod
    def of(cls, layer: int, shape: tuple[int, ...]) -> View:
        """Return the outputs of a layer, of ``shape``, as they are."""
        index = np.arange(int(np.prod(shape))).reshape(shape)
        return cls(layer, index, np.ones(shape), np.zeros(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch."""
        return self.index.shape

    @property
    def plain(self) -> bool:
        """Whether they are a layer's outputs as they are."""
        return bool((self.gain == 1).all() and (self.shift == 0).all())

    @property
    def in_order(self) -> bool:
        """Whether they lie as the layer's outputs do."""
        return np.array_equal(self.index.ravel(), np.arange(self.index.size))


def affine(node: Node, view: View, arguments: list[Any]) -> View:
    """Return what an operator with constants makes of values: scaled, shifted."""
    if view.grid is not None or any(view.pad):
        raise InputError(f"{node}: takes whole numbers of a quantisation, or what is padded")
    constants = [None if a is view or a is None else _spread(node, view, a) for a in arguments]
    if node.op == "Neg":
        return _line(view, -1.0, 0.0)
    if node.op == "BatchNormalization":
        scale, bias, mean, var = (np.zeros(()) if c is None else c for c in constants[1:])
        gain = scale / np.sqrt(var + float(node.attributes.get("epsilon", 1e-5)))
        return _line(view, gain, bias - mean * gain)
    first = arguments[0] is view
    (other,) = [c for a, c in zip(arguments, constants, strict=True) if a is not view]
    if other is None:
        raise InputError(f"{node}: an operand is missing")
    if node.op == "Add":
        return _line(view, 1.0, other)
    if node.op == "Sub":
        return _line(view, 1.0, -other) if first else _line(view, -1.0, other)
    if node.op == "Mul":
        return _line(view, other, 0.0)
    if not first or not other.all():
        raise InputError(f"{node}: divides by an activation, or by 0; by a constant expected")
    return _line(view, 1 / other, 0.0)


def _line(view: View, gain: Array | float, shift: Array | float) -> View:
    found = replace(view, gain=view.gain * gain, shift=view.shift * gain + shift)
    if not (np.isfinite(found.gain).all() and np.isfinite(found.shift).all()):
        raise InputError("a scale or shift that is NaN or infinite; export it from a sound network")
    return found


def _spread(node: Node, view: View, constant: Array) -> Array:
    """Return a constant at each value; it is broadcast as ONNX does, a batch normalisation's by channel."""
    array = np.asarray(constant, np.float64)
    if node.op == "BatchNormalization":
        array = array.reshape(-1, *[1] * (len(view.shape) - 1))
    elif array.ndim > len(view.shape):
        array = array.reshape(array.shape[array.ndim - len(view.shape) :])
    try:
        return np.broadcast_to(array, view.shape)
    except ValueError:
        raise InputError(
            f"{node}: a constant of shape {np.shape(constant)} for values {view.shape}; they do not go together"
        ) from None


def by_channel(what: Any, part: Array) -> Array:
    """Return values (channels, height, width), the same within a channel, as (channels,)."""
    flat = part.reshape(len(part), -1)
    if (flat != flat[:, :1]).any():
        raise InputError(f"{what}: scales or shifts that differ within a channel; one for each channel expected")
    return flat[:, 0].copy()


def moved(node: Node, view: View, arguments: list[Any]) -> View:
    """Return the values laid out as a reshaping node does."""
    if any(view.pad) or view.waiting:
        raise InputError(f"{node}: behind a Pad, or a pool of sums; a convolution or a Relu expected there")
    places = replace(view, index=np.arange(view.index.size).reshape(view.shape))
    places = reshaped(node, places, arguments).index  # type: ignore[arg-type, assignment]
    return replace(
        view,
        index=view.index.ravel()[places],
        gain=view.gain.ravel()[places],
        shift=view.shift.ravel()[places],
    )

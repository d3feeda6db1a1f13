"""Shapes in ONNX graphs: reshaping nodes, padding, and the windows of convolutions and pooling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.graph import Node
from conntra_neuro.exchange.onnx.values import Raw, Tensor

__all__ = ["RESHAPING", "constant_pad", "convolution", "convolution_of", "reshaped", "window", "window_of"]

RESHAPING = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
Array = npt.NDArray[Any]


def reshaped(node: Node, value: Tensor | Raw, arguments: list[Any]) -> Tensor | Raw:
    """Return ``value`` with its elements laid out as a reshaping node does; the batch stays the first axis."""
    if isinstance(value, Tensor) and any(value.pad):
        raise InputError(f"{node}: behind a Pad; a convolution or a pool expected there")
    batched = value.index[None]
    attributes = node.attributes
    given = arguments[0] if arguments and isinstance(arguments[0], np.ndarray) else None
    if node.op == "Flatten":
        axis = int(attributes.get("axis", 1))
        found = batched.reshape(1, -1) if axis in (1, 1 - batched.ndim) else None
    elif node.op == "Transpose":
        perm = attributes.get("perm", list(range(batched.ndim))[::-1])
        found = batched.transpose(perm) if perm[0] == 0 else None
    elif node.op == "Reshape":
        found = _reshape(batched, [int(v) for v in (attributes.get("shape", []) if given is None else given)])
    else:
        axes = attributes.get("axes") if given is None else given.tolist()
        if node.op == "Squeeze":
            found = np.squeeze(batched, tuple(int(a) for a in axes)) if axes is not None else None
        else:
            found = np.expand_dims(batched, tuple(int(a) for a in np.asarray(axes).ravel()))
    if found is None or found.ndim < 2 or found.shape[0] != 1:
        raise InputError(f"{node}: moves the batch, or its shape is not known; the batch stays the first axis")
    return replace(value, index=found[0])


def _reshape(batched: IntArray, shape: list[int]) -> IntArray | None:
    if not shape:
        return None
    shape = [batched.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if shape[0] == -1:  # the batch
        shape[0] = 1
    return batched.reshape(shape) if shape[0] == 1 else None


def constant_pad(node: Node, arguments: list[Any], axes: int) -> tuple[tuple[int, int, int, int], float]:
    """Return what a Pad node adds at top, left, bottom and right, and the value it adds."""
    attributes = node.attributes
    pads = attributes.get("pads") if len(arguments) < 2 or arguments[1] is None else arguments[1]
    value = attributes.get("value", 0.0) if len(arguments) < 3 or arguments[2] is None else arguments[2]
    listed = [int(p) for p in np.asarray(pads).ravel()] if pads is not None else []
    if attributes.get("mode", b"constant") not in (b"constant", "constant") or axes != 3 or len(listed) != 8:
        raise InputError(f"{node}: constant padding of images (batch, channels, height, width) expected")
    if any(listed[i] for i in (0, 1, 4, 5)) or min(listed) < 0:
        raise InputError(f"{node}: pads {listed}; of height and width only, none negative")
    return (listed[2], listed[3], listed[6], listed[7]), float(np.asarray(value).ravel()[0])


def convolution(node: Node, weight: Array, given: Tensor) -> tuple[Geometry, IntArray, Array]:
    """Return the geometry of a Conv node, for each input channel its column of the table, and its kernel, which is
    larger by zeros where it pads more on one side than on the other.
    """
    if weight.ndim != 4:
        raise InputError(f"{node}: weight {weight.shape}; (outputs, inputs, height, width) expected")
    shape = _image(node, given)
    geometry, weight = convolution_of(node, shape, weight, given.pad)
    own = any(node.attributes.get("pads", ())) or _same(node)
    if own and any(given.pad) and not given.void and (given.table[0] != 0).any():
        raise InputError(f"{node}: pads by zeros what a Pad node padded by {given.table[0].min():g}; pad once")
    columns = given.column.reshape(shape[0], -1)
    if (columns != columns[:, :1]).any() and len(np.unique(given.table, axis=1).T) > 1:
        raise InputError(f"{node}: takes activations whose values differ within a channel")
    return geometry, columns[:, 0], weight


def convolution_of(
    node: Node, shape: tuple[int, ...], weight: Array, padded: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> tuple[Geometry, Array]:
    """Return the geometry of a Conv node over images of ``shape``, and its kernel (outputs, inputs, height, width).

    Where it pads more on one side than on the other, both sides get the more, and the kernel rows of zeros that see it.
    """
    kernel = (weight.shape[2], weight.shape[3])
    strides, dilations, (top, left, bottom, right) = _window(node, shape, kernel, padded)
    groups, sides = int(node.attributes.get("group", 1)), ((top, bottom), (left, right))
    more: list[tuple[int, int]] = []
    for (before, after), apart in zip(sides, dilations, strict=True):
        missing = abs(before - after)
        if missing % apart:
            raise InputError(
                f"{node}: pads {[top, left, bottom, right]} with dilations {dilations}; the same on opposite sides, or "
                "multiples of the dilation more"
            )
        more.append((missing // apart, 0) if before < after else (0, missing // apart))
    grown = np.pad(weight, [(0, 0), (0, 0), *more])
    window = ((strides[0], strides[1]), (max(top, bottom), max(left, right)), groups, (dilations[0], dilations[1]))
    kernel = (grown.shape[2], grown.shape[3])
    geometry = Geometry((shape[0], shape[1], shape[2]), weight.shape[0], kernel, *window)
    if geometry.kernel_shape != grown.shape:
        raise InputError(f"{node}: weight {weight.shape}; {geometry.kernel_shape} expected for input {shape}")
    return geometry, grown


def window(node: Node, given: Tensor) -> Geometry:
    """Return the windows of a pooling node, channel by channel."""
    shape = _image(node, given)
    if node.op == "GlobalAveragePool":
        return Geometry(shape, shape[0], shape[1:], (1, 1), (0, 0), shape[0])
    kernel = tuple(int(k) for k in node.attributes["kernel_shape"])
    if len(kernel) != 2:
        raise InputError(f"{node}: kernel {kernel}; (height, width) expected")
    if node.attributes.get("ceil_mode", 0):
        raise InputError(f"{node}: ceil_mode; windows have to lie inside")
    if any(given.pad) and (given.void or given.table[0].min() != given.table.min()):
        raise InputError(f"{node}: padded by the higher value; pad by the lower one")
    return window_of(node, shape, shape[0], (kernel[0], kernel[1]), shape[0], given.pad)


def _image(node: Node, given: Tensor) -> tuple[int, int, int]:
    if len(given.shape) != 3:
        raise InputError(f"{node}: takes elements of shape {given.shape}; (channels, height, width) expected")
    if not np.array_equal(given.index.ravel(), np.arange(given.base.size)):
        raise InputError(f"{node}: takes a layer with its elements in another order than (channels, height, width)")
    return given.shape[0], given.shape[1], given.shape[2]


def window_of(
    node: Node,
    shape: tuple[int, ...],
    channels: int,
    kernel: tuple[int, int],
    groups: int,
    padded: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Geometry:
    """Return the windows of a Conv or pooling node over images of ``shape``, which a Pad node has ``padded``."""
    strides, dilations, (top, left, bottom, right) = _window(node, shape, kernel, padded)
    if (top, left) != (bottom, right):
        raise InputError(f"{node}: pads {[top, left, bottom, right]}; the same on opposite sides expected")
    window = ((strides[0], strides[1]), (top, left), groups, (dilations[0], dilations[1]))
    return Geometry((shape[0], shape[1], shape[2]), channels, kernel, *window)


def _window(
    node: Node, shape: tuple[int, ...], kernel: tuple[int, int], padded: tuple[int, int, int, int]
) -> tuple[list[int], list[int], tuple[int, int, int, int]]:
    """Return strides, dilations and what is padded at top, left, bottom and right."""
    attributes = node.attributes
    strides = [int(s) for s in attributes.get("strides", (1, 1))]
    dilations = [int(d) for d in attributes.get("dilations", (1, 1))]
    pads = [int(p) for p in attributes.get("pads", (0, 0, 0, 0))]
    if len(strides) != 2 or len(dilations) != 2 or len(pads) != 4 or min(strides + dilations) < 1:
        raise InputError(
            f"{node}: strides {strides}, dilations {dilations} and pads {pads}; two of at least 1, two of at least 1 "
            "and four integers expected"
        )
    if node.op != "Conv" and dilations != [1, 1]:
        raise InputError(f"{node}: dilations {dilations}; 1 allowed in pooling, any in Conv")
    if _same(node):
        spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
        pads = _same_pads(node, shape, spans, strides)
    top, left, bottom, right = (a + b for a, b in zip(pads, padded, strict=True))
    return strides, dilations, (top, left, bottom, right)


def _same(node: Node) -> bool:
    auto = node.attributes.get("auto_pad", b"NOTSET")
    text = auto.decode() if isinstance(auto, bytes) else str(auto)
    if text not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise InputError(f"{node}: auto_pad {text} is not known")
    return text.startswith("SAME")


def _same_pads(node: Node, shape: tuple[int, ...], spans: list[int], strides: list[int]) -> list[int]:
    totals = [
        max((-(-side // step) - 1) * step + size - side, 0)
        for side, size, step in zip(shape[1:], spans, strides, strict=True)
    ]
    halves = [total // 2 for total in totals]
    rest = [total - half for total, half in zip(totals, halves, strict=True)]
    upper = node.attributes.get("auto_pad") in (b"SAME_UPPER", "SAME_UPPER")  # which side gets the odd one
    return [*halves, *rest] if upper else [*rest, *halves]

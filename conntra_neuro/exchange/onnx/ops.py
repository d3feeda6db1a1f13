"""What ONNX and QONNX operators compute, in NumPy and float64: elementwise ones, and those on constants alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.exchange.onnx.graph import Node, evaluate_by_onnx

__all__ = ["ELEMENTWISE", "evaluate_constant", "evaluate_elementwise"]

Array = npt.NDArray[Any]
_MOST_ELEMENTS = 2**25


def _quant(x: Array, scale: Array, zero: Array, bits: Array, *, attributes: Mapping[str, Any]) -> Array:
    """QONNX's Quant: round x / scale + zero_point, clip to the integers of so many bits, and scale back."""
    low, high = _ends("Quant", bits, attributes)
    rounding, text = _rounding("Quant", attributes, b"ROUND")
    return (np.clip(rounding[text](x / scale + zero), low, high) - zero) * scale


def _trunc(x: Array, scale: Array, zero: Array, bits: Array, *more: Array, attributes: Mapping[str, Any]) -> Array:
    """QONNX's Trunc: drop the lowest bits of whole numbers of ``scale``.

    Of version 1 (the bits that stay follow) the result has the scale that it came with; version 2 (a scale of the
    result, a power of two larger, and its bits follow) clips to those bits, and has that scale.
    """
    rounding, text = _rounding("Trunc", attributes, b"FLOOR")
    whole = np.rint(x / scale + zero)
    if len(more) == 1:
        dropped = 2.0 ** float(np.asarray(bits - more[0]).ravel()[0])
        return (rounding[text](whole / dropped) - zero) * scale
    after, width = more
    dropped = np.exp2(np.rint(np.log2(after / scale)))
    low, high = _ends("Trunc", width, attributes)
    return (rounding[text](np.clip(whole / dropped, low, high)) - zero / dropped) * after


def _ends(op: str, bits: Array, attributes: Mapping[str, Any]) -> tuple[float, float]:
    """Return the least and the largest whole number of so many bits."""
    width = float(np.asarray(bits).ravel()[0])
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    if not 1 <= width <= 32:
        raise InputError(f"{op}: {width:g} bits; 1 to 32 expected")
    high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
    return (-(2 ** (width - 1)) + narrow if signed else 0), high


def _rounding(op: str, attributes: Mapping[str, Any], usual: bytes) -> tuple[dict[str, Callable[..., Array]], str]:
    """Return the ways of rounding that are known, and the name of the one that is asked for."""
    mode = attributes.get("rounding_mode", usual)
    text = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    known: dict[str, Callable[..., Array]] = {
        "ROUND": np.rint,
        "HALF_EVEN": np.rint,
        "FLOOR": np.floor,
        "CEIL": np.ceil,
        "UP": lambda y: np.sign(y) * np.ceil(np.abs(y)),
        "DOWN": np.trunc,
        "ROUND_TO_ZERO": np.trunc,
        "HALF_UP": lambda y: np.sign(y) * np.floor(np.abs(y) + 0.5),
        "HALF_DOWN": lambda y: np.sign(y) * np.ceil(np.abs(y) - 0.5),
    }
    if text not in known:
        raise InputError(f"{op}: rounding mode {text}; allowed: {', '.join(known)}")
    return known, text


def _bipolar(x: Array, scale: Array) -> Array:
    return np.where(x >= 0, 1.0, -1.0) * scale


def _multi_threshold(x: Array, thresholds: Array, *, attributes: Mapping[str, Any]) -> Array:
    """FINN's MultiThreshold: how many thresholds (columns or 1, m) x (..., columns) reaches, scaled and shifted."""
    layout = attributes.get("data_layout", b"NC")
    if layout not in (b"", b"NC", "NC", b"NCHW", "NCHW") or thresholds.ndim != 2:
        raise InputError(f"MultiThreshold: layout {layout!r}, thresholds {thresholds.shape}; (channels, k) expected")
    count = (x[..., None] >= thresholds).sum(axis=-1)
    return count * attributes.get("out_scale", 1.0) + attributes.get("out_bias", 0.0)


def _quantise_linear(x: Array, scale: Array, zero: Array | None = None, *, attributes: Mapping[str, Any]) -> Array:
    """Whole numbers of a zero point's type, which ``type`` names."""
    _one_scale("QuantizeLinear", scale, zero)
    limits = np.iinfo(attributes["type"])
    return np.clip(np.rint(x / scale) + (0 if zero is None else zero), limits.min, limits.max)


def _dequantise_linear(x: Array, scale: Array, zero: Array | None = None, *, attributes: Mapping[str, Any]) -> Array:
    _one_scale("DequantizeLinear", scale, zero)
    return (x - (0 if zero is None else zero)) * scale


def _one_scale(op: str, scale: Array, zero: Array | None) -> None:
    if scale.size > 1 or (zero is not None and zero.size > 1):
        raise InputError(f"{op}: a scale for each channel of an activation; one scale for all expected")


def _clip(x: Array, low: Array | None = None, high: Array | None = None, *, attributes: Mapping[str, Any]) -> Array:
    least = np.asarray(attributes.get("min", -np.inf) if low is None else low)
    return np.minimum(np.maximum(x, least), np.asarray(attributes.get("max", np.inf) if high is None else high))


def _cast(x: Array, *, attributes: Mapping[str, Any]) -> Array:
    if int(attributes["to"]) == 9:  # BOOL
        return x != 0
    whole = int(attributes["to"]) in (2, 3, 4, 5, 6, 7, 12, 13)
    return np.trunc(x) if whole and x.dtype.kind == "f" else x.astype(np.float64)


def _normalise(x: Array, scale: Array, bias: Array, mean: Array, var: Array, *, attributes: Mapping[str, Any]) -> Array:
    return (x - mean) / np.sqrt(var + attributes.get("epsilon", np.float64(np.float32(1e-5)))) * scale + bias


def _hard_sigmoid(x: Array, *, attributes: Mapping[str, Any]) -> Array:
    return np.clip(attributes.get("alpha", np.float64(np.float32(0.2))) * x + attributes.get("beta", 0.5), 0, 1)


def _without(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *arrays, attributes: function(*arrays)


ELEMENTWISE: dict[str, Callable[..., Array]] = {
    name: _without(function)
    for name, function in {
        "Abs": np.abs,
        "Add": np.add,
        "And": np.logical_and,
        "BipolarQuant": _bipolar,
        "Ceil": np.ceil,
        "Div": np.divide,
        "Equal": np.equal,
        "Floor": np.floor,
        "Greater": np.greater,
        "GreaterOrEqual": np.greater_equal,
        "Identity": lambda x: x,
        "Less": np.less,
        "LessOrEqual": np.less_equal,
        "Max": lambda *xs: np.maximum.reduce(np.broadcast_arrays(*xs)),
        "Min": lambda *xs: np.minimum.reduce(np.broadcast_arrays(*xs)),
        "Mul": np.multiply,
        "Neg": np.negative,
        "Not": np.logical_not,
        "Or": np.logical_or,
        "Pow": np.power,
        "Reciprocal": np.reciprocal,
        "Relu": lambda x: np.maximum(x, 0),
        "Round": np.rint,
        "Sign": np.sign,
        "Sqrt": np.sqrt,
        "Sub": np.subtract,
        "Tanh": np.tanh,
        "Where": np.where,
    }.items()
}
ELEMENTWISE |= {
    "BatchNormalization": _normalise,
    "Cast": _cast,
    "Clip": _clip,
    "DequantizeLinear": _dequantise_linear,
    "Dropout": lambda x, *_, attributes: x,
    "HardSigmoid": _hard_sigmoid,
    "MultiThreshold": _multi_threshold,
    "Quant": _quant,
    "QuantizeLinear": _quantise_linear,
    "Trunc": _trunc,
}


def evaluate_elementwise(node: Node, arrays: Sequence[Array | None]) -> Array:
    """Return what an elementwise node makes of ``arrays``, None where an input is left out."""
    _check_size(node, [a for a in arrays if a is not None])
    with np.errstate(all="ignore"):
        numbers = [a if a is None or a.dtype.kind == "b" else a.astype(np.float64) for a in arrays]
        attributes = node.attributes
        if node.op == "QuantizeLinear":
            zero = arrays[2] if len(arrays) > 2 else None
            attributes = {**attributes, "type": np.uint8 if zero is None else zero.dtype}
        try:
            found = np.asarray(ELEMENTWISE[node.op](*numbers, attributes=attributes))
        except InputError:  # it names the node already
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"{node}: {error}") from None
    if found.dtype.kind == "f" and np.isnan(found).any():
        raise InputError(f"{node}: gives NaN; divides by zero, or takes the root of a negative number")
    return found


def _check_size(node: Node, arrays: Sequence[Array]) -> None:
    """Raise InputError where arrays that are small each would make a huge one together, before it is made."""
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:  # as of a batch normalisation, whose parameters are as many as channels
        return
    if np.prod([float(side) for side in shape]) > _MOST_ELEMENTS:
        raise InputError(f"{node}: makes an array of shape {shape}; too large")


def evaluate_constant(node: Node, arrays: Sequence[Array | None]) -> Array:
    """Return what a node makes of constants alone; InputError where it is not known or makes too much of them."""
    if node.op in ELEMENTWISE and node.op not in ("QuantizeLinear", "DequantizeLinear"):  # of weights by channel
        return evaluate_elementwise(node, arrays)
    try:
        found = _constant(node, arrays)
    except InputError:  # it names the node already
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise InputError(f"{node}: {error}") from None
    if found.size > _MOST_ELEMENTS:
        raise InputError(f"{node}: makes an array of shape {found.shape}; too large")
    return found


def _constant(node: Node, arrays: Sequence[Any]) -> Array:
    attributes = node.attributes
    if node.op == "Constant":
        value = attributes.get("value")
        for name in ("value_float", "value_int", "value_floats", "value_ints"):
            value = attributes.get(name, value)
        return np.asarray(value)
    if node.op == "Transpose":
        return np.transpose(arrays[0], attributes.get("perm"))
    if node.op == "Reshape":
        return arrays[0].reshape(tuple(int(v) for v in arrays[1]))
    if node.op == "Concat":
        return np.concatenate(arrays, axis=attributes["axis"])
    if node.op == "Gather":
        if np.size(arrays[1]) * np.size(arrays[0]) > _MOST_ELEMENTS:
            raise InputError(f"{node}: gathers {np.size(arrays[1]):,} times; too large")
        return np.take(arrays[0], arrays[1], axis=attributes.get("axis", 0))
    if node.op in ("Unsqueeze", "Squeeze"):
        axes = arrays[1] if len(arrays) > 1 and arrays[1] is not None else attributes.get("axes")
        if node.op == "Squeeze":
            return np.squeeze(arrays[0], None if axes is None else tuple(int(a) for a in axes))
        return np.expand_dims(arrays[0], tuple(int(a) for a in np.asarray(axes).ravel()))
    return evaluate_by_onnx(node, arrays)

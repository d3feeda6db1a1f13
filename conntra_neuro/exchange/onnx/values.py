"""Tensors of an ONNX graph as what they are in a network of integers.

A tensor behind a weighted layer depends, element by element, on one integer: the sum ``u`` that the layer computes, or
the spike (or count of spikes) that it became. So a tensor is that layer, the place of each element in it, and a table
with the element's value for every ``u`` there can be. An elementwise operator acts on the table, whatever it is; what
the table is in the end says whether it was a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.graph import Node
from conntra_neuro.exchange.onnx.ops import evaluate_elementwise

__all__ = [
    "Pending",
    "Raw",
    "Settled",
    "Tensor",
    "Term",
    "TooFine",
    "apply",
    "by_channel",
    "factored",
    "is_line",
    "line_of",
    "rows_of",
    "stairs_of",
    "step_of",
]

Array = npt.NDArray[Any]
_MOST_ENTRIES = 2**26
_SELF = "the tensor itself"


class TooFine(InputError):
    """Weights or values of more levels than are taken exactly, as those in floating point: others may round them."""


@dataclass(eq=False)
class Settled:
    """Output of a layer that stands: ``size`` integers from 0 to ``high``, in ``columns`` of one kind each.

    An integer above 1 is a count of spikes: of as many neurons, ``copies`` of the layer one behind the other, or of a
    window.
    """

    layer: int
    size: int
    columns: int
    high: int = 1
    copies: int = 1


@dataclass(frozen=True, eq=False)
class Term:
    """Integer ``weight`` on what ``source`` puts out: (rows, inputs), or a convolution's kernel with its geometry."""

    source: Settled
    weight: IntArray
    geometry: Geometry | None


@dataclass(eq=False)
class Pending:
    """A layer whose neurons are not known yet: ``u``, the sum of its terms and of ``border``.

    ``low`` and ``high`` bound u, by row; ``border`` (neurons,) is what each adds of its own where a convolution pads
    what is never 0 by zeros; ``pools`` are the maxima taken of u afterwards, behind which there are ``size`` of them.
    """

    node: Node
    terms: tuple[Term, ...]
    low: IntArray
    high: IntArray
    size: int
    border: IntArray | None = None
    pools: list[Geometry] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Number of rows of the weights: units, or channels."""
        return len(self.terms[0].weight)

    @property
    def geometry(self) -> Geometry | None:
        """Of its first convolution, whose outputs all have the shape of; None of dense layers."""
        return self.terms[0].geometry

    @property
    def neurons(self) -> int:
        """Number of its neurons, before the maxima."""
        return self.columns if self.geometry is None else self.geometry.n_out


@dataclass(frozen=True, eq=False)
class Tensor:
    """Elements of shape ``index.shape`` (no batch): ``index`` is the place in ``base``, ``table`` (values, columns).

    Row r of the table is the value for ``u = base.low.min() + r``, or for the integer r behind a settled layer. ``pad``
    is what a Pad node adds on each side, top, left, bottom, right: no spikes, or ``void``, zeros where the value
    without a spike is another; ``final``: behind a softmax, only to be compared.
    """

    base: Settled | Pending
    index: IntArray
    table: Array
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    final: bool = False
    void: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch."""
        return self.index.shape

    @property
    def column(self) -> IntArray:
        """The column of the table that each element has, of the tensor's shape."""
        return self.index // (self.base.size // self.base.columns)


@dataclass(frozen=True, eq=False)
class Raw:
    """The graph's input, before it is made spikes: ``steps`` are elementwise nodes with their constants, in order."""

    index: IntArray
    steps: tuple[tuple[Node, tuple[Any, ...]], ...] = ()

    def evaluate(self, x: Array) -> Array:
        """Return the elements, of the shape of ``index``, for one sample ``x``, flat in the input's order."""
        found = x[self.index][None]
        for node, arguments in self.steps:
            found = evaluate_elementwise(node, [found if a is _SELF else a for a in arguments])
        if found.shape != (1, *self.index.shape):
            raise InputError(f"input: made {found.shape[1:]} of {self.index.shape} by its first operators")
        return found[0]


def apply(node: Node, arguments: list[Any]) -> Tensor | Raw:
    """Return the tensor that an elementwise node makes of tensors and constants (arrays, or None)."""
    tensors = [a for a in arguments if isinstance(a, (Tensor, Raw))]
    first = tensors[0]
    if any(t.index.shape != first.index.shape or not np.array_equal(t.index, first.index) for t in tensors[1:]):
        raise InputError(f"{node}: joins tensors of different layers or layouts; residual additions are not imported")
    if isinstance(first, Raw):
        if len(tensors) > 1:
            raise InputError(f"{node}: joins the input with itself; binarise it by one chain of operators")
        if node.op == "BatchNormalization":
            axes = [1] * (len(first.index.shape) - 1)
            arguments = [a if a is first else a.reshape(-1, *axes) for a in arguments]
        return replace(first, steps=(*first.steps, (node, tuple(_SELF if a is first else a for a in arguments))))
    if any(not isinstance(t, Tensor) or t.base is not first.base or t.final for t in tensors) or any(first.pad):
        raise InputError(f"{node}: joins tensors of different layers; residual additions are not imported")
    if node.op == "MultiThreshold":
        values = [first.table, _threshold_rows(node, first, arguments[1])]
    else:
        values = [a.table if isinstance(a, Tensor) else _by_column(node, first, a, i) for i, a in enumerate(arguments)]
    table = evaluate_elementwise(node, values)
    if table.shape != first.table.shape:
        raise InputError(f"{node}: makes {table.shape} of {first.table.shape}; an elementwise operator expected")
    return replace(first, table=table)


def _threshold_rows(node: Node, tensor: Tensor, thresholds: Any) -> Array:
    """Return the thresholds of a MultiThreshold, (columns or 1, k)."""
    columns = tensor.base.columns
    if not isinstance(thresholds, np.ndarray) or thresholds.ndim != 2 or len(thresholds) not in (1, columns):
        raise InputError(f"{node}: thresholds are no constants of shape ({columns} or 1, k)")
    return thresholds


def _by_column(node: Node, tensor: Tensor, constant: Array | None, place: int) -> Array | None:
    """Return a constant by column of the table; it has to be the same at all places of a column."""
    if constant is None or constant.size == 1:
        return constant if constant is None else constant.reshape(())
    if node.op == "BatchNormalization":
        constant = constant.reshape(-1, *[1] * (len(tensor.shape) - 1))
    elif constant.ndim > len(tensor.shape):
        constant = constant.reshape(constant.shape[constant.ndim - len(tensor.shape) :])
    try:
        full = np.broadcast_to(constant, tensor.shape).ravel()
    except ValueError:
        raise InputError(
            f"{node}: its input {place} has shape {constant.shape}, the tensor {tensor.shape}; they do not go together"
        ) from None
    column = tensor.column.ravel()
    found = np.zeros(tensor.base.columns)
    found[column] = full
    if not np.array_equal(found[column], full):
        raise InputError(f"{node}: its input {place} differs within a channel; one value for each channel expected")
    return found


def rows_of(low: IntArray, high: IntArray, node: Node) -> IntArray:
    """Return all u that a table has rows for; InputError where it would be too large."""
    rows = int(high.max()) - int(low.min()) + 1
    if rows * len(low) > _MOST_ENTRIES:
        raise TooFine(f"{node}: sums of {rows:,} values in {len(low):,} units; quantise its weights to fewer levels")
    return np.arange(int(low.min()), int(high.max()) + 1)


def step_of(tensor: Tensor, what: str) -> tuple[IntArray, Array, Array]:
    """Return k, low value and high value by column: the first where u < k, the second from there on.

    InputError where a column takes another form than one step. A column that is constant is one that never steps, or
    always has, so that its two values are those of the others.
    """
    base, table = tensor.base, tensor.table.astype(np.float64)
    assert isinstance(base, Pending)
    start = int(base.low.min())
    u = start + np.arange(len(table))[:, None]
    real = (u >= base.low) & (u <= base.high)
    columns = np.arange(table.shape[1])
    first, last = table[base.low - start, columns], table[base.high - start, columns]
    same = (table == first) | ~real
    leading = np.where(same.all(axis=0), len(table), np.argmin(same, axis=0))
    if not ((table == last) | ~real | (u - start < leading)).all():
        values = np.unique(table[real])
        shown = ", ".join(f"{v:g}" for v in values[:4]) + (" ..." if len(values) > 4 else "")
        raise InputError(
            f"{what}: its activation takes {len(values)} values ({shown}) and is no step between two; sign, step or "
            "1-bit quantisation expected"
        )
    k = np.where(first == last, base.high + 1, start + leading)
    return _constants(k, first, last, base)


def stairs_of(tensor: Tensor, what: str) -> tuple[IntArray, npt.NDArray[np.bool_], Array]:
    """Return of an activation of several values k (steps, columns), which columns fall, and its values (steps + 1,).

    A column that rises takes value j + 1 or more from u >= k[j] on; of one that falls -u is meant. The values stand
    equally far apart, and are the same for all columns. InputError for anything else.
    """
    base, table = tensor.base, tensor.table.astype(np.float64)
    assert isinstance(base, Pending)
    start = int(base.low.min())
    u = start + np.arange(len(table))[:, None]
    real = (u >= base.low) & (u <= base.high)
    seen = np.unique(table[real])
    unit = _unit(seen)
    steps = round((seen[-1] - seen[0]) / unit)
    if steps > _MOST_STEPS:
        raise TooFine(f"{what}: its activation takes {steps + 1} values; {_MOST_STEPS + 1} at most: quantise it")
    levels = seen[0] + unit * np.arange(steps + 1)
    places = np.rint((seen - seen[0]) / unit).astype(int)
    if not np.allclose(levels[places], seen, rtol=1e-6, atol=1e-6 * unit):
        raise TooFine(f"{what}: its activation takes values {seen[:4]}, ... that do not stand equally far apart")
    changes = np.where(real[1:] & real[:-1], np.diff(table, axis=0), 0.0)
    falls = (changes < 0).any(axis=0)
    if (falls & (changes > 0).any(axis=0)).any():
        raise InputError(f"{what}: its activation rises and falls again; one that goes one way expected")
    k = np.empty((len(levels) - 1, table.shape[1]), np.int64)
    for step, level in enumerate(levels[1:]):
        there = (table >= level - unit / 2) & real
        first, last = start + there.argmax(axis=0), start + len(table) - 1 - there[::-1].argmax(axis=0)
        rising = np.where(there.any(axis=0), first, base.high + 1)
        falling = np.where(there.any(axis=0), -last, 1 - base.low)
        k[step] = np.where(falls, falling, rising)
    return k, falls, levels


_MOST_STEPS, _MOST_MISSING = 63, 8


def _unit(seen: Array) -> float:
    """Return the largest unit that rising values stand whole multiples of apart, or the least distance of two."""
    least = float(np.diff(seen).min(initial=np.inf))
    for parts in range(1, _MOST_MISSING + 1):
        places = (seen - seen[0]) * parts / least
        if np.allclose(places, np.rint(places), rtol=0, atol=1e-6 * parts):
            return least / parts
    return least


def _constants(k: IntArray, first: Array, last: Array, base: Pending) -> tuple[IntArray, Array, Array]:
    moving = first != last
    low, high = first.copy(), last.copy()
    if moving.any():
        values = sorted({*first[moving].tolist(), *last[moving].tolist()})
        bottom, top = values[0], values[-1]
    else:
        bottom, top = float(first.min()), float(first.max())
        top = bottom + 1 if top == bottom else top
    for column in np.flatnonzero(~moving):
        low[column], high[column] = bottom, top
        if first[column] == top:
            k[column] = base.low[column]
        elif first[column] != bottom:
            low[column], high[column] = first[column], first[column] + (top - bottom)
    return k, low, high


def is_line(tensor: Tensor) -> bool:
    """Whether the table is a straight line in the integer, all columns together."""
    try:
        line_of(tensor, "")
    except InputError:
        return False
    return True


def line_of(tensor: Tensor, what: str) -> tuple[Array, Array]:
    """Return slope and value at 0 by column, where the table is a straight line in the integer; else InputError."""
    table = tensor.table.astype(np.float64)
    start = int(tensor.base.low.min()) if isinstance(tensor.base, Pending) else 0
    slope = (table[-1] - table[0]) / max(len(table) - 1, 1)
    line = table[0] + slope * np.arange(len(table))[:, None]
    if not np.allclose(line, table, rtol=1e-9, atol=1e-9 * max(float(np.abs(table).max()), 1e-30)):
        raise InputError(f"{what}: is no straight line of its sums; only scales, shifts and a softmax may follow there")
    return slope, table[0] - slope * start


def factored(weight: Array, what: str) -> tuple[IntArray, Array]:
    """Return integers and a scale by row (axis 0) whose products are the weights, exactly in float32.

    Binary and ternary rows are +-scale and 0; whole numbers are taken as they are.
    """
    if not np.isfinite(weight.astype(np.float64)).all():
        raise InputError(f"{what}: NaN or infinite weights; export it from a sound network")
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    if (flat == np.rint(flat)).all() and np.abs(flat).max(initial=0) < 2**15:
        magnitudes = np.abs(flat).max(axis=1, initial=0)
        one = np.where(flat == 0, magnitudes[:, None], np.abs(flat)) == magnitudes[:, None]
        scale = np.where(one.all(axis=1) & (magnitudes > 0), magnitudes, 1.0)
        return (flat / scale[:, None]).astype(np.int64).reshape(weight.shape), scale
    least = np.where(flat == 0, np.inf, np.abs(flat)).min(axis=1)
    scale = np.where(np.isfinite(least), least, 1.0)
    # The least weight of a row may be a few of its units.
    for row in np.flatnonzero(~_fits(flat, scale)):
        found = next((d for d in range(2, _MOST_UNITS) if _fits(flat[[row]], scale[[row]] / d)[0]), None)
        if found is None:  # refused below
            break
        scale[row] /= found
    whole = np.rint(flat / scale[:, None])
    wrong = np.flatnonzero(~_fits(flat, scale) | (np.abs(whole).max(axis=1, initial=0) > 2**15))
    if wrong.size:
        raise TooFine(
            f"{what}: row {wrong[0]} has weights that are no small multiples of one number, such as "
            f"{flat[wrong[0]][0]:.6g}; "
            "weights of a few bits expected: export the quantised network, not its latent weights"
        )
    if (different := len(np.unique(whole))) > _MOST_WEIGHTS:
        raise TooFine(f"{what}: {different:,} different weights; {_MOST_WEIGHTS} at most, as of 8 bits")
    return whole.astype(np.int64).reshape(weight.shape), scale


_MOST_UNITS, _MOST_WEIGHTS = 128, 256


def _fits(flat: Array, scale: Array) -> npt.NDArray[np.bool_]:
    """Return which rows are integers times their scale, exactly in float32."""
    back = (np.rint(flat / scale[:, None]) * scale[:, None]).astype(np.float32)
    return (back == flat.astype(np.float32)).all(axis=1)


def by_channel(value: Tensor, node: Node) -> Tensor:
    """Return ``value`` (channels, height, width) with a column of its table for each channel, as pooling needs it.

    Units of a dense layer that are laid out as an image have a column each: these must agree within a channel.
    """
    base = value.base
    if len(value.shape) != 3 or not isinstance(base, Settled) or base.columns <= value.shape[0]:
        return value
    by_unit = np.broadcast_to(value.table, (len(value.table), base.columns))[:, value.column]
    first = by_unit[:, :, :1, :1]
    in_order = np.array_equal(value.index, np.arange(base.size).reshape(value.shape))
    if not in_order or (by_unit != first).any():
        raise InputError(f"{node}: pools units whose values differ; one pair of values a channel expected")
    channels = replace(base, columns=value.shape[0])
    return replace(value, base=channels, table=np.ascontiguousarray(first[:, :, 0, 0]))

"""Sums of integers as tensors: of one weighted node, of activations as they are, and of two branches that join."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.graph import Node
from conntra_neuro.exchange.onnx.values import (
    Pending,
    Settled,
    Tensor,
    Term,
    TooFine,
    by_channel,
    is_line,
    line_of,
    rows_of,
)

__all__ = ["added", "as_sum", "settles_first", "summed"]

_MOST_PARTS = 256
Array = npt.NDArray[Any]


def summed(
    node: Node,
    source: Settled,
    whole: IntArray,
    scale: Array,
    constant: Array,
    geometry: Geometry | None,
    outside: Array | None = None,
) -> Tensor:
    """Return ``scale * u + constant`` by row, of sums u of integer weights with what ``source`` puts out.

    ``outside``: by neuron, in units of u, what the constant has too much where a convolution pads by zeros. It need
    not be whole: u is counted in parts, then.
    """
    flat = whole.reshape(len(whole), -1)
    low = np.minimum(flat, 0).sum(axis=1) * source.high
    high = np.maximum(flat, 0).sum(axis=1) * source.high
    size = len(whole) if geometry is None else geometry.n_out
    shape = (size,) if geometry is None else geometry.output_shape
    border = None
    if outside is not None and np.abs(outside).max(initial=0) > 1e-9:
        parts = math.lcm(*(_fraction(value, str(node)).denominator for value in np.unique(outside)))
        if parts > _MOST_PARTS:
            raise TooFine(f"{node}: pads by zeros what has no measure in common with them; pad by one of the values")
        border = np.rint(-outside * parts).astype(np.int64)
        by_row = border.reshape(len(whole), -1)
        whole, scale = whole * parts, scale / parts
        low, high = low * parts + by_row.min(axis=1), high * parts + by_row.max(axis=1)
    table = rows_of(low, high, node)[:, None] * scale + constant
    pending = Pending(node, (Term(source, whole, geometry),), low, high, size, border)
    return Tensor(pending, np.arange(size).reshape(shape), table)


def _fraction(value: float, what: str) -> Fraction:
    found = Fraction(float(value)).limit_denominator(_MOST_PARTS)
    if abs(float(found) - value) > 1e-6 * max(abs(value), 1):
        raise TooFine(f"{what}: values without a common measure, such as {value:.6g} of one; give both one scale")
    return found


def as_sum(value: Tensor, node: Node) -> Tensor:
    """Return activations as sums, each of itself alone, with the same values."""
    if isinstance(value.base, Pending):
        return value
    value = by_channel(value, node)
    base = value.base
    assert isinstance(base, Settled)
    image = len(value.shape) == 3 and np.array_equal(value.index.ravel(), np.arange(base.size))
    if image and base.columns == value.shape[0]:
        channels, height, width = value.shape
        geometry = Geometry((channels, height, width), channels, (1, 1), groups=channels)
        term = Term(base, np.ones(geometry.kernel_shape, np.int64), geometry)
        table = value.table
    else:
        term = Term(base, np.eye(base.size, dtype=np.int64), None)
        table = np.repeat(value.table, base.size // base.columns, axis=1)
    columns = len(term.weight)
    low, high = np.zeros(columns, np.int64), np.full(columns, base.high, np.int64)
    pending = Pending(node, (term,), low, high, base.size)
    return replace(value, base=pending, table=np.broadcast_to(table, (len(table), columns)))


def added(node: Node, one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of two tensors that are each a straight line of its own sums; ``node`` is Add or Sub."""
    sides = [as_sum(side, node) for side in (one, other)]
    if any(side.shape != sides[0].shape for side in sides) or not np.array_equal(sides[0].index, sides[1].index):
        raise InputError(f"{node}: adds {one.shape} and {other.shape}, or layouts that differ; the same expected")
    if any(any(side.pad) or side.final for side in sides):
        raise InputError(f"{node}: adds what is padded, or behind a softmax")
    bases = [side.base for side in sides]
    first, second = bases
    assert isinstance(first, Pending)
    assert isinstance(second, Pending)
    if first.columns != second.columns or first.pools or second.pools:
        raise InputError(f"{node}: adds what is pooled before its activation, or units to channels")
    lines = [line_of(side, str(node)) for side in sides]
    minus = -1.0 if node.op == "Sub" else 1.0
    unit, times = _measure(lines[0][0], minus * lines[1][0], str(node))
    terms = [
        replace(term, weight=term.weight * number.reshape(-1, *[1] * (term.weight.ndim - 1)))
        for base, number in zip((first, second), times, strict=True)
        for term in base.terms
    ]
    each = first.neurons // first.columns
    borders = [
        np.repeat(number, each) * base.border
        for base, number in zip((first, second), times, strict=True)
        if base.border is not None
    ]
    ends = [
        np.sort([number * base.low, number * base.high], axis=0)
        for base, number in zip((first, second), times, strict=True)
    ]
    low, high = ends[0] + ends[1]
    table = rows_of(low, high, node)[:, None] * unit + lines[0][1] + minus * lines[1][1]
    # A convolution stands first, whose geometry is that of the sum.
    terms.sort(key=lambda term: term.geometry is None or term.geometry.kernel == (1, 1))
    made = Pending(node, tuple(terms), low, high, first.size, sum(borders[1:], borders[0]) if borders else None)
    return Tensor(made, sides[0].index, table)


def _measure(one: Array, other: Array, what: str) -> tuple[Array, tuple[IntArray, IntArray]]:
    """Return by column the largest unit that both slopes are whole multiples of, and how many they are."""
    units, first, second = np.ones(len(one)), np.zeros(len(one), np.int64), np.zeros(len(one), np.int64)
    for column, (a, b) in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
        if a == 0 or b == 0:
            units[column], first[column], second[column] = (a or b or 1.0), int(a != 0), int(b != 0)
            continue
        ratio = _fraction(b / a, what)
        first[column], second[column] = ratio.denominator, ratio.numerator
        units[column] = a / ratio.denominator
        if not ratio.numerator:
            raise TooFine(f"{what}: adds values of {abs(b):.3g} to some of {abs(a):.3g}, which they vanish beside")
    return units, (first, second)


def settles_first(value: Tensor) -> bool:
    """Whether ``value`` needs neurons of its own before it can be added: it is no straight line of its sums."""
    return not is_line(value) or (isinstance(value.base, Pending) and bool(value.base.pools))

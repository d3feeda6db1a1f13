"""Layers one behind the other, with residual connections, of sums whose thresholds are known.

A graph's branches become a chain: each sum is the next layer, what it takes from earlier ones than the last comes by
residual connections. An activation of several values is as many neurons a unit, which share their weights, or on
request one that sends graded spikes. Thresholds that differ within a channel, and biases that are wider than a chip's,
make leaky neurons that forget everything at each step: their thresholds are one a neuron, of 17 bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import FORGETS, Lif, MultiThreshold
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.values import Pending, Settled, Term
from conntra_neuro.exchange.onnx.windows import in_one_window, ungrouped
from conntra_neuro.network.layers import Conv2d, Dense, Layer, MaxPool, Residual

__all__ = ["MOST_BIAS", "Chain"]

MOST_BIAS = 2**12 - 1
"""Of a chip's mantissa of 13 bits: even numbers may be twice as large."""

_MOST_THRESHOLD = 2**17 - 1
Array = npt.NDArray[Any]


class Chain:
    """The layers and residual connections so far; ``graded``: several thresholds are one neuron where that can be."""

    def __init__(self, graded: bool = False) -> None:
        self.graded = graded
        self.layers: list[Layer] = []
        self.residuals: list[Residual] = []

    @property
    def last(self) -> int:
        """Index of the last layer; -1 is the input."""
        return len(self.layers) - 1

    def spiking(self, pending: Pending, signs: IntArray, k: IntArray, one_by_one: bool = False) -> Settled:
        """Add neurons that spike where ``signs * u >= k``, k (copies, columns): a layer of as many copies of each unit,
        or of graded neurons that count them, unless maxima follow (``one_by_one``), which take 0/1 spikes.

        Maxima that ``pending`` has waiting follow. Return the layer's outputs, whose integers count the copies.
        """
        copies, columns = k.shape
        each = pending.neurons // columns
        at_least = np.repeat(k, each, axis=1)
        if pending.border is not None:
            at_least = at_least - np.repeat(signs, each) * pending.border
        terms, divisors = _reduced(pending, signs)
        above = -(-at_least // np.repeat(divisors, each)) - 1  # a spike where the sum is above it
        if self.graded and copies > 1 and not one_by_one and not pending.pools and pending.border is None:
            neuron = MultiThreshold(above.reshape(copies, columns * each).T)
            self._add(pending, terms, np.zeros(columns, np.int64), neuron, 1)
            return Settled(self.last, pending.size, columns, copies)
        bias, neuron = _neurons(above.reshape(copies * columns, each))
        self._add(pending, terms, bias, neuron, copies)
        for g in pending.pools:
            channels, height, width = g.input_shape
            shape = (channels * copies, height, width)
            self.layers.append(MaxPool(g.kernel, input_shape=shape, stride=g.stride, padding=g.padding))
        return Settled(self.last, pending.size, columns, copies, copies)

    def readout(self, pending: Pending, times: IntArray, bias: IntArray) -> None:
        """Add the last layer: ``times`` (columns,) the sums of ``pending``, and biases (columns,)."""
        terms = [replace(term, weight=_times(term.weight, times)) for term in pending.terms]
        self._add(pending, terms, bias, "readout", 1)

    def _add(self, pending: Pending, terms: list[Term], bias: IntArray, neuron: Any, copies: int) -> None:
        target = len(self.layers)
        terms = _merged(terms, pending)
        main = [term for term in terms if term.source.layer == self.last]
        first = main[0] if main else self._nothing(pending)
        layer = _layer(first, bias, neuron, copies, pending)
        for term in terms:
            if term is not first:
                zero = np.zeros(len(bias), np.int64)
                connection = _layer(term, zero, "readout", copies, pending)
                self.residuals.append(Residual(term.source.layer, target, connection))
        self.layers.append(layer)

    def _nothing(self, pending: Pending) -> Term:
        """Return weights of 0 from the last layer, which a chain asks for where the sums take earlier ones only."""
        before, g = self.layers[-1], pending.terms[0].geometry
        columns = pending.columns
        source = Settled(self.last, before.n_out, before.n_out)
        if g is None:
            return Term(source, np.zeros((columns, before.n_out), np.int64), None)
        shape = before.output_shape
        if len(shape) != 3:
            raise InputError(f"{pending.node}: images behind a branch of dense layers; put the branch elsewhere")
        sides = [_fitting(given, made) for given, made in zip(shape[1:], g.output_shape[1:], strict=True)]
        kernel, padding = tuple(s[0] for s in sides), tuple(s[1] for s in sides)
        geometry = Geometry((shape[0], shape[1], shape[2]), columns, (kernel[0], kernel[1]), (1, 1), padding)  # type: ignore[arg-type]
        return Term(source, np.zeros(geometry.kernel_shape, np.int64), geometry)


def _fitting(given: int, made: int) -> tuple[int, int]:
    """Return kernel and padding of a convolution from a side of ``given`` to one of ``made``."""
    padding = max(0, -(-(made - given) // 2))
    return given + 2 * padding - made + 1, padding


def _times(weight: IntArray, numbers: IntArray) -> IntArray:
    return weight * numbers.reshape(-1, *[1] * (weight.ndim - 1))


def _reduced(pending: Pending, signs: IntArray) -> tuple[list[Term], IntArray]:
    """Return the terms with their signs, divided by what all weights of a row have in common, and those divisors."""
    flat = np.concatenate([term.weight.reshape(pending.columns, -1) for term in pending.terms], axis=1)
    joined = len(pending.terms) > 1 or pending.border is not None
    divisors = np.maximum(np.gcd.reduce(flat, axis=1), 1) if joined else np.ones(pending.columns, np.int64)
    terms = []
    for term in pending.terms:
        weight = term.weight // divisors.reshape(-1, *[1] * (term.weight.ndim - 1))
        terms.append(replace(term, weight=_times(weight, signs)))
    return terms, divisors


def _neurons(above: IntArray) -> tuple[IntArray, Any]:
    """Return biases (channels,), and neurons that spike where sum and bias are above, of sums ``above`` (channels,
    places).
    """
    same = bool((above == above[:, :1]).all())
    if same and np.abs(above).max(initial=0) <= MOST_BIAS:
        return -above[:, 0], "threshold"
    lift = np.maximum(0, -above.min(axis=1))
    lift = np.where(lift > MOST_BIAS, lift + lift % 2, lift)
    thresholds = above + lift[:, None]
    if same and (lift.max(initial=0) > 2 * MOST_BIAS or thresholds.max(initial=0) > _MOST_THRESHOLD):
        return -above[:, 0], "threshold"  # too wide for any neuron of a chip: the compiler says so
    held: Any = np.clip(thresholds.ravel(), 0, _MOST_THRESHOLD)
    return lift, Lif(held, voltage_decay=FORGETS)


def _merged(terms: list[Term], pending: Pending) -> list[Term]:
    """Return the terms with those of one source added up."""
    found: dict[int, Term] = {}
    for term in terms:
        layer = term.source.layer
        found[layer] = term if layer not in found else _sum(found[layer], term, pending)
    return list(found.values())


def _sum(one: Term, other: Term, pending: Pending) -> Term:
    if one.geometry is None or other.geometry is None:
        if one.geometry is not other.geometry or one.weight.shape != other.weight.shape:
            raise InputError(f"{pending.node}: adds what a dense layer and a convolution make of one source")
        return replace(one, weight=one.weight + other.weight)
    one, other = _full(one), _full(other)
    assert one.geometry is not None
    assert other.geometry is not None
    pair = [(one.weight, one.geometry), (other.weight, other.geometry)]
    (first, second), (stride, padding, kernel) = in_one_window(pair, str(pending.node))
    geometry = Geometry(one.geometry.input_shape, len(first), kernel, stride, padding)
    return Term(one.source, first + second, geometry)


def _full(term: Term) -> Term:
    """Return a grouped convolution as one that sees all channels."""
    if term.geometry is None:
        return term
    return Term(term.source, *ungrouped(term.weight, term.geometry))


def _layer(term: Term, bias: IntArray, neuron: Any, copies: int, pending: Pending) -> Any:
    """Return a layer of ``copies`` times the outputs; its inputs come as often as its source has copies."""
    sources = term.source.copies
    term = term if sources == copies == 1 else _full(term)
    weight = np.concatenate([np.concatenate([term.weight] * sources, axis=1)] * copies)
    if term.geometry is None:
        return Dense(weight, bias, neuron)
    window = term.geometry.window
    channels, height, width = window["input_shape"]
    window["input_shape"] = (channels * sources, height, width)
    return Conv2d(weight, bias, neuron, **window)

"""A memoryless neuron of several thresholds, whose graded spike says how many of them are exceeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons.base import GRADED_MAX, Advance, Bounds, Facts, Neuron, Rows, State

__all__ = ["MOST_THRESHOLDS", "MultiThreshold"]

MOST_THRESHOLDS = 255
"""As many as an activation of 8 bits has steps."""


@dataclass(frozen=True)
class MultiThreshold(Neuron):
    """Memoryless neuron of k thresholds: a graded spike, the number of them that ``potential`` exceeds; none where 0.

    ``thresholds``: integers (k,) for all neurons, or (neurons, k), of a Conv2d also (channels, k), in weight units;
    1 to 255 of them, each at most 2^23 - 1 in magnitude. They are kept sorted, and may be equal. ``potential > t`` is
    strict, as in Threshold; the MultiThreshold of FINN and QONNX is not: its integer threshold t is ``t - 1`` here. One
    time step from synapse to spike. InputError for anything else.
    """

    thresholds: Rows | Sequence[int] | Sequence[Sequence[int]] | IntArray
    kind: ClassVar[str] = "multi_threshold"
    graded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", _rows(self.thresholds))

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The thresholds as int64, (1, k) where all neurons have the same, else (neurons, k); rising in each row."""
        return np.array(self.thresholds, np.int64)

    @property
    def facts(self) -> Facts:
        """It forgets at every step, begins to spike above its first threshold, and sends how many it exceeds."""
        rows = self.thresholds
        first = tuple(row[0] for row in rows)  # type: ignore[index, union-attr]  # rows since ``__post_init__``
        lowest = first if len(set(first)) > 1 else first[0]
        most = len(rows[0])  # type: ignore[arg-type]
        return Facts(threshold=lowest, graded=True, ceiling=most, thresholds=rows)  # type: ignore[arg-type]

    def _per_neuron(self) -> Mapping[str, tuple[Any, ...]]:
        rows = self.thresholds
        return {"thresholds": rows} if len(rows) > 1 else {}  # type: ignore[dict-item]

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return graded spikes, int32, at sums (n, steps, size); potentials that send nothing are left."""
        potentials = sums + bias
        sent = _count(self.rows, potentials)
        return Advance(sent, potentials, np.where(sent == 0, potentials, 0))

    def largest_spike(self, high: Bounds) -> Bounds:
        """Return the largest value that it sends where no potential exceeds ``high`` (size,)."""
        return _count(self.rows, high).astype(np.int64)


def _rows(given: Any) -> Rows:
    """Return thresholds as rows that rise, one where all are the same; InputError for what are no thresholds."""
    try:
        numbers = np.asarray(given)
    except ValueError:  # rows of different lengths
        numbers = np.asarray(given, object)
    if numbers.ndim not in (1, 2) or not numbers.size or numbers.dtype.kind not in "iu":
        raise InputError(
            f"multi-threshold: thresholds: shape {numbers.shape}, type {numbers.dtype}; integers (k,) or (neurons, k) "
            "expected, as many a neuron"
        )
    if numbers.shape[-1] > MOST_THRESHOLDS:
        raise InputError(
            f"multi-threshold: {numbers.shape[-1]} thresholds a neuron; 1 to {MOST_THRESHOLDS} allowed, (neurons, k)"
        )
    low, high = int(numbers.min()), int(numbers.max())
    if low < -GRADED_MAX or high > GRADED_MAX:
        raise InputError(f"multi-threshold: thresholds from {low} to {high}; {-GRADED_MAX} to {GRADED_MAX} expected")
    sorted_rows = np.sort(np.atleast_2d(numbers).astype(np.int64), axis=1)
    rows = tuple(tuple(row) for row in sorted_rows.tolist())
    return rows[:1] if len(set(rows)) == 1 else rows


def _count(rows: npt.NDArray[np.int64], potentials: IntArray) -> npt.NDArray[np.int32]:
    """Return how many thresholds of ``rows`` (1 or size, k) the ``potentials`` (..., size) exceed."""
    if len(rows) == 1:
        return np.searchsorted(rows[0], potentials, side="left").astype(np.int32)
    sent = np.zeros(np.shape(potentials), np.int32)
    for thresholds in rows.T:
        sent += potentials > thresholds
    return sent

"""The objective: cross-entropy of scaled integer logits, in whole quanta of 2^-32 nats.

Logits are integers, so every exponential ``exp(-s * k)`` comes out of one table, and the loss of a sample is a
function of integers. Rounded to 2^-32 nats and summed as int64 it does not depend on the order of summation: "never
rises" and "equal when recomputed" hold exactly, not to a tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.jit import jit

__all__ = ["QUANTA", "SMALLEST_SCALE", "VALUE_ONE", "AnyObjective", "Objective", "SquaredError", "sample_loss"]

QUANTA = float(2**32)
SMALLEST_SCALE = 1e-5  # its table of exponentials takes 48 MB
VALUE_ONE = 2**16
"""Targets that are values are whole numbers of 2^-16 standard deviations from their mean."""
_LARGEST_EXPONENT = 60.0  # exp(-60) is 10^-26: nothing beside the largest term, which is 1


@dataclass(frozen=True)
class Objective:
    """Cross-entropy ``log(sum_k exp(s * (logit_k - logit_y)))`` with logit scale ``s``; a margin makes it

    ``log(1 + sum_{k != y} exp(s * (logit_k + margin - logit_y)))``. ``margin`` is in logit units, an integer.
    """

    scale: float
    margin: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and SMALLEST_SCALE <= self.scale <= 100):
            raise InputError(f"logit scale {self.scale}: a number from {SMALLEST_SCALE:g} to 100 expected")
        if self.margin < 0 or self.margin > 2**20:
            raise InputError(f"margin {self.margin}: an integer from 0 to {2**20} expected")

    @property
    def table(self) -> npt.NDArray[np.float64]:
        """``table[k] = exp(-s * k)``; its last entry, and all beyond, count as zero."""
        table = np.exp(-self.scale * np.arange(math.ceil(_LARGEST_EXPONENT / self.scale) + 2))
        table[-1] = 0
        return table

    def losses(self, logits: IntArray, y: IntArray) -> npt.NDArray[np.int64]:
        """Return the loss (n,) of logits (n, classes) and class indices (n,), in quanta."""
        out = np.empty(len(logits), dtype=np.int64)
        _losses(np.ascontiguousarray(logits, dtype=np.int32), np.asarray(y, dtype=np.int64), *self.args, out)
        return out

    def mean(self, logits: IntArray, y: IntArray) -> float:
        """Return the mean loss in nats."""
        return self.nats(int(self.losses(logits, y).sum()), len(logits))

    @property
    def args(self) -> tuple[npt.NDArray[np.float64], float, int]:
        """What kernels take: table, scale, margin."""
        return self.table, self.scale, self.margin

    @staticmethod
    def nats(total: int, n: int) -> float:
        """Return the mean in nats of a sum of ``n`` losses in quanta."""
        return total / QUANTA / max(n, 1)

    @staticmethod
    def error(nats: float, wrong: int, n: int) -> float:
        """Return the error of ``n`` samples, whose losses add up to ``nats``: the fraction that is ``wrong``."""
        return wrong / max(n, 1)


@dataclass(frozen=True)
class SquaredError:
    """Half the squared error of a value: ``(s * logit - t)^2 / 2`` with logit scale ``s``, in standard deviations.

    Where cross-entropy has nats it has half the variance of the targets.
    """

    scale: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and SMALLEST_SCALE <= self.scale <= 100):
            raise InputError(f"logit scale {self.scale}: a number from {SMALLEST_SCALE:g} to 100 expected")

    @property
    def table(self) -> npt.NDArray[np.float64]:
        """There are no exponentials."""
        return np.zeros(1)

    def distances(self, logits: npt.NDArray[Any], y: IntArray) -> npt.NDArray[np.float64]:
        """Return by how many standard deviations the values (n,) of logits (n, 1) are above the targets ``y`` (n,)."""
        return self.scale * logits[:, 0].astype(np.float64) - y / VALUE_ONE

    def losses(self, logits: IntArray, y: IntArray) -> npt.NDArray[np.int64]:
        """Return the loss (n,) of logits (n, 1) and targets (n,), in quanta."""
        return np.rint(0.5 * self.distances(logits, y) ** 2 * QUANTA).astype(np.int64)

    @staticmethod
    def nats(total: int, n: int) -> float:
        """Return the mean of a sum of ``n`` losses in quanta."""
        return Objective.nats(total, n)

    @staticmethod
    def error(nats: float, wrong: int, n: int) -> float:
        """Return the error of ``n`` samples, whose losses add up to ``nats``: their mean squared error, in variances
        of the targets.
        """
        return 2 * nats / max(n, 1)


AnyObjective: TypeAlias = Objective | SquaredError
"""Of classes, or of a value."""


@jit
def sample_loss(logits: IntArray, y: int, table: npt.NDArray[np.float64], scale: float, margin: int) -> np.int64:
    """Return the loss of one sample in quanta; the only place where it is computed."""
    target = logits[y] - margin
    top = target
    for k in range(logits.size):
        top = max(top, logits[k] - (margin if k == y else 0))
    last = table.size - 1
    total = 0.0
    for k in range(logits.size):
        below = top - logits[k] + (margin if k == y else 0)
        total += table[min(below, last)]
    return np.int64(np.rint((math.log(total) + scale * (top - target)) * QUANTA))


@jit
def _losses(logits, y, table, scale, margin, out):
    for n in range(y.size):
        out[n] = sample_loss(logits[n], y[n], table, scale, margin)

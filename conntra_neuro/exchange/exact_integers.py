"""From floating-point arrays of other tools to exact integers: never rounded, refused instead."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError

__all__ = ["finite", "integers", "threshold_bias"]

_QUANTISE = "quantise them to a few integer levels first (here: `conntra train --levels`); nothing is rounded silently"


def finite(array: Any, what: str) -> npt.NDArray[Any]:
    """Return ``array`` as numbers, integers as they are and floats as float64; InputError where one is no number."""
    numbers = np.asarray(array)
    if numbers.dtype.kind not in "iufb":
        raise InputError(f"{what}: type {numbers.dtype}; numbers expected")
    if numbers.dtype.kind == "b":
        return numbers.astype(np.int64)
    if numbers.dtype.kind != "f":
        return numbers
    numbers = numbers.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"{what}: NaN or infinite; finite numbers expected: export it again from a sound network")
    return numbers


def integers(array: Any, what: str) -> IntArray:
    """Return ``array`` as int64; InputError where an element is not a whole number of less than 2^31."""
    numbers = finite(array, what)
    wrong = (numbers != np.floor(numbers)) | (np.abs(numbers.astype(np.float64)) >= 2**31)
    if wrong.any():
        count, total, first = int(np.count_nonzero(wrong)), numbers.size, float(numbers[wrong][0])
        raise InputError(
            f"{what}: {count:,} of {total:,} are not integers of 32 bits, such as {first:.6g}; {_QUANTISE}"
        )
    return numbers.astype(np.int64)


def threshold_bias(bias: npt.NDArray[Any], threshold: npt.NDArray[Any]) -> IntArray:
    """Return the integer bias c for which ``z + bias > threshold`` and ``z + c > 0`` are one, for every integer z.

    Both have shape (n,) and need not be whole: the sum is a floor of exact fractions, not of rounded numbers.
    """
    pairs = zip(bias.tolist(), threshold.tolist(), strict=True)
    return np.array([-floor(Fraction(t) - Fraction(b)) for b, t in pairs], dtype=np.int64)

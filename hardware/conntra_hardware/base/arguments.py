"""Numbers that a user gives, checked where they enter: a text or a fraction where none can be is one clear line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, as_array
from conntra_hardware.base.errors import InputError

__all__ = ["class_indices", "not_negative", "seconds", "target_values", "whole"]


def whole(value: Any, what: str, low: int, high: int | None = None) -> int:
    """Return an integer from ``low`` (to ``high``); InputError for anything else."""
    fits = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= low
    if not fits or (high is not None and value > high):
        allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
        raise InputError(f"{what} {value!r}: {allowed} expected")
    return int(value)


def seconds(value: Any, what: str = "time limit") -> float:
    """Return a positive number of seconds; InputError for anything else."""
    if not _is_number(value) or value <= 0:
        raise InputError(f"{what} {value!r} s: more than 0 expected")
    return float(value)


def not_negative(value: Any, what: str) -> float:
    """Return a number from 0 on; InputError for anything else."""
    if not _is_number(value) or value < 0:
        raise InputError(f"{what} {value!r}: a number from 0 on expected")
    return float(value)


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and not math.isnan(value)


def target_values(y: ArrayLike, n: int, what: str = "targets") -> npt.NDArray[np.float64]:
    """Return values (n,) as float64; InputError for another shape, and for what are no finite numbers."""
    values = as_array(y, what)
    if values.shape != (n,):
        raise InputError(f"{what}: shape {values.shape}; ({n},) expected, one value a sample")
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise InputError(f"{what}: type {values.dtype}; finite numbers expected")
    return values.astype(np.float64)


def class_indices(y: ArrayLike, n: int, classes: int, what: str = "labels") -> npt.NDArray[np.int64]:
    """Return class indices (n,), int64, from 0 to ``classes`` - 1; InputError for any other shape, type or value."""
    labels = as_array(y, what)
    if labels.shape != (n,):
        raise InputError(f"{what}: shape {labels.shape}; ({n},) expected, one class index a sample")
    if not np.issubdtype(labels.dtype, np.number):
        raise InputError(f"{what}: type {labels.dtype}; class indices 0 to {classes - 1} expected")
    if n and (not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes):
        raise InputError(f"{what}: class indices 0 to {classes - 1} expected, got {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)

"""Integer arrays, copied and write-locked on construction, and the checks that come with them."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["ArrayLike", "IntArray", "SpikeArray", "as_array", "as_integers", "as_spikes", "frozen"]

ArrayLike: TypeAlias = npt.ArrayLike
IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
SpikeArray: TypeAlias = npt.NDArray[np.uint8]


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a C-contiguous copy of ``array`` that cannot be written to."""
    copy = np.array(array, order="C", copy=True)
    copy.flags.writeable = False
    return copy


def as_array(values: ArrayLike, what: str) -> npt.NDArray[Any]:
    """Return ``values`` as an array; InputError for rows of unequal length."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{what}: not an array ({error}); give rows of equal length") from None


def as_integers(values: ArrayLike, what: str, *, ndim: int, dtype: type = np.int64) -> IntArray:
    """Return ``values`` as a write-locked integer array of ``ndim`` dimensions.

    Floats are taken only where each is a whole number: a weight is never rounded in silence.
    """
    array = as_array(values, what)
    if array.ndim != ndim:
        raise InputError(f"{what}: {array.ndim} dimensions of shape {array.shape}; {ndim} expected")
    if array.dtype == bool:
        array = array.astype(np.int8)
    if not np.issubdtype(array.dtype, np.integer):
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(f"{what}: type {array.dtype}; integers expected")
        if not np.all(np.isfinite(array)) or np.any(array != np.rint(array)):
            raise InputError(f"{what}: holds values that are not integers; quantise them first")
    limits = np.iinfo(dtype)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise InputError(f"{what}: values from {array.min()} to {array.max()}; {limits.min} to {limits.max} allowed")
    return frozen(array.astype(dtype))


def as_spikes(values: ArrayLike, n_in: int, what: str = "spikes", steps: int = 1) -> SpikeArray:
    """Return ``values`` as 0/1 spikes of shape (n * steps, n_in), uint8: the ``steps`` of a sample in a row.

    ``values`` has that shape, or (n, steps, ...) with n_in values a step; of one step also (n, ...).
    """
    array = as_array(values, what)
    if array.ndim > 2:
        a_sample = array.shape[1:]
        over_time = a_sample[0] == steps and math.prod(a_sample[1:]) == n_in
        if over_time or (steps == 1 and math.prod(a_sample) == n_in):
            array = array.reshape(-1, n_in)
    if array.ndim != 2 or array.shape[1] != n_in or len(array) % steps:
        expected = f"(n, {n_in})" if steps == 1 else f"(n, {steps}, {n_in})"
        raise InputError(f"{what}: shape {array.shape}; {expected} expected")
    if array.dtype == np.uint8:
        bad = array.size > 0 and array.max() > 1
    elif array.dtype == bool:
        bad = False
    elif np.issubdtype(array.dtype, np.number):
        bad = bool(np.any((array != 0) & (array != 1)))
    else:
        raise InputError(f"{what}: type {array.dtype}; 0/1 spikes expected")
    if bad:
        raise InputError(
            f"{what}: holds values other than 0 and 1; encode features first, or give the network an encoder"
        )
    return np.ascontiguousarray(array, dtype=np.uint8)

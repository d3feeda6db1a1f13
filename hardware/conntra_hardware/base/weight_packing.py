"""Weights of a finite alphabet packed into bytes: as many base-L digits as a byte holds.

Ternary weights stand five to a byte (3^5 = 243 <= 256), 1.6 bits each; binary eight; four-bit two. Of an alphabet of
more than 256 values a weight takes two bytes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError

__all__ = ["digits_per_byte", "pack", "packed_size", "unpack"]

_BYTES = 256
_WIDE = 2  # bytes of a weight whose alphabet is larger


def digits_per_byte(n_levels: int) -> int:
    """Return how many values of an alphabet of ``n_levels`` (1 to 256) fit one byte."""
    if not 1 <= n_levels <= _BYTES:
        raise InputError(f"alphabet of {n_levels} values; 1 to {_BYTES} can be packed")
    digits = 1
    while max(n_levels, 2) ** (digits + 1) <= _BYTES:
        digits += 1
    return digits


def packed_size(count: int, n_levels: int) -> int:
    """Return the bytes that ``count`` values of an alphabet of ``n_levels`` take."""
    if n_levels > _BYTES:
        return _WIDE * count
    return -(-count // digits_per_byte(n_levels))


def pack(values: IntArray, alphabet: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Pack ``values`` (any shape, row-major) whose every element is in the sorted ``alphabet``."""
    flat = np.asarray(values).ravel()
    levels = np.asarray(alphabet, dtype=np.int64)
    index = np.searchsorted(levels, flat)
    index[index == len(levels)] = 0
    if not np.array_equal(levels[index], flat):
        stray = flat[levels[index] != flat][0]
        raise InputError(f"value {stray}: not one of the levels {alphabet}")
    if len(alphabet) > _BYTES:
        return index.astype("<u2").view(np.uint8)
    digits = digits_per_byte(len(alphabet))
    padded = np.zeros(packed_size(flat.size, len(alphabet)) * digits, dtype=np.uint16)
    padded[: flat.size] = index
    place = (max(len(alphabet), 2) ** np.arange(digits)).astype(np.uint16)
    return (padded.reshape(-1, digits) * place).sum(axis=1).astype(np.uint8)


def unpack(packed: npt.NDArray[np.uint8], alphabet: tuple[int, ...], shape: tuple[int, ...]) -> IntArray:
    """Return the array of ``shape`` that ``pack`` was given, in the smallest integer type that holds it."""
    count = math.prod(whole(side, "packed weights: side", 0) for side in shape)
    if packed.size != packed_size(count, len(alphabet)):
        expected = packed_size(count, len(alphabet))
        raise InputError(f"packed weights: {packed.size} bytes; {expected} expected for shape {shape}")
    if len(alphabet) > _BYTES:
        return _smallest(alphabet)[np.ascontiguousarray(packed).view("<u2")].reshape(shape)
    table = _decoding_table(tuple(alphabet))
    return table[packed].reshape(-1)[:count].reshape(shape)


@lru_cache(maxsize=64)
def _decoding_table(alphabet: tuple[int, ...]) -> IntArray:
    """Table (256, digits) from a byte to its values; bytes that ``pack`` never writes decode to the lowest level."""
    base, digits = max(len(alphabet), 2), digits_per_byte(len(alphabet))
    index = (np.arange(_BYTES)[:, None] // base ** np.arange(digits)) % base
    index[index >= len(alphabet)] = 0
    return _smallest(alphabet)[index]


def _smallest(alphabet: tuple[int, ...]) -> IntArray:
    """Return the levels in the smallest type that holds them."""
    levels = np.asarray(alphabet, dtype=np.int64)
    return levels.astype(np.result_type(np.min_scalar_type(levels.min()), np.min_scalar_type(levels.max()), np.int8))

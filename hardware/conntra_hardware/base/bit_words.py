"""Rows of 0/1 values as words of 64 bits, which decide and count many pairs in one instruction."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["WORD", "Words", "words"]

WORD = 64
Words: TypeAlias = npt.NDArray[np.uint64]


def words(bits: npt.NDArray[Any]) -> Words:
    """Return the rows of a 0/1 matrix (n, k) as words (n, k / 64 rounded up); the bits after the last are 0."""
    packed = np.packbits(np.asarray(bits, dtype=bool), axis=1)
    width = -(-max(packed.shape[1], 1) // (WORD // 8)) * (WORD // 8)
    padded = np.zeros((len(packed), width), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)

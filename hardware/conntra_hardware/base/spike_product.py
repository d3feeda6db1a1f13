"""Products of 0/1 spikes with small integers, exactly: rows of the sources that spike are added, in narrow integers.

Spikes are few, and a vector holds 32 sums of 16 bits: below a fifth of spikes it is the fastest way there is here, for
weights of up to 8 bits. Where more spike, ternary weights count bits (``bit_product``), others are a matrix product in
floating point. numba is imported at the first large product: below ``_WORTH`` multiplications its start would cost more
than it saves, once it is there threads cost less than ``_WORTH_LOADED`` of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.bit_product import TernaryProduct
from conntra_hardware.base.cores import cores

__all__ = ["SpikeProduct", "compiled", "over_rows"]

_KERNEL = "conntra_hardware.base.spike_product_kernel"
_WORTH, _WORTH_LOADED = 2**31, 2**22
_BLOCK = 256  # rows whose narrow sums stay in the cache until they are widened
_SEVERAL = 16  # rows whose sums fit in 8 bits, from which adding them there is worth the way
_FEW_OF_TERNARY, _FEW = 0.25, 0.5
"""Shares of spikes up to which rows are added: bits are counted in the time of a quarter, measured with 784 sources."""


class SpikeProduct:
    """The product of 0/1 spikes with ``weights`` (n_target, n_source), integers from -128 to 127."""

    def __init__(self, weights: IntArray) -> None:
        self._weights = weights
        self._by_source = np.ascontiguousarray(weights.T.astype(np.int8))
        self._largest = int(np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0))
        self._several = 127 // max(1, int(np.abs(weights.astype(np.int64)).max(initial=0)))
        self._ternary = int(weights.min(initial=0)) >= -1 and int(weights.max(initial=0)) <= 1

    @staticmethod
    def takes(weights: IntArray) -> bool:
        """Return whether ``weights`` are small enough, and their sums as well."""
        low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
        return low >= -128 and high <= 127 and weights.shape[1] < 2**24

    @staticmethod
    def pays(multiplications: int) -> bool:
        """Return whether so many are worth the start of numba."""
        return multiplications >= (_WORTH_LOADED if compiled() else _WORTH)

    def __call__(self, spikes: SpikeArray, dtype: Any = np.int32) -> npt.NDArray[Any]:
        """Return ``spikes @ weights.T`` (n, n_target), integers of ``dtype``, of spikes (n, n_source), on all cores."""
        share = np.count_nonzero(spikes) / max(spikes.size, 1)
        if self._ternary and share > _FEW_OF_TERNARY:
            return self._bits(spikes, dtype)
        if share > _FEW:
            exact = np.float32 if self._largest < 2**24 else np.float64
            return (spikes.astype(exact) @ self._by_source.astype(exact)).astype(dtype)
        out = np.empty((len(spikes), self._by_source.shape[1]), dtype)
        over_rows(lambda part: self._add(spikes[part], out[part]), len(spikes))
        return out

    @cached_property
    def _bits(self) -> TernaryProduct:
        return TernaryProduct(self._weights)

    def _add(self, spikes: SpikeArray, out: npt.NDArray[Any]) -> None:
        from conntra_hardware.base.spike_product_kernel import add_rows, add_small_rows  # loads the compiler

        narrow = np.int16 if self._largest < 2**15 else np.int32
        sums = np.empty((min(_BLOCK, len(spikes)), out.shape[1]), narrow)
        for start in range(0, len(spikes), _BLOCK):
            rows = spikes[start : start + _BLOCK]
            if self._several >= _SEVERAL:
                add_small_rows(rows, self._by_source, self._several // 8 * 8, sums[: len(rows)])
            else:
                add_rows(rows, self._by_source, sums[: len(rows)])
            out[start : start + _BLOCK] = sums[: len(rows)]


def compiled() -> bool:
    """Return whether the kernel is loaded already."""
    return _KERNEL in sys.modules


def over_rows(work: Callable[[slice], None], rows: int) -> None:
    """Call ``work`` with slices that cover ``rows``, on all cores."""
    edges = np.linspace(0, rows, cores() + 1).astype(int).tolist()
    # Threads of ours and not numba's: those must not be entered from two threads at once.
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, map(slice, edges[:-1], edges[1:])))

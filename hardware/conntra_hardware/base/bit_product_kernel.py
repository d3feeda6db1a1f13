"""The inner loop of ``popcount``, apart because it imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from conntra_hardware.base.jit import jit

__all__ = ["count_products"]

_ROWS = 64


@intrinsic
def _ones(typing_context: Any, word: Any) -> Any:
    """Population count, which numba has no name for."""
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


_count: Any = _ones  # called without the typing context, which the decorator gives it


@jit
def count_products(rows: Any, plus: Any, minus: Any, out: Any) -> None:
    """Write the products of words of spikes (n, words) with those of weights (targets, words) into out (n, targets)."""
    for start in range(0, len(rows), _ROWS):
        stop = min(start + _ROWS, len(rows))
        for target in range(len(plus)):
            above, below = plus[target], minus[target]
            for row in range(start, stop):
                spikes = rows[row]
                total = np.int64(0)
                for word in range(len(spikes)):
                    total += np.int64(_count(spikes[word] & above[word])) - np.int64(_count(spikes[word] & below[word]))
                out[row, target] = total

"""Whether a spike meets a synapse, by words of 64 sources: apart because it imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["overlaps"]


@jit
def overlaps(spiking: Any, wired: Any, out: Any) -> None:
    """Write into ``out`` (rows, targets) whether words (rows, words) and (targets, words) share a bit."""
    rows, count = spiking.shape
    live = np.empty(count, np.int64)
    for row in range(rows):
        lives = 0
        for word in range(count):
            if spiking[row, word]:
                live[lives] = word
                lives += 1
        for target in range(len(wired)):
            met = False
            for k in range(lives):
                if spiking[row, live[k]] & wired[target, live[k]]:
                    met = True
                    break
            out[row, target] = met

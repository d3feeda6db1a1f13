"""Whether a spike meets a synapse, by words of 64 sources: apart because it imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["count_traced", "overlaps"]


@jit
def overlaps(spiking: Any, wired: Any, out: Any) -> None:
    """Set in ``out`` (rows, targets) where words (rows, words) and (targets, words) share a bit, and leave the rest."""
    rows, count = spiking.shape
    live = np.empty(count, np.int64)
    for row in range(rows):
        lives = 0
        for word in range(count):
            if spiking[row, word]:
                live[lives] = word
                lives += 1
        for target in range(len(wired)):
            if out[row, target]:
                continue
            for k in range(lives):
                if spiking[row, live[k]] & wired[target, live[k]]:
                    out[row, target] = True
                    break


@jit
def count_traced(
    traces: Any, first: int, last: int, spiking: Any, wired: Any, biased: Any, groups: Any, out: Any
) -> None:
    """Take off ``out`` (rows, groups), rows ``first`` to ``last``, the neurons that are not busy.

    ``traces`` (rows, neurons): bit 0, a neuron carries something on to the next row, the last row to the first; bit 1,
    something arrived. Busy is it also with a bias, or where words (rows, words) and (neurons, words) share a bit.
    """
    rows, size = traces.shape
    count = spiking.shape[1]
    live = np.empty(count, np.int64)
    quiet = np.empty(size + 1, np.int64)
    for row in range(first, last):
        before, here = traces[row - 1 if row else rows - 1], traces[row]
        quiets = 0
        for i in range(size):  # without a branch, then the few that are left
            quiet[quiets] = i
            quiets += not (biased[i] | (before[i] & 1) | (here[i] & 2))
        lives = 0
        for word in range(count):
            if spiking[row, word]:
                live[lives] = word
                lives += 1
        idle = 0
        for q in range(quiets):
            met = False
            for k in range(lives):
                if spiking[row, live[k]] & wired[quiet[q], live[k]]:
                    met = True
                    break
            if not met:
                quiet[idle] = quiet[q]
                idle += 1
        for q in range(idle):
            out[row, groups[quiet[q]]] -= 1

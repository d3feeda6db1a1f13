"""The inner loops of ``spike_product`` and of counting events, apart because they import numba.

Spikes are bytes of 0 or 1, (n, sources).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["add_rows", "tally_rows"]


@njit(nogil=True, cache=True)
def _list_active(spikes: Any, active: Any) -> int:
    """Write the sources that spike into ``active``, one longer than they are; return their number."""
    count = 0
    for source in range(len(spikes)):  # without a branch: which sources spike is hard to predict
        active[count] = source
        count += spikes[source]
    return count


@njit(nogil=True, cache=True)
def add_rows(spikes: Any, weights: Any, out: Any) -> None:
    """Write into out (n, targets) the sums of the rows of ``weights`` (sources, targets) of the sources that spike.

    Eight rows are added at a time, so that a sum is loaded and stored once for them; in the type of ``out``, so that 32
    of 16 bits fit in a vector.
    """
    rows, sources = spikes.shape
    targets = weights.shape[1]
    active = np.empty(sources + 1, np.int64)
    exact = out.dtype.type
    for row in range(rows):
        count = _list_active(spikes[row], active)
        sums = out[row]
        for target in range(targets):
            sums[target] = 0
        at = 0
        while at + 8 <= count:
            a, b, c, d = weights[active[at]], weights[active[at + 1]], weights[active[at + 2]], weights[active[at + 3]]
            at += 4
            e, f, g, h = weights[active[at]], weights[active[at + 1]], weights[active[at + 2]], weights[active[at + 3]]
            at += 4
            for t in range(targets):
                first = exact(a[t]) + exact(b[t]) + exact(c[t]) + exact(d[t])
                sums[t] += first + exact(e[t]) + exact(f[t]) + exact(g[t]) + exact(h[t])
        while at < count:
            a = weights[active[at]]
            for t in range(targets):
                sums[t] += a[t]
            at += 1


@njit(nogil=True, cache=True)
def tally_rows(spikes: Any, group: Any, of_all: Any, of_groups: Any, all_sums: Any, group_sums: Any) -> None:
    """Add up, of the sources that spike, rows of ``of_all`` (sources, k) and of ``of_groups`` (sources, m).

    Those go into ``all_sums`` (n, k), these into ``group_sums`` (n, groups, m), each where its source's ``group`` is.
    """
    rows, sources = spikes.shape
    active = np.empty(sources + 1, np.int64)
    for row in range(rows):
        count = _list_active(spikes[row], active)
        for at in range(count):
            source = active[at]
            for k in range(of_all.shape[1]):
                all_sums[row, k] += of_all[source, k]
            for m in range(of_groups.shape[1]):
                group_sums[row, group[source], m] += of_groups[source, m]

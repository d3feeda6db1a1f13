"""The inner loops of ``spike_product`` and of counting events, apart because they import numba.

Spikes are bytes of 0 or 1, (n, sources).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["add_rows", "add_small_rows", "tally_ranges", "tally_rows"]


@jit
def _list_active(spikes: Any, active: Any) -> int:
    """Write the sources that spike into ``active``, one longer than they are; return their number."""
    count = 0
    for source in range(len(spikes)):  # without a branch: which sources spike is hard to predict
        active[count] = source
        count += spikes[source]
    return count


@jit
def add_rows(spikes: Any, weights: Any, out: Any) -> None:
    """Write into out (n, targets) the sums of the rows of ``weights`` (sources, targets) of the sources that spike.

    Eight rows are added at a time, so that a sum is loaded and stored once for them; in the type of ``out``, so that 32
    of 16 bits fit in a vector.
    """
    rows, sources = spikes.shape
    active = np.empty(sources + 1, np.int64)
    for row in range(rows):
        count = _list_active(spikes[row], active)
        out[row, :] = 0
        _add(active[:count], weights, out[row])


@jit
def add_small_rows(spikes: Any, weights: Any, several: int, out: Any) -> None:
    """Do what ``add_rows`` does, ``several`` rows at a time in the type of the weights, which must hold their sum."""
    rows, sources = spikes.shape
    active = np.empty(sources + 1, np.int64)
    part = np.empty(weights.shape[1], weights.dtype)
    for row in range(rows):
        count = _list_active(spikes[row], active)
        sums = out[row]
        sums[:] = 0
        for at in range(0, count, several):
            part[:] = 0
            _add(active[at : min(at + several, count)], weights, part)
            for t in range(len(part)):
                sums[t] += part[t]


@jit(inline="always")
def _add(active: Any, weights: Any, sums: Any) -> None:
    exact = sums.dtype.type
    at = 0
    while at + 8 <= len(active):
        a, b, c, d = weights[active[at]], weights[active[at + 1]], weights[active[at + 2]], weights[active[at + 3]]
        at += 4
        e, f, g, h = weights[active[at]], weights[active[at + 1]], weights[active[at + 2]], weights[active[at + 3]]
        at += 4
        for t in range(len(sums)):
            first = exact(a[t]) + exact(b[t]) + exact(c[t]) + exact(d[t])
            sums[t] += first + exact(e[t]) + exact(f[t]) + exact(g[t]) + exact(h[t])
    while at < len(active):
        a = weights[active[at]]
        for t in range(len(sums)):
            sums[t] += a[t]
        at += 1


@jit
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


@jit
def tally_ranges(spikes: Any, edges: Any, of_all: Any, of_groups: Any, all_sums: Any, group_sums: Any) -> None:
    """Do what ``tally_rows`` does for groups of neighbours and few sums, without a branch.

    Group g is the sources ``edges[g]`` to ``edges[g + 1]``; ``of_all`` (k, sources) and ``of_groups`` (m, sources).
    """
    for row in range(len(spikes)):
        for group in range(len(edges) - 1):
            start, stop = edges[group], edges[group + 1]
            spiking = spikes[row, start:stop]
            for k in range(len(of_all)):
                all_sums[row, k] += _dot(spiking, of_all[k, start:stop])
            for m in range(len(of_groups)):
                group_sums[row, group, m] = _dot(spiking, of_groups[m, start:stop])


@jit(inline="always")
def _dot(spiking: Any, values: Any) -> int:
    total = 0
    for i in range(len(spiking)):
        total += spiking[i] * values[i]
    return total

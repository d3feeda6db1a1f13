"""The inner loop of ``spike_convolution``, apart because it imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["convolve"]


@jit
def convolve(spikes: Any, weights: Any, rows: Any, columns: Any, across: int, sums: Any, out: Any) -> None:
    """Write into out (n, outputs * places) the convolution of spikes (n, channels * height * width).

    weights        (channels, kernel height, kernel width, outputs of a group)
    rows, columns  (height, kernel height) and (width, kernel width): the place at which a weight sees an input, or -1
    across         places in a row of the output
    sums           (groups, places, outputs of a group), for one sample
    """
    n, inputs = spikes.shape
    height, width = len(rows), len(columns)
    groups, places, outputs = sums.shape
    inner = len(weights) // groups
    active = np.empty(inputs + 1, np.int64)
    for sample in range(n):
        row_of = spikes[sample]
        count = 0
        for i in range(inputs):  # without a branch: which inputs spike is hard to predict
            active[count] = i
            count += row_of[i]
        sums[:] = 0
        for k in range(count):
            i = active[k]
            channel, at = i // (height * width), i % (height * width)
            y, x = at // width, at % width
            group = channel // inner
            for a in range(rows.shape[1]):
                if rows[y, a] < 0:
                    continue
                for b in range(columns.shape[1]):
                    if columns[x, b] < 0:
                        continue
                    target, row = sums[group, rows[y, a] * across + columns[x, b]], weights[channel, a, b]
                    for o in range(outputs):
                        target[o] += row[o]
        result = out[sample].reshape(groups * outputs, places)
        for group in range(groups):
            for p in range(places):
                for o in range(outputs):
                    result[group * outputs + o, p] = sums[group, p, o]

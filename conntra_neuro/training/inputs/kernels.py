"""The hot loops of inputs: products of active lists with weights and terms, and mini-batches gathered, shifted.

Their plain NumPy twins are the oracles of the tests. All floats here are exact; no sum is reordered.
"""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = [
    "gather_dense",
    "gather_sparse",
    "sparse_potentials",
    "sparse_scores",
]

_fast = jit


@_fast
def sparse_potentials(start, index, weights, out, first, last):
    """``out[first:last] = x @ weights`` of active lists; the last row of ``weights`` is the bias."""
    bias = weights[weights.shape[0] - 1]
    for n in range(first, last):
        z = out[n]
        for i in range(z.size):
            z[i] = bias[i]
        for e in range(start[n], start[n + 1]):
            row = weights[index[e]]
            for i in range(z.size):
                z[i] += row[i]


@_fast
def sparse_scores(start, index, q, out, first, last):
    """``out[:, first:last] = x.T @ q``, in strips of columns that stay in the cache."""
    n_in = out.shape[0] - 1
    for left in range(first, last, 64):
        right = min(left + 64, last)
        out[:, left:right] = 0
        bias = out[n_in, left:right]
        for n in range(q.shape[0]):
            gains = q[n, left:right]
            for e in range(start[n], start[n + 1]):
                row = out[index[e], left:right]
                for i in range(gains.size):
                    row[i] += gains[i]
            for i in range(gains.size):
                bias[i] += gains[i]


@_fast
def gather_sparse(start, index, rows, shifts, table):
    """Active lists of ``rows``, shifted; ``table`` is ``Inputs._columns``, its last row the image's size."""
    moved = table.shape[0] > 0
    size = 0
    for row in rows:
        size += start[row + 1] - start[row]
    out_start = np.empty(rows.size + 1, dtype=np.int64)
    out = np.empty(size, dtype=index.dtype)
    at = 0
    for n in range(rows.size):
        out_start[n] = at
        row = rows[n]
        if not moved:
            count = start[row + 1] - start[row]
            out[at : at + count] = index[start[row] : start[row + 1]]
            at += count
            continue
        height, width = table[table.shape[0] - 1]
        for e in range(start[row], start[row + 1]):
            r, c = table[index[e], 0] + shifts[n, 0], table[index[e], 1] + shifts[n, 1]
            if 0 <= r < height and 0 <= c < width:
                out[at] = index[e] + shifts[n, 0] * width + shifts[n, 1]
                at += 1
    out_start[rows.size] = at
    return out_start, out[:at]


@_fast
def gather_dense(x, rows, shifts, table, out):
    """``out[:, :-1]`` (zeros before) = the rows of ``x``, shifted; ``out[:, -1] = 1``."""
    moved = table.shape[0] > 0
    for n in range(rows.size):
        source = x[rows[n]]
        target = out[n]
        target[target.size - 1] = 1
        if not moved:
            for j in range(source.size):
                target[j] = source[j]
            continue
        height, width = table[table.shape[0] - 1]
        for j in range(source.size):
            if source[j]:
                r, c = table[j, 0] + shifts[n, 0], table[j, 1] + shifts[n, 1]
                if 0 <= r < height and 0 <= c < width:
                    target[j + shifts[n, 0] * width + shifts[n, 1]] = 1

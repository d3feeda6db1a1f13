"""Training images, each shifted and bent on its own, anew in every sweep: how, and the loops that do it.

A shift is two whole numbers an image. An elastic distortion (after Simard, Steinkraus and Platt, 2003) is the
displacement of a grid of 4 x 4 control points, in 64ths of a pixel; between them it is bilinear, and a pixel takes the
value of the nearest one that it comes from. All of it is whole numbers, so it is the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_neuro.training.inputs.image import GRID, UNIT

__all__ = ["bend_dense", "bend_sparse", "control_table"]


_fast = jit


def control_table(rows: int, columns: int) -> npt.NDArray[np.int32]:
    """Return for each row, then each column: the cell of the grid that it lies in, and how far in, in ``UNIT``."""
    sides = []
    for size in (rows, columns):
        place = np.arange(size) * ((GRID - 1) * UNIT) // max(size - 1, 1)
        cell = np.minimum(place // UNIT, GRID - 2)
        sides.append(np.stack([cell, place - cell * UNIT], axis=1))
    return np.concatenate(sides).astype(np.int32)


@_fast
def _sources(moves, table, rows, columns, out):
    """``out`` (rows * columns,): the pixel that each pixel comes from, -1 where that is outside."""
    half, shift = 1 << 17, 18  # a displacement is in 1 / (UNIT ** 3) pixels
    line = np.empty((2, GRID), dtype=np.int64)
    for r in range(rows):
        cell, within = table[r, 0], table[r, 1]
        for axis in range(2):
            for k in range(GRID):
                at = axis * GRID * GRID + cell * GRID + k
                line[axis, k] = moves[at] * (UNIT - within) + moves[at + GRID] * within
        for c in range(columns):
            cell, within = table[rows + c, 0], table[rows + c, 1]
            down = line[0, cell] * (UNIT - within) + line[0, cell + 1] * within
            right = line[1, cell] * (UNIT - within) + line[1, cell + 1] * within
            y, x = r + ((down + half) >> shift), c + ((right + half) >> shift)
            out[r * columns + c] = y * columns + x if 0 <= y < rows and 0 <= x < columns else -1


@_fast
def bend_sparse(start, index, which, moves, table, channels, rows, columns):
    """Active lists of the images ``which``, bent by ``moves`` (B, 32)."""
    size = rows * columns
    image, source = np.zeros(channels * size, dtype=np.bool_), np.empty(size, dtype=np.int32)
    out_start = np.empty(which.size + 1, dtype=np.int64)
    out = np.empty(2 * (start[which[0] + 1] - start[which[0]]) * which.size + image.size, dtype=index.dtype)
    at = 0
    for n in range(which.size):
        out_start[n] = at
        if at + image.size > out.size:
            longer = np.empty(2 * out.size + image.size, dtype=index.dtype)
            longer[:at] = out[:at]
            out = longer
        active = index[start[which[n]] : start[which[n] + 1]]
        for e in range(active.size):
            image[active[e]] = True
        _sources(moves[n], table, rows, columns, source)
        for channel in range(channels):
            for p in range(size):
                if source[p] >= 0 and image[channel * size + source[p]]:
                    out[at] = channel * size + p
                    at += 1
        for e in range(active.size):
            image[active[e]] = False
    out_start[which.size] = at
    return out_start, out[:at]


@_fast
def bend_dense(x, which, moves, table, channels, rows, columns, out):
    """``out[:, :-1]`` = the images ``which`` of ``x``, bent by ``moves`` (B, 32); ``out[:, -1] = 1``."""
    size = rows * columns
    source = np.empty(size, dtype=np.int32)
    for n in range(which.size):
        image, target = x[which[n]], out[n]
        _sources(moves[n], table, rows, columns, source)
        for channel in range(channels):
            for p in range(size):
                target[channel * size + p] = image[channel * size + source[p]] if source[p] >= 0 else 0
        target[target.size - 1] = 1

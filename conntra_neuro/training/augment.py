"""Training images, each shifted and bent on its own, anew in every sweep: how, and the loops that do it.

A shift is two whole numbers an image. An elastic distortion (after Simard, Steinkraus and Platt, 2003) is the
displacement of a grid of 4 x 4 control points, in 64ths of a pixel; between them it is bilinear, and a pixel takes the
value of the nearest one that it comes from. All of it is whole numbers, so it is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.training.task import Task

__all__ = ["ELASTIC_LIMIT", "Augmentation", "bend_dense", "bend_sparse", "control_table"]

_GRID = 4  # control points along each side of an image
_UNIT = 64  # parts of a pixel, and of a cell of the grid
ELASTIC_LIMIT = 100.0  # pixels; far more than makes sense, and int16 holds any draw of it

_LARGE = 20  # pixels along the shorter side of an image, from which on it is augmented unasked
_WIDE = 512  # hidden units

_fast = nb.njit(nogil=True, cache=True)


@dataclass(frozen=True)
class Augmentation:
    """By how many pixels images are moved: shifted by up to ``shift``, bent by about ``elastic``."""

    shift: int = 0
    elastic: float = 0.0

    @classmethod
    def of(cls, shift: int | None, elastic: float | None, task: Task) -> Augmentation:
        """Return what is asked for, and what suits the images where nothing is: docs/training.md has the evidence.

        Small images, networks of fewer than 512 hidden units, convolutions, and inputs of several time steps are left
        alone. InputError for a shift that leaves nothing of an image.
        """
        image, usual = task.image, cls()
        if image is not None and (shift or 0) >= min(image.rows, image.columns):
            raise InputError(
                f"shift {shift}: images are {image.rows} x {image.columns} pixels; "
                f"0 to {min(image.rows, image.columns) - 1} allowed"
            )
        if image is not None and image.n_in == task.sizes[0] and _is_wide(task):
            usual = cls(1, 1.0) if min(image.rows, image.columns) >= _LARGE else cls()
        return cls(usual.shift if shift is None else shift, usual.elastic if elastic is None else elastic)

    def __bool__(self) -> bool:
        return bool(self.shift or self.elastic)

    def draw(self, rng: np.random.Generator, n: int) -> IntArray | None:
        """Return how each of ``n`` images is moved; None where none is.

        (n, 2): whole pixels down and to the right; with ``elastic`` (n, 32): displacements of the control points,
        normal with a standard deviation of ``elastic`` pixels, and the image's shift.
        """
        shifts = rng.integers(-self.shift, self.shift + 1, size=(n, 2)) if self.shift else None
        if not self.elastic:
            return shifts
        bent = np.rint(rng.standard_normal((n, 2, _GRID**2), dtype=np.float32) * np.float32(self.elastic * _UNIT))
        if shifts is not None:
            bent -= _UNIT * shifts[:, :, None]  # a pixel comes from where the image was
        return np.clip(bent, -(2**15), 2**15 - 1).astype(np.int16).reshape(n, -1)


def _is_wide(task: Task) -> bool:
    """Say whether the network is dense and has 512 hidden units or more."""
    return task.layered is None and sum(task.sizes[1:-1]) >= _WIDE


def control_table(rows: int, columns: int) -> npt.NDArray[np.int32]:
    """Return for each row, then each column: the cell of the grid that it lies in, and how far in, in ``_UNIT``."""
    sides = []
    for size in (rows, columns):
        place = np.arange(size) * ((_GRID - 1) * _UNIT) // max(size - 1, 1)
        cell = np.minimum(place // _UNIT, _GRID - 2)
        sides.append(np.stack([cell, place - cell * _UNIT], axis=1))
    return np.concatenate(sides).astype(np.int32)


@_fast
def _sources(moves, table, rows, columns, out):
    """``out`` (rows * columns,): the pixel that each pixel comes from, -1 where that is outside."""
    half, shift = 1 << 17, 18  # a displacement is in 1 / (_UNIT ** 3) pixels
    line = np.empty((2, _GRID), dtype=np.int64)
    for r in range(rows):
        cell, within = table[r, 0], table[r, 1]
        for axis in range(2):
            for k in range(_GRID):
                at = axis * _GRID * _GRID + cell * _GRID + k
                line[axis, k] = moves[at] * (_UNIT - within) + moves[at + _GRID] * within
        for c in range(columns):
            cell, within = table[rows + c, 0], table[rows + c, 1]
            down = line[0, cell] * (_UNIT - within) + line[0, cell + 1] * within
            right = line[1, cell] * (_UNIT - within) + line[1, cell + 1] * within
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

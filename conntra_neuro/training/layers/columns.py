"""Images to columns and back, channel last: the loops under every convolution of the trainer.

A column is what one place of the kernel sees. ``gather`` copies, ``scatter`` adds back what ``gather`` copied; each
sample on its own and always in one order, so the number of threads changes nothing.

What a row of a kernel sees lies in one piece, all channels of all its columns, unless the kernel is dilated or has
groups: these two have loops of their own, over single channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.threads import Threads

__all__ = ["Columns"]

Floats = npt.NDArray[Any]
_fast = jit


class Columns:
    """Copies images to columns and adds columns back to images, of one convolution.

    Columns are (groups, n, places, kernel height * width * channels of a group).
    """

    def __init__(self, geometry: Geometry, threads: Threads) -> None:
        self._threads, self._pieces = threads, _in_pieces(geometry)
        self._numbers = _shape(geometry) if self._pieces else _sizes(geometry)
        inner = geometry.kernel[0] * geometry.kernel[1] * geometry.kernel_shape[1]
        self.places = geometry.positions
        self._shape = (geometry.groups, self.places, inner)

    def room(self, n: int, dtype: Any) -> Floats:
        """Return room for the columns of ``n`` images."""
        groups, places, inner = self._shape
        return np.empty((groups, n, places, inner), dtype)

    def gather(self, x: Floats, room: Floats) -> Floats:
        """Return the columns of x (n, h, w, channels), a view of ``room``, which has room for n or more."""
        out = room[:, : len(x)]
        if self._pieces:
            flat = np.ascontiguousarray(x).reshape(-1)
            self._threads.run(_gather_pieces, len(x), flat, *self._numbers, out.reshape(-1))
        else:
            self._threads.run(_gather, len(x), x, *self._numbers, out)
        return out

    def scatter(self, columns: Floats, out: Floats) -> None:
        """Add all columns' entries to ``out`` (n, h, w, channels), at the places that they came from."""
        if self._pieces:
            flat = np.ascontiguousarray(columns).reshape(-1)
            self._threads.run(_scatter_pieces, len(out), flat, *self._numbers, out.reshape(-1))
        else:
            self._threads.run(_scatter, len(out), columns, *self._numbers, out)


def _in_pieces(g: Geometry) -> bool:
    return g.groups == 1 and g.dilation[1] == 1


def _shape(g: Geometry) -> tuple[int, ...]:
    """Return output rows and columns, kernel, stride, padding, rows between those of the kernel, and the input's shape,
    in which columns and channels are one.
    """
    channels, height, width = g.input_shape
    sizes = (*g.output_shape[1:], g.kernel[0], g.kernel[1] * channels, g.stride[0], g.stride[1] * channels)
    return (*sizes, g.padding[0], g.padding[1] * channels, g.dilation[0], height, width * channels)


def _sizes(g: Geometry) -> tuple[int, ...]:
    return (*g.output_shape[1:], *g.kernel, *g.stride, *g.padding, *g.dilation, g.groups)


@_fast
def _gather(x, rows, width, kernel_h, kernel_w, down, right, top, left, below, beside, groups, out, first, last):
    inner = x.shape[3] // groups
    for n in range(first, last):
        for r in range(rows):
            for c in range(width):
                for a in range(kernel_h):
                    y = r * down + a * below - top
                    for b in range(kernel_w):
                        z = c * right + b * beside - left
                        at = (a * kernel_w + b) * inner
                        inside = 0 <= y < x.shape[1] and 0 <= z < x.shape[2]
                        for g in range(groups):
                            target = out[g, n, r * width + c]
                            for i in range(inner):
                                target[at + i] = x[n, y, z, g * inner + i] if inside else 0


# Unsigned places: numba asks of any other whether it counts from the end, which costs up to eight times as much.
@_fast
def _gather_pieces(x, rows, width, kernel_h, run, down, right, top, left, below, height, wide, out, first, last):
    at = np.uint64(first * rows * width * kernel_h * run)
    length = np.uint64(run)
    for n in range(first, last):
        for r in range(rows):
            for c in range(width):
                begin = c * right - left
                for a in range(kernel_h):
                    y = r * down + a * below - top
                    line = (n * height + y) * wide
                    if y < 0 or y >= height:
                        for i in range(length):
                            out[at + i] = 0
                    elif begin >= 0 and begin + run <= wide:
                        source = np.uint64(line + begin)
                        for i in range(length):
                            out[at + i] = x[source + i]
                    else:
                        for i in range(run):
                            inside = 0 <= begin + i < wide
                            out[at + np.uint64(i)] = x[line + begin + i] if inside else 0
                    at += length


@_fast
def _scatter_pieces(columns, rows, width, kernel_h, run, down, right, top, left, below, height, wide, out, first, last):
    at = np.uint64(first * rows * width * kernel_h * run)
    length = np.uint64(run)
    for n in range(first, last):
        for r in range(rows):
            for c in range(width):
                begin = c * right - left
                for a in range(kernel_h):
                    y = r * down + a * below - top
                    line = (n * height + y) * wide
                    if y < 0 or y >= height:
                        pass
                    elif begin >= 0 and begin + run <= wide:
                        target = np.uint64(line + begin)
                        for i in range(length):
                            out[target + i] += columns[at + i]
                    else:
                        for i in range(max(0, -begin), min(run, wide - begin)):
                            out[line + begin + i] += columns[at + np.uint64(i)]
                    at += length


@_fast
def _scatter(columns, rows, width, kernel_h, kernel_w, down, right, top, left, below, beside, groups, out, first, last):
    inner = out.shape[3] // groups
    for n in range(first, last):
        for r in range(rows):
            for c in range(width):
                for a in range(kernel_h):
                    y = r * down + a * below - top
                    if y < 0 or y >= out.shape[1]:
                        continue
                    for b in range(kernel_w):
                        z = c * right + b * beside - left
                        if z < 0 or z >= out.shape[2]:
                            continue
                        at = (a * kernel_w + b) * inner
                        target = out[n, y, z]
                        for g in range(groups):
                            source = columns[g, n, r * width + c]
                            for i in range(inner):
                                target[g * inner + i] += source[at + i]

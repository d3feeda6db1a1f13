"""The linear maps of a layer, forward, backward and as scores; and pooling.

A map takes rows (samples times time steps). Weights are (inputs of a unit + 1, outputs), biases in the last row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.layers.columns import Columns
from conntra_neuro.training.threads import Threads

__all__ = ["TERMS", "Places", "down", "max_gain", "pooled", "potentials", "score", "seen", "spread_out"]

Floats = npt.NDArray[Any]
TERMS = 4096
"""Terms of a score that are summed in the layer's own precision; sums of those are added up in float64."""


_TILE = 2048
"""Rows of columns at a time: few enough to stay in the cache between the copy and the product [bench_conv_step]."""


@dataclass(frozen=True)
class Places:
    """What the places of a kernel see of images x (n, height, width, channels): copied tile by tile where it is used.

    All columns at once are as many copies of the images as a kernel has weights: writing and reading them takes as long
    as the products.
    """

    x: Floats
    geometry: Geometry
    threads: Threads

    def tiles(self) -> Iterator[tuple[slice, Floats]]:
        """Yield rows, and their columns (groups, rows, inputs of a unit), which the next tile overwrites."""
        columns = Columns(self.geometry, self.threads)
        places = columns.places
        size = min(max(1, _TILE // places), len(self.x))
        room = columns.room(size, self.x.dtype)
        for first in range(0, len(self.x), size):
            images = self.x[first : first + size]
            found = columns.gather(images, room)
            rows = slice(first * places, (first + len(images)) * places)
            yield rows, found.reshape(found.shape[0], -1, found.shape[3])


def seen(x: Floats, geometry: Geometry | None, threads: Threads) -> Floats | Places:
    """Return what each unit sees: (1, rows, inputs of a unit), or of a convolution what its places see."""
    return x.reshape(1, len(x), -1) if geometry is None else Places(x, geometry, threads)


def potentials(columns: Floats | Places, weights: Floats) -> Floats:
    """Return ``columns @ weights`` (rows, outputs), biases included; groups side by side."""
    if not isinstance(columns, Places):
        found = columns[0] @ weights[:-1]
        return np.add(found, weights[-1], out=found)
    groups, inner = columns.geometry.groups, len(weights) - 1
    kernel = weights[:-1].reshape(inner, groups, -1).transpose(1, 0, 2)
    rows_in_all = len(columns.x) * columns.geometry.positions
    found = np.empty((rows_in_all, weights.shape[1]), np.result_type(columns.x, weights))
    for rows, part in columns.tiles():
        out = found[rows]
        if groups == 1:
            np.dot(part[0], weights[:-1], out=out)
        else:
            out.reshape(len(out), groups, -1)[...] = np.matmul(part, kernel).transpose(1, 0, 2)
        out += weights[-1]
    return found


def score(columns: Floats | Places, q: Floats) -> npt.NDArray[np.float64]:
    """Return ``columns.T @ q`` (inputs of a unit + 1, outputs), q (rows, outputs); the bias in the last row.

    Sums of ``TERMS`` rows are exact in the columns' own type (q lies on a grid that sees to it); they are added in
    float64, in which all of them are exact.
    """
    tiles = columns.tiles() if isinstance(columns, Places) else iter([(slice(0, len(q)), columns)])
    out: npt.NDArray[np.float64] | None = None
    ones = np.ones(TERMS, q.dtype)
    for rows, tile in tiles:
        groups, _, inner = tile.shape
        if out is None:
            out = np.zeros((groups, inner + 1, q.shape[1] // groups))
        parts = q[rows].reshape(-1, groups, out.shape[2])
        for first in range(0, len(parts), TERMS):
            part = slice(first, first + TERMS)
            for g in range(groups):
                own = np.ascontiguousarray(parts[part, g])
                out[g, :-1] += tile[g, part].T @ own
                out[g, -1] += ones[: len(own)] @ own
    assert out is not None
    return out.transpose(1, 0, 2).reshape(out.shape[1], -1)


def down(q: Floats, weights: Floats, geometry: Geometry | None, n: int, threads: Threads) -> Floats:
    """Return what the terms ``q`` (rows, outputs) are to the inputs, first order: (n, inputs), or images."""
    if geometry is None:
        return q @ weights[:-1].T
    groups, inner, places = geometry.groups, len(weights) - 1, geometry.positions
    channels, height, width = geometry.input_shape
    out = np.zeros((n, height, width, channels), np.result_type(q, weights))
    kernel = np.ascontiguousarray(weights[:-1].reshape(inner, groups, -1).transpose(1, 2, 0))
    back, size = Columns(geometry, threads), max(1, _TILE // places)
    for first in range(0, n, size):
        images = out[first : first + size]
        part = q[first * places : (first + len(images)) * places].reshape(-1, groups, kernel.shape[1])
        columns = np.matmul(part.transpose(1, 0, 2), kernel).reshape(groups, len(images), places, inner)
        back.scatter(columns, images)
    return out


def pooled(x: Floats, geometry: Geometry) -> Floats:
    """Return the sum of each window (n, rows, columns, channels) of x (n, height, width, channels)."""
    out = None
    for window in _windows(geometry):
        out = x[window].copy() if out is None else np.add(out, x[window], out=out)
    assert out is not None
    return out


def spread_out(gain: Floats, geometry: Geometry) -> Floats:
    """Return the gain of each input of a window whose sum has ``gain``."""
    channels, height, width = geometry.input_shape
    out = np.zeros((len(gain), height, width, channels), gain.dtype)
    for window in _windows(geometry):
        out[window] += gain
    return out


def max_gain(gain: Floats, x: Floats, sums: Floats, geometry: Geometry) -> Floats:
    """Return the gain of each 0/1 input of a window whose OR has ``gain``: exactly that where all others are off."""
    out = np.zeros_like(x)
    for window in _windows(geometry):
        out[window] += np.where(sums == x[window], gain, 0)
    return out


def _windows(g: Geometry) -> Iterator[tuple[slice, ...]]:
    _, rows, columns = g.output_shape
    for a in range(g.kernel[0]):
        for b in range(g.kernel[1]):
            ends = (a + (rows - 1) * g.stride[0] + 1, b + (columns - 1) * g.stride[1] + 1)
            yield slice(None), slice(a, ends[0], g.stride[0]), slice(b, ends[1], g.stride[1]), slice(None)

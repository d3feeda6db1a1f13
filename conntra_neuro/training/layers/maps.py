"""The linear maps of a layer, forward, backward and as scores; and pooling.

A map takes rows (samples times time steps). Weights are (inputs of a unit + 1, outputs), biases in the last row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.layers.columns import gather, scatter
from conntra_neuro.training.threads import Threads

__all__ = ["TERMS", "down", "max_gain", "pooled", "potentials", "score", "seen", "spread_out"]

Floats = npt.NDArray[Any]
TERMS = 4096
"""Terms of a score that are summed in the layer's own precision; sums of those are added up in float64."""


def seen(x: Floats, geometry: Geometry | None, threads: Threads) -> Floats:
    """Return what each unit sees: (groups, rows, inputs of a unit), where places of a kernel are rows of their own."""
    if geometry is None:
        return x.reshape(1, len(x), -1)
    found = gather(x, geometry, threads)
    return found.reshape(found.shape[0], -1, found.shape[3])


def potentials(columns: Floats, weights: Floats) -> Floats:
    """Return ``columns @ weights`` (rows, outputs), biases included; groups side by side."""
    groups, rows, inner = columns.shape
    if groups == 1:
        found = columns[0] @ weights[:-1]
        return np.add(found, weights[-1], out=found)
    kernel = weights[:-1].reshape(inner, groups, -1).transpose(1, 0, 2)
    return np.matmul(columns, kernel).transpose(1, 0, 2).reshape(rows, -1) + weights[-1]


def score(columns: Floats, q: Floats) -> npt.NDArray[np.float64]:
    """Return ``columns.T @ q`` (inputs of a unit + 1, outputs), q (rows, outputs); the bias in the last row.

    Sums of ``TERMS`` rows are exact in the columns' own type (q lies on a grid that sees to it); they are added in
    float64, in which all of them are exact.
    """
    groups, rows, inner = columns.shape
    out = np.zeros((groups, inner + 1, q.shape[1] // groups))
    parts = q.reshape(rows, groups, -1)
    for first in range(0, rows, TERMS):
        part = slice(first, first + TERMS)
        for g in range(groups):
            own = np.ascontiguousarray(parts[part, g])
            out[g, :-1] += columns[g, part].T @ own
            out[g, -1] += own.sum(axis=0, dtype=np.float64)
    return out.transpose(1, 0, 2).reshape(inner + 1, -1)


def down(q: Floats, weights: Floats, geometry: Geometry | None, n: int, threads: Threads) -> Floats:
    """Return what the terms ``q`` (rows, outputs) are to the inputs, first order: (n, inputs), or images."""
    if geometry is None:
        return q @ weights[:-1].T
    groups, inner = geometry.groups, len(weights) - 1
    if groups == 1:
        columns = (q @ weights[:-1].T)[None]
    else:
        kernel = weights[:-1].reshape(inner, groups, -1).transpose(1, 2, 0)
        columns = np.matmul(q.reshape(len(q), groups, -1).transpose(1, 0, 2), kernel)
    columns = np.ascontiguousarray(columns).reshape(groups, n, geometry.positions, inner)
    return scatter(columns, geometry, threads)


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

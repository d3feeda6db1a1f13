"""A layer as repair sees it: whole weights and biases that may move, neurons, pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.layers.maps import Places, down, pooled, potentials, score, seen, spread_out
from conntra_neuro.training.threads import Threads

__all__ = ["Stage", "Trace"]

Floats = npt.NDArray[Any]


@dataclass(eq=False)
class Trace:
    """What happened in a stage on a mini-batch: ``columns`` that its units saw, sums ``z``, outputs ``y`` before
    pooling, and what each pool took, in order. ``bias``: scores of biases, of neurons that live in time.
    """

    columns: Floats | Places
    z: Floats
    y: Floats
    pooled: list[Floats] = field(default_factory=list)
    bias: Any = None


@dataclass(eq=False)
class Stage:
    """Weights (inputs of a unit + 1, outputs), biases in the last row; rows of a kernel in the order (height, width,
    channel), inputs of a dense stage as images are here, channel last. All whole numbers, in float32.

    most       weights go from -most to most
    geometry   of a convolution, else None
    shift      (outputs,) of graded neurons, and ``ceiling`` of what they send; None in the readout
    pools      of what the neurons sent: ("max" or "sum", geometry)
    largest    (inputs of a unit,) that an input can be; sums of either sign with it stay within ``limit``
    step       (outputs,) by which a bias moves
    frozen     how many of the last outputs do not move
    """

    weight: Floats
    most: int
    geometry: Geometry | None
    shift: npt.NDArray[np.int64] | None
    ceiling: npt.NDArray[np.int64] | None
    pools: Sequence[tuple[str, Geometry]]
    largest: Floats
    limit: float
    step: Floats
    bias_limit: float
    frozen: int = 0

    def forward(self, x: Floats, threads: Threads) -> tuple[Floats, Trace]:
        """Return the outputs for ``x`` (n, inputs) or images, channel last, and what happened on the way."""
        columns = seen(x, self.geometry, threads)
        z = potentials(columns, self.weight)
        if self.geometry is not None:
            _, height, width = self.geometry.output_shape
            z = z.reshape(len(x), height, width, -1)
        y = z if self.shift is None else self._sent(z, threads)
        trace = Trace(columns, z, y)
        for kind, geometry in self.pools:
            trace.pooled.append(y)
            y = pooled(y, geometry) if kind == "sum" else _largest(y, geometry)
        return y, trace

    def _sent(self, z: Floats, threads: Threads) -> Floats:
        assert self.ceiling is not None
        y, flat = np.empty_like(z), z.reshape(-1, z.shape[-1])
        args = (flat, self._power, self.ceiling.astype(np.float32), y.reshape(flat.shape))
        threads.run(_send, len(flat), *args)
        return y

    @property
    def _power(self) -> Floats:
        assert self.shift is not None
        return np.exp2(-self.shift.astype(np.float32))

    def backward(self, gain: Floats, trace: Trace, threads: Threads) -> Floats:
        """Return the gains of the sums, (rows, outputs), from those of the outputs; first order."""
        for (kind, geometry), before in zip(reversed(self.pools), reversed(trace.pooled), strict=True):
            gain = spread_out(gain, geometry) if kind == "sum" else _to_largest(gain, before, geometry)
        flat = np.ascontiguousarray(gain.reshape(-1, gain.shape[-1]))
        if self.ceiling is None:
            return flat
        out = np.empty_like(flat)
        sums, sent = trace.z.reshape(flat.shape), trace.y.reshape(flat.shape)
        args = (flat, sums, sent, self._power, self.ceiling.astype(np.float32), out)
        threads.run(_sloped, len(flat), *args)
        return out

    def scores(self, terms: Floats, trace: Trace) -> Floats:
        """Return the gain of each weight and bias, summed over the mini-batch."""
        return score(trace.columns, terms).astype(np.float32)

    def down(self, terms: Floats, n: int, shape: tuple[int, ...], threads: Threads) -> Floats:
        """Return the gains of the inputs, of ``shape``."""
        return down(terms, self.weight, self.geometry, n, threads).reshape(shape)


@jit
def _send(z, power, ceiling, y, first, last):
    for n in range(first, last):
        for o in range(power.size):
            y[n, o] = min(max(np.floor(z[n, o] * power[o]), np.float32(0)), ceiling[o])


@jit
def _sloped(gain, z, y, power, ceiling, out, first, last):
    for n in range(first, last):
        for o in range(power.size):
            inside = z[n, o] > 0 and y[n, o] < ceiling[o]
            out[n, o] = gain[n, o] * power[o] if inside else np.float32(0)


def _windows(g: Geometry) -> list[tuple[slice, ...]]:
    _, rows, columns = g.output_shape
    found = []
    for a in range(g.kernel[0]):
        for b in range(g.kernel[1]):
            ends = (a + (rows - 1) * g.stride[0] + 1, b + (columns - 1) * g.stride[1] + 1)
            found.append((slice(None), slice(a, ends[0], g.stride[0]), slice(b, ends[1], g.stride[1])))
    return found


def _largest(x: Floats, geometry: Geometry) -> Floats:
    out: Floats | None = None
    for window in _windows(geometry):
        out = x[window].copy() if out is None else np.maximum(out, x[window], out=out)
    assert out is not None
    return out


def _to_largest(gain: Floats, x: Floats, geometry: Geometry) -> Floats:
    """Return the gains of the inputs: that of a window goes to its largest, the first where several are."""
    top = _largest(x, geometry)
    out, taken = np.zeros_like(x), np.zeros(top.shape, np.bool_)
    for window in _windows(geometry):
        here = (x[window] == top) & ~taken
        out[window] += gain * here
        taken |= here
    return out

"""A ReLU network in floating point as a chain of layers, and what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry

__all__ = ["FloatLayer", "FloatNet", "Grid", "Part", "Pool"]

Array = npt.NDArray[Any]
_VALUES = 2**24  # of a layer's image-to-column form at a time


@dataclass(frozen=True)
class Grid:
    """What 8-bit graphs round an activation to: ``(clip(round(x / scale) + zero, low, high) - zero) * scale``."""

    scale: float
    zero: int
    low: int
    high: int

    def apply(self, x: Array) -> Array:
        """Return ``x`` rounded and clipped."""
        return (np.clip(np.rint(x / self.scale) + self.zero, self.low, self.high) - self.zero) * self.scale


@dataclass(frozen=True)
class Pool:
    """Windows over each channel: ``kind`` "max", or "sum" (an average's division goes into the next weights)."""

    kind: str
    geometry: Geometry

    @property
    def overlaps(self) -> bool:
        """Whether windows share cells."""
        pairs = zip(self.geometry.kernel, self.geometry.stride, strict=True)
        return max(self.geometry.output_shape[1:]) > 1 and any(size > step for size, step in pairs)

    def apply(self, x: Array) -> Array:
        """Return the maxima or sums (n, outputs) of rows (n, inputs); what is outside of an image is 0."""
        windows = self.geometry.patches(x)
        found = windows.max(axis=(4, 5)) if self.kind == "max" else windows.sum(axis=(4, 5))
        return found.reshape(len(x), -1)


@dataclass(frozen=True, eq=False)
class Part:
    """What a sum takes from the outputs of layer ``source`` (-1: the features) beside the layer's own weights.

    ``weight``, ``geometry`` and ``plane`` are those of a ``FloatLayer``.
    """

    source: int
    weight: Array
    geometry: Geometry | None = None
    plane: Array | None = None


@dataclass(eq=False)
class FloatLayer:
    """Weights, a ReLU unless it is the last, then pooling.

    name     of the graph's node
    weight   (outputs, inputs), inputs flat in the order of what is before; or a kernel (outputs, inputs of a group,
             height, width) of ``geometry``
    bias     (outputs,)
    plane    (outputs, height, width): a convolution's kernel on one channel more, which is 1 inside and 0 where it
             pads: what a shift of its inputs before the padding adds; None is nothing
    top      what its ReLU stops at, as 6 in ReLU6
    grid     what its activation is rounded to, of 8-bit graphs
    pools    in order, behind the ReLU
    source   index of the layer whose outputs the weights see, -1 for the features, where layers are no chain
    parts    what it adds to its sums from other layers, until these are one chain (``branches.chained``)
    """

    name: str
    weight: Array
    bias: Array
    geometry: Geometry | None = None
    plane: Array | None = None
    rectified: bool = False
    top: float = np.inf
    grid: Grid | None = None
    pools: list[Pool] = field(default_factory=list)
    source: int = -1
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Number of its units, before pooling."""
        return len(self.bias) if self.geometry is None else self.geometry.n_out

    @property
    def stops(self) -> float:
        """Where its activation ends."""
        return self.top if self.grid is None else min(self.top, (self.grid.high - self.grid.zero) * self.grid.scale)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its outputs before pooling."""
        return (len(self.bias),) if self.geometry is None else self.geometry.output_shape

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of its outputs."""
        return self.pools[-1].geometry.output_shape if self.pools else self.shape

    def columns(self, x: Array) -> Array:
        """Return what each place of the kernel sees of rows ``x``: (groups, n * places, inputs of a group)."""
        if self.geometry is None:
            return x[None]
        return self.geometry.columns(x)

    def potentials(self, x: Array) -> Array:
        """Return the sums with their biases (n, units) of rows ``x`` (n, inputs)."""
        if self.geometry is None:
            return x @ self.weight.T.astype(x.dtype) + self.bias.astype(x.dtype)
        g = self.geometry
        kernel = self.weight.reshape(g.groups, g.out_channels // g.groups, -1).astype(x.dtype)
        out = np.empty((len(x), g.n_out), x.dtype)
        rows = max(1, _VALUES // max(1, g.positions * kernel.shape[2] * g.groups))
        for first in range(0, len(x), rows):
            seen = g.columns(x[first : first + rows])
            sums = np.matmul(seen, kernel.transpose(0, 2, 1)).reshape(g.groups, -1, g.positions, kernel.shape[1])
            block = sums.transpose(1, 0, 3, 2).reshape(-1, g.out_channels, g.positions)
            out[first : first + rows] = (block + self.bias.astype(x.dtype)[:, None]).reshape(-1, g.n_out)
        if self.plane is not None:
            out += self.border.astype(x.dtype)
        return out

    @property
    def border(self) -> Array:
        """What ``plane`` adds to each unit, (units,)."""
        g = self.geometry
        assert g is not None
        assert self.plane is not None
        ones = np.ones((1, int(np.prod(g.input_shape[1:]))))
        window = replace(g, input_shape=(1, *g.input_shape[1:]), groups=1)
        seen = window.columns(ones)[0]
        return (seen @ self.plane.reshape(len(self.plane), -1).T).T.ravel()

    def respond(self, potentials: Array) -> Array:
        """Return what the layer puts out, pooled, at its potentials."""
        y = np.clip(potentials, 0, self.top) if self.rectified else potentials
        y = y if self.grid is None else self.grid.apply(y).astype(y.dtype)
        for pool in self.pools:
            y = pool.apply(y)
        return y


@dataclass(eq=False)
class FloatNet:
    """``layers`` one behind the other, and the inputs that they take.

    order    where in the graph's flat input feature j lies
    shape    (features,) or (channels, height, width) of the features
    grid     what the graph rounds its input to (of 8-bit graphs)
    single   the last layer has one unit, whose sign tells two classes apart
    notes    what was left out
    """

    layers: list[FloatLayer]
    order: npt.NDArray[np.int64]
    shape: tuple[int, ...]
    grid: Grid | None = None
    single: bool = False
    notes: tuple[str, ...] = ()

    def entering(self, features: Array) -> Array:
        """Return what the first weights see of features (n, features), already divided by the scale."""
        return features if self.grid is None else self.grid.apply(features).astype(features.dtype)

    def activity(self, features: Array) -> list[tuple[Array, Array]]:
        """Return each layer's potentials and outputs, both (n, size)."""
        x, found = self.entering(features), []
        for layer in self.layers:
            z = layer.potentials(x)
            x = layer.respond(z)
            found.append((z, x))
        return found

    def logits(self, features: Array) -> Array:
        """Return the logits (n, classes)."""
        blocks = _blocks(len(features), self._widest)
        found = np.concatenate([self.activity(features[rows])[-1][1] for rows in blocks])
        return np.concatenate([np.zeros_like(found), found], axis=1) if self.single else found

    @property
    def _widest(self) -> int:
        return max(layer.size for layer in self.layers)


def _blocks(n: int, width: int) -> Sequence[slice]:
    size = max(1, _VALUES // max(width, 1))
    return [slice(first, first + size) for first in range(0, n, size)]

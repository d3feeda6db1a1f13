"""Fold: two linear maps, one behind the other, as one projection; and two side by side as one.

A layer without neurons has no population on the chip: its map goes into the weights of whatever comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.program import AnyProjection, ConvProjection, Projection, SparseProjection
from conntra_hardware.program.convolution import Geometry

__all__ = ["add_up", "compose"]


def compose(inner: AnyProjection | None, outer: AnyProjection) -> AnyProjection:
    """Return the projection that does ``inner``, then ``outer``, from the source of the one to the target of the other.

    A sum over windows goes into a kernel where that is exact at the borders; into dense weights always.
    """
    if inner is None:
        return outer
    if outer.delay:
        return replace(compose(inner, replace(outer, delay=0)), delay=outer.delay)
    if isinstance(inner, ConvProjection) and isinstance(outer, ConvProjection) and _exact(inner.geometry, outer):
        kernel, geometry = _joined(inner, outer)
        return ConvProjection(inner.source, outer.target, kernel, geometry)
    if isinstance(outer, Projection):
        # Sums of 32-bit weights stay below 2^63.
        weights = inner.matrix().T.astype(np.int64) @ outer.weights.T.astype(np.int64)
        return Projection(inner.source, outer.target, np.asarray(weights).T)
    product = outer.matrix().astype(np.int64) @ inner.matrix().astype(np.int64)
    return SparseProjection(inner.source, outer.target, product)


def add_up(projections: Sequence[AnyProjection]) -> tuple[AnyProjection, ...]:
    """Return ``projections`` with those between the same two populations, of the same delay, added up."""
    alike: dict[tuple[str, int], list[AnyProjection]] = {}
    for projection in projections:
        alike.setdefault((projection.source, projection.delay), []).append(projection)
    return tuple(_sum(same) if len(same) > 1 else same[0] for same in alike.values())


def _sum(same: Sequence[AnyProjection]) -> AnyProjection:
    first = same[0]
    if any(isinstance(p, Projection) for p in same):
        total = np.sum([p.weights.astype(np.int64) for p in same], axis=0)
        return Projection(first.source, first.target, total, first.delay)
    total = first.matrix().astype(np.int64)
    for other in same[1:]:
        total = total + other.matrix().astype(np.int64)
    return SparseProjection(first.source, first.target, total, first.delay)


def _exact(pool: Geometry, outer: ConvProjection) -> bool:
    """Return whether one kernel does both, borders included; ``pool`` must keep channels apart.

    The zeros that ``outer`` sees beyond the image of sums are, for one kernel, windows over the image's border: these
    must be empty, too.
    """
    if not pool.depthwise or pool.out_channels != pool.groups:
        return False
    after = outer.geometry
    for axis in (0, 1):
        count, side = pool.output_shape[1 + axis], pool.input_shape[1 + axis]
        places = np.arange(after.output_shape[1 + axis])[:, None] * after.stride[axis] - after.padding[axis]
        seen = np.unique(places + np.arange(after.kernel[axis]) * after.dilation[axis])
        first = seen * pool.stride[axis] - pool.padding[axis]
        empty = (first + pool.span[axis] <= 0) | (first >= side)
        if not np.all(empty | ((seen >= 0) & (seen < count))):
            return False
    return _geometry(pool, after).output_shape == after.output_shape


def _geometry(pool: Geometry, after: Geometry) -> Geometry:
    """Windows fill the gaps of a dilated kernel, all or in part: the one kernel that does both has none."""
    pairs = tuple(zip(pool.span, pool.stride, pool.padding, after.span, after.stride, after.padding, strict=True))
    kernel = tuple(k1 + (k2 - 1) * s1 for k1, s1, _, k2, _, _ in pairs)
    stride = tuple(s1 * s2 for _, s1, _, _, s2, _ in pairs)
    padding = tuple(p1 + p2 * s1 for _, s1, p1, _, _, p2 in pairs)
    shapes = {"input_shape": pool.input_shape, "kernel": kernel, "stride": stride, "padding": padding}
    return replace(after, dilation=(1, 1), **shapes)


def _joined(inner: ConvProjection, outer: ConvProjection) -> tuple[IntArray, Geometry]:
    pool, after = inner.geometry, outer.geometry
    geometry = _geometry(pool, after)
    kernel = np.zeros(geometry.kernel_shape, np.int64)
    # Each output's channels of its group, with the pooling kernel of each.
    outputs, inputs = after.out_channels // after.groups, after.kernel_shape[1]
    channel = np.arange(after.out_channels)[:, None] // outputs * inputs + np.arange(inputs)
    windows = inner.kernel[:, 0][channel].astype(np.int64)
    for a, b in np.ndindex(*after.kernel):
        top, left = a * after.dilation[0] * pool.stride[0], b * after.dilation[1] * pool.stride[1]
        rows = slice(top, top + pool.span[0], pool.dilation[0])
        columns = slice(left, left + pool.span[1], pool.dilation[1])
        kernel[:, :, rows, columns] += outer.kernel[:, :, a, b, None, None].astype(np.int64) * windows
    return kernel, geometry

"""What a layer takes of the one before it, and of earlier ones: one way of linear maps from each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.nir.float_layer import Branch, Map

__all__ = ["joined", "ways"]

Shape = tuple[int, ...]


def ways(
    what: str, terms: Sequence[Branch], shape: Shape, before: Sequence[Shape]
) -> tuple[tuple[Map, ...], tuple[Branch, ...]]:
    """Return the maps from the last of the layers ``before``, and the branches from others, whose sum is of ``shape``.

    terms   as the graph has them, without maps where spikes are added as they are, or several of one layer
    before  shapes of the layers so far; a layer -1 are the inputs
    InputError for terms that have no single map, in which ``what`` names the node.
    """
    if len(terms) == 1 and terms[0].source == len(before) - 1:
        return terms[0].maps, ()
    by_source: dict[int, tuple[Map, ...]] = {}
    for term in terms:
        maps = _to(what, term.maps, shape)
        source = term.source
        by_source[source] = _added(what, by_source[source], maps) if source in by_source else maps
    main = by_source.pop(len(before) - 1, None)
    if main is None:
        main = (_nothing(what, before[-1], shape),)
    return main, tuple(Branch(source, maps) for source, maps in sorted(by_source.items()))


def joined(maps: Sequence[Map]) -> np.ndarray:
    """Return the weights (out, in) of dense maps, one behind the other."""
    weight = maps[0].weight
    for linear in maps[1:]:
        weight = linear.weight @ weight
    return weight


def _to(what: str, maps: tuple[Map, ...], shape: Shape) -> tuple[Map, ...]:
    """Return maps, of an image one kernel, that give values of ``shape``."""
    if len(shape) != 3:
        return maps or (Map(np.eye(int(np.prod(shape)))),)
    if any(linear.geometry is not None for linear in maps) or len(maps) > 1:
        return maps
    scales = np.ones(shape) if not maps else np.diag(maps[0].weight).reshape(shape)
    if np.ptp(scales.reshape(len(scales), -1), axis=1).any():
        raise InputError(f"{what}: adds an image at scales that differ within a channel; one a channel expected")
    kernel = np.diag(scales[:, 0, 0])[:, :, None, None]
    return (Map(kernel, _pointwise(shape, shape[0])),)


def _pointwise(shape: Shape, channels: int) -> Geometry:
    return Geometry((shape[0], shape[1], shape[2]), channels, (1, 1))


def _nothing(what: str, before: Shape, shape: Shape) -> Map:
    """Return weights of 0: what stands before takes no part."""
    if len(shape) != 3:
        return Map(np.zeros((int(np.prod(shape)), int(np.prod(before)))))
    if len(before) != 3 or before[1:] != shape[1:]:
        raise InputError(
            f"{what}: beside a branch of shape {before}, from which it takes nothing; images of the same size can be "
            "beside one another"
        )
    return Map(np.zeros((shape[0], before[0], 1, 1)), _pointwise(before, shape[0]))


def _added(what: str, one: tuple[Map, ...], other: tuple[Map, ...]) -> tuple[Map, ...]:
    """Return the sum of two ways from the same layer."""
    if all(linear.geometry is None for linear in (*one, *other)):
        return (Map(joined(one) + joined(other)),)
    if len(one) == len(other) == 1:
        wide, narrow = sorted((one[0], other[0]), key=lambda linear: -linear.weight.size)
        g = wide.geometry
        if g == narrow.geometry:
            return (Map(wide.weight + narrow.weight, g),)
        if g is not None and narrow.geometry == _pointwise(g.input_shape, g.out_channels) and _stays(g):
            weight = wide.weight.copy()
            weight[:, :, g.kernel[0] // 2, g.kernel[1] // 2] += narrow.weight[:, :, 0, 0]
            return (Map(weight, g),)
    raise InputError(f"{what}: two ways from the same neurons, which are no single convolution; put neurons on one")


def _stays(g: Geometry) -> bool:
    """Return whether the middle of a kernel lies on the place that it gives a value for."""
    middle = tuple(size // 2 * apart for size, apart in zip(g.kernel, g.dilation, strict=True))
    odd = all(size % 2 for size in g.kernel)
    return odd and g.groups == 1 and g.stride == (1, 1) and g.padding == middle

"""What stands before the weights of a layer of a float graph: sums over windows, and weights that go into others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.exchange.nir.fitting import Seen
from conntra_neuro.exchange.nir.float_layer import Map
from conntra_neuro.exchange.nir.simulate import applied
from conntra_neuro.network import SumPool
from conntra_neuro.network.layers import Layer

__all__ = ["most_summed", "pooled", "pools_before"]

Array = npt.NDArray[np.float64]


def pools_before(name: str, maps: Sequence[Map]) -> tuple[list[Layer], Array]:
    """Return sums over windows before the weights as layers; an average and a scale go into the weights.

    InputError, with the ``name`` of the node, for weights before the last of ``maps`` that cannot go into them.
    """
    pools: list[Layer] = []
    weight, geometry = maps[-1].weight, maps[-1].geometry
    for linear in reversed(maps[:-1]):
        if linear.geometry is not None and linear.geometry.depthwise:
            g = linear.geometry
            share = float(linear.weight.flat[0])
            if np.ptp(linear.weight) > 0:
                raise InputError(f"node {name}: two convolutions without neurons between")
            pools.insert(0, SumPool(g.kernel, input_shape=g.input_shape, stride=g.stride, padding=g.padding))
            weight = weight * share
        elif linear.geometry is None and geometry is None:
            weight = weight @ linear.weight
        else:
            raise InputError(f"node {name}: weights behind weights without neurons between")
    return pools, weight


def most_summed(maps: Sequence[Map]) -> int:
    """Return the most spikes that the sums of ``maps`` before the weights add up."""
    pools = [linear.geometry for linear in maps if linear.geometry is not None]
    return int(np.prod([np.prod(geometry.kernel) for geometry in pools]))


def pooled(seen: Seen, before: Sequence[Map]) -> Seen:
    """Return what the weights see: sums over windows as whole numbers; weights before weights are merged."""
    maps = [linear for linear in before if linear.geometry is not None]
    if not maps:
        return seen
    share = float(np.prod([linear.weight.flat[0] for linear in maps]))
    n, steps, _ = seen.exact.shape
    exact, integers = (
        (applied(maps, x.reshape(n * steps, -1)) / share).reshape(n, steps, -1) for x in (seen.exact, seen.integers)
    )
    return Seen(exact, integers, seen.sent)

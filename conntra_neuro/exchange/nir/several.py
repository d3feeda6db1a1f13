"""Several spikes a step: as many neurons for one as it may send.

Such a neuron sends n spikes where its threshold t goes n times into v, and then has n t less. Of its copies, which all
take the same, copy k spikes at k t. Synapses between them make all of them lose n t by the next step, n of them having
spiked: -t from each to the others, (k - 1) t from copy k to itself, which has lost k t at once. Where v leaks, what is
lost a step later is less by the leak; where a current would go on with it, the same synapses take it back a step later.
Exact where thresholds are such that the synapses can hold their multiples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import Lif, values
from conntra_neuro.exchange.nir.whole import ROUNDING
from conntra_neuro.network import Conv2d, Dense, SumPool
from conntra_neuro.network.layers import Layer

__all__ = ["MOST_HELD", "Inputs", "copied", "differ", "held_by"]

Whole = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
_LARGEST = 127

MOST_HELD = _LARGEST * 2**7
"""The most that a synapse can take off, by the largest exponent of a chip."""


class Inputs:
    """Which float neuron each neuron of an integer layer is: ``units`` (neurons,); of an image each channel is one of
    ``channels``, else None.
    """

    def __init__(self, units: Whole, channels: Whole | None = None) -> None:
        self.units, self.channels = units, channels
        count = int(units.max()) + 1
        self.several = len(units) > count
        first = np.zeros(count, np.int64)
        ranks = np.empty(len(units), np.int64)
        for index, unit in enumerate(units):
            ranks[index] = first[unit]
            first[unit] += 1
        self._by_rank = [np.flatnonzero(ranks == rank) for rank in range(int(ranks.max()) + 1)]
        self._count = count

    def added(self, sent: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what the float neurons send, (..., count), of what the integer ones do, (..., neurons)."""
        found = np.zeros((*sent.shape[:-1], self._count), np.result_type(sent, np.int16))
        for chosen in self._by_rank:
            found[..., self.units[chosen]] += sent[..., chosen]
        return found

    def before(self, layers: Sequence[Layer]) -> list[Layer]:
        """Return ``layers`` that take from float neurons as layers that take from the integer ones."""
        if not self.several:
            return list(layers)
        units, channels, found = self.units, self.channels, []
        for layer in layers:
            if isinstance(layer, SumPool):
                assert channels is not None
                g = layer.geometry
                shape = (len(channels), *g.input_shape[1:])
                found.append(SumPool(g.kernel, input_shape=shape, stride=g.stride, padding=g.padding))
                places = np.arange(int(np.prod(g.output_shape[1:])))
                units = (channels[:, None] * len(places) + places).ravel()
            elif isinstance(layer, Conv2d):
                assert channels is not None
                g = layer.geometry
                inner = channels[: len(channels) // g.groups]
                window: dict[str, Any] = layer.geometry.window | {"input_shape": (len(channels), *g.input_shape[1:])}
                found.append(Conv2d(layer.weight[:, inner], layer.bias, layer.neuron, **window))
            else:
                assert isinstance(layer, Dense)
                found.append(Dense(layer.weight[:, units], layer.bias, layer.neuron))
        return found

    def inside(self, back: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return weights (neurons, neurons) of float neurons' ways back as those of the integer ones."""
        return back[self.units][:, self.units]

    def behind(self, way: Dense | Conv2d) -> Dense | Conv2d:
        """Return a connection that leads to the float neurons as one that leads to the integer ones."""
        if isinstance(way, Dense):
            return Dense(way.weight[self.units], None, way.neuron)
        assert self.channels is not None
        return Conv2d(way.weight[self.channels], None, way.neuron, **way.geometry.window)


def held_by(threshold: float, copies: int) -> int:
    """Return what thresholds up to ``threshold`` are multiples of, so that synapses hold what copies lose."""
    return 2 ** max(0, int(np.ceil(np.log2(max(threshold * max(1, copies - 1), 1) / _LARGEST))))


def copied(
    layer: Dense | Conv2d, counts: Whole, stays_u: Shares, stays_v: Shares, step: int
) -> tuple[Dense | Conv2d, list[tuple[Any, int]], Inputs]:
    """Return a layer with ``counts`` copies of each neuron (of a convolution of each channel, all the same), what leads
    from it back to itself, in multiples of ``step``, by delay, and which neuron each one is.

    stays_u, stays_v   the shares of u and v of each neuron that stay
    """
    assert isinstance(layer.neuron, Lif)
    channels = np.repeat(np.arange(len(counts)), counts)
    rank = np.concatenate([np.arange(1, count + 1) for count in counts])
    theta = np.broadcast_to(values(layer.neuron.threshold), (layer.n_out,))
    lost = step * np.rint(stays_v * theta / step).astype(np.int64)
    places = layer.n_out // len(counts)
    units = (channels[:, None] * places + np.arange(places)).ravel()
    thresholds = tuple((np.repeat(rank, places) * theta[units]).tolist())
    neuron = replace(layer.neuron.take(units), threshold=thresholds)
    weight, bias = layer.weight[channels], layer.bias[channels]
    if isinstance(layer, Dense):
        return Dense(weight, bias, neuron), _between(units, rank, lost, stays_u), Inputs(units)
    made = Conv2d(weight, bias, neuron, **layer.geometry.window)
    if differ(lost, len(counts)):
        return made, _between(units, np.repeat(rank, places), lost, stays_u), Inputs(units, channels)
    alike = lost.reshape(len(counts), -1)[:, 0], stays_u.reshape(len(counts), -1)[:, 0]
    return made, _within(made.output_shape, int(counts[0]), *alike), Inputs(units, channels)


def differ(values: npt.NDArray[Any], channels: int) -> bool:
    """Return whether neurons of a channel have different values."""
    return bool(np.ptp(values.reshape(channels, -1), axis=1).any())


def _between(units: Whole, rank: Whole, lost: Whole, stays_u: Shares) -> list[tuple[Any, int]]:
    """Return what leads from copies to one another, by delay, as matrices."""
    back = np.where(units[:, None] == units, -lost[units][:, None], 0)
    np.fill_diagonal(back, (rank - 1) * lost[units])
    if np.all(stays_u <= ROUNDING):
        return [(back, 0)]
    return [(back, 0), (np.rint(-stays_u[units][:, None] * back).astype(np.int64), 1)]


def _within(shape: tuple[int, ...], count: int, lost: Whole, stays_u: Shares) -> list[tuple[Any, int]]:
    """Return the same of images whose channels have one threshold, as kernels."""
    kernel = np.where(np.eye(count, dtype=bool), np.arange(count)[:, None], -1) * lost[:, None, None]
    kernel = kernel.reshape(len(lost) * count, count, 1, 1)
    window: dict[str, Any] = {"input_shape": shape, "groups": len(lost)}
    loops: list[tuple[Any, int]] = [(Conv2d(kernel, None, "readout", **window), 0)]
    if np.any(stays_u > ROUNDING):
        share = np.repeat(stays_u, count)[:, None, None, None]
        loops.append((Conv2d(np.rint(-share * kernel).astype(np.int64), None, "readout", **window, delay=1), 0))
    return loops

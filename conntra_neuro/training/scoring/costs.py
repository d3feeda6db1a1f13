"""What an inference costs in events, by the network alone: which synapses leave a unit, and how often it spikes.

Sums of windows have no neurons: a compiler lets what reads them read the units of the windows (where windows overlap it
joins synapses, and the counts here are bounds). A neuron that takes a maximum has a synapse from each unit of its
window, a relay one from the unit that it repeats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.layers.delayed import chosen
from conntra_neuro.training.layers.forward import images_of
from conntra_neuro.training.layers.maps import Places, down, pooled, spread_out
from conntra_neuro.training.penalty import Prices
from conntra_neuro.training.threads import Threads

__all__ = ["Costs", "fan_outs"]

Counts = npt.NDArray[np.float64]
_ONE = Threads(1)  # all of it is one image


def fan_outs(arch: Architecture, weights: Sequence[Floats]) -> list[npt.NDArray[np.int64]]:
    """Return how many synapses leave each unit, flat: of the inputs, then of every node below the readout.

    ``weights`` (inputs of a unit + 1, outputs), biases in the last row. Of a sum of windows: what reads it.
    """
    shapes = [arch.inputs, *(node.shape for node in arch.nodes[:-1])]
    found: list[Counts] = [np.zeros(shape) for shape in shapes]
    for number in range(len(arch.nodes) - 1, -1, -1):
        node = arch.nodes[number]
        if node.index >= 0:
            own = weights[node.index]
            if node.delays:
                own = np.vstack([chosen(own[:-1], node.delays)[0], own[-1:]])
            found[number] += _synapses(own, node.geometry, node.shape_in, node.shape)
        else:
            assert node.geometry is not None
            above = found[number + 1] if node.kind == "sum" else np.ones(node.shape)
            found[number] += spread_out(above[None], node.geometry)[0]
        if node.loop >= 0:
            found[number + 1] += _synapses(weights[node.loop], None, node.shape, node.shape)
        skip = node.skip
        if skip is not None:
            source = skip.source + 1
            joined = None if skip.geometry is None else weights[skip.index]
            found[source] += 1 if joined is None else _synapses(joined, skip.geometry, shapes[source], node.shape)
    relays = zip(found, arch.relays, strict=True)
    return [np.rint(counts).astype(np.int64).ravel() + hops for counts, hops in relays]


def _synapses(weights: Floats, geometry: Geometry | None, shape_in: tuple[int, ...], shape: tuple[int, ...]) -> Counts:
    """Return the nonzero weights from each input of a layer, at every place of a kernel."""
    there = (weights != 0).astype(np.float64)
    if geometry is None:
        return there[:-1].sum(axis=1).reshape(shape_in)
    terms = np.ones((geometry.positions, shape[-1]))
    return down(terms, there, geometry, 1, _ONE)[0]


class Costs:
    """Costs of a network of ``arch``, whose weights are read anew at every call; ``rates`` are events a sample."""

    def __init__(self, arch: Architecture, weights: Sequence[Floats]) -> None:
        self._arch, self._weights = arch, weights

    def rates(self, inputs: Counts, spikes: Sequence[Counts], n: int) -> list[Counts]:
        """Return how often each unit spikes in a sample, flat: of the inputs, then of every node below the readout.

        ``inputs``: the share of samples in which each input spikes, time step by time step; ``spikes``: how often each
        unit of each node spiked in ``n`` samples. A sum of windows has the rate of all of its units.
        """
        arch = self._arch
        given = images_of(arch, inputs[None], np.float64).sum(axis=0) * (arch.steps // arch.input_steps)
        found = [given]
        for node, count in zip(arch.nodes[:-1], spikes, strict=True):
            if node.kind == "sum":
                assert node.geometry is not None
                found.append(pooled(found[-1][None], node.geometry)[0])
            else:
                found.append((count / n).reshape(node.shape))
        return [rate.ravel() for rate in found]

    def of_weights(self, prices: Prices, rates: Sequence[Counts]) -> list[npt.NDArray[np.float32]]:
        """Return what a nonzero weight of each row costs, of all weights: (rows * groups,) as ``LayerMoves.price``."""
        found = [np.empty(0, np.float32) for _ in self._weights]
        for number, node in enumerate(self._arch.nodes):
            if node.index >= 0:
                seen_by_rows = _rows(rates[number].reshape(node.shape_in), node.geometry)
                found[node.index] = prices.of_weights(np.tile(seen_by_rows, node.delays + 1))
            if node.loop >= 0:
                found[node.loop] = prices.of_weights(rates[number + 1])
            skip = node.skip
            if skip is not None and skip.geometry is not None:
                shape = self._arch.inputs if skip.source < 0 else self._arch.nodes[skip.source].shape
                found[skip.index] = prices.of_weights(_rows(rates[skip.source + 1].reshape(shape), skip.geometry))
        return found

    def mean(self, prices: Prices, rates: Sequence[Counts]) -> float:
        """Return the nats of a sample."""
        fan_out = fan_outs(self._arch, self._weights)
        hidden = [node.kind != "sum" for node in self._arch.nodes[:-1]]
        alive = [True, *hidden]
        synops = sum(float(r @ count) for r, count, there in zip(rates, fan_out, alive, strict=True) if there)
        pairs = zip(prices.spike, rates[1:], hidden, strict=True)
        spikes = sum(price * float(rate.sum()) for price, rate, there in pairs if there)
        spikes += prices.relayed * float(rates[0].sum())
        nonzero = sum(int(np.count_nonzero(weights[:-1])) for weights in self._weights)
        return prices.synop * synops + spikes + prices.nonzero * nonzero


def _rows(rates: Counts, geometry: Geometry | None) -> Counts:
    """Return how many synapses' events a weight of each row (and group) sees in a sample: of all places together."""
    if geometry is None:
        return rates.ravel()
    ((_, columns),) = Places(rates[None], geometry, _ONE).tiles()  # of one image: one tile
    return columns.sum(axis=1).T.ravel()

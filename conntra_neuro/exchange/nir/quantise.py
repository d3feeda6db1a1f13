"""From a float graph of spiking neurons to Loihi's integers: one scale a neuron, and what was lost by it.

A neuron's weights, bias and threshold may all be multiplied by one positive number without a change of its spikes. So
each gets the one at which whole weights of ``bits`` bits miss least (a channel of a convolution shares one): of the
potentials on data, else of the weights. Layers that are whole numbers already, at a power of two, stay as they are.
Weights stand as multiples of a power of two, which a chip has in an exponent, so that thresholds and biases are finer
than they: weights are rounded once, thresholds hardly. Decays are rounded to 12 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_neuro.exchange.nir.constants import with_constants
from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.fitting import Seen
from conntra_neuro.exchange.nir.float_layer import FloatLayer
from conntra_neuro.exchange.nir.quantise_layer import LayerQuantiser
from conntra_neuro.exchange.nir.rounding import Quantised, Rounding, View
from conntra_neuro.exchange.nir.several import copied
from conntra_neuro.exchange.nir.simulate import simulate
from conntra_neuro.network import Dense, DiscreteNetwork, Recurrent, Residual
from conntra_neuro.network.layers import INPUT_LAYER, Layer

__all__ = ["MOST_BITS", "quantised"]

MOST_BITS = 12

Array = npt.NDArray[np.float64]


def quantised(
    layers: Sequence[FloatLayer],
    how: Convention,
    steps: int,
    bits: int = 8,
    data: npt.NDArray[np.integer] | None = None,
    seed: int = 0,
) -> Quantised:
    """Return the integer network of float ``layers`` and what each was rounded by.

    ``bits`` of a weight, 2 to 12, the sign among them: with 9 the signs are in lists of their own on the chip, with
    more a weight is two synapses. ``data``: spikes (n, steps, inputs) that weights and scales are chosen on. InputError
    for what the chip's neurons cannot be.
    """
    whole(bits, "bits", 2, MOST_BITS)
    found: list[Layer] = []
    loops: list[Recurrent] = []
    notes: list[Rounding] = []
    views: list[View] = []
    beside: list[Residual] = []

    def so_far() -> DiscreteNetwork:
        return DiscreteNetwork(found, steps=steps, recurrent=loops, residuals=beside)

    sizes = [layer.size for layer in layers]
    layers = with_constants(layers, how)
    exact = [] if data is None else [data.astype(np.float64), *simulate(layers, data, how)]
    for number, layer in enumerate(layers):
        sources, seen = [number - 1, *(branch.source for branch in layer.branches)], None
        if data is not None:
            sent = so_far().outputs(data) if found else []
            seen = [Seen(exact[k + 1], _sent_by(k, sent, views, data), exact[number + 1]) for k in sources]
        quantiser = LayerQuantiser(layer, how, bits, number == len(layers) - 1, seen, seed)
        quantiser.steady = (number > 0 and layers[number - 1].size > sizes[number - 1], layer.size > sizes[number])
        made = quantiser.result()
        inside = _behind_copies(number - 1, made.layers, views)
        ways = [_behind_copies(source, [way], views)[0] for source, way in made.branches]
        copies, back = None, made.loops
        if quantiser.counts is not None:
            *pools, main = inside
            stays = quantiser.stays_u, quantiser.stays_v
            main, own, copies = copied(main, quantiser.counts, *stays, quantiser.held)
            inside = [*pools, main]
            back = [*((copies.inside(weight), delay) for weight, delay in back), *own]
            ways = [copies.behind(way) for way in ways]
        found += inside
        target = len(found) - 1
        loops += [Recurrent(target, weight, delay) for weight, delay in back]
        indices = [views[source].layer if source >= 0 else INPUT_LAYER for source, _ in made.branches]
        beside += [Residual(index, target, way) for index, way in zip(indices, ways, strict=True)]
        notes.append(made.rounding)
        views.append(View(target, sizes[number], copies))
    if views[-1].copies is not None or layers[-1].size > sizes[-1]:
        # Spikes of a neuron's copies are added up, and over the steps, by a neuron that is read.
        units = np.arange(layers[-1].size) if views[-1].copies is None else views[-1].copies.units
        found.append(Dense((np.arange(sizes[-1])[:, None] == units).astype(np.int64), None, "readout"))
    return Quantised(so_far(), tuple(notes), tuple(views))


def _sent_by(source: int, sent: Sequence[Any], views: Sequence[View], data: npt.NDArray[np.integer]) -> Array:
    """Return what a float layer's neurons (-1: the inputs) send in the integer network so far, those that stand for
    biases among them.
    """
    if source < 0:
        return data.astype(np.float64)
    view = views[source]
    rows = sent[view.layer].reshape(*data.shape[:2], -1)
    return (rows if view.copies is None else view.copies.added(rows)).astype(np.float64)


def _behind_copies(source: int, layers: Sequence[Layer], views: Sequence[View]) -> list[Any]:
    """Return layers that take from a float layer as such that take from its copies."""
    copies = views[source].copies if source >= 0 else None
    return list(layers) if copies is None else copies.before(layers)

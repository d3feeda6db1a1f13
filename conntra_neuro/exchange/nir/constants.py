"""Biases that go through a current, in words that the chip has: a neuron that spikes at every step, and synapses.

On the chip a bias goes to v. Where a package puts it through the current, u = d u + I + b, a synapse of weight b from a
neuron that always spikes does the same. It stands in the layer before, so that its spikes arrive in the step in which
they are sent. A layer behind the inputs holds it itself, a step later: what is missing is b in v, for v takes

    b (1 + d + ... + d^t) = b + d b (1 + d + ... + d^(t - 1)),

b at once and the rest through synapses of weight d b. Both are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.float_layer import FloatLayer, FloatNeuron, Map
from conntra_neuro.exchange.nir.simulate import stepped
from conntra_neuro.exchange.nir.ways import joined
from conntra_neuro.exchange.nir.whole import ROUNDING

__all__ = ["with_constants"]

Array = npt.NDArray[np.float64]


def with_constants(layers: Sequence[FloatLayer], how: Convention) -> list[FloatLayer]:
    """Return layers that send the same, without biases through currents where neurons can stand in for them.

    A layer that got one has it last: neurons are no images, so that layers of images stay as they are, and so do those
    beside neurons whose v is 0 for a step after a spike, those that never spike and have only inputs or an image before
    them, and graphs with branches.
    """
    found = list(layers)
    if any(layer.branches for layer in layers):
        return found
    for index, layer in enumerate(layers):
        stays_u, stays_v = stepped(layer.neuron, how)[:2]
        given = _given(layer)
        if not np.any((stays_u > ROUNDING) & (given != 0)) or not _is_flat(layer):
            continue
        if index > 0 and _is_flat(layers[index - 1]) and _spikes_on(layers[index - 1], how):
            if found[index - 1].size == layers[index - 1].size:
                found[index - 1] = _longer(found[index - 1], how)
            found[index] = _through_synapses(found[index], given)
        elif np.isfinite(layer.neuron.threshold).all() and np.all(stays_v < 1) and _spikes_on(layer, how):
            found[index] = _from_itself(found[index], given, how)
    for index, (before, layer) in enumerate(pairwise(found), start=1):
        if before.size > layers[index - 1].size and layer.maps[0].weight.shape[1] < before.size:
            found[index] = replace(layer, maps=(Map(np.pad(joined(layer.maps), ((0, 0), (0, 1)))),))
    return found


def _given(layer: FloatLayer) -> Array:
    return layer.bias if layer.recurrent_bias is None else layer.bias + layer.recurrent_bias


def _is_flat(layer: FloatLayer) -> bool:
    return len(layer.shape) == 1 and all(linear.geometry is None for linear in layer.maps)


def _spikes_on(layer: FloatLayer, how: Convention) -> bool:
    """Return whether a neuron in a layer may spike at every step."""
    return (
        layer.neuron.kind == "Threshold" or how.reset_of(layer.neuron.kind, layer.recurrent is not None) != "zero-late"
    )


def _through_synapses(layer: FloatLayer, given: Array) -> FloatLayer:
    """Take the biases as weights of one more input, the last."""
    weight = np.hstack([joined(layer.maps), given[:, None]])
    return replace(layer, maps=(Map(weight),), bias=np.zeros(layer.size), recurrent_bias=None)


def _from_itself(layer: FloatLayer, given: Array, how: Convention) -> FloatLayer:
    stays_u, stays_v, into_u, into_v = stepped(layer.neuron, how)
    leak = layer.neuron.v_leak + into_u * into_v * given / (1 - stays_v)
    silent = np.zeros(layer.size)
    longer = _longer(replace(layer, bias=silent, recurrent_bias=None, neuron=replace(layer.neuron, v_leak=leak)), how)
    back = _padded(np.zeros((layer.size,) * 2) if layer.recurrent is None else layer.recurrent)
    back[:-1, -1] = stays_u * given
    return replace(longer, recurrent=back)


def _longer(layer: FloatLayer, how: Convention) -> FloatLayer:
    """Add a neuron that spikes at every step, whatever comes in: it rests above its threshold, and forgets."""
    neuron = layer.neuron
    # What a late reset takes off a step later leaves it above; of several spikes a step it sends one.
    more = {
        "tau": 0.0,
        "tau_syn": 0.0,
        "r": 1.0,
        "w_in": 1.0,
        "v_leak": 1.0,
        "threshold": 0.75 if how.several else 0.25,
    }
    wide = FloatNeuron(neuron.kind, **{name: np.append(getattr(neuron, name), value) for name, value in more.items()})
    return replace(
        layer,
        maps=(Map(np.vstack([joined(layer.maps), np.zeros((1, joined(layer.maps).shape[1]))])),),
        bias=np.append(layer.bias, 0.0),
        neuron=wide,
        shape=(layer.size + 1,),
        recurrent=None if layer.recurrent is None else _padded(layer.recurrent),
        recurrent_bias=None if layer.recurrent_bias is None else np.append(layer.recurrent_bias, 0.0),
    )


def _padded(back: Array) -> Array:
    return np.pad(back, (0, 1))

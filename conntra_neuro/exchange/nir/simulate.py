"""A graph of spiking neurons in floating point, by NIR's equations in steps of dt: what integers are held to.

Forward Euler: ``u += dt / tau_syn (w_in I - u)``, ``v += dt / tau (v_leak - v + r u)``; where there is no current of
its own u is I, where there is no leak ``v += r u``. Packages that step otherwise have conventions of their own. A
layer's spikes reach the next one in the same step, itself in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.float_layer import FloatLayer, FloatNeuron, Map

__all__ = ["applied", "simulate", "stepped"]

Array = npt.NDArray[np.float64]


def simulate(layers: Sequence[FloatLayer], spikes: npt.NDArray[np.integer], how: Convention) -> list[Array]:
    """Return what each layer sends, (n, steps, size), at ``spikes`` (n, steps, n_in); of one that never spikes v."""
    n, steps, _ = spikes.shape
    sent: list[Array] = [spikes.astype(np.float64)]
    for layer in layers:
        currents = applied(layer.maps, sent[-1].reshape(n * steps, -1)).reshape(n, steps, -1) + layer.bias
        for branch in layer.branches:
            given = sent[branch.source + 1].reshape(n * steps, -1)
            currents += applied(branch.maps, given).reshape(n, steps, -1)
        sent.append(_layer(layer, currents, how))
    return sent[1:]


def applied(maps: Sequence[Map], rows: Array) -> Array:
    """Return ``rows`` (n, n_in) through linear maps, one after the other."""
    for linear in maps:
        if linear.geometry is None:
            rows = rows @ linear.weight.reshape(len(linear.weight), -1).T
        else:
            rows = np.ascontiguousarray((_matrix(linear) @ rows.T).T)
    return rows


def _matrix(linear: Map) -> Any:
    """Return a convolution as a sparse matrix (n_out, n_in), from the places of its kernel's weights."""
    assert linear.geometry is not None
    size = linear.weight.size
    places = linear.geometry.matrix(np.arange(1, size + 1).reshape(linear.weight.shape))
    matrix = places.astype(np.float64)
    matrix.data = linear.weight.ravel()[places.data.astype(np.intp) - 1]
    return matrix.tocsr()


def stepped(neuron: FloatNeuron, how: Convention) -> tuple[Array, Array, Array, Array]:
    """Return of each neuron the shares of u and v that stay after a step, what I adds to u, and what u adds to v."""
    ones, synaptic = np.ones(len(neuron.r)), neuron.kind in ("CubaLIF", "CubaLI")
    leaks_u, leaks_v = _leak(neuron.tau_syn, how) if synaptic else ones, _leak(neuron.tau, how)
    into_u = _gain(leaks_u, neuron.w_in) if synaptic else ones
    into_v = _gain(leaks_v, neuron.r)
    if how.gains == "one":
        into_u = into_v = ones
    elif how.gains == "decayed":
        into_u, into_v = (1 - leaks_u, ones) if synaptic else (ones, 1 - leaks_v)
    elif how.gains == "current":
        into_u = ones
    elif how.gains == "seconds" and neuron.kind in ("IF", "I"):
        into_v = neuron.r * how.dt
    return 1 - leaks_u, 1 - leaks_v, into_u, into_v


def _leak(tau: Array, how: Convention) -> Array:
    """Return the share that a step takes off; 0 where ``tau`` is infinite, all of it where it is 0."""
    steps = np.divide(how.dt, tau, out=np.zeros(len(tau)), where=tau > 0)
    return np.where(tau == 0, 1.0, steps if how.decay == "euler" else -np.expm1(-steps))


def _gain(leak: Array, written: Array) -> Array:
    """Return what is added of one unit: ``written`` times the leak, of what never leaks as written.

    lava-dl's graphs write a gain of tau / dt, which is infinite with tau: what it stands for is 1.
    """
    whole = np.where(np.isinf(written), 1.0, written)
    return np.where((leak == 0) | np.isinf(written), whole, leak * whole)


def _layer(layer: FloatLayer, currents: Array, how: Convention) -> Array:
    neuron = layer.neuron
    stays_u, stays_v, into_u, into_v = stepped(neuron, how)
    reset = how.reset_of(neuron.kind, layer.recurrent is not None)
    rests = (1 - stays_v) * neuron.v_leak
    n, steps, size = currents.shape
    u, v, sent = np.zeros((n, size)), np.zeros((n, size)), np.zeros((n, size))
    out = np.empty(currents.shape)
    for step in range(steps):
        total = currents[:, step]
        if layer.recurrent is not None:
            total = total + sent @ layer.recurrent.T
            total = total if layer.recurrent_bias is None else total + layer.recurrent_bias
        u = u * stays_u + into_u * total
        v = v * stays_v + into_v * u + rests
        if reset == "subtract-late":
            v = v - sent * np.where(np.isfinite(neuron.threshold), neuron.threshold, 0)
        elif reset == "zero-late":
            v = np.where(sent > 0, 0, v)
        if neuron.kind in ("LI", "CubaLI", "I"):
            out[:, step] = v
            continue
        above = v > neuron.threshold if how.strict else v >= neuron.threshold
        sent = above.astype(np.float64)
        if how.several:
            sent = np.maximum(np.floor(v / neuron.threshold), 0)
        if reset == "zero" or neuron.kind == "Threshold":
            v = np.where(above, 0, v)
        elif reset == "subtract":
            v = v - sent * neuron.threshold
        out[:, step] = sent
    return out

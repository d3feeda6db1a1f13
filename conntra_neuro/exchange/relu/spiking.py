"""From a float ReLU network to integrate-and-fire neurons over T time steps, for chips whose spikes have no value.

A unit's activation becomes the share of the steps in which its neuron spikes: as often as its threshold goes into what
it has summed up, rounded by a bias of half a threshold over the sample. Layers are fitted as for graded neurons, on the
rates that the layers before really have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS, IntegrateAndFire
from conntra_neuro.exchange.relu.calibrate import READ_LIMIT, Fit, Inputs, Rounded, with_constant
from conntra_neuro.exchange.relu.codes import input_code
from conntra_neuro.exchange.relu.integer import InputCode, IntLayer, IntNet, largest_of
from conntra_neuro.exchange.relu.net import FloatLayer, FloatNet

__all__ = ["calibrated_over_time", "code_spikes"]

_BYTES = 1.5e8  # of the spikes that a layer is fitted on
_SHARES = (1.0, 0.8, 0.6, 0.45, 0.3)  # of the largest activation that a threshold may stand for
_TRIED = 200  # samples that decide
_CHUNK = 2**22  # values of sums at a time
_LARGEST = 2**17 - 1  # of thresholds

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


def calibrated_over_time(
    net: FloatNet, features: Array, scale: float, steps: int, bits: int = 8, seed: int = 0
) -> tuple[IntNet, list[Rounded]]:
    """Return ``net`` as integrate-and-fire neurons over ``steps`` time steps; else as ``calibrate.calibrated``.

    InputError for maxima, which spikes over time do not have, and for averages whose windows overlap.
    """
    whole(steps, "steps", 1, MAX_STEPS)
    _refuse_pools(net)
    rng, most = np.random.default_rng(seed), 2 ** (bits - 1) - 1
    widest = max([features.shape[1], *(layer.size for layer in net.layers)])
    features = features[: max(_TRIED, int(_BYTES / (steps * widest)))]
    code, step, low = input_code(net, features, scale)
    top = 2**code.encoder.bits - 1
    code = replace(code, constant=top if code.constant else 0)
    spikes = code_spikes(code, features, steps)
    ones = np.ones(spikes.shape[2])
    inputs = Inputs(spikes.mean(axis=1, dtype=np.float32), step * top, low, ones, float(bool(code.constant)))
    activity = net.activity((features / scale).astype(np.float32))
    layers: list[IntLayer] = []
    notes: list[Rounded] = []
    for index, (layer, (targets, _)) in enumerate(zip(net.layers, activity, strict=True)):
        fit = Fit(layer, targets, most, index == len(net.layers) - 1, rng)
        fit.limit, fit.bias_limit = READ_LIMIT / steps, 4095.0
        if layers:
            chosen = _with_threshold(layers[-1], net.layers[index - 1], spikes, activity[index - 1][0], fit, steps)
            layers[-1], spikes, inputs, clipped = chosen
            notes[-1] = replace(notes[-1], clipped=clipped)
        made, note = fit.result(inputs)
        layers.append(made)
        notes.append(note)
    return IntNet(code, layers, net.single, steps), notes


def _refuse_pools(net: FloatNet) -> None:
    for layer in net.layers:
        for pool in layer.pools:
            if pool.kind == "max":
                raise InputError(
                    f"{layer.name}: a maximum behind it: integrate-and-fire neurons have none of rates; train with "
                    "averages, or take graded neurons (--neuron relu, Loihi 2)"
                )
            if pool.overlaps:
                raise InputError(f"{layer.name}: averages of windows that overlap; side by side with --neuron ifT")


def code_spikes(code: InputCode, features: Array, steps: int) -> npt.NDArray[np.uint8]:
    """Return what the layer of codes sends, (n, steps, codes): a neuron's code drives it alike at every step."""
    rows = code.rows(features, np.int64)
    top = 2**code.encoder.bits - 1
    drive = np.arange(top + 1) + top // (2 * steps)  # that of a constant channel is top itself, and fires as often
    table = IntegrateAndFire(top, steps, "soft").respond(np.repeat(drive[None, None], steps, axis=1))[0]
    out = np.empty((len(rows), steps, rows.shape[1]), np.uint8)
    for step in range(steps):
        out[:, step] = table[step][rows]
    return out


def _parts(n: int, width: int) -> list[slice]:
    size = max(1, _CHUNK // max(width, 1))
    return [slice(first, first + size) for first in range(0, n, size)]


def _with_threshold(
    made: IntLayer, layer: FloatLayer, spikes: npt.NDArray[np.uint8], targets: Array, following: Fit, steps: int
) -> tuple[IntLayer, npt.NDArray[np.uint8], Inputs, float]:
    """Return ``made`` with the thresholds that serve the next layer best, its spikes, and what the next layer sees."""
    shaped = targets.reshape(len(targets), made.channels, -1)
    largest = np.maximum(np.quantile(shaped, 0.9995, axis=(0, 2)), 1e-9)
    best: tuple[float, float] | None = None
    for share in _SHARES:
        trial = _threshold(made, layer, largest * share, steps, following.layer)
        sent = _spikes(trial, spikes[:_TRIED], steps)
        error = following.trial(slice(0, _TRIED)).error(_inputs(trial, sent))
        if best is None or error < best[0]:
            best = error, share
    assert best is not None
    stops = np.minimum(largest * best[1], layer.stops)
    chosen = _threshold(made, layer, largest * best[1], steps, following.layer)
    sent = _spikes(chosen, spikes, steps)
    clipped = float((shaped > stops[:, None]).mean())
    return chosen, _pooled(chosen, sent), _inputs(chosen, sent), clipped


def _threshold(made: IntLayer, layer: FloatLayer, largest: Array, steps: int, following: FloatLayer) -> IntLayer:
    stops = np.minimum(largest, layer.stops)
    threshold = np.clip(np.rint(stops * made.scale), 1, _LARGEST).astype(np.int64)
    bias = np.clip(made.bias + threshold // (2 * steps), -4095, 4095)
    found = replace(made, threshold=threshold, bias=bias)
    return found if following.plane is None else with_constant(found, 1)


def _spikes(made: IntLayer, spikes: npt.NDArray[np.uint8], steps: int) -> npt.NDArray[np.uint8]:
    """Return the spikes (n, steps, units) of a layer at those that it takes, before pooling."""
    assert made.threshold is not None
    units = made.channels if made.geometry is None else made.geometry.n_out
    neuron = IntegrateAndFire(np.repeat(made.threshold, units // made.channels), steps, "soft")  # type: ignore[arg-type]
    out = np.empty((len(spikes), steps, units), np.uint8)
    for part in _parts(len(spikes), steps * max(units, spikes.shape[2])):
        rows = spikes[part].reshape(-1, spikes.shape[2]).astype(np.float32)
        sums = made.sums(rows).astype(np.int64)
        out[part] = neuron.respond(sums.reshape(-1, steps, units))
    return out


def _pooled(made: IntLayer, sent: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    rows = sent.reshape(-1, sent.shape[2])
    return made.pooled(rows).astype(np.uint8).reshape(*sent.shape[:2], -1) if made.pools else sent


def _inputs(made: IntLayer, sent: npt.NDArray[np.uint8]) -> Inputs:
    """Return what the next layer sees: the mean spikes of a step, pooled."""
    assert made.threshold is not None
    own = made.channels - bool(made.constant)
    rates = made.pooled(sent.mean(axis=1, dtype=np.float32))
    step = made.threshold[:own] / made.scale[:own]
    inside = np.prod([np.prod(pool.geometry.kernel) for pool in made.pools if pool.kind == "sum"])
    largest = largest_of(made).astype(np.float64)
    return Inputs(rates, step, np.zeros(own), largest, made.constant * float(inside))

"""Mistakes that a backend makes in all neurons of a layer alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.program import ConvProjection
from conntra_hardware.proof.diagnosis.layer import ALL, Layer, Rows, product

__all__ = ["Hypothesis", "explains", "only_the_start", "whole_layer"]

_PROBE = 32
_REGISTERS = range(4, 33)


@dataclass(frozen=True)
class Hypothesis:
    """A mistake: ``potentials(layer, samples)`` are what the neurons would have had with it, (samples, steps, size).

    ``neuron`` is the kind of neuron that would then have acted. Nothing is said of the first ``unknown`` samples.
    """

    cause: str
    text: str
    potentials: Callable[[Layer, Rows], IntArray]
    respond: Callable[[Layer, IntArray], IntArray] = Layer.respond
    unknown: int = 0
    stateful: bool = False


def explains(hypothesis: Hypothesis, layer: Layer) -> bool:
    """Return whether the layer with this mistake would have given the recording, every value of it.

    A few wrong samples are tried first, for most hypotheses fall there.
    """
    tried = layer.wrong_samples[layer.wrong_samples >= hypothesis.unknown]
    if not len(tried):
        return False
    parts: tuple[Rows, ...] = (ALL,) if hypothesis.stateful else (tried[:_PROBE], ALL)
    for part in parts:
        values = hypothesis.respond(layer, hypothesis.potentials(layer, part))
        got = layer.got[part]
        known = slice(hypothesis.unknown, None) if part is ALL else ALL
        if not np.array_equal(values[known], got[known]):
            return False
    return True


def whole_layer(layer: Layer) -> Iterator[Hypothesis]:
    """Yield the mistakes that may have been made, the ones with the fewest free choices first."""
    yield from _weights(layer)
    yield from _dilations(layer)
    if layer.neuron.spikes:
        yield from _thresholds(layer)
    yield Hypothesis("missing bias", "the bias is not added", lambda la, rows: la.potentials[rows] - la.population.bias)
    yield from _times(layer)
    yield from _resets(layer)
    yield from _registers(layer)
    if len(layer.wrong_neurons) > 1:
        yield from _sources(layer)


def _weights(layer: Layer) -> Iterator[Hypothesis]:
    """Simulators keep 8 bits of a weight, with the sign among them: the lowest bit goes, in one of two ways."""
    for rounded, how in (
        (layer.weights & ~1, "rounded down to even: +1 becomes 0, -1 becomes -2"),
        (np.sign(layer.weights) * (np.abs(layer.weights) & ~1), "rounded to even towards 0: +1 and -1 become 0"),
    ):
        yield Hypothesis("weight rounding", f"the lowest weight bit is dropped ({how})", partial(_with, rounded))


def _with(weights: IntArray, layer: Layer, samples: Rows) -> IntArray:
    return product(layer.sources[samples], weights) + layer.population.bias


def _dilations(layer: Layer) -> Iterator[Hypothesis]:
    """Simulators count pixels from left to right first, or do not know of dilation."""
    for first, projection in layer.kernels:
        (down, across), name = projection.geometry.dilation, f"of the kernel from {projection.source}"
        for dilation, how in (
            ((1, 1), "is left out: its weights stand side by side"),
            ((across, down), "is exchanged, across for down"),
        ):
            if dilation != (down, across):
                weights = layer.weights.copy()
                weights[:, first : first + projection.shape[1]] = _as_if_dilated(projection, dilation)
                text = f"the dilation {(down, across)} {name} {how}"
                yield Hypothesis("dilation", text, partial(_with, weights))


def _as_if_dilated(projection: ConvProjection, dilation: tuple[int, int]) -> IntArray:
    """Return the weights (n_target, n_source) of another dilation, its places begun where they are."""
    g = projection.geometry
    (_, rows, columns), (channels, height, width) = g.output_shape, g.input_shape
    # The image goes on with zeros, far enough for every place to have what it would see.
    beyond = max(g.kernel) * max(g.dilation)
    wider = replace(g, dilation=dilation, input_shape=(channels, height + beyond, width + beyond))
    targets = np.arange(wider.n_out).reshape(wider.output_shape)[:, :rows, :columns]
    sources = np.arange(wider.n_in).reshape(wider.input_shape)[:, :height, :width]
    return wider.matrix(projection.kernel)[targets.ravel()][:, sources.ravel()].toarray()


def _thresholds(layer: Layer) -> Iterator[Hypothesis]:
    if layer.neuron.has_state and layer.neuron.spikes:
        if layer.neuron.facts.form == "integrating":
            text = "the threshold is strict: neurons spike above it, not at it"
            yield Hypothesis("threshold", text, _right, _strict)
        return
    not_strict = "the threshold is not strict: neurons spike at a potential of 0 (>= for >, or one too low)"
    yield Hypothesis("threshold", not_strict, lambda la, rows: la.potentials[rows] + 1)
    yield Hypothesis("threshold", "the threshold is one too high", lambda la, rows: la.potentials[rows] - 1)


def _strict(layer: Layer, potentials: IntArray) -> IntArray:
    """What integrating neurons send where a potential at the threshold is not enough."""
    return _integrated(layer, potentials, strict=True)


def _integrated(layer: Layer, potentials: IntArray, strict: bool) -> IntArray:
    """What neurons without leak send at ``potentials`` (samples, any number of steps, size), from their facts."""
    facts = layer.neuron.facts
    threshold = facts.least + int(strict)
    spikes = np.empty(potentials.shape, np.int64)
    v = np.zeros((potentials.shape[0], potentials.shape[2]), np.int64)
    for step in range(potentials.shape[1]):
        v = v + potentials[:, step]
        spikes[:, step] = fired = v >= threshold
        v = np.where(fired, 0 if facts.reset == "hard" else v - facts.least, v)
    return spikes


def _right(layer: Layer, samples: Rows) -> IntArray:
    return layer.potentials[samples]


def _times(layer: Layer) -> Iterator[Hypothesis]:
    """Spikes that arrive a time step late or early; at the ends of the recording nobody knows what arrived."""
    yield Hypothesis("one step late", "it is one time step late", partial(_shifted, 1), unknown=1)

    def early(layer: Layer, potentials: IntArray) -> IntArray:
        values = layer.respond(potentials).copy()
        values[-1:] = layer.got[-1:]
        return values

    yield Hypothesis("one step early", "it is one time step early", partial(_shifted, -1), early, stateful=True)


def only_the_start(layer: Layer) -> bool:
    """Return whether the first sample alone is wrong in a layer that would look the same one time step late.

    Nobody knows what arrived before the first step, so that this shows a delay only where nothing else explains it.
    """
    if layer.wrong_samples.tolist() != [0]:
        return False
    return np.array_equal(layer.respond(_shifted(1, layer, ALL))[1:], layer.got[1:])


def _shifted(steps: int, layer: Layer, samples: Rows) -> IntArray:
    flat = layer.potentials.reshape(-1, layer.population.size)
    return np.roll(flat, steps, axis=0).reshape(layer.potentials.shape)[samples]


def _resets(layer: Layer) -> Iterator[Hypothesis]:
    if layer.neuron.has_state and layer.neuron.spikes:
        if layer.neuron.facts.form == "integrating":
            text = "the potential is not cleared between samples"
            yield Hypothesis("missing reset", text, _right, _running_on, stateful=True)
        return
    kept = "the potential is not cleared after a time step: what is left of it is added to the next one"
    yield Hypothesis("missing reset", kept, partial(_left_over, 1), stateful=True)
    lava = "a 4096th of the potential outlives its time step (dv=4095 where a reset is needed)"
    yield Hypothesis("missing reset", lava, partial(_left_over, 4096), stateful=True)


def _running_on(layer: Layer, potentials: IntArray) -> IntArray:
    rows = potentials.shape[0] * potentials.shape[1]
    return _integrated(layer, potentials.reshape(1, rows, -1), strict=False).reshape(potentials.shape)


def _left_over(divisor: int, layer: Layer, samples: Rows) -> IntArray:
    """Potentials of a neuron that starts with the last one's, by ``divisor`` towards 0 in units of 2^-6; 0 at a
    spike.
    """
    flat = layer.potentials.reshape(-1, layer.population.size) << 6
    left = np.zeros(flat.shape[1], np.int64)
    out = np.empty_like(flat)
    for row, potentials in enumerate(flat):
        out[row] = left + potentials
        fired = (out[row] > 0) & (layer.neuron.facts.form == "threshold")
        left = np.where(fired, 0, np.sign(out[row]) * (np.abs(out[row]) // divisor))
    # A spike is due above 0, so a part of a unit counts as a whole one there; a readout is cut off.
    out = -(-out >> 6) if layer.neuron.spikes else out >> 6
    return out.reshape(layer.potentials.shape)[samples]


def _sources(layer: Layer) -> Iterator[Hypothesis]:
    """One source that reaches none of the neurons, or two that are taken for each other."""
    active = (layer.sources[layer.wrong_samples] != 0).any(axis=1)
    for column in np.flatnonzero(active.all(axis=0))[:_PROBE]:
        source, index = layer.names[column]
        text = f"all synapses from {source} {index} are missing"
        change = -layer.weights[:, [column]]
        yield Hypothesis("missing synapse", text, partial(_changed, np.array([column]), change))
    x = active[: 8 * _PROBE].astype(np.float32)
    apart = x.T @ (1 - x)
    for one, other in np.argwhere(np.triu(apart + apart.T == len(x)))[: 8 * _PROBE]:
        names = [" ".join(map(str, layer.names[i])) for i in (one, other)]
        text = f"the synapses from {names[0]} and {names[1]} are exchanged"
        change = layer.weights[:, [other, one]] - layer.weights[:, [one, other]]
        yield Hypothesis("swapped pair", text, partial(_changed, np.array([one, other]), change))


def _changed(columns: npt.NDArray[np.intp], change: IntArray, layer: Layer, samples: Rows) -> IntArray:
    return layer.potentials[samples] + product(layer.sources[samples][:, :, columns], change)


def _registers(layer: Layer) -> Iterator[Hypothesis]:
    """Registers too narrow for the sums, before or after the bias is added."""
    bias, potentials = layer.population.bias, layer.potentials
    for what, offset in (("potential", np.zeros_like(bias)), ("synaptic sum", bias)):
        values = potentials - offset
        largest = max(int(values.max()), -int(values.min()))
        for bits in _REGISTERS:
            high = 2 ** (bits - 1) - 1
            if largest > high:
                text = f"the {what} wraps round in a register of {bits} bits (-{high + 1} to {high})"
                yield Hypothesis("overflow", text, partial(_wrapped, 2 ** (bits - 1), offset))
        limits = {2 ** (bits - 1) - 1 for bits in _REGISTERS}
        if not layer.neuron.spikes:
            limits.add(int(np.abs(layer.got).max()))
        for limit in sorted(limits):
            if limit < largest:
                text = f"the {what} saturates at {limit}"
                yield Hypothesis("saturation", text, partial(_clipped, limit, offset))


def _wrapped(half: int, offset: IntArray, layer: Layer, samples: Rows) -> IntArray:
    return (layer.potentials[samples] - offset + half) % (2 * half) - half + offset


def _clipped(limit: int, offset: IntArray, layer: Layer, samples: Rows) -> IntArray:
    return np.clip(layer.potentials[samples] - offset, -limit, limit) + offset

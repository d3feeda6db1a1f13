"""Mistakes in single neurons and synapses: an offset, a synapse that is missing or wrong, two that are exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.proof.diagnosis.layer import Layer

__all__ = ["Fault", "faults", "swapped_neurons"]

_CANDIDATES = 4096
_CHUNK = 256
_PROBE = 256


@dataclass(frozen=True)
class Fault:
    """A mistake in one neuron that explains all its values; ``sources`` are columns of the layer's weights."""

    cause: str
    text: str
    potential: int
    sources: tuple[int, ...] = ()


def swapped_neurons(layer: Layer) -> int | None:
    """Return the potential that the first wrong value shows if the two wrong neurons are exchanged, else None."""
    if len(layer.wrong_neurons) != 2:
        return None
    pair = layer.wrong_neurons
    exchanged = layer.potentials.copy()
    exchanged[:, :, pair] = exchanged[:, :, pair[::-1]]
    if not np.array_equal(layer.respond(exchanged), layer.got):
        return None
    return int(exchanged[layer.first()])


def faults(layer: Layer, neuron: int) -> list[Fault]:
    """Return the mistakes that would explain ``neuron``, those with the fewest free choices first."""
    return [
        *_offsets(layer, neuron),
        *_single_synapses(layer, neuron),
        *_exchanged_synapses(layer, neuron),
    ]


def _matches(layer: Layer, neuron: int, potentials: IntArray) -> npt.NDArray[np.bool_]:
    """Return which of the potentials (samples, steps, k) explain the neuron, (k,)."""
    return (layer.respond(potentials, neuron) == layer.got[:, :, [neuron]]).all(axis=(0, 1))


def _at_first(layer: Layer, neuron: int) -> tuple[int, int]:
    sample, step, _ = layer.first(neuron)
    return sample, step


def _offsets(layer: Layer, neuron: int) -> list[Fault]:
    right = layer.potentials[:, :, [neuron]]
    if layer.neuron.spikes:
        offsets = np.array([1, -1])
    else:
        sample, _ = _at_first(layer, neuron)
        difference = int(layer.got[sample, 0, neuron] - right[sample].sum())
        steps = layer.potentials.shape[1]
        if difference % steps:
            return []
        offsets = np.array([difference // steps])
    moved = right + offsets
    found = np.flatnonzero(_matches(layer, neuron, moved))
    at = _at_first(layer, neuron)
    return [_offset(layer, int(offsets[i]), int(moved[(*at, i)])) for i in found]


def _offset(layer: Layer, offset: int, potential: int) -> Fault:
    if layer.neuron.spikes:
        how = "low" if offset > 0 else "high"
        return Fault("threshold", f"the threshold is one too {how}", potential)
    return Fault("bias", f"the bias is off by {offset:+d}", potential)


def _single_synapses(layer: Layer, neuron: int) -> list[Fault]:
    """One synapse that acts with another weight: it must have been active wherever the neuron is wrong."""
    wrong = np.flatnonzero(layer.wrong[:, :, neuron].any(axis=1))[:_PROBE]
    active = (layer.sources[wrong] != 0).any(axis=1).all(axis=0)
    weights = layer.weights[neuron]
    columns = np.flatnonzero(active)[:_CANDIDATES]
    found: list[Fault] = []
    for change in _changes(layer, neuron, columns):
        usable = np.flatnonzero(change)
        for start in range(0, len(usable), _CHUNK):
            part = usable[start : start + _CHUNK]
            moved = layer.potentials[:, :, [neuron]] + layer.sources[:, :, columns[part]] * change[part]
            for i in np.flatnonzero(_matches(layer, neuron, moved)):
                column, by = int(columns[part[i]]), int(change[part[i]])
                potential = int(moved[(*_at_first(layer, neuron), i)])
                found.append(_synapse(layer, int(weights[column]), by, column, potential))
    # A missing synapse is the plainest of them.
    return sorted(found, key=lambda fault: fault.cause != "missing synapse")


def _changes(layer: Layer, neuron: int, columns: npt.NDArray[np.intp]) -> list[IntArray]:
    """Return how much the weight of each column may be off by, an array for each guess; 0 is no guess."""
    weights = layer.weights[neuron, columns]
    if layer.neuron.spikes:
        guesses: list[IntArray] = []
        for by in (-weights, -2 * weights, np.ones_like(weights), -np.ones_like(weights)):
            again = np.any([by == guess for guess in guesses], axis=0) if guesses else by == 0
            guesses.append(np.where(again, 0, by))
        return guesses
    sample, _ = _at_first(layer, neuron)
    difference = int(layer.got[sample, 0, neuron] - layer.potentials[sample, :, neuron].sum())
    arrived = layer.sources[sample][:, columns].astype(np.int64).sum(axis=0)
    exact = (arrived != 0) & (difference % np.maximum(arrived, 1) == 0)
    return [np.where(exact, difference // np.maximum(arrived, 1), 0)]


def _synapse(layer: Layer, weight: int, by: int, column: int, potential: int) -> Fault:
    source, index = layer.names[column]
    what = f"synapse from {source} {index}"
    if weight == 0:
        return Fault(
            "extra synapse", f"there is a {what} of weight {by}, which the program lacks", potential, (column,)
        )
    if by == -weight:
        return Fault("missing synapse", f"the {what} (weight {weight}) is missing", potential, (column,))
    text = f"the {what} has weight {weight + by} instead of {weight}"
    return Fault("wrong weight", text, potential, (column,))


def _exchanged_synapses(layer: Layer, neuron: int) -> list[Fault]:
    """Two synapses with each other's weights: exactly one of them was active wherever the neuron is wrong."""
    if layer.potentials.shape[1] != 1:
        return []
    wrong = np.flatnonzero(layer.wrong[:, 0, neuron])[:_PROBE]
    x = (layer.sources[wrong, 0] != 0).astype(np.float32)
    apart = x.T @ (1 - x)
    weights = layer.weights[neuron]
    possible = (apart + apart.T == len(wrong)) & (weights[:, None] != weights[None])
    pairs = np.argwhere(np.triu(possible))[:_CANDIDATES]
    found: list[Fault] = []
    for start in range(0, len(pairs), _CHUNK):
        one, other = pairs[start : start + _CHUNK].T
        change = weights[other] - weights[one]
        between = layer.sources[:, :, one].astype(np.int64) - layer.sources[:, :, other]
        moved = layer.potentials[:, :, [neuron]] + between * change
        for i in np.flatnonzero(_matches(layer, neuron, moved)):
            names = [" ".join(map(str, layer.names[int(c[i])])) for c in (one, other)]
            text = f"the synapses from {names[0]} and {names[1]} are exchanged"
            potential = int(moved[(*_at_first(layer, neuron), i)])
            found.append(Fault("swapped pair", text, potential, (int(one[i]), int(other[i]))))
    return found

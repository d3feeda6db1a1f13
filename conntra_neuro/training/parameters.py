"""Weights and biases while they are trained: where they start, and the network they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.network import Dense, DiscreteNetwork
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.bits import chunks

__all__ = ["BIAS_LIMIT", "Parameters", "network_of", "parameters_of", "random_parameters", "start_shares"]

BIAS_LIMIT = 4095  # what a 13-bit signed bias mantissa holds, so that every chip takes what is trained
_ZEROS = 0.4  # share of zero weights at the start [measured best on MNIST, from 0.33 to 0.8]


@dataclass(frozen=True)
class Parameters:
    """A snapshot: weights (n_in, n_out) of each layer, input by input, and biases (n_out,). int32."""

    weights: tuple[npt.NDArray[np.int32], ...]
    biases: tuple[npt.NDArray[np.int32], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, then the width of every layer, the readout included."""
        return (self.weights[0].shape[0], *(w.shape[1] for w in self.weights))

    def potentials(self, spikes: IntArray) -> list[npt.NDArray[np.int32]]:
        """Return the potentials (n, width) of every layer, by the plainest means."""
        found = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            found.append(_product(spikes, weight).astype(np.int32) + bias)
            spikes = found[-1] > 0
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, as checkpoints hold them."""
        found: dict[str, npt.NDArray[Any]] = {}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            found |= {f"{i}.weight": weight, f"{i}.bias": bias}
        return found

    def copy(self) -> Parameters:
        """Return a copy that shares no memory."""
        return Parameters(tuple(w.copy() for w in self.weights), tuple(b.copy() for b in self.biases))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Parameters:
        """Return what ``arrays`` was made of."""
        layers = range(sum(name.endswith(".weight") for name in arrays))
        return cls(
            tuple(np.array(arrays[f"{i}.weight"], dtype=np.int32) for i in layers),
            tuple(np.array(arrays[f"{i}.bias"], dtype=np.int32) for i in layers),
        )


def random_parameters(sizes: Sequence[int], levels: Levels, rng: np.random.Generator, sample: IntArray) -> Parameters:
    """Return random weights, and biases that put each unit's threshold at the median potential of ``sample``.

    Logits are centred in the same way. ``sample`` (n, n_in) holds spikes.
    """
    weights, biases = [], []
    for n_in, n_out in pairwise(sizes):
        weight = rng.choice(levels.array, size=(n_in, n_out), p=start_shares(levels)).astype(np.int32)
        potentials = _product(sample, weight)
        bias = -np.floor(np.median(potentials, axis=0))
        weights.append(weight)
        biases.append(np.clip(bias, -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32))
        sample = potentials + biases[-1] > 0
    return Parameters(tuple(weights), tuple(biases))


def _product(spikes: IntArray, weight: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Return ``spikes @ weight``, in chunks: exact, for they are integers far below 2^53."""
    factor, out = weight.astype(np.float64), np.empty((len(spikes), weight.shape[1]))
    for rows in chunks(len(spikes), 8 * spikes.shape[1]):
        np.rint(spikes[rows].astype(np.float64) @ factor, out=out[rows])
    return out


def start_shares(levels: Levels) -> npt.NDArray[np.float64]:
    """Return how often each level is drawn for random weights."""
    if 0 not in levels.values:
        return np.full(len(levels), 1 / len(levels))
    shares = np.full(len(levels), (1 - _ZEROS) / (len(levels) - 1))
    shares[levels.values.index(0)] = _ZEROS
    return shares


def parameters_of(network: DiscreteNetwork, sizes: Sequence[int], levels: Levels) -> Parameters:
    """Return the parameters of ``network``, dense and of ``sizes``, whose weights are all ``levels``."""
    weights, biases = [], []
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, Dense):
            raise InputError(f"initial network, layer {index} ({layer!r}): only dense layers can be trained further")
        expected = "readout" if index == len(network.layers) - 1 else "threshold"
        if layer.neuron.facts.form != expected:
            raise InputError(
                f"initial network, layer {index} ({layer!r}): {layer.neuron.kind} neurons cannot be trained as "
                f"{expected} neurons; give the kind of neuron that it has"
            )
        levels.index(layer.weight)
        weights.append(np.ascontiguousarray(layer.weight.T, dtype=np.int32))
        biases.append(layer.bias.astype(np.int32))
    found = Parameters(tuple(weights), tuple(biases))
    if found.sizes != tuple(sizes):
        raise InputError(f"initial network: sizes {found.sizes}; {tuple(sizes)} expected from the data and layers")
    return found


def network_of(
    parameters: Parameters,
    levels: Levels,
    encoder: Encoder | None = None,
    labels: Sequence[object] | None = None,
) -> DiscreteNetwork:
    """Return the network that ``parameters`` are."""
    last = len(parameters.weights) - 1
    layers = [
        Dense(weight.T, bias, "readout" if index == last else "threshold", levels)
        for index, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True))
    ]
    return DiscreteNetwork(layers, encoder, labels)

"""Weights and biases while they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.inputs.bits import chunks

__all__ = ["BIAS_LIMIT", "Parameters", "start_shares"]

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

"""A network of real weights, the float64 baseline's: rectified linear units, then a readout.

Beside integrate-and-fire neurons it is the network of their rates: its inputs are the share of a sample's time steps
in which each one spikes. Sums of windows are their means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import SpikeArray, frozen
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.backprop.load import load_folded_steps, load_steps
from conntra_neuro.training.layers.forward import images_of

__all__ = ["Floats", "RealNetwork", "input_rates"]

Floats = npt.NDArray[np.float64]
_VALUES = 2**22  # of potentials at a time, about


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """Weights (inputs of a unit, outputs) and biases (outputs,) of each layer of ``arch``, float64."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    arch: Architecture

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(frozen(w) for w in self.weights))
        object.__setattr__(self, "biases", tuple(frozen(b) for b in self.biases))

    @property
    def memory_bytes(self) -> int:
        """8 bytes a parameter; skip connections have no biases."""
        joined = {node.skip.index for node in self.arch.nodes if node.skip is not None}
        biases = (bias.nbytes for index, bias in enumerate(self.biases) if index not in joined)
        return sum(weight.nbytes for weight in self.weights) + sum(biases)

    def forward(self, x: SpikeArray) -> Floats:
        """Return the logits (n, classes) of inputs (n, n_in); those of several time steps one after the other."""
        tree = [{"weight": w, "bias": b} for w, b in zip(self.weights, self.biases, strict=True)]
        rows = max(1, min(2048, _VALUES // max(self.arch.sizes)))
        steps = load_folded_steps()
        with load_steps().double_precision():
            parts = [
                np.asarray(steps.real_logits(tree, input_rates(self.arch, x[i : i + rows]), arch=self.arch))
                for i in range(0, len(x), rows)
            ]
        return np.concatenate(parts)

    def error(self, x: SpikeArray, y: npt.NDArray[np.int64]) -> float:
        """Return the fraction of ``x`` whose prediction differs from the class indices ``y``."""
        return float(np.mean(self.forward(x).argmax(axis=1) != y))


def input_rates(arch: Architecture, x: npt.NDArray[Any]) -> Floats:
    """Return flat samples (n, input_steps * n_in) as inputs (n, *shape), the mean over the time steps."""
    images = images_of(arch, x, np.float64)
    return images.reshape(len(x), -1, *images.shape[1:]).mean(axis=1)

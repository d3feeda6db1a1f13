"""Threshold neurons: a spike where the potential is above 0. The slope is that of a threshold with logistic noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import Neuron, Threshold
from conntra_neuro.training.neurons.base import Floats, TrainableNeuron, Wished, noisy_step

__all__ = ["ThresholdTraining"]


class ThresholdTraining(TrainableNeuron):
    """See the module."""

    word = "threshold"
    folds = True

    def of_layer(self, fan_in: int, largest_level: int, first: bool, wanted: Wished) -> Neuron:
        """Return the neuron; it has no parameter."""
        return Threshold()

    def words(self, neuron: Neuron, steps: int) -> tuple[Any, ...]:
        """Return its word."""
        return self.word, 1, "hard"

    def respond(
        self, neuron: Neuron, z: Floats, bias: Floats | float = 0.0, steps: int = 1, loop: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return potentials and spikes."""
        return z, (z > 0).astype(z.dtype)

    def unit(self, neuron: Neuron) -> float:
        """Return 1: any scale of the potentials is the same to it."""
        return 1.0

    def share_above(self, neuron: Neuron) -> float:
        """Return 0: thresholds are at the median."""
        return 0.0

    def slope(self, neuron: Neuron, sigma: float) -> npt.NDArray[np.float32]:
        """Return (P(z + 1) - P(z - 1)) / 2, zero at both ends: potentials beyond are clipped to these."""
        p = noisy_step(sigma)
        slope = (p[2:] - p[:-2]) / 2
        slope[[0, -1]] = 0
        return slope.astype(np.float32)

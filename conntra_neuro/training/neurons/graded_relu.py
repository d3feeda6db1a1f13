"""Graded ReLU neurons: the potential, shifted right; the slope is that of the smoothed line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import GradedRelu, Neuron, values
from conntra_neuro.training.neurons.base import GRADED_SPREAD, Floats, TrainableNeuron, Wished, noisy_step, spread_of

__all__ = ["GradedReluTraining"]


class GradedReluTraining(TrainableNeuron):
    """See the module."""

    word = "relu"
    binary = False

    def of_layer(self, fan_in: int, largest_level: int, first: bool, wanted: Wished) -> Neuron:
        """Return the neuron whose shift leaves spikes of a few bits."""
        spread = spread_of(fan_in, largest_level, graded=not first)
        return GradedRelu(max(0, round(math.log2(spread / GRADED_SPREAD))))

    def words(self, neuron: Neuron, steps: int) -> tuple[Any, ...]:
        """Return its word."""
        return self.word, 1, "hard"

    def respond(
        self, neuron: Neuron, z: Floats, bias: Floats | float = 0.0, steps: int = 1, loop: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return potentials and graded spikes."""
        return z, np.clip(np.floor(z * z.dtype.type(0.5 ** _shift(neuron))), 0, values(neuron.facts.ceiling))

    def unit(self, neuron: Neuron) -> float:
        """Return the potential behind a spike of the usual size."""
        return GRADED_SPREAD * 2.0 ** _shift(neuron)

    def share_above(self, neuron: Neuron) -> float:
        """Return the share that the smallest potential is that is seen."""
        return 1 / GRADED_SPREAD

    def slope(self, neuron: Neuron, sigma: float) -> npt.NDArray[np.float32]:
        """Return P(z) / 2^shift."""
        slope = noisy_step(sigma)[1:-1] * 0.5 ** _shift(neuron)
        slope[0] = 0
        return slope.astype(np.float32)

    def spike_slope(self, neuron: Neuron, sigma: float) -> npt.NDArray[np.float32]:
        """Return the slope of P(a spike of 1 or more), of threshold 2^shift, where ``slope`` is given."""
        reach = (len(self.slope(neuron, sigma)) - 1) // 2
        z = np.arange(-reach - 1, reach + 2)
        p = 1 / (1 + np.exp(-np.clip((z - (1 << _shift(neuron)) + 0.5) / sigma, -60, 60)))
        slope = (p[2:] - p[:-2]) / 2
        slope[[0, -1]] = 0
        return slope.astype(np.float32)


def _shift(neuron: Neuron) -> int:
    assert isinstance(neuron, GradedRelu)
    return int(values(neuron.shift))

"""Integrate-and-fire neurons over T time steps; credit goes backward through time.

What is integrated at a step counts at all later ones, until a hard reset forgets it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.neurons import IntegrateAndFire, Neuron, values
from conntra_neuro.training.neurons.base import Floats, Terms, Wished, spread_of
from conntra_neuro.training.neurons.threshold import ThresholdTraining
from conntra_neuro.training.threads import Threads

__all__ = ["IntegrateAndFireTraining"]


class IntegrateAndFireTraining(ThresholdTraining):
    """See the module. The slope is a threshold's, at what has been integrated."""

    word = "if"
    folds = False

    def of_layer(self, fan_in: int, largest_level: int, first: bool, wanted: Wished) -> Neuron:
        """Return the neuron whose threshold is about what potentials spread by."""
        threshold = max(1, round(spread_of(fan_in, largest_level)))
        return IntegrateAndFire(threshold, wanted.steps, wanted.reset)  # type: ignore[arg-type]

    def words(self, neuron: Neuron, steps: int) -> tuple[Any, ...]:
        """Return its word, time steps and reset."""
        found = _typed(neuron)
        return self.word, found.steps, found.reset

    def respond(
        self, neuron: Neuron, z: Floats, bias: Floats | float = 0.0, steps: int = 1, loop: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return how far v is above the largest value without a spike, before its reset, and the spikes.

        The spikes are those of ``IntegrateAndFire.advance``.
        """
        found = _typed(neuron)
        threshold = values(found.threshold)
        z = z.reshape(-1, found.steps, *z.shape[1:])
        over, spikes = np.empty_like(z), np.empty_like(z)
        v = np.zeros_like(z[:, 0])
        for step in range(found.steps):
            v = v + z[:, step]
            over[:, step] = v - (threshold - 1)
            fired = over[:, step] > 0
            spikes[:, step] = fired
            v = np.where(fired, 0, v) if found.reset == "hard" else v - threshold * spikes[:, step]
        flat = (-1, *z.shape[2:])
        return over.reshape(flat), spikes.reshape(flat)

    def unit(self, neuron: Neuron) -> float:
        """Return the threshold."""
        return float(values(_typed(neuron).threshold))

    def share_above(self, neuron: Neuron) -> float:
        """Return half a threshold, or all of it where there is one step: units are to fire."""
        return 0.5 if _typed(neuron).steps > 1 else 1.0

    def terms(
        self,
        neuron: Neuron,
        z: Floats,
        outputs: Floats,
        gain: Floats,
        how: Terms,
        threads: Threads,
        steps: int = 1,
        loop: Floats | None = None,
    ) -> Floats:
        """Return the terms, backward through time; at one step as a threshold's."""
        found = _typed(neuron)
        if found.steps == 1:
            return super().terms(neuron, z, outputs, gain, how, threads)
        curve = self.slope(neuron, how.sigma)
        grid = how.grid(float(curve.max()), gain.dtype, found.steps)
        flat, potentials = gain.reshape(len(gain), -1), z.reshape(len(gain), -1)
        reach = (len(curve) - 1) // 2
        slope = curve[np.clip(potentials, -reach, reach).astype(np.int32) + reach]
        slope = slope.reshape(-1, found.steps, flat.shape[1])
        g, s = flat.reshape(slope.shape), outputs.reshape(slope.shape)
        price = 0 if how.price is None else np.broadcast_to(how.price, gain.shape[1:]).astype(gain.dtype).ravel()
        later = np.zeros_like(g[:, 0])
        for step in range(found.steps - 1, -1, -1):
            stays = later if found.reset == "soft" else later * (1 - s[:, step])
            later = (g[:, step] + price) * slope[:, step] + stays
            g[:, step] = np.rint(later / grid) * grid
        return gain


def _typed(neuron: Neuron) -> IntegrateAndFire:
    assert isinstance(neuron, IntegrateAndFire)
    return neuron

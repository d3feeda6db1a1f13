"""The readout neuron, whose potential is the logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.neurons.base import Bounds, Facts, Neuron

__all__ = ["Readout"]


@dataclass(frozen=True)
class Readout(Neuron):
    """Readout neuron: its potential is the logit, summed over the steps of a sample; it never spikes."""

    kind: ClassVar[str] = "readout"
    spikes: ClassVar[bool] = False

    @property
    def facts(self) -> Facts:
        """It keeps its potential, and has no threshold."""
        return Facts(threshold=None, voltage_decay=0)

    def respond(self, potentials: IntArray) -> IntArray:
        """Return the logits (n, size), int64, of potentials (n, steps, size)."""
        return potentials.sum(axis=1, dtype=np.int64)

    def held(self, potentials: IntArray) -> IntArray:
        """Return the sums up to each step."""
        return np.cumsum(potentials, axis=1, dtype=np.int64)

    def left(self, potentials: IntArray) -> IntArray:
        """Return the sums up to each step."""
        return self.held(potentials)

    def register_bounds(self, low: Bounds, high: Bounds, steps: int) -> tuple[Bounds, Bounds]:
        """The potentials of all ``steps`` add up: so do the bounds of one of them, ``low`` and ``high``."""
        return steps * low, steps * high

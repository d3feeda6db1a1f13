"""The memoryless threshold neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.neurons.base import Facts, Neuron

__all__ = ["Threshold"]


@dataclass(frozen=True)
class Threshold(Neuron):
    """Memoryless threshold neuron: spike iff ``potential > 0`` (strict).

    "At least theta" is a bias of ``1 - theta``. One time step from synapse to spike.
    """

    kind: ClassVar[str] = "threshold"

    @property
    def facts(self) -> Facts:
        """It forgets at every step, and spikes above 0."""
        return Facts()

    def respond(self, potentials: IntArray) -> IntArray:
        """Return the spikes (n, steps, size), uint8, of potentials (n, steps, size)."""
        return (potentials > 0).view(np.uint8)

    def held(self, potentials: IntArray) -> IntArray:
        """Return the potentials."""
        return potentials

    def left(self, potentials: IntArray) -> IntArray:
        """Return the potentials at which it did not spike, else 0."""
        return np.minimum(potentials, 0)

"""The memoryless threshold neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.neurons.base import Advance, Facts, Neuron, State

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

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return spikes, uint8, where ``sums + bias`` is above 0; what did not spike is left."""
        potentials = sums + bias
        return Advance((potentials > 0).view(np.uint8), potentials, np.minimum(potentials, 0))

    def respond(self, sums: IntArray, bias: IntArray | int = 0) -> IntArray:
        """Return the spikes (n, steps, size), uint8, of sums (n, steps, size)."""
        return (sums + bias > 0).view(np.uint8)

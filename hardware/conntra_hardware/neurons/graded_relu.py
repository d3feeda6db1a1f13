"""The graded rectified linear unit of Loihi 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons.base import (
    GRADED_MAX,
    Advance,
    Bounds,
    Facts,
    Neuron,
    Parameter,
    State,
    parameter,
    values,
)

__all__ = ["GradedRelu"]

_MAX_SHIFT = 23


@dataclass(frozen=True)
class GradedRelu(Neuron):
    """Graded spikes: ``y = max(0, floor(potential / 2**shift))``, at most ``GRADED_MAX``; no spike where y is 0.

    ``shift``: 0 to 23, a number or one a neuron; InputError for anything else, and for a spike beyond 24 bits when it
    runs.
    """

    shift: Parameter = 0
    kind: ClassVar[str] = "graded_relu"
    graded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", parameter(self.shift, 0, _MAX_SHIFT, "graded ReLU: shift"))

    @property
    def facts(self) -> Facts:
        """It forgets at every step, and sends what exceeds 0."""
        return Facts(graded=True, shift=self.shift)

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return graded spikes, int32, at sums (n, steps, size); potentials that send nothing are left.

        InputError for a spike beyond 24 bits.
        """
        potentials = sums + bias
        sent = np.maximum(potentials >> values(self.shift), 0)
        largest = int(sent.max(initial=0))
        if largest > GRADED_MAX:
            more = (largest // (GRADED_MAX + 1)).bit_length()
            raise InputError(
                f"graded ReLU: a spike of {largest}; at most {GRADED_MAX} fits 24 bits: shift by {more} bits more"
            )
        return Advance(sent.astype(np.int32), potentials, np.where(sent == 0, potentials, 0))

    def largest_spike(self, high: Bounds) -> Bounds:
        """Return the largest value that it sends where no potential exceeds ``high`` (size,)."""
        return np.minimum(high >> values(self.shift), GRADED_MAX)

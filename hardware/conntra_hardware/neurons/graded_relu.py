"""The graded rectified linear unit of Loihi 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

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
    """Graded spikes: ``y = max(0, floor(potential / 2**shift))``; no spike where y is 0.

    ``shift``: 0 to 23. ``ceiling``: what a larger y is sent as, 1 to ``GRADED_MAX``; without one (``GRADED_MAX``) a
    larger y is an InputError when it runs. Each a number, or one a neuron; InputError for anything else.
    """

    shift: Parameter = 0
    ceiling: Parameter = GRADED_MAX
    kind: ClassVar[str] = "graded_relu"
    graded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", parameter(self.shift, 0, _MAX_SHIFT, "graded ReLU: shift"))
        object.__setattr__(self, "ceiling", parameter(self.ceiling, 1, GRADED_MAX, "graded ReLU: ceiling"))

    @property
    def facts(self) -> Facts:
        """It forgets at every step, and sends what exceeds 0."""
        return Facts(graded=True, shift=self.shift, ceiling=self.ceiling)

    def entries(self) -> dict[str, Any]:
        """Return its parameters by name; a ceiling only where it has one, as files held them before."""
        found = super().entries()
        if self.ceiling == GRADED_MAX:
            del found["ceiling"]
        return found

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return graded spikes, int32, at sums (n, steps, size); potentials that send nothing are left.

        InputError for a spike beyond 24 bits.
        """
        potentials = sums + bias
        sent = potentials >> values(self.shift)
        np.maximum(sent, 0, out=sent)
        ceiling = values(self.ceiling)
        if np.max(ceiling) < GRADED_MAX:
            np.minimum(sent, ceiling, out=sent)
        elif np.min(ceiling) < GRADED_MAX:
            sent = np.where(ceiling < GRADED_MAX, np.minimum(sent, ceiling), sent)
        largest = int(sent.max(initial=0))
        if largest > GRADED_MAX:
            more = (largest // (GRADED_MAX + 1)).bit_length()
            raise InputError(
                f"graded ReLU: a spike of {largest}; at most {GRADED_MAX} fits 24 bits: shift by {more} bits more"
            )
        return Advance(sent.astype(np.int32), potentials, np.where(sent == 0, potentials, 0))

    def largest_spike(self, high: Bounds) -> Bounds:
        """Return the largest value that it sends where no potential exceeds ``high`` (size,)."""
        return np.minimum(high >> values(self.shift), values(self.ceiling))

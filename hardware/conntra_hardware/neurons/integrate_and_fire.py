"""The integrate-and-fire neuron, without leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons.base import Advance, Bounds, Facts, Neuron, Parameter, State, parameter, values

__all__ = ["IntegrateAndFire"]

_MAX_THRESHOLD = 2**17 - 1
_MAX_STEPS = 4096


@dataclass(frozen=True)
class IntegrateAndFire(Neuron):
    """Integrate-and-fire over ``steps`` time steps a sample, without leak.

    At each step ``v += potential``; spike iff ``v >= threshold``; after a spike ``v = 0`` (``reset`` "hard") or
    ``v -= threshold`` ("soft"). v is 0 when a sample begins. ``threshold``: 1 to 2^17 - 1, a number or one a neuron.
    ``steps``: 1 to 4,096, one number. InputError for anything else.
    """

    threshold: Parameter
    steps: int
    reset: Literal["hard", "soft"] = "hard"
    kind: ClassVar[str] = "integrate_and_fire"

    def __post_init__(self) -> None:
        threshold = parameter(self.threshold, 1, _MAX_THRESHOLD, "integrate-and-fire: threshold")
        object.__setattr__(self, "threshold", threshold)
        steps = parameter(self.steps, 1, _MAX_STEPS, "integrate-and-fire: steps")
        if isinstance(steps, tuple):
            raise InputError("integrate-and-fire: steps: one number for all neurons expected")
        object.__setattr__(self, "steps", steps)
        if self.reset not in ("hard", "soft"):
            raise InputError(f"integrate-and-fire: reset {self.reset!r}; hard or soft allowed")

    @property
    def facts(self) -> Facts:
        """It keeps its potential, and spikes at the threshold."""
        return Facts(threshold=self.threshold, strict=False, reset=self.reset, voltage_decay=0)

    @property
    def sample_steps(self) -> int:
        """Its time steps."""
        return self.steps

    @property
    def has_state(self) -> bool:
        """It keeps v."""
        return True

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return spikes, uint8, at sums (n, steps, size), v before a spike is decided, v after it, and the last v."""
        n, steps, size = sums.shape
        spikes = np.empty(sums.shape, np.uint8)
        held, left = np.empty(sums.shape, np.int64), np.empty(sums.shape, np.int64)
        threshold = values(self.threshold)
        v = np.zeros((n, size), np.int64) if state is None else state[0]
        for step in range(steps):
            held[:, step] = v = v + sums[:, step] + bias
            fired = np.greater_equal(v, threshold, out=spikes[:, step].view(bool))
            v = np.where(fired, 0, v) if self.reset == "hard" else v - threshold * fired
            left[:, step] = v
        return Advance(spikes, held, left, (v,))

    def respond(self, sums: IntArray, bias: IntArray | int = 0) -> IntArray:
        """Return the spikes (n, steps, size), uint8, of a sample's sums; InputError for other steps than it has."""
        if sums.shape[1] != self.steps:
            raise InputError(f"integrate-and-fire: {sums.shape[1]} time steps; {self.steps} expected")
        return self.advance(sums, bias).sent

    def register_bounds(self, low: Bounds, high: Bounds, steps: int) -> tuple[Bounds, Bounds]:
        """Bound v over ``steps``, from the ``low`` and the ``high`` of a step's potential, all int64 (size,).

        After a spike v is 0 (hard reset), or less by the threshold (soft).
        """
        if steps == 1:
            return low, high
        if self.reset == "hard":
            return steps * low, np.maximum(values(self.threshold) - 1 + high, high)
        return steps * low, np.maximum(high, steps * high)

"""The readout neuron, whose potential is the logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons.base import (
    FORGETS,
    FRACTION_BITS,
    Advance,
    Bounds,
    Facts,
    Neuron,
    Parameter,
    State,
    parameter,
    values,
)
from conntra_hardware.neurons.registers import bounded, stepped, zeros

__all__ = ["Readout"]


@dataclass(frozen=True)
class Readout(Neuron):
    """Readout neuron: it never spikes, and its potential is the logit.

    read  "sum": v adds up the potentials of a sample's steps, in weight units. "last" and "max": v leaks as that of
          ``Lif`` does, in units of a 64th of a weight, and its last or its largest value in a sample is the logit
    voltage_decay, current_decay  of 4096, numbers or one a neuron, as in ``Lif``

    InputError for anything else.
    """

    read: Literal["sum", "last", "max"] = "sum"
    voltage_decay: Parameter = 0
    current_decay: Parameter = FORGETS
    kind: ClassVar[str] = "readout"
    spikes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.read not in ("sum", "last", "max"):
            raise InputError(f"readout: kind {self.read!r}; sum, last or max allowed")
        for name in ("voltage_decay", "current_decay"):
            object.__setattr__(self, name, parameter(getattr(self, name), 0, FORGETS, f"readout: {name}"))
        if self.read == "sum" and (self.voltage_decay, self.current_decay) != (0, FORGETS):
            raise InputError('readout: a sum does not leak; kind "last" or "max" does')

    @property
    def facts(self) -> Facts:
        """It has no threshold."""
        if self.read == "sum":
            return Facts(threshold=None, voltage_decay=0)
        return Facts(
            threshold=None,
            voltage_decay=self.voltage_decay,
            current_decay=self.current_decay,
            fraction_bits=FRACTION_BITS,
            read=self.read,
        )

    def entries(self) -> dict[str, Any]:
        """Return its parameters by name; none for the plain sum, which files of the first version hold by name."""
        return {} if self.read == "sum" else super().entries()

    @property
    def needs_steps(self) -> bool:
        """Whether it takes a number of time steps to mean anything."""
        return self.read != "sum"

    @property
    def has_state(self) -> bool:
        """It keeps v."""
        return True

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return at sums (n, steps, size) v at each step, as sent, held and left."""
        n, steps, size = sums.shape
        if self.read == "sum":
            before = zeros(n, size) if state is None else state[0]
            v = np.cumsum(sums + bias, axis=1, dtype=np.int64) + before[:, None]
            return Advance(v, v, v, (v[:, -1] if steps else before,))
        u, v = (zeros(n, size), zeros(n, size)) if state is None else state
        held, left = np.empty(sums.shape, np.int64), np.empty(sums.shape, np.int64)
        decays = FORGETS - values(self.current_decay), FORGETS - values(self.voltage_decay)
        for step in range(steps):
            u, v = stepped(u, v, sums[:, step], bias, *decays)
            held[:, step], left[:, step] = v, v | u * (decays[0] > 0)
        return Advance(held, held, left, (u, v))

    def respond(self, sums: IntArray, bias: IntArray | int = 0) -> IntArray:
        """Return the logits (n, size), int64, of a sample's sums (n, steps, size)."""
        if self.read == "sum":
            return (sums + bias).sum(axis=1, dtype=np.int64)
        held = self.advance(sums, bias).held
        return held.max(axis=1) if self.read == "max" else held[:, -1].copy()

    def register_bounds(self, low: Bounds, high: Bounds, steps: int) -> tuple[Bounds, Bounds]:
        """The potentials of all ``steps`` add up: so do the bounds ``low`` and ``high`` of one, where nothing leaks."""
        if self.read == "sum":
            return steps * low, steps * high
        return bounded(low, high, steps, values(self.current_decay), values(self.voltage_decay))

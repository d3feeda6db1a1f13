"""Loihi's leaky integrate-and-fire neuron with a current."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

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

__all__ = ["Lif"]

_MAX_THRESHOLD = 2**17 - 1
_MAX_REFRACTORY = 63


@dataclass(frozen=True)
class Lif(Neuron):
    """Loihi's leaky integrate-and-fire neuron with a current; u and v are integers with 6 binary places.

    At each step ``u = decay(u, current_decay) + 64 * sum`` (24 bits, wraps round), then
    ``v = decay(v, voltage_decay) + u + 64 * bias`` (24 bits, stops at its ends), where
    ``decay(x, d) = sign(x) * (|x| * (4096 - d) >> 12)``. It spikes iff ``v > 64 * threshold``, with ``strict`` False
    iff ``v >= 64 * threshold``; after a spike ``v = 0`` (``reset`` "hard") or ``v -= 64 * threshold`` ("soft"), and for
    ``refractory`` steps v stays as it is and no spike is sent. u and v are 0 when a sample begins.

    threshold                     0 to 2^17 - 1, in weight units, a number or one a neuron
    voltage_decay, current_decay  0 (keeps all) to 4096 (forgets all), of 4096, a number or one a neuron
    refractory                    0 to 63 time steps, a number or one a neuron

    InputError for anything else.
    """

    threshold: Parameter
    _: KW_ONLY
    voltage_decay: Parameter
    current_decay: Parameter = FORGETS
    reset: Literal["hard", "soft"] = "hard"
    strict: bool = True
    refractory: Parameter = 0
    kind: ClassVar[str] = "lif"

    def __post_init__(self) -> None:
        ranges = {
            "threshold": _MAX_THRESHOLD,
            "voltage_decay": FORGETS,
            "current_decay": FORGETS,
            "refractory": _MAX_REFRACTORY,
        }
        for name, high in ranges.items():
            object.__setattr__(self, name, parameter(getattr(self, name), 0, high, f"lif: {name}"))
        if self.reset not in ("hard", "soft"):
            raise InputError(f"lif: reset {self.reset!r}; hard or soft allowed")
        if not isinstance(self.strict, bool):
            raise InputError(f"lif: strict {self.strict!r}; True or False allowed")
        if not self.strict and np.any(values(self.threshold) == 0):
            raise InputError("lif: threshold 0, not strict: it would spike at every step; give at least 1, or strict")

    @property
    def facts(self) -> Facts:
        """Its parameters, in Loihi's registers."""
        return Facts(
            threshold=self.threshold,
            strict=self.strict,
            reset=self.reset,
            voltage_decay=self.voltage_decay,
            current_decay=self.current_decay,
            refractory=self.refractory,
            fraction_bits=FRACTION_BITS,
        )

    @property
    def needs_steps(self) -> bool:
        """It lives in time."""
        return True

    @property
    def has_state(self) -> bool:
        """It keeps u and v, and while refractory the steps that are left."""
        return True

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return spikes, uint8, at sums (n, steps, size), v before a spike is decided, what is left of u and v (0 where
        nothing of either is kept), and the last u, v and refractory steps.
        """
        n, steps, size = sums.shape
        spikes = np.empty(sums.shape, np.uint8)
        held, left = np.empty(sums.shape, np.int64), np.empty(sums.shape, np.int64)
        theta = values(self.threshold) << FRACTION_BITS
        least = theta + int(self.strict)
        keeps_u, keeps_v = FORGETS - values(self.current_decay), FORGETS - values(self.voltage_decay)
        u, v, waits = (zeros(n, size), zeros(n, size), zeros(n, size)) if state is None else state
        for step in range(steps):
            u, charged = stepped(u, v, sums[:, step], bias, keeps_u, keeps_v)
            v = held[:, step] = np.where(waits > 0, v, charged)
            fired = np.logical_and(v >= least, waits == 0, out=spikes[:, step].view(bool))
            v = np.where(fired, 0, v) if self.reset == "hard" else v - theta * fired
            waits = np.where(fired, values(self.refractory), np.maximum(waits - 1, 0))
            left[:, step] = v | u * (keeps_u > 0)
        return Advance(spikes, held, left, (u, v, waits))

    def register_bounds(self, low: Bounds, high: Bounds, steps: int) -> tuple[Bounds, Bounds]:
        """Bound v over ``steps``, from the ``low`` and the ``high`` of a step's sum, all (size,), in weight units.

        As if nothing ever spiked, and with a hard reset above also by the threshold and a step's largest u.
        """
        least, most = bounded(low, high, steps, values(self.current_decay), values(self.voltage_decay))
        if self.reset == "soft":
            return least, most
        current, _ = bounded(-np.maximum(high, 0), high, steps, values(self.current_decay), FORGETS)
        return least, np.minimum(most, values(self.threshold) - np.minimum(current, 0))

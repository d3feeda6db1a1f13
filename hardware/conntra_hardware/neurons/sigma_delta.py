"""The sigma-delta neuron of Loihi 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons.base import GRADED_MAX, Advance, Bounds, Facts, Neuron, Span, State, parameter

__all__ = ["SigmaDelta"]

_MAX_SHIFT = 23


@dataclass(frozen=True)
class SigmaDelta(Neuron):
    """Sigma-delta neuron: it adds up changes, and sends the change of its own activation where that is large enough.

    As Lava's fixed-point process ``SigmaDelta`` computes it: at each step ``sigma += sum``,
    ``act' = activation(sigma + bias)``, ``delta = act' - act + residue``; where ``|delta| >= threshold`` it sends
    ``floor(delta / 2**shift)``, a graded spike of either sign, and ``residue = 0``, else nothing, and
    ``residue = delta``; then ``act = act'``. With ``cumulative_error`` it is ``|error| >= threshold`` that decides,
    where ``error += delta``, and a spike sets error to 0. sigma, act, residue and error are 0 when a sample begins.

    threshold         0 to 2^23 - 1, in weight units: Lava's ``vth << (spike_exp + state_exp)``
    shift             0 to 23 bits: Lava's ``state_exp``
    activation        "relu" or "linear" (Lava's UNIT)
    cumulative_error  True or False: Lava's ``cum_error``

    One number each for all neurons. The bias is in weight units, too: Lava's, times 2^(spike_exp + state_exp).
    InputError for anything else, and for a spike beyond 24 bits when it runs.
    """

    threshold: int
    shift: int = 0
    activation: Literal["relu", "linear"] = "relu"
    cumulative_error: bool = False
    kind: ClassVar[str] = "sigma_delta"
    graded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, high in {"threshold": GRADED_MAX, "shift": _MAX_SHIFT}.items():
            value = parameter(getattr(self, name), 0, high, f"sigma-delta: {name}")
            if isinstance(value, tuple):
                raise InputError(f"sigma-delta: {name}: one number for all neurons expected")
            object.__setattr__(self, name, value)
        if self.activation not in ("relu", "linear"):
            raise InputError(f"sigma-delta: activation {self.activation!r}; relu or linear allowed")
        if not isinstance(self.cumulative_error, bool):
            raise InputError(f"sigma-delta: cumulative_error {self.cumulative_error!r}; True or False allowed")

    @property
    def facts(self) -> Facts:
        """It keeps sigma, and sends what changes."""
        return Facts(
            threshold=self.threshold,
            strict=False,
            voltage_decay=0,
            graded=True,
            shift=self.shift,
            delta=self.activation,
            cumulative_error=self.cumulative_error,
        )

    @property
    def needs_steps(self) -> bool:
        """It lives in time."""
        return True

    @property
    def has_state(self) -> bool:
        """It keeps sigma, act, residue and error."""
        return True

    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return graded spikes, int32, at sums (n, steps, size), ``sigma + bias`` at each step, what is left of sigma,
        act and residue (0 where all are 0), and the last sigma, act, residue and error.

        InputError for a spike beyond 24 bits.
        """
        n, steps, size = sums.shape
        sent = np.empty(sums.shape, np.int64)
        held, left = np.empty(sums.shape, np.int64), np.empty(sums.shape, np.int64)
        sigma, act, residue, error = (np.zeros((n, size), np.int64),) * 4 if state is None else state
        for step in range(steps):
            sigma = sigma + sums[:, step]
            held[:, step] = sigma + bias
            now = np.maximum(held[:, step], 0) if self.activation == "relu" else held[:, step]
            delta = now - act + residue
            error = error + delta if self.cumulative_error else delta
            whole = np.where(np.abs(error) >= self.threshold, delta, 0)
            error = np.where(whole == 0, error, 0)
            residue, act = delta - whole, now
            sent[:, step] = whole >> self.shift
            left[:, step] = sigma | act | residue
        largest = int(np.abs(sent).max(initial=0))
        if largest > GRADED_MAX:
            raise InputError(
                f"sigma-delta: a spike of magnitude {largest}; at most {GRADED_MAX} fits 24 bits: use smaller weights, "
                f"or shift by {(largest // (GRADED_MAX + 1)).bit_length()} bits more"
            )
        return Advance(sent.astype(np.int32), held, left, (sigma, act, residue, error))

    def register_bounds(self, low: Bounds, high: Bounds, steps: int) -> tuple[Bounds, Bounds]:
        """The sums of all ``steps`` add up, and so do the bounds ``low`` and ``high`` of one; the bias comes once."""
        return steps * np.minimum(low, 0), steps * np.maximum(high, 0)

    def span(self, low: Bounds, high: Bounds, steps: int) -> Span:
        """Return what it can send where ``sigma + bias`` stays from ``low`` to ``high`` (size,) over ``steps`` steps.

        What it has sent in all is its activation, less the residue: however long a sample, that is as bounded as they
        are, but for what the shift cuts off.
        """
        most, least = np.maximum(high, 0), np.minimum(low, 0)
        if self.activation == "relu":
            least = np.zeros_like(least)
        # Of two errors that both send nothing, the difference may be a residue.
        residue = max(self.threshold - 1, 0) * (2 if self.cumulative_error else 1)
        reach = most - least + residue
        cut = steps if self.shift else 0
        return Span(
            low=-reach >> self.shift,
            high=reach >> self.shift,
            least=((least - residue) >> self.shift) - cut,
            most=(most + residue) >> self.shift,
        )

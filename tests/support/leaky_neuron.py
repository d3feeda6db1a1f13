"""A kind of neuron that the package does not have: Loihi's leaky integrate-and-fire, written from its formula.

``x`` decayed by ``d``: ``sign(x) * (|x| * (4096 - d) >> 12)``. Registers have 24 bits and 6 binary places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from conntra_hardware.neurons import FRACTION_BITS, Facts, Neuron, Parameter, values
from conntra_hardware.neurons.base import Advance, State


@dataclass(frozen=True)
class LeakyNeuron(Neuron):
    """u <- decay(u) + 64 * sum, v <- decay(v) + u + 64 * bias, spike iff v > 64 * threshold."""

    threshold: Parameter
    steps: int
    voltage_decay: Parameter = 410
    current_decay: Parameter = 4096
    reset: Literal["hard", "soft"] = "hard"
    strict: bool = True
    kind: ClassVar[str] = "leaky_for_a_test"

    def __post_init__(self) -> None:
        for name in ("threshold", "voltage_decay", "current_decay"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)

    @property
    def facts(self) -> Facts:
        return Facts(
            self.threshold, self.strict, self.reset, self.voltage_decay, self.current_decay, fraction_bits=FRACTION_BITS
        )

    @property
    def sample_steps(self) -> int:
        return self.steps

    def advance(self, sums: Any, bias: Any = 0, state: State | None = None) -> Advance:
        n, steps, size = sums.shape
        spikes = np.empty(sums.shape, np.uint8)
        held, left = np.empty(sums.shape, np.int64), np.empty(sums.shape, np.int64)
        theta = 64 * values(self.threshold)
        u, v = (np.zeros((n, size), np.int64),) * 2 if state is None else state
        for step in range(steps):
            u = self._decayed(u, self.current_decay) + 64 * sums[:, step]
            v = self._decayed(v, self.voltage_decay) + u + 64 * bias
            held[:, step] = v
            fired = v > theta if self.strict else v >= theta
            v = np.where(fired, 0 if self.reset == "hard" else v - theta, v)
            spikes[:, step], left[:, step] = fired, u | v
        return Advance(spikes, held, left, (u, v))

    @staticmethod
    def _decayed(x: Any, decay: Parameter) -> Any:
        return np.sign(x) * (np.abs(x) * (4096 - values(decay)) >> 12)

    def register_bounds(self, low: Any, high: Any, steps: int) -> Any:
        # Neither register leaks here, so that no decay can make this unsound; a soft reset only lowers v.
        reach = steps * (steps + 1) // 2 if np.any(values(self.current_decay) < 4096) else steps
        return reach * np.minimum(low, 0), reach * np.maximum(high, 0)


@dataclass(frozen=True)
class StrangeNeuron(Neuron):
    """What no table has a row for."""

    kind: ClassVar[str] = "strange"

    @property
    def facts(self) -> Facts:
        return Facts(refractory=1)

    def advance(self, sums: Any, bias: Any = 0, state: State | None = None) -> Advance:
        potentials = sums + bias
        return Advance((potentials > 0).view(np.uint8), potentials, potentials)

"""A kind of neuron that the package does not have: Loihi's leaky integrate-and-fire, written from its formula.

``x`` decayed by ``d``: ``sign(x) * (|x| * (4096 - d) >> 12)``. Registers have 24 bits and 6 binary places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from conntra_hardware.neurons import Facts, Neuron, Parameter, values


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
        return Facts(self.threshold, self.strict, self.reset, self.voltage_decay, self.current_decay)

    @property
    def sample_steps(self) -> int:
        return self.steps

    def respond(self, potentials: Any) -> Any:
        return self._trace(potentials)[0]

    def held(self, potentials: Any) -> Any:
        return self._trace(potentials)[1] >> 6

    def left(self, potentials: Any) -> Any:
        return self._trace(potentials)[2]

    def register_bounds(self, low: Any, high: Any, steps: int) -> Any:
        # Neither register leaks here, so that no decay can make this unsound; a soft reset only lowers v.
        reach = steps * (steps + 1) // 2 if np.any(values(self.current_decay) < 4096) else steps
        return reach * np.minimum(low, 0), reach * np.maximum(high, 0)

    def _trace(self, potentials: Any) -> tuple[Any, Any, Any]:
        assert np.all(values(self.current_decay) == 4096), "sums and biases come together here"
        spikes = np.empty(potentials.shape, np.uint8)
        held, left = np.empty(potentials.shape, np.int64), np.empty(potentials.shape, np.int64)
        theta = 64 * values(self.threshold)
        v = np.zeros((potentials.shape[0], potentials.shape[2]), np.int64)
        for step in range(potentials.shape[1]):
            v = np.sign(v) * (np.abs(v) * (4096 - values(self.voltage_decay)) >> 12) + 64 * potentials[:, step]
            held[:, step] = v
            fired = v > theta if self.strict else v >= theta
            v = np.where(fired, 0 if self.reset == "hard" else v - theta, v)
            spikes[:, step], left[:, step] = fired, v
        return spikes, held, left


@dataclass(frozen=True)
class StrangeNeuron(Neuron):
    """What no table has a row for."""

    kind: ClassVar[str] = "strange"

    @property
    def facts(self) -> Facts:
        return Facts(refractory=1)

    def respond(self, potentials: Any) -> Any:
        return (potentials > 0).view(np.uint8)

    def held(self, potentials: Any) -> Any:
        return potentials

    def left(self, potentials: Any) -> Any:
        return potentials

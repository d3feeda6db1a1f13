"""The kinds of neuron a program may hold, each with its exact integer dynamics.

All potentials are integers, ``potential = weights @ inputs + bias``. A sample takes ``steps`` time steps, the same for
all neurons of a network; a neuron without state treats each of them alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError

__all__ = [
    "GRADED_MAX",
    "NEURON_KINDS",
    "GradedRelu",
    "IntegrateAndFire",
    "Neuron",
    "Readout",
    "Threshold",
    "common_steps",
    "neuron_from_dict",
    "neuron_from_name",
    "neuron_to_dict",
]

GRADED_MAX = 2**23 - 1
"""The largest value of a graded spike: 24 bits, the sign among them."""

_MAX_SHIFT = 23
_MAX_THRESHOLD = 2**17 - 1
_MAX_STEPS = 4096


@dataclass(frozen=True)
class Threshold:
    """Memoryless threshold neuron: spike iff ``potential > 0`` (strict).

    "At least theta" is a bias of ``1 - theta``. One time step from synapse to spike.
    """

    kind: ClassVar[str] = "threshold"
    spikes: ClassVar[bool] = True
    graded: ClassVar[bool] = False

    def respond(self, potentials: IntArray) -> IntArray:
        """Return the spikes (n, steps, size), uint8, of potentials (n, steps, size)."""
        return (potentials > 0).view(np.uint8)


@dataclass(frozen=True)
class GradedRelu:
    """Graded spikes: ``y = max(0, floor(potential / 2**shift))``, at most ``GRADED_MAX``; no spike where y is 0."""

    shift: int = 0
    kind: ClassVar[str] = "graded_relu"
    spikes: ClassVar[bool] = True
    graded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", _integer(self.shift, 0, _MAX_SHIFT, "graded ReLU: shift"))

    def respond(self, potentials: IntArray) -> IntArray:
        """Return the spikes (n, steps, size), int32, of potentials (n, steps, size); InputError beyond 24 bits."""
        values = np.maximum(potentials >> self.shift, 0)
        largest = int(values.max(initial=0))
        if largest > GRADED_MAX:
            more = (largest // (GRADED_MAX + 1)).bit_length()
            raise InputError(
                f"graded ReLU: a spike of {largest}; at most {GRADED_MAX} fits 24 bits: shift by {more} bits more"
            )
        return values.astype(np.int32)


@dataclass(frozen=True)
class IntegrateAndFire:
    """Integrate-and-fire over ``steps`` time steps a sample, without leak.

    At each step ``v += potential``; spike iff ``v >= threshold``; after a spike ``v = 0`` (``reset`` "hard") or
    ``v -= threshold`` ("soft"). v is 0 when a sample begins.
    """

    threshold: int
    steps: int
    reset: Literal["hard", "soft"] = "hard"
    kind: ClassVar[str] = "integrate_and_fire"
    spikes: ClassVar[bool] = True
    graded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        threshold = _integer(self.threshold, 1, _MAX_THRESHOLD, "integrate-and-fire: threshold")
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "steps", _integer(self.steps, 1, _MAX_STEPS, "integrate-and-fire: steps"))
        if self.reset not in ("hard", "soft"):
            raise InputError(f"integrate-and-fire: reset {self.reset!r}; hard or soft allowed")

    def respond(self, potentials: IntArray) -> IntArray:
        """Return the spikes (n, steps, size), uint8, of potentials (n, steps, size)."""
        return self.trace(potentials)[0]

    def trace(self, potentials: IntArray) -> tuple[IntArray, IntArray]:
        """Return the spikes, uint8, and the v that each step begins with, int64; all (n, steps, size)."""
        if potentials.shape[1] != self.steps:
            raise InputError(f"integrate-and-fire: {potentials.shape[1]} time steps; {self.steps} expected")
        spikes = np.empty(potentials.shape, np.uint8)
        before = np.empty(potentials.shape, np.int64)
        v = np.zeros((potentials.shape[0], potentials.shape[2]), np.int64)
        for step in range(self.steps):
            before[:, step] = v
            v = v + potentials[:, step]
            fired = np.greater_equal(v, self.threshold, out=spikes[:, step].view(bool))
            v = np.where(fired, 0, v) if self.reset == "hard" else v - self.threshold * fired
        return spikes, before


@dataclass(frozen=True)
class Readout:
    """Readout neuron: its potential is the logit, summed over the steps of a sample; it never spikes."""

    kind: ClassVar[str] = "readout"
    spikes: ClassVar[bool] = False
    graded: ClassVar[bool] = False

    def respond(self, potentials: IntArray) -> IntArray:
        """Return the logits (n, size), int64, of potentials (n, steps, size)."""
        return potentials.sum(axis=1, dtype=np.int64)


Neuron: TypeAlias = Threshold | GradedRelu | IntegrateAndFire | Readout
NEURON_KINDS: dict[str, type[Threshold] | type[GradedRelu] | type[IntegrateAndFire] | type[Readout]] = {
    kind.kind: kind for kind in (Threshold, GradedRelu, IntegrateAndFire, Readout)
}


def neuron_from_name(name: str) -> Neuron:
    """Return the neuron called ``name``: "threshold", "readout", or "graded_relu" (without a shift)."""
    if name not in NEURON_KINDS:
        raise InputError(f"activation {name!r}: unknown; allowed: {', '.join(NEURON_KINDS)}")
    if name == IntegrateAndFire.kind:
        raise InputError(f"activation {name!r}: has parameters; give IntegrateAndFire(threshold, steps)")
    return NEURON_KINDS[name]()  # type: ignore[call-arg]


def neuron_to_dict(neuron: Neuron) -> dict[str, Any]:
    """Return a neuron as JSON values: its kind and its parameters."""
    return {"kind": neuron.kind, **asdict(neuron)}


def neuron_from_dict(entry: str | dict[str, Any]) -> Neuron:
    """Return the neuron of ``neuron_to_dict``, or of the name that files of the first version hold."""
    if isinstance(entry, str):
        return neuron_from_name(entry)
    kind = NEURON_KINDS.get(entry["kind"])
    if kind is None:
        raise InputError(f"neuron {entry['kind']!r}: unknown; allowed: {', '.join(NEURON_KINDS)}")
    return kind(**{key: value for key, value in entry.items() if key != "kind"})


def common_steps(neurons: dict[str, Neuron]) -> int:
    """Return the time steps a sample takes with these neurons, by name: 1 where none has state; InputError if they
    differ.
    """
    steps = {name: neuron.steps for name, neuron in neurons.items() if isinstance(neuron, IntegrateAndFire)}
    if len(set(steps.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in steps.items())
        raise InputError(f"integrate-and-fire: different time steps a sample ({listed}); give all the same")
    return next(iter(steps.values()), 1)


def _integer(value: Any, low: int, high: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(f"{what} {value!r}; an integer from {low} to {high} expected")
    return int(value)

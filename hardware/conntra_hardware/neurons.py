"""The kinds of neuron a program may hold, each with its exact integer dynamics.

All potentials are integers, ``potential = weights @ inputs + bias``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from conntra_hardware.errors import InputError

__all__ = ["NEURON_KINDS", "Neuron", "Readout", "Threshold", "neuron_from_name"]


@dataclass(frozen=True)
class Threshold:
    """Memoryless threshold neuron: spike iff ``potential > 0`` (strict).

    "At least theta" is a bias of ``1 - theta``. One time step from synapse to spike.
    """

    kind: ClassVar[str] = "threshold"
    spikes: ClassVar[bool] = True


@dataclass(frozen=True)
class Readout:
    """Readout neuron: its potential is the logit and is read out at every time step; it never spikes."""

    kind: ClassVar[str] = "readout"
    spikes: ClassVar[bool] = False


Neuron: TypeAlias = Threshold | Readout
NEURON_KINDS: dict[str, type[Threshold] | type[Readout]] = {"threshold": Threshold, "readout": Readout}


def neuron_from_name(name: str) -> Neuron:
    """Return the neuron called ``name`` ("threshold" or "readout")."""
    if name not in NEURON_KINDS:
        raise InputError(f"activation {name!r}: unknown; allowed: {', '.join(NEURON_KINDS)}")
    return NEURON_KINDS[name]()

"""The kinds of neuron that there are, by name, and how files name them. A new kind is one file, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_hardware.neurons.base import Neuron
from conntra_hardware.neurons.graded_relu import GradedRelu
from conntra_hardware.neurons.integrate_and_fire import IntegrateAndFire
from conntra_hardware.neurons.lif import Lif
from conntra_hardware.neurons.multi_threshold import MultiThreshold
from conntra_hardware.neurons.readout import Readout
from conntra_hardware.neurons.sigma_delta import SigmaDelta
from conntra_hardware.neurons.threshold import Threshold

__all__ = [
    "MAX_STEPS",
    "NEURON_KINDS",
    "common_steps",
    "neuron_from_dict",
    "neuron_from_name",
    "neuron_to_dict",
    "stored_neuron",
]

MAX_STEPS = 4096
"""The most time steps that a sample may take."""

NEURON_KINDS: dict[str, type[Neuron]] = {
    kind.kind: kind for kind in (Threshold, MultiThreshold, GradedRelu, IntegrateAndFire, Lif, SigmaDelta, Readout)
}


def neuron_from_name(name: str) -> Neuron:
    """Return the neuron called ``name``: one that needs no parameters, as "threshold", "readout" or "graded_relu".

    InputError for a name that is not known, and for one whose kind has parameters.
    """
    kind = NEURON_KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputError(
            f"activation {name!r}: unknown{did_you_mean(name, NEURON_KINDS)}; allowed: {', '.join(NEURON_KINDS)}"
        )
    needed = [f.name for f in fields(kind) if f.default is MISSING]  # type: ignore[arg-type]
    if needed:
        raise InputError(f"activation {name!r}: has parameters; give {kind.__name__}({', '.join(needed)})")
    return kind()


def neuron_to_dict(neuron: Neuron) -> dict[str, Any]:
    """Return a neuron as JSON values: its kind and its parameters, one a neuron as a list."""
    return {"kind": neuron.kind, **{k: list(v) if isinstance(v, tuple) else v for k, v in neuron.entries().items()}}


def stored_neuron(neuron: Neuron) -> str | dict[str, Any]:
    """Return what files hold of a neuron: its name where that is all, as in the first version, else its entries."""
    return neuron_to_dict(neuron) if neuron.entries() else neuron.kind


def neuron_from_dict(entry: str | Mapping[str, Any]) -> Neuron:
    """Return the neuron of an ``entry`` of ``neuron_to_dict`` or ``stored_neuron``; InputError for unknown kinds."""
    if isinstance(entry, str):
        return neuron_from_name(entry)
    kind = NEURON_KINDS.get(entry["kind"])
    if kind is None:
        raise InputError(f"neuron {entry['kind']!r}: unknown; allowed: {', '.join(NEURON_KINDS)}")
    return kind(**{key: value for key, value in entry.items() if key != "kind"})


def common_steps(neurons: Mapping[str, Neuron], given: int | None = None) -> int:
    """Return the time steps a sample takes with these neurons, by name.

    ``given`` where it is, else what the neurons say, else 1. InputError where they differ, where a neuron lives in time
    and nobody says how long, and for a number out of range.
    """
    steps = {name: neuron.sample_steps for name, neuron in neurons.items() if neuron.sample_steps is not None}
    if given is not None:
        whole(given, "steps", 1, MAX_STEPS)
        steps["steps"] = given
    if len(set(steps.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in steps.items())
        raise InputError(f"neurons with state: different time steps a sample ({listed}); give all the same")
    timeless = [name for name, neuron in neurons.items() if neuron.needs_steps]
    if timeless and not steps:
        kind = neurons[timeless[0]].kind
        raise InputError(f"{timeless[0]}: {kind} neurons live in time; give the time steps of a sample, steps=...")
    return next(iter(steps.values()), 1)

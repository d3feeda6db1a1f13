"""What a backend cannot run: refused by name before anything starts, with the remedy."""

from __future__ import annotations

from collections.abc import Collection

from conntra_hardware.base.errors import UnsupportedProgram
from conntra_hardware.program import Program

__all__ = ["refuse_neurons", "refuse_ways_through_time"]


def refuse_neurons(backend: str, program: Program, forms: Collection[str], remedy: str) -> None:
    """Raise UnsupportedProgram where the form of a population's neurons is not among ``forms``."""
    for population in program.populations:
        if population.neuron.facts.form not in forms:
            raise UnsupportedProgram(
                f"{backend}: population {population.name}: {population.neuron.kind} neurons; it runs "
                f"{', '.join(forms)}; {remedy}"
            )


def refuse_ways_through_time(backend: str, program: Program, remedy: str) -> None:
    """Raise UnsupportedProgram for delays, synapses to their own population, and outputs that are counted."""
    for projection in program.projections:
        if projection.delay or projection.source == projection.target:
            what = f"a delay of {projection.delay}" if projection.delay else "a population that leads to itself"
            ends = f"{projection.source} -> {projection.target}"
            raise UnsupportedProgram(f"{backend}: projection {ends}: {what}; it runs feed-forward programs; {remedy}")
    if program.readout.neuron.spikes:
        raise UnsupportedProgram(f"{backend}: population {program.readout.name}: spikes to be counted; {remedy}")

"""What a backend cannot run: refused by name before anything starts, with the remedy."""

from __future__ import annotations

from collections.abc import Collection

from conntra_hardware.base.errors import UnsupportedProgram
from conntra_hardware.program import Program

__all__ = ["refuse_neurons"]


def refuse_neurons(backend: str, program: Program, forms: Collection[str], remedy: str) -> None:
    """Raise UnsupportedProgram where the form of a population's neurons is not among ``forms``."""
    for population in program.populations:
        if population.neuron.facts.form not in forms:
            raise UnsupportedProgram(
                f"{backend}: population {population.name}: {population.neuron.kind} neurons; it runs "
                f"{', '.join(forms)}; {remedy}"
            )

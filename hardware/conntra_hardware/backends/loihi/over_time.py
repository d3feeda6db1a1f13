"""Samples of several time steps on a chip: how they are kept apart, though nobody knows how late the adapters are.

A host cannot clear a neuron at a step of its choosing: adapters take steps, and how many is known after the run. So
samples stand apart by quiet steps, as many as adapters may take, and neurons clear themselves once in that time, at a
step that lies within it whatever the delay. A neuron with a bias would not be quiet: biases come as synapses of a line
that spikes while a sample lasts. What is still on its way, through delays or back to its own population, would arrive
later: a second line then holds all neurons below their thresholds, for as long as anything can be on its way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from conntra_hardware.backends.lava.registers import MAX_SUM
from conntra_hardware.backends.refuse import refuse_neurons
from conntra_hardware.base.errors import UnsupportedProgram
from conntra_hardware.fit.overflow import spans_of, synaptic_bounds
from conntra_hardware.neurons import FORGETS, values
from conntra_hardware.neurons.registers import bounded
from conntra_hardware.program import Population, Program

__all__ = ["MAX_LATENCY", "TimePlan", "lives_in_time", "time_plan"]

MAX_LATENCY = 16
"""Steps that adapters may take; a mark that has not come back after them is given up."""

_FORMS = ("threshold", "integrating", "leaky", "readout")
_LARGEST, _MOST_DOUBLINGS = 255, 7
_REMEDY = "use another backend"


@dataclass(frozen=True)
class TimePlan:
    """A sample enters every ``period`` steps, and takes the first ``steps`` of them. For ``silent`` steps after it
    neurons get the weight ``-silencers[population]`` besides.
    """

    steps: int
    period: int
    silent: int
    silencers: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def lives_in_time(program: Program) -> bool:
    """Whether a sample takes more than a step, or anything of it is kept, sent back, late, or counted."""
    kept = any(p.neuron.facts.form not in ("threshold", "graded", "readout") for p in program.populations)
    late = any(program.lag(p) for p in program.projections)
    return program.steps > 1 or kept or late or program.readout.neuron.spikes


def time_plan(backend: str, program: Program) -> TimePlan:
    """Return how samples of ``program`` are kept apart; UnsupportedProgram, with the reason, where a chip cannot."""
    if program.readout.neuron.facts.form == "leaky readout":
        raise UnsupportedProgram(
            f"{backend}: population {program.readout.name}: a readout that leaks: what leaves the chip is a graded "
            f"spike, of one step's sum; count the spikes of a last layer, or {_REMEDY}"
        )
    refuse_neurons(backend, program, _FORMS, _REMEDY)
    silent = max(program.lag(p) for p in program.projections)
    spans = spans_of(program.populations, program.incoming, program.steps, program.encoder)
    silencers = {}
    for population in program.populations:
        where = f"{backend}: population {population.name}"
        low, high = synaptic_bounds(population, program.incoming(population.name), spans)
        _refuse(population, where, max(-int(low.min()), int(high.max())))
        if silent and population.neuron.spikes:
            silencers[population.name] = _silencer(population, low, high, program.steps + silent, where)
    return TimePlan(program.steps, program.steps + silent + MAX_LATENCY + 1, silent, silencers)


def _refuse(population: Population, where: str, largest: int) -> None:
    facts = population.neuron.facts
    if facts.form == "integrating" and facts.reset == "soft":
        raise UnsupportedProgram(f"{where}: a soft reset: Lava's LIFReset has none; {_REMEDY}")
    if not population.bias.any():
        return
    if facts.fraction_bits and np.any(values(facts.current_decay) != FORGETS):
        raise UnsupportedProgram(
            f"{where}: biases beside a current that lasts: they come as synapses here, to be off between samples, and "
            f"would last with it; {_REMEDY}"
        )
    if largest > MAX_SUM:
        raise UnsupportedProgram(
            f"{where}: sums of a step up to {largest}, with biases that come as synapses here; a current holds "
            f"{MAX_SUM}; {_REMEDY}"
        )


def _silencer(population: Population, low: Any, high: Any, steps: int, where: str) -> int:
    """Return a weight, to be taken off, after which no current raises a voltage: v, at a threshold, stays there."""
    decay = values(population.neuron.facts.current_decay)
    _, most = bounded(low, high, steps, decay, FORGETS)
    weight = _rounded_up(max(int(most.max()), 0))
    least, _ = bounded(low - weight, high, steps, decay, FORGETS)
    if weight > _LARGEST << _MOST_DOUBLINGS or -int(least.min()) > MAX_SUM:
        raise UnsupportedProgram(
            f"{where}: currents up to {int(most.max())}: to hold them down between samples, while spikes are on their "
            f"way, takes more than a current of {MAX_SUM} holds; {_REMEDY}"
        )
    return weight


def _rounded_up(weight: int) -> int:
    """Return the least weight of 8 bits times a power of two that is not below ``weight``."""
    doublings = max(weight.bit_length() - _LARGEST.bit_length(), 0)
    rounded = -(-weight >> doublings) << doublings
    return rounded if rounded >> doublings <= _LARGEST else (rounded >> (doublings + 1)) << (doublings + 1)

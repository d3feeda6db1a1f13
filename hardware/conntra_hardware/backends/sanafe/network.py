"""A job as SANA-FE's network: its groups of neurons, what their somas are told, and the synapses between them.

v leaks by a factor and is cut off towards 0 at 1/64: Loihi's register, with a weight of 1 as 64 of these.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.child.job import Compartments, Job
from conntra_hardware.backends.sanafe.architecture import DENDRITE, INPUT_UNIT, SOMA, WHOLE_SOMA
from conntra_hardware.neurons import FORGETS, Facts, row_for
from conntra_hardware.neurons.registers import HALF
from conntra_hardware.program import INPUT, AnyProjection, CoreSlice

__all__ = ["Slice", "make_network"]

# Its names come from an extension module without types.
sanafe: Any = importlib.import_module("sanafe")

_NEVER = 1e15
_UNIT = 64.0
_WHOLE_NUMBERS = 0.5  # a potential above this is one of at least 1


@dataclass(frozen=True, eq=False)
class Slice:
    """The neurons ``index`` of a population at ``depth``, one group of SANA-FE's."""

    population: Compartments
    depth: int
    index: npt.NDArray[np.intp]
    group: Any

    @property
    def bias(self) -> list[int]:
        """The bias of each neuron."""
        return self.population.bias[self.index].tolist()


def make_network(job: Job, arch: Any, over_time: bool) -> tuple[Any, list[Slice]]:
    """Return SANA-FE's network, and each slice in it. Inputs have no spikes yet, and ``over_time`` neurons no bias."""
    cores = {int(core): arch.tiles[tile].cores[place] for core, (tile, place) in job.settings["places"].items()}
    network = sanafe.Network()
    inputs = network.create_neuron_group(INPUT, job.inputs.shape[1], soma_hw_name=f"{INPUT_UNIT}[0]")
    for index, neuron in enumerate(inputs.neurons):
        neuron.set_attributes(soma_hw_name=f"{INPUT_UNIT}[{index}]")
        neuron.map_to_core(cores[-1])
    sources: dict[str, list[tuple[npt.NDArray[np.intp], Any]]] = {INPUT: [(np.arange(job.inputs.shape[1]), inputs)]}
    slices: list[Slice] = []
    for population in job.populations:
        for start, stop, runs, stride, core, encoding in job.settings["slices"][population.name]:
            chosen = CoreSlice(population.name, start, stop, core, runs, stride).index
            index = np.arange(population.size)[chosen]
            group = _group(network, population, index, encoding, over_time)
            group.map_to_core(cores[core])
            slices.append(Slice(population, job.depths[population.name], index, group))
        own = [s for s in slices if s.population is population]
        sources[population.name] = [(s.index, s.group) for s in own]
        for projection in job.incoming(population.name):
            for s in own:
                _connect(projection, sources[projection.source], s, bool(job.settings["delays"]))
    return network, slices


def _group(network: Any, population: Compartments, index: npt.NDArray[np.intp], encoding: str, over_time: bool) -> Any:
    group = network.create_neuron_group(
        # SANA-FE keeps groups by name, and its trace of potentials is in that order.
        f"{population.name}_{index[0]:09d}",
        len(index),
        default_synapse_hw_name=encoding,
        default_dendrite_hw_name=DENDRITE,
        log_spikes=population.spikes,
        log_potential=not population.spikes,
        soma_hw_name=WHOLE_SOMA if _keeps_the_rest(population.facts) else SOMA,
    )
    rows = {
        "threshold": _memoryless,
        "readout": _summed if over_time else _memoryless,
        "integrating": _integrating,
        "leaky": _leaky,
        "leaky readout": _leaky,
    }
    attributes = row_for(rows, population, f"sanafe: population {population.name}", "use backend reference")
    for at, neuron in zip(index.tolist(), group.neurons, strict=True):
        told = attributes(population.facts, _picked(at))
        neuron.set_attributes(model_attributes=told | {"bias": 0 if over_time else int(population.bias[at])})
    return group


_Pick = Callable[[Any], int]


def _picked(index: int) -> _Pick:
    """Return what reads the parameter of neuron ``index``."""
    return lambda value: int(value[index]) if isinstance(value, (tuple, np.ndarray)) else int(value)


def _memoryless(facts: Facts, _: _Pick) -> dict[str, Any]:
    never = facts.threshold is None
    return {"threshold": _NEVER if never else _WHOLE_NUMBERS, "leak_decay": 0.0, "reset_mode": "hard"}


def _summed(_: Facts, __: _Pick) -> dict[str, Any]:
    return {"threshold": _NEVER, "leak_decay": 1.0, "reset_mode": "hard"}


def _keeps_the_rest(facts: Facts) -> bool:
    """Whether these are integrate-and-fire neurons with a soft reset: they take off the threshold that they reach."""
    return facts.form == "integrating" and facts.reset == "soft"


def _integrating(facts: Facts, pick: _Pick) -> dict[str, Any]:
    if _keeps_the_rest(facts):  # TrueNorth's soma: it spikes at its threshold, and its leak is one that is taken off
        return {"threshold": float(pick(facts.least)), "leak": 0.0, "reset_mode": "soft"}
    return {"threshold": pick(facts.least) - _WHOLE_NUMBERS, "leak_decay": 1.0, "reset_mode": "hard"}


def _leaky(facts: Facts, pick: _Pick) -> dict[str, Any]:
    threshold = _NEVER
    if facts.threshold is not None:
        # It spikes above its threshold: at Loihi's is above the number before.
        threshold = pick(facts.threshold) - (0 if facts.strict else 1 / _UNIT)
    told = {
        "threshold": threshold,
        "reset_mode": facts.reset,
        "leak_decay": (FORGETS - pick(facts.voltage_decay)) / FORGETS,
        "input_decay": (FORGETS - pick(facts.current_decay)) / FORGETS,
        "reverse_threshold": (1 - HALF) / _UNIT,
        "reverse_reset_mode": "saturate",
    }
    # Its delay counts the step of the spike.
    return told | ({"refractory_delay": pick(facts.refractory) + 1} if pick(facts.refractory) else {})


def _connect(
    projection: AnyProjection, sources: list[tuple[npt.NDArray[np.intp], Any]], target: Slice, delays: bool
) -> None:
    rows = projection.matrix()[target.index]
    for index, source in sources:
        part = rows[:, index].tocoo()
        if part.nnz:
            attributes: dict[str, list[int]] = {"weight": part.data.astype(int).tolist()}
            if delays:
                attributes["delay"] = [projection.delay] * part.nnz
            pairs = list(zip(part.col.tolist(), part.row.tolist(), strict=True))
            source.connect_neurons_sparse(target.group, attributes, pairs)

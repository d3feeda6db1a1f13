"""The child process: build SANA-FE's chip and network for a job, run it, write what it did and what it took.

Inputs fire at the step their sample enters; a neuron at depth d is updated for it d steps later. The samples are fed as
if they repeated without end: depth + 1 steps before the first one, so that the pipeline is full, and depth after.
"""

from __future__ import annotations

import importlib
import json
import time
from typing import Any

import numpy as np

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve
from conntra_hardware.backends.sanafe.architecture import DENDRITE, INPUT_UNIT, SOMA
from conntra_hardware.program import INPUT

# Its names come from an extension module without types.
sanafe: Any = importlib.import_module("sanafe")

PERFORMANCE_FILE = "performance.json"
_ENERGIES = ("soma_energy", "synapse_energy", "network_energy", "dendrite_energy")
_NEVER = 1e15


def simulate(job: Job) -> float:
    """Run ``job`` and return the seconds of the simulation."""
    path = job.folder / "architecture.yaml"
    path.write_text(job.settings["architecture"], encoding="utf-8")
    arch = sanafe.load_arch(str(path))
    depth = len(job.populations)
    network, slices = _network(job, arch, depth + 1)
    chip = sanafe.SpikingChip(arch)
    chip.load(network)
    start = time.perf_counter()
    options = {"timing_model": "simple", "processing_threads": 1, "spike_trace": True, "potential_trace": True}
    traces = chip.sim(job.samples + 2 * depth + 1, perf_trace=True, **options)
    seconds = time.perf_counter() - start
    _write_spikes(job, traces["spike_trace"], slices, depth + 1)
    _write_logits(job, traces["potential_trace"], depth + 1)
    _write_performance(job, traces["perf_trace"], depth + 1)
    return seconds


def _network(job: Job, arch: Any, lead: int) -> tuple[Any, list[tuple[str, int, int, int, Any]]]:
    """Return SANA-FE's network, and (population, depth, start, stop, group) of each slice in it."""
    cores = {core: arch.tiles[tile].cores[place] for core, (tile, place) in _places(job).items()}
    network = sanafe.Network()
    inputs = network.create_neuron_group(INPUT, job.inputs.shape[1], soma_hw_name=f"{INPUT_UNIT}[0]")
    extended = np.take(np.asarray(job.inputs), np.arange(-lead, job.samples + lead - 1), axis=0, mode="wrap")
    for index, neuron in enumerate(inputs.neurons):
        spikes = {"spikes": extended[:, index].astype(int).tolist()}
        neuron.set_attributes(soma_hw_name=f"{INPUT_UNIT}[{index}]", model_attributes=spikes)
        neuron.map_to_core(cores[-1])
    sources: dict[str, list[tuple[int, int, Any]]] = {INPUT: [(0, job.inputs.shape[1], inputs)]}
    slices = []
    for depth, population in enumerate(job.populations, start=1):
        (projection,) = job.incoming(population.name)
        for start, stop, core, encoding in job.settings["slices"][population.name]:
            group = _neurons(network, population, start, stop, encoding)
            group.map_to_core(cores[core])
            for first, last, source in sources[projection.source]:
                _connect(source, group, projection.weights[start:stop, first:last])
            slices.append((population.name, depth, start, stop, group))
        sources[population.name] = [
            (start, stop, group) for name, _, start, stop, group in slices if name == population.name
        ]
    return network, slices


def _places(job: Job) -> dict[int, tuple[int, int]]:
    return {int(core): tuple(place) for core, place in job.settings["places"].items()}


def _neurons(network: Any, population: Any, start: int, stop: int, encoding: str) -> Any:
    """Return a group of memoryless neurons: a potential of at least 1 is a spike, that of a readout is recorded."""
    spiking = population.spikes
    group = network.create_neuron_group(
        # SANA-FE keeps groups by name, and its trace of potentials is in that order.
        f"{population.name}_{start:09d}",
        stop - start,
        model_attributes={"threshold": 0.5 if spiking else _NEVER, "leak_decay": 0.0, "reset_mode": "hard"},
        default_synapse_hw_name=encoding,
        default_dendrite_hw_name=DENDRITE,
        log_spikes=spiking,
        log_potential=not spiking,
        soma_hw_name=SOMA,
    )
    for neuron, bias in zip(group.neurons, population.bias[start:stop].tolist(), strict=True):
        neuron.set_attributes(model_attributes={"bias": bias})
    return group


def _connect(source: Any, target: Any, weights: np.ndarray) -> None:
    j, i = np.nonzero(weights)
    if len(i):
        pairs = list(zip(i.tolist(), j.tolist(), strict=True))
        source.connect_neurons_sparse(target, {"weight": weights[j, i].astype(int).tolist()}, pairs)


def _write_spikes(job: Job, trace: Any, slices: list[tuple[str, int, int, int, Any]], lead: int) -> None:
    files = {name: np.load(path, mmap_mode="r+", allow_pickle=False) for name, path in job.spike_files.items()}
    known = {group.get_name(): (name, depth, start) for name, depth, start, _, group in slices}
    for step, fired in enumerate(trace):
        for neuron in fired:
            name, depth, start = known[neuron.group_name]
            sample = step - lead - depth
            if 0 <= sample < job.samples:
                files[name][sample, start + neuron.neuron_offset] = 1


def _write_logits(job: Job, trace: Any, lead: int) -> None:
    file = np.load(job.logits_file, mmap_mode="r+", allow_pickle=False)
    first = lead + len(job.populations)
    file[:] = np.rint(np.asarray(trace, dtype=np.float64)[first : first + job.samples])


def _write_performance(job: Job, trace: Any, lead: int) -> None:
    """Write for the steps in which the samples enter what each kind of unit took, and the time of the step."""
    kept = {name: list(trace[name])[lead : lead + job.samples] for name in (*_ENERGIES, "sim_time", "hops", "spikes")}
    (job.folder / PERFORMANCE_FILE).write_text(json.dumps(kept), encoding="utf-8")


if __name__ == "__main__":
    serve(simulate)

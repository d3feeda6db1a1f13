"""The child process: build SANA-FE's chip and network for a job, run it, write what it did and what it took.

Inputs fire at the step their row enters; a neuron at depth d is updated for it d steps later. Memoryless samples are
fed as if they repeated without end: depth + 1 steps before the first one, so that the pipeline is full, and depth
after. Samples that live in time are run one by one, and the chip is cleared between them.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve
from conntra_hardware.backends.sanafe.network import Slice, make_network
from conntra_hardware.neurons import values
from conntra_hardware.program import INPUT

# Its names come from an extension module without types.
sanafe: Any = importlib.import_module("sanafe")

PERFORMANCE_FILE = "performance.json"
_ENERGIES = ("soma_energy", "synapse_energy", "network_energy", "dendrite_energy")
_KEPT = (*_ENERGIES, "sim_time", "hops", "spikes")
_OPTIONS: dict[str, Any] = {
    "timing_model": "simple",
    "processing_threads": 1,
    "spike_trace": True,
    "potential_trace": True,
    "perf_trace": True,
}


def simulate(job: Job) -> float:
    """Run ``job`` and return the seconds of the simulation."""
    path = job.folder / "architecture.yaml"
    path.write_text(job.settings["architecture"], encoding="utf-8")
    arch = sanafe.load_arch(str(path))
    over_time = bool(job.settings["over_time"])
    network, slices = make_network(job, arch, over_time)
    chip = sanafe.SpikingChip(arch)
    if over_time:
        return _SampleBySample(job, chip, network, slices).run()
    return _pipelined(job, chip, network, slices)


def _pipelined(job: Job, chip: Any, network: Any, slices: Sequence[Slice]) -> float:
    lead = job.depth + 1
    extended = np.take(np.asarray(job.inputs), np.arange(-lead, job.samples + lead - 1), axis=0, mode="wrap")
    for index, neuron in enumerate(network.groups[INPUT].neurons):
        neuron.set_attributes(model_attributes={"spikes": extended[:, index].astype(int).tolist()})
    chip.load(network)
    start = time.perf_counter()
    traces = chip.sim(job.samples + 2 * job.depth + 1, **_OPTIONS)
    seconds = time.perf_counter() - start
    files = _open(job)
    _place(traces["spike_trace"], slices, {name: file[:] for name, file in files.items()}, lead)
    first = lead + job.depth
    logits = np.load(job.logits_file, mmap_mode="r+", allow_pickle=False)
    logits[:] = np.rint(np.asarray(traces["potential_trace"], dtype=np.float64)[first : first + job.samples])
    kept = {name: list(traces["perf_trace"][name])[lead : lead + job.samples] for name in _KEPT}
    _write_performance(job, kept)
    return seconds


class _SampleBySample:
    """A chip that is cleared between samples, as a host would.

    Clearing leaves refractory neurons refractory: they wait until they no longer are. And a population's biases are
    turned on when the sample reaches it, for until then it has to be at rest.
    """

    def __init__(self, job: Job, chip: Any, network: Any, slices: Sequence[Slice]) -> None:
        chip.load(network)
        self.job, self.chip, self.slices = job, chip, slices
        mapped = chip.mapped_neuron_groups
        self.inputs = mapped[INPUT]
        self.biased: dict[int, list[tuple[Any, int]]] = {}
        for s in slices:
            neurons = zip(mapped[s.group.get_name()], s.bias, strict=True)
            self.biased.setdefault(s.depth, []).extend((neuron, bias) for neuron, bias in neurons if bias)
        pauses = [int(np.max(values(p.facts.refractory))) for p in job.populations]
        self.pause = max(pauses) + 1 if any(pauses) else 0

    def run(self) -> float:
        """Run all samples, write what they did, and return the seconds of the simulation."""
        job, files = self.job, _open(self.job)
        logits = np.load(job.logits_file, mmap_mode="r+", allow_pickle=False)
        kept: dict[str, list[float]] = {name: [] for name in _KEPT}
        seconds = 0.0
        for sample in range(job.samples):
            rows = slice(sample * job.steps, (sample + 1) * job.steps)
            self._feed(rows)
            start = time.perf_counter()
            spikes, potentials, performance = self._advance()
            seconds += time.perf_counter() - start
            _place(spikes, self.slices, {name: file[rows] for name, file in files.items()}, 0)
            if not job.populations[-1].spikes:
                logits[sample] = self._read(np.asarray(potentials, dtype=np.float64)[job.depth :])
            for name in _KEPT:
                kept[name].append(performance[name])
        _write_performance(job, kept)
        return seconds

    def _feed(self, rows: slice) -> None:
        """Clear the chip, and give the inputs their spikes."""
        if rows.start:
            self.chip.reset()
            self._bias(*self.biased, on=False)
            if self.pause:
                self.chip.sim(self.pause, **_OPTIONS)
        for index, neuron in enumerate(self.inputs):
            spikes = np.asarray(self.job.inputs[rows, index]).astype(int).tolist()
            # What an input without spikes left does is nothing, but the waiting steps take of those that it has.
            neuron.set_attributes(model_attributes={"spikes": spikes})

    def _bias(self, *depths: int, on: bool) -> None:
        for depth in depths:
            for neuron, bias in self.biased.get(depth, ()):
                neuron.set_attributes(model_attributes={"bias": bias if on else 0})

    def _advance(self) -> tuple[list[Any], list[Any], dict[str, float]]:
        """Run one sample: the steps until it has reached all populations, one by one, and then the others."""
        lengths = [1] * self.job.depth + [self.job.steps]
        spikes: list[Any] = []
        potentials: list[Any] = []
        performance: dict[str, float] = dict.fromkeys(_KEPT, 0.0)
        for depth, steps in enumerate(lengths):
            self._bias(depth, on=True)
            traces = self.chip.sim(steps, **_OPTIONS)
            spikes += traces["spike_trace"]
            potentials += traces["potential_trace"]
            for name in _KEPT:
                performance[name] += float(sum(traces["perf_trace"][name]))
        return spikes, potentials, performance

    def _read(self, potentials: np.ndarray) -> np.ndarray:
        facts = self.job.populations[-1].facts
        units = np.rint(potentials * 2**facts.fraction_bits).astype(np.int64)
        return units.max(axis=0) if facts.read == "max" else units[-1]


def _open(job: Job) -> dict[str, Any]:
    return {name: np.load(path, mmap_mode="r+", allow_pickle=False) for name, path in job.spike_files.items()}


def _place(trace: Any, slices: Sequence[Slice], files: dict[str, Any], lead: int) -> None:
    """Write the spikes of a trace into the rows (rows, size) of each population that they belong to."""
    known = {s.group.get_name(): s for s in slices}
    for step, fired in enumerate(trace):
        for neuron in fired:
            s = known[neuron.group_name]
            rows = files[s.population.name]
            row = step - lead - s.depth
            if 0 <= row < len(rows):
                rows[row, s.index[neuron.neuron_offset]] = 1


def _write_performance(job: Job, kept: dict[str, list[float]]) -> None:
    """Write what each kind of unit took, and the time: by the step in which a sample enters, or by the sample."""
    (job.folder / PERFORMANCE_FILE).write_text(json.dumps(kept), encoding="utf-8")


if __name__ == "__main__":
    serve(simulate)

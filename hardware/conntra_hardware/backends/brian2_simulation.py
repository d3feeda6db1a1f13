"""The child process: build Brian2's network for a job, run it, write what its monitors saw.

A time step is 1 ms. Within one: neurons compare what the step before delivered, their sums are cleared, and
spikes of this step are delivered. So a hop takes one step, and the sums at the end of a step belong to the
samples that are one hop further.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import brian2
import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import SpikeArray
from conntra_hardware.backends.job import Job
from conntra_hardware.backends.serve import serve
from conntra_hardware.program import INPUT, AnyProjection, Population

_STEP = brian2.ms
_SCHEDULE = ["start", "groups", "thresholds", "resets", "synapses", "end"]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where things stand: copy c of neuron i is neuron ``c * size + i`` of its group.

    Sample s runs in copy ``s % batch`` at step ``s // batch``.
    """

    samples: int
    batch: int

    @property
    def steps(self) -> int:
        """Steps at which samples enter."""
        return -(-self.samples // self.batch)


def simulate(job: Job) -> float:
    """Run ``job`` and return the seconds of the simulation."""
    _configure()
    layout = _Layout(job.samples, int(job.settings["batch"]))
    groups: dict[str, Any] = {INPUT: _source(job.inputs, layout)}
    network = brian2.Network(groups[INPUT])
    network.schedule = _SCHEDULE
    spikes: dict[str, Any] = {}
    logits = None
    for population in job.populations:
        groups[population.name] = group = _neurons(population, layout.batch)
        network.add(group)
        for projection in job.incoming(population.name):
            network.add(_synapses(projection, groups[projection.source], group, layout.batch))
        if population.neuron.spikes:
            spikes[population.name] = monitor = brian2.SpikeMonitor(group)
        else:
            logits = monitor = brian2.StateMonitor(group, "v", record=True, when="end")
        network.add(monitor)
    start = time.perf_counter()
    network.run((layout.steps + len(job.populations)) * _STEP, namespace={})
    seconds = time.perf_counter() - start
    _write(job, layout, spikes, logits)
    return seconds


def _configure() -> None:
    """NumPy code at once instead of Cython code after 40 s of compiling; integers in doubles are exact."""
    brian2.prefs.codegen.target = "numpy"
    brian2.prefs.core.default_float_dtype = np.float64
    brian2.defaultclock.dt = _STEP


def _source(inputs: SpikeArray, layout: _Layout) -> Any:
    """Return the input group: the spikes of sample s, in copy s % batch, at step s // batch."""
    sample, neuron = np.nonzero(inputs)
    width = inputs.shape[1]
    index = (sample % layout.batch) * width + neuron
    return brian2.SpikeGeneratorGroup(width * layout.batch, index, sample // layout.batch * _STEP, sorted=False)


def _neurons(population: Population, batch: int) -> Any:
    """Return ``batch`` copies of a population. ``v`` is the synaptic sum, the potential is ``v + bias``."""
    model = "v : 1\nbias : 1 (constant)"
    # Every sum is cleared at every step, below, so a spike needs no reset of its own.
    threshold, reset = ("v + bias > 0", "") if population.neuron.spikes else (None, None)
    group = brian2.NeuronGroup(population.size * batch, model, method="euler", threshold=threshold, reset=reset)
    group.bias = np.tile(population.bias.astype(np.float64), batch)
    group.run_regularly("v = 0", when="resets")
    return group


def _synapses(projection: AnyProjection, source: Any, target: Any, batch: int) -> Any:
    """Return one synapse for every nonzero weight and copy, without delay."""
    n_target, n_source = projection.weights.shape
    synapses = brian2.Synapses(source, target, "w : 1 (constant)", on_pre="v_post += w", delay=0 * _STEP)
    # Sorted by source, so that the synapses of a spike lie together in memory.
    i, j = np.nonzero(projection.weights.T)
    if len(i) == 0:
        synapses.active = False
        return synapses
    copies = np.arange(batch)[:, None]
    synapses.connect(i=(copies * n_source + i).ravel(), j=(copies * n_target + j).ravel())
    synapses.w = np.tile(projection.weights[j, i].astype(np.float64), batch)
    return synapses


def _write(job: Job, layout: _Layout, spikes: dict[str, Any], logits: Any) -> None:
    for depth, population in enumerate(job.populations, start=1):
        if population.neuron.spikes:
            file = np.load(job.spike_files[population.name], mmap_mode="r+", allow_pickle=False)
            monitor = spikes[population.name]
            step = np.rint(np.asarray(monitor.t_[:]) / float(_STEP)).astype(np.int64)
            _scatter(file, np.asarray(monitor.i[:]), step - depth, layout)
        else:
            file = np.load(job.logits_file, mmap_mode="r+", allow_pickle=False)
            steps = slice(depth - 1, depth - 1 + layout.steps)
            blocks = np.asarray(logits.v_[:, steps]).T.reshape(-1, population.size)[: layout.samples]
            file[:] = blocks + population.bias


def _scatter(
    file: npt.NDArray[np.uint8], index: npt.NDArray[Any], step: npt.NDArray[np.int64], layout: _Layout
) -> None:
    """Set the recorded spikes in ``file`` (n, size); those of fill steps and of empty copies are left out."""
    size = file.shape[1]
    sample = step * layout.batch + index // size
    kept = (step >= 0) & (sample < layout.samples)
    file[sample[kept], index[kept] % size] = 1


if __name__ == "__main__":
    serve(simulate)

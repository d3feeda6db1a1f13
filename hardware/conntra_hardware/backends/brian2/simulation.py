"""The child process: build Brian2's network for a job, run it, write what its monitors saw.

A time step is 1 ms. Within one: neurons take up what the step before delivered, they spike or not, their sums are
cleared, and spikes of this step are delivered. So a hop takes one step, and what a population at depth d shows at step
i, counted from 0, belongs to row i - d of the inputs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import brian2
import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire
from conntra_hardware.program import INPUT, AnyProjection, Population

_STEP = brian2.ms
_SCHEDULE = ["start", "groups", "thresholds", "resets", "synapses", "end"]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where things stand: copy c of neuron i is neuron ``c * size + i`` of its group.

    Sample s runs in copy ``s % batch``, its ``interval`` rows from step ``s // batch * interval`` on.
    """

    samples: int
    batch: int
    interval: int

    @property
    def steps(self) -> int:
        """Steps at which rows enter."""
        return -(-self.samples // self.batch) * self.interval


def simulate(job: Job) -> float:
    """Run ``job`` and return the seconds of the simulation."""
    _configure()
    layout = _Layout(job.samples, int(job.settings["batch"]), job.steps)
    groups: dict[str, Any] = {INPUT: _source(job.inputs, layout)}
    network = brian2.Network(groups[INPUT])
    network.schedule = _SCHEDULE
    graded = {p.name for p in job.populations if p.neuron.graded}
    monitors: dict[str, Any] = {}
    for population in job.populations:
        groups[population.name] = group = _neurons(population, layout, job.depths[population.name])
        network.add(group)
        for projection in job.incoming(population.name):
            source = groups[projection.source]
            network.add(_synapses(projection, source, group, layout.batch, projection.source in graded))
        monitors[population.name] = monitor = _monitor(population, group)
        network.add(monitor)
    start = time.perf_counter()
    network.run((layout.steps + job.depth) * _STEP, namespace={})
    seconds = time.perf_counter() - start
    _write(job, layout, monitors)
    return seconds


def _configure() -> None:
    """NumPy code at once instead of Cython code after 40 s of compiling; integers in doubles are exact."""
    brian2.prefs.codegen.target = "numpy"
    brian2.prefs.core.default_float_dtype = np.float64
    brian2.defaultclock.dt = _STEP


def _source(inputs: SpikeArray, layout: _Layout) -> Any:
    """Return the input group: the spikes of each row, in its sample's copy, at its step."""
    row, neuron = np.nonzero(inputs)
    sample, place = np.divmod(row, layout.interval)
    width = inputs.shape[1]
    index = (sample % layout.batch) * width + neuron
    step = sample // layout.batch * layout.interval + place
    return brian2.SpikeGeneratorGroup(width * layout.batch, index, step * _STEP, sorted=False)


def _neurons(population: Population, layout: _Layout, depth: int) -> Any:
    """Return the copies of a population. ``v`` is the synaptic sum of a step, ``y`` what the neuron makes of it."""
    neuron = population.neuron
    model = "v : 1\ny : 1\nbias : 1 (constant)"
    # Every sum is cleared at every step, below, so that only a state needs a reset of its own.
    update, threshold, reset = "y = v + bias", "y > 0", ""
    if isinstance(neuron, GradedRelu):
        update = f"y = floor((v + bias) / {2**neuron.shift}.0)"
    elif isinstance(neuron, IntegrateAndFire) or (not neuron.spikes and layout.interval > 1):
        # The state of the sample before is left out in the step that a new one reaches this depth.
        update = f"y = y * int((timestep(t, dt) - {depth}) % {layout.interval} != 0) + v + bias"
    if isinstance(neuron, IntegrateAndFire):
        threshold = f"y >= {neuron.threshold}"
        reset = "y = 0" if neuron.reset == "hard" else f"y -= {neuron.threshold}"
    spiking: dict[str, Any] = {"threshold": threshold, "reset": reset} if neuron.spikes else {}
    group = brian2.NeuronGroup(population.size * layout.batch, model, method="euler", **spiking)
    group.bias = np.tile(population.bias.astype(np.float64), layout.batch)
    group.run_regularly(update, when="groups")
    group.run_regularly("v = 0", when="resets")
    return group


def _monitor(population: Population, group: Any) -> Any:
    if not population.neuron.spikes:
        return brian2.StateMonitor(group, "y", record=True, when="end")
    return brian2.SpikeMonitor(group, variables="y" if population.neuron.graded else None)


def _synapses(projection: AnyProjection, source: Any, target: Any, batch: int, graded: bool) -> Any:
    """Return one synapse for every nonzero weight and copy, without delay."""
    n_target, n_source = projection.shape
    on_pre = "v_post += w * y_pre" if graded else "v_post += w"
    synapses = brian2.Synapses(source, target, "w : 1 (constant)", on_pre=on_pre, delay=0 * _STEP)
    # Sorted by source, so that the synapses of a spike lie together in memory.
    entries = projection.matrix().tocsc().tocoo()
    if not entries.nnz:
        synapses.active = False
        return synapses
    copies = np.arange(batch)[:, None]
    synapses.connect(i=(copies * n_source + entries.col).ravel(), j=(copies * n_target + entries.row).ravel())
    synapses.w = np.tile(entries.data.astype(np.float64), batch)
    return synapses


def _write(job: Job, layout: _Layout, monitors: dict[str, Any]) -> None:
    for population in job.populations:
        monitor, depth = monitors[population.name], job.depths[population.name]
        if population.neuron.spikes:
            file = np.load(job.spike_files[population.name], mmap_mode="r+", allow_pickle=False)
            step = np.rint(np.asarray(monitor.t_[:]) / float(_STEP)).astype(np.int64)
            values = np.asarray(monitor.y[:]) if population.neuron.graded else np.ones(len(step))
            _scatter(file, np.asarray(monitor.i[:]), step - depth, values, layout)
        else:
            file = np.load(job.logits_file, mmap_mode="r+", allow_pickle=False)
            last = slice(depth + layout.interval - 1, depth + layout.steps, layout.interval)
            file[:] = np.asarray(monitor.y_[:, last]).T.reshape(-1, population.size)[: layout.samples]


def _scatter(
    file: npt.NDArray[Any],
    index: npt.NDArray[Any],
    row: npt.NDArray[np.int64],
    values: npt.NDArray[Any],
    layout: _Layout,
) -> None:
    """Set the recorded spikes in ``file`` (rows, size); those of fill steps and of empty copies are left out."""
    size = file.shape[1]
    sample = row // layout.interval * layout.batch + index // size
    kept = (row >= 0) & (sample < layout.samples)
    file[(sample * layout.interval + row % layout.interval)[kept], index[kept] % size] = values[kept]


if __name__ == "__main__":
    serve(simulate)

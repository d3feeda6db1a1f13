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

from conntra_hardware.backends.child.job import Compartments, Job
from conntra_hardware.backends.child.serve import serve
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.neurons import FORGETS, row_for, values
from conntra_hardware.program import INPUT, AnyProjection

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
    graded = {p.name for p in job.populations if p.graded}
    monitors: dict[str, Any] = {}
    for population in job.populations:
        groups[population.name] = group = _neurons(population, layout, job.depths[population.name])
        network.add(group)
        for projection in job.incoming(population.name):
            source = groups[projection.source]
            arrives = _in_its_sample(job.lag(projection), layout, job.depths[population.name])
            network.add(_synapses(projection, source, group, layout.batch, projection.source in graded, arrives))
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


@dataclass(frozen=True)
class _Equations:
    """What a form of neuron does at a step: ``v`` is the synaptic sum, ``y`` what the neuron makes of it.

    Parameters of the model are ``theta``, ``divisor``, ``ceiling``, ``keeps_u`` and ``keeps_v`` (of 4096), ``pause``,
    and of sigma-delta neurons the ``least`` activation and whether errors are ``cumulative``; until time step ``until``
    a neuron is refractory. {fresh} stands for 0 in the step in which a new sample reaches the population, else 1; {now}
    for the time step; {exceeded} for the number of thresholds ``level0``, ``level1``, ... that v + bias exceeds.
    """

    update: str
    threshold: str = "y > 0"
    reset: str = ""


# u and y in units of a 64th of a weight; decays go towards zero, and doubles hold these products exactly. u wraps round
# at 24 bits, y stops at its ends.
_CURRENT = (
    "u = {fresh} * sign(u) * floor(abs(u) * keeps_u / 4096.0) + 64 * v\nu = 8388608.0 - (8388608.0 - u) % 16777216.0"
)
_VOLTAGE = "clip({fresh} * sign(y) * floor(abs(y) * keeps_v / 4096.0) + u + 64 * bias, -8388607.0, 8388607.0)"
# Every sum is cleared at every step, below, so that only a state needs a reset of its own.
_EQUATIONS = {
    "threshold": _Equations("y = v + bias"),
    "graded": _Equations("y = clip(floor((v + bias) / divisor), -1.0, ceiling)"),
    "multi threshold": _Equations("y = {exceeded}"),
    "readout": _Equations("y = y * {fresh} + v + bias", "", ""),
    "integrating": _Equations("y = y * {fresh} + v + bias", "{above}", "{reset}"),
    "leaky": _Equations(
        f"{_CURRENT}\n"
        "until = {fresh} * (until + 1) - 1\n"
        f"y = int({{now}} <= until) * y + int({{now}} > until) * {_VOLTAGE}",
        "{above} and {now} > until",
        "{reset}\nuntil = {now} + pause",
    ),
    "sigma delta": _Equations(
        "u = {fresh} * u + v\n"
        "now = clip(u + bias, least, 1e300)\n"
        "change = now + {fresh} * (residue - act)\n"
        "error = {fresh} * cumulative * error + change\n"
        "whole = change * int(abs(error) >= theta)\n"
        "error = error * int(whole == 0)\n"
        "residue = change - whole\n"
        "act = now\n"
        "y = floor(whole / divisor)",
        "y != 0",
    ),
    "leaky readout": _Equations(f"{_CURRENT}\ny = {_VOLTAGE}", "", ""),
}


def _neurons(population: Compartments, layout: _Layout, depth: int) -> Any:
    """Return the copies of a population."""
    facts = population.facts
    form = row_for(_EQUATIONS, population, f"brian2: population {population.name}", "use backend reference")
    words = {
        "now": "timestep(t, dt)",
        "fresh": f"int((timestep(t, dt) - {depth}) % {layout.interval} != 0)" if layout.interval > 1 else "0",
        "above": "y > theta" if facts.strict else "y >= theta",
        "reset": "y = 0" if facts.reset == "hard" else "y -= theta",
    }
    levels = np.array(facts.thresholds).T if facts.thresholds else ()  # (k, 1 or size)
    words["exceeded"] = _added([f"int(v + bias > level{j})" for j in range(len(levels))])
    scale = 64 if facts.fraction_bits else 1
    parameters = {
        "bias": population.bias,
        "theta": 0 if facts.threshold is None else scale * values(facts.threshold),
        "divisor": 2.0 ** values(facts.shift),
        "ceiling": values(facts.ceiling),
        "keeps_u": FORGETS - values(facts.current_decay),
        "keeps_v": FORGETS - values(facts.voltage_decay),
        "pause": values(facts.refractory),
        "least": 0 if facts.delta == "relu" else -1e300,
        "cumulative": int(facts.cumulative_error),
    } | {f"level{j}": level for j, level in enumerate(levels)}
    model = "v : 1\ny : 1\nu : 1\nuntil : 1\nact : 1\nresidue : 1\nerror : 1\n" + "\n".join(
        f"{name} : 1 (constant)" for name in parameters
    )
    spiking: dict[str, Any] = {"threshold": form.threshold.format(**words), "reset": form.reset.format(**words)}
    group: Any = brian2.NeuronGroup(
        population.size * layout.batch, model, method="euler", **(spiking if population.spikes else {})
    )
    for name, value in parameters.items():
        wide = np.broadcast_to(np.asarray(value, np.float64), population.size)
        setattr(group, name, np.tile(wide, layout.batch))
    group.run_regularly(form.update.format(**words), when="groups")
    group.run_regularly("v = 0", when="resets")
    return group


def _added(terms: list[str]) -> str:
    """Return a sum in pairs of pairs: one that is added up from left to right is as deep as it is long to parse."""
    if len(terms) < 2:
        return terms[0] if terms else "0"
    half = len(terms) // 2
    return f"({_added(terms[:half])} + {_added(terms[half:])})"


def _monitor(population: Compartments, group: Any) -> Any:
    if not population.spikes:
        return brian2.StateMonitor(group, "y", record=True, when="end")
    return brian2.SpikeMonitor(group, variables="y" if population.graded else None)


def _in_its_sample(lag: int, layout: _Layout, depth: int) -> str:
    """Return the factor of a spike delivered now: 0 where the target, at ``depth``, is in the next sample already."""
    return f"int((timestep(t, dt) + 1 - {depth}) % {layout.interval} >= {lag})" if lag else "1"


def _synapses(projection: AnyProjection, source: Any, target: Any, batch: int, graded: bool, arrives: str) -> Any:
    """Return one synapse for every nonzero weight and copy, with the projection's delay."""
    n_target, n_source = projection.shape
    on_pre = "v_post += w * y_pre" if graded else "v_post += w"
    on_pre += "" if arrives == "1" else f" * {arrives}"
    delay = projection.delay * _STEP
    synapses = brian2.Synapses(source, target, "w : 1 (constant)", on_pre=on_pre, delay=delay)
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
        if population.spikes:
            file = np.load(job.spike_files[population.name], mmap_mode="r+", allow_pickle=False)
            step = np.rint(np.asarray(monitor.t_[:]) / float(_STEP)).astype(np.int64)
            values = np.asarray(monitor.y[:]) if population.graded else np.ones(len(step))
            _scatter(file, np.asarray(monitor.i[:]), step - depth, values, layout)
        else:
            file = np.load(job.logits_file, mmap_mode="r+", allow_pickle=False)
            seen = np.asarray(monitor.y_[:, depth : depth + layout.steps]).T
            seen = seen.reshape(-1, layout.interval, layout.batch, population.size)
            read = seen.max(axis=1) if population.facts.read == "max" else seen[:, -1]
            file[:] = read.reshape(-1, population.size)[: layout.samples]


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

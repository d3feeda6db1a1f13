"""The child process: build a program from stock processes, run it on a chip, and place what came back.

    source -> input adapter -> Dense -> LIF -> ... -> Dense -> GradedVec -> output adapter -> recorder
      |                                  +-> output adapter -> recorder: hidden layers, where spikes are asked for
      +----> input adapter -> Dense(1) -> LIF(1) -> output adapter -> recorder: the mark

A readout sends its potential as a graded spike; its bias comes as synapses from a neuron that always spikes, for graded
neurons have no bias. Samples of several steps stand apart (``over_time``). Adapters take time, and how much is not
documented: one spike, the mark, leaves with the first sample and passes one neuron. Where it arrives tells by how many
steps all else is late.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve
from conntra_hardware.backends.lava.watch import watch
from conntra_hardware.backends.loihi.over_time import MAX_LATENCY
from conntra_hardware.backends.loihi.parts import STOCK, Deployed, relay
from conntra_hardware.backends.loihi.processes.models import (
    NxInputAdapter,
    NxOutputAdapter,
    PyInputAdapter,
    PyOutputAdapter,
)
from conntra_hardware.backends.loihi.processes.process import HostRecorder, HostSource, InputAdapter, OutputAdapter
from conntra_hardware.program import INPUT

_AT_ONCE = {"steps": 1, "period": 1, "silent": 0}
_GRADED_BITS = 32
_CHANNEL_SIZE = 4


def deploy(job: Job, *, refuse_cpu: bool = True) -> float:
    """Run ``job`` and return the seconds of the run.

    ``refuse_cpu`` False lets the stock processes run on the CPU where the extension is a stand-in: the wiring's test.
    """
    on_chip = bool(job.settings["on_chip"])
    if on_chip:
        from conntra_hardware.backends.loihi.connection import connect

        connect(job.settings["host"])
    steps = job.samples * (job.settings["time"] or _AT_ONCE)["period"] + job.depth + MAX_LATENCY
    source, files = _build(job, steps)
    profilers = _profilers(job, steps)
    config = _config(on_chip, list(profilers.values()), refuse_cpu)
    source.create_runtime(config, compile_config={"pypy_channel_size": _CHANNEL_SIZE})
    done = watch(source.runtime, job)
    start = time.perf_counter()
    source.run(RunSteps(num_steps=steps))
    seconds = time.perf_counter() - start
    done.set()
    source.stop()
    latency = _latency(files["mark"])
    _place(job, files, latency)
    if on_chip:
        from conntra_hardware.backends.loihi.profile import read_profilers

        measured = read_profilers(profilers, steps, job.settings["host"])
        measured |= {"latency_steps": latency, "sample_steps": (job.settings["time"] or _AT_ONCE)["period"]}
        job.measured_file.write_text(json.dumps(measured), encoding="utf-8")
    return seconds


def _build(job: Job, steps: int) -> tuple[HostSource, dict[str, Path]]:
    """Return the process that all others hang on, and the file (steps, size) of each recorder."""
    files: dict[str, Path] = {}

    def record(name: str, out_port: Any, dtype: type, bits: int) -> None:
        files[name] = job.folder / f"arrived-{len(files)}.npy"
        np.lib.format.open_memmap(files[name], mode="w+", dtype=dtype, shape=(steps, *out_port.shape)).flush()
        adapter = OutputAdapter(shape=out_port.shape, bits=bits)
        recorder = HostRecorder(path=str(files[name]), shape=out_port.shape)
        out_port.connect(adapter.inp)
        adapter.out.connect(recorder.s_in)

    plan = job.settings["time"] or _AT_ONCE
    times = {name: plan[name] for name in ("steps", "period", "silent")}
    source = HostSource(path=str(job.inputs_file), shape=(job.inputs.shape[1],), **times)
    mark = relay(_enter(source.mark))
    record("mark", mark.s_out, np.uint8, 0)
    parts = Deployed(job, _control(job, source))
    out_ports = {INPUT: _enter(source.s_out)}
    for population in job.populations:
        neurons = parts.neurons(population)
        out_ports[population.name] = neurons.s_out
        for projection in job.incoming(population.name):
            parts.connect(projection, out_ports[projection.source], neurons)
        if not population.spikes:
            record("logits", neurons.s_out, np.int32, _GRADED_BITS)
        elif job.settings["probe"] or population is job.populations[-1]:
            graded = population.graded
            record(population.name, neurons.s_out, np.int32 if graded else np.uint8, _GRADED_BITS if graded else 0)
    return source, files


def _control(job: Job, source: HostSource) -> dict[int, Any]:
    """Return by depth the lines of control that reach it with the rows of a sample: {} where there is no need."""
    if not job.settings["time"]:
        return {}
    lines = {1: _enter(source.control)}
    for depth in range(2, job.depth + 1):
        lines[depth] = relay(lines[depth - 1]).s_out
    return lines


def _enter(out_port: Any) -> Any:
    adapter = InputAdapter(shape=out_port.shape)
    out_port.connect(adapter.inp)
    return adapter.out


def _config(on_chip: bool, profilers: list[Any], refuse_cpu: bool) -> Loihi2HwCfg | Loihi2SimCfg:
    """Return the run configuration: it chooses the adapters' models, and refuses a chip that is none."""
    if not on_chip:
        return Loihi2SimCfg(
            select_tag="fixed_pt",
            exception_proc_model_map={InputAdapter: PyInputAdapter, OutputAdapter: PyOutputAdapter},
        )
    from lava.magma.core.model.nc.model import AbstractNcProcessModel  # type: ignore[import-not-found]

    class OnChip(Loihi2HwCfg):
        """Lava falls back to the CPU in silence where it has no model for a neuro-core."""

        def select(self, process: Any, proc_models: Any) -> Any:
            model = super().select(process, proc_models)
            if refuse_cpu and isinstance(process, STOCK) and not issubclass(model, AbstractNcProcessModel):
                raise RuntimeError(
                    f"Lava would run {type(process).__name__} on the CPU ({model.__name__}) and not on the chip: this "
                    "extension has no neuro-core model of it; install the release of lava-loihi that belongs to "
                    "lava-nc 0.10, or take the backend loihi-dry"
                )
            return model

    return OnChip(
        select_tag="fixed_pt",
        exception_proc_model_map={InputAdapter: NxInputAdapter, OutputAdapter: NxOutputAdapter},
        callback_fxs=profilers,
    )


def _profilers(job: Job, steps: int) -> dict[str, Any]:
    if not (job.settings["on_chip"] and job.settings["measure"]):
        return {}
    from conntra_hardware.backends.loihi.profile import make_profilers

    return make_profilers(steps)


def _latency(path: Path) -> int:
    """Return the steps that adapters take: a mark through none arrives at step 2, one after it was sent."""
    arrived = np.flatnonzero(np.load(path, allow_pickle=False)[:, 0])
    if len(arrived) != 1 or not 1 <= arrived[0] <= 1 + MAX_LATENCY:
        rows = ", ".join(str(step + 1) for step in arrived[:8]) or "never"
        raise RuntimeError(
            f"the mark, one spike sent with the first sample, came back at step(s) {rows}; once, at step 2 to "
            f"{2 + MAX_LATENCY}, expected: samples and results cannot be matched"
        )
    return int(arrived[0]) - 1


def _place(job: Job, files: dict[str, Path], latency: int) -> None:
    """Copy what belongs to the samples from the recordings of all steps; potentials of several steps add up."""
    plan = job.settings["time"] or _AT_ONCE
    starts = np.arange(job.samples)[:, None] * plan["period"] + np.arange(job.steps)
    for population in job.populations:
        name = population.name if population.spikes else "logits"
        if name in files:
            arrived = np.load(files[name], mmap_mode="r", allow_pickle=False)
            shown = arrived[latency + job.depths[population.name] + starts]
            target = job.spike_files[name] if population.spikes else job.logits_file
            recording = np.load(target, mmap_mode="r+", allow_pickle=False)
            recording[:] = shown.reshape(recording.shape) if population.spikes else shown.sum(axis=1, dtype=np.int64)


if __name__ == "__main__":
    serve(deploy)

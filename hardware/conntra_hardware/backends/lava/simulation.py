"""The child process: build Lava's graph for a job, run it, and let the recorders write what it did.

Lava is imported before anything else can set multiprocessing's start method: it insists on fork, and on being
the first.
"""

from __future__ import annotations

import time
from typing import Any

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from conntra_hardware.backends.child.job import Compartments, Job
from conntra_hardware.backends.child.serve import serve
from conntra_hardware.backends.lava.graph import Batched, Stock
from conntra_hardware.backends.lava.processes.process import PotentialRecorder, SpikeRecorder, SpikeSource
from conntra_hardware.backends.lava.watch import watch
from conntra_hardware.neurons import FRACTION_BITS
from conntra_hardware.program import INPUT

_CHANNEL_SIZE = 4


def simulate(job: Job) -> float:
    """Run ``job`` and return the seconds of the simulation."""
    parts = Stock(job) if job.settings["stock"] else Batched(job)
    batch = int(job.settings["batch"])
    source = SpikeSource(path=str(job.inputs_file), shape=parts.shape(job.inputs.shape[1]), interval=job.steps)
    out_ports: dict[str, Any] = {INPUT: source.s_out}
    for population in job.populations:
        neurons = parts.neurons(population)
        if population.spikes:
            out_ports[population.name] = neurons.s_out
        for projection in job.incoming(population.name):
            parts.connect(projection, out_ports[projection.source], neurons)
        _record(job, population, neurons, parts.shape(population.size))
    # The steps of every batch, and one more for every depth that the last one has to pass.
    steps = -(-job.samples // batch) * job.steps + job.depth
    source.create_runtime(Loihi2SimCfg(select_tag="fixed_pt"), compile_config={"pypy_channel_size": _CHANNEL_SIZE})
    done = watch(source.runtime, job)
    start = time.perf_counter()
    source.run(RunSteps(num_steps=steps))
    seconds = time.perf_counter() - start
    done.set()
    # Without stop, Lava hangs at exit; after a failure stop would hang, and this process is ended instead.
    source.stop()
    return seconds


def _record(job: Job, population: Compartments, neurons: Any, shape: tuple[int, ...]) -> None:
    where = {"shape": shape, "depth": job.depths[population.name], "interval": job.steps}
    if population.spikes:
        recorder = SpikeRecorder(path=str(job.spike_files[population.name]), **where)
        neurons.s_out.connect(recorder.s_in)
    else:
        # Sums are whole weights: the lowest six bits of the state are 0.
        shift = 0 if population.facts.fraction_bits else FRACTION_BITS
        largest = population.facts.read == "max"
        PotentialRecorder(path=str(job.logits_file), shift=shift, largest=largest, **where).v.connect_var(neurons.v)


if __name__ == "__main__":
    serve(simulate)

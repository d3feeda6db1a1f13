"""The child process: build Lava's graph for a job, run it, and let the recorders write what it did.

Lava is imported before anything else can set multiprocessing's start method: it insists on fork, and on being
the first.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIFReset
from lava.utils.weightutils import SignMode

from conntra_hardware.backends.job import Job
from conntra_hardware.backends.lava.processes.process import (
    BatchedDense,
    PotentialRecorder,
    SpikeRecorder,
    SpikeSource,
)
from conntra_hardware.backends.lava.registers import MAX_SUM, bias_registers, weight_registers
from conntra_hardware.backends.lava.watch import watch
from conntra_hardware.backends.serve import serve
from conntra_hardware.program import AnyProjection, Population

_CHANNEL_SIZE = 4


def simulate(job: Job) -> float:
    """Run ``job`` and return the seconds of the simulation."""
    batch, stock = int(job.settings["batch"]), bool(job.settings["stock"])
    source = SpikeSource(path=str(job.inputs_file), shape=_shape(job.inputs.shape[1], batch, stock))
    out_port = source.s_out
    for depth, population in enumerate(job.populations, start=1):
        (projection,) = job.incoming(population.name)
        out_port = _add_layer(job, population, projection, out_port, depth)
    # One step for every batch, and one more for every population that the last batch has to pass.
    steps = -(-job.samples // batch) + len(job.populations)
    source.create_runtime(Loihi2SimCfg(select_tag="fixed_pt"), compile_config={"pypy_channel_size": _CHANNEL_SIZE})
    done = watch(source.runtime, job)
    start = time.perf_counter()
    source.run(RunSteps(num_steps=steps))
    seconds = time.perf_counter() - start
    done.set()
    # Without stop, Lava hangs at exit; after a failure stop would hang, and this process is ended instead.
    source.stop()
    return seconds


def _add_layer(job: Job, population: Population, projection: AnyProjection, out_port: Any, depth: int) -> Any:
    """Add a connection, its neurons and their recorder behind ``out_port``; return where the neurons' spikes leave."""
    batch, stock = int(job.settings["batch"]), bool(job.settings["stock"])
    shape = _shape(population.size, batch, stock)
    dense = _dense(projection, batch, stock)
    neurons = _neurons(population, shape)
    out_port.connect(dense.s_in)
    dense.a_out.connect(neurons.a_in)
    if population.neuron.spikes:
        recorder = SpikeRecorder(path=str(job.spike_files[population.name]), shape=shape, depth=depth)
        neurons.s_out.connect(recorder.s_in)
    else:
        PotentialRecorder(path=str(job.logits_file), shape=shape, depth=depth).v.connect_var(neurons.v)
    return neurons.s_out


def _dense(projection: AnyProjection, batch: int, stock: bool) -> Any:
    registers = weight_registers(projection)
    options = {"weight_exp": registers.exponent, "sign_mode": SignMode[registers.sign_mode]}
    if stock:
        return Dense(weights=registers.weights, num_weight_bits=8, num_message_bits=0, **options)
    return BatchedDense(weights=registers.weights, batch=batch, **options)


def _neurons(population: Population, shape: tuple[int, ...]) -> LIFReset:
    """Return memoryless neurons: current and potential are cleared at every step, nothing of the last one is left.

    (LIF with dv=4095 would keep 1/4096 of a potential, which shows from a fan-in of 4097 on.) Thresholds are
    in the bias. A readout's threshold is the largest there is, which no potential within the registers
    exceeds: it never spikes.
    """
    bias = bias_registers(population)
    column = (-1, *(1 for _ in shape[1:]))
    return LIFReset(
        shape=shape,
        du=4095,
        dv=4095,
        vth=0 if population.neuron.spikes else MAX_SUM,
        bias_mant=np.broadcast_to(bias.mantissa.reshape(column), shape).copy(),
        bias_exp=np.broadcast_to(bias.exponent.reshape(column), shape).copy(),
        reset_interval=1,
        reset_offset=0,
    )


def _shape(size: int, batch: int, stock: bool) -> tuple[int, ...]:
    return (size,) if stock else (size, batch)


if __name__ == "__main__":
    serve(simulate)

"""What a program's parts are in Lava: ``Stock`` for Lava's own processes, ``Batched`` for many samples at once.

``Batched`` takes Lava's neurons where they accept a batch and do what is needed: LIFReset for threshold neurons,
readouts, leaky neurons and hard resets, SigmaDelta. The others, and the synapses, are of ours (``processes``), and
equal to the stock ones, which is what ``Stock`` is for.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from lava.proc.atrlif.process import ATRLIF
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.graded.process import GradedReluVec
from lava.proc.lif.process import LIFReset
from lava.proc.sdn.process import ActivationMode, SigmaDelta
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from conntra_hardware.backends.child.job import Compartments, Job
from conntra_hardware.backends.lava.processes.process import (
    BatchedSynapses,
    GradedNeurons,
    LeakyNeurons,
    MultiThresholdNeurons,
    SampleGate,
    SigmaDeltaClearer,
    SoftResetNeurons,
    StateClearer,
)
from conntra_hardware.backends.lava.registers import (
    MAX_SUM,
    as_processes,
    bias_registers,
    is_plain_lif,
    is_soft,
    weight_registers,
)
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import row_for, values
from conntra_hardware.program import AnyProjection, ConvProjection, Projection

__all__ = ["Batched", "Stock"]

_GRADED_BITS = 24
_LAST = 4095
_NEVER = 2**17
"""A threshold that no v exceeds."""
_REGISTER_SHIFT = 6


class Batched:
    """``batch`` samples side by side at every time step."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.batch = int(job.settings["batch"])
        self.graded = {p.name for p in job.populations if p.graded}

    def shape(self, size: int) -> tuple[int, ...]:
        """Return the shape of the ports of ``size`` neurons."""
        return size, self.batch

    def neurons(self, population: Compartments) -> Any:
        """Return the neurons of a population."""
        return _neurons(self, population, "lava")

    def _lif(self, population: Compartments) -> Any:
        return lif(self.job, population, self.shape(population.size))

    def _graded(self, population: Compartments) -> Any:
        return GradedNeurons(
            shape=self.shape(population.size),
            bias=population.bias,
            shift=_column(values(population.facts.shift)),
            ceiling=_column(values(population.facts.ceiling)),
        )

    def _multi_threshold(self, population: Compartments) -> Any:
        return MultiThresholdNeurons(
            shape=self.shape(population.size),
            bias=population.bias,
            thresholds=np.array(population.facts.thresholds, np.int64),
        )

    def _integrating(self, population: Compartments) -> Any:
        if not is_soft(population.facts):
            return self._lif(population)
        return SoftResetNeurons(
            shape=self.shape(population.size),
            bias=population.bias,
            threshold=_column(population.facts.least),
            interval=self.job.steps,
            depth=self.job.depths[population.name],
        )

    def _leaky(self, population: Compartments) -> Any:
        facts = population.facts
        if is_plain_lif(facts):
            return lif(self.job, population, self.shape(population.size))
        threshold = _NEVER if facts.threshold is None else values(facts.threshold)
        return LeakyNeurons(
            shape=self.shape(population.size),
            bias=population.bias,
            threshold=_column(threshold),
            strict=facts.strict,
            soft=facts.reset == "soft",
            current_decay=_column(values(facts.current_decay)),
            voltage_decay=_column(values(facts.voltage_decay)),
            refractory=_column(values(facts.refractory)),
            interval=self.job.steps,
            depth=self.job.depths[population.name],
        )

    def _sigma_delta(self, population: Compartments) -> Any:
        return sigma_delta(self.job, population, self.shape(population.size))

    def connect(self, projection: AnyProjection, out_port: Any, neurons: Any) -> None:
        """Connect a source's ``out_port`` with ``neurons`` by the synapses of ``projection``."""
        for part in as_processes(projection):
            self._connect(part, out_port, neurons)

    def _connect(self, projection: AnyProjection, out_port: Any, neurons: Any) -> None:
        registers = weight_registers(projection)
        synapses = BatchedSynapses(
            weights=registers.weights,
            batch=self.batch,
            weight_exp=registers.exponent,
            sign_mode=SignMode[registers.sign_mode],
            graded=projection.source in self.graded,
            delay=projection.delay,
            lag=self.job.lag(projection),
            interval=self.job.steps,
            depth=self.job.depths[projection.source],
        )
        out_port.connect(synapses.s_in)
        synapses.a_out.connect(neurons.a_in)


class Stock:
    """Lava's own processes, one sample a time step; ``refuse_what_stock_cannot`` says which programs they cannot run.

    Weights, bias and threshold of a population with soft reset are ``doubled``.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.graded = {p.name for p in job.populations if p.graded}
        self.shift: dict[str, Any] = {p.name: p.facts.shift for p in job.populations if p.facts.form == "graded"}
        self.doubled = {p.name: int(is_soft(p.facts)) for p in job.populations}

    def shape(self, size: int) -> tuple[int, ...]:
        """Return the shape of the ports of ``size`` neurons."""
        return (size,)

    def neurons(self, population: Compartments) -> Any:
        """Return the neurons of a population."""
        return _neurons(self, population, "lava-stock")

    def _lif(self, population: Compartments) -> Any:
        return lif(self.job, population, self.shape(population.size))

    def _graded(self, population: Compartments) -> Any:
        neurons = GradedReluVec(shape=self.shape(population.size), vth=0)
        self._add_bias(population, neurons)
        return neurons

    def _multi_threshold(self, population: Compartments) -> Any:
        raise InputError(f"lava-stock: population {population.name}: {population.kind} neurons; use backend lava")

    def _leaky(self, population: Compartments) -> Any:
        return lif(self.job, population, self.shape(population.size))

    def _sigma_delta(self, population: Compartments) -> Any:
        return sigma_delta(self.job, population, self.shape(population.size))

    def _integrating(self, population: Compartments) -> Any:
        return self._soft(population) if is_soft(population.facts) else self._lif(population)

    def connect(self, projection: AnyProjection, out_port: Any, neurons: Any) -> None:
        """Connect a source's ``out_port`` with ``neurons`` by the synapses of ``projection``."""
        bits = _GRADED_BITS if projection.source in self.graded else 0
        shift = self.shift.get(projection.target, 0)
        lag = self.job.lag(projection)
        if lag:
            out_port = self._within_a_sample(projection, out_port, lag)
        if isinstance(projection, ConvProjection) and not lag and not shift and not self.doubled[projection.target]:
            self._convolve(projection, out_port, neurons, bits)
            return
        for part in as_processes(projection):
            self._connect(part, out_port, neurons, bits, shift)

    def _connect(self, projection: AnyProjection, out_port: Any, neurons: Any, bits: int, shift: int) -> None:
        registers = weight_registers(projection)
        dense = isinstance(projection, Projection)
        kind: Any = DelayDense if projection.delay else Dense if dense else Sparse
        weights = registers.weights if dense else csr_matrix(registers.weights)
        if projection.delay:
            weights = weights if dense else weights.toarray()
            kind = partial(DelayDense, delays=projection.delay)
        synapses = kind(
            weights=weights,
            weight_exp=registers.exponent - shift + self.doubled[projection.target],
            sign_mode=SignMode[registers.sign_mode],
            num_weight_bits=8,
            num_message_bits=bits,
        )
        out_port.connect(synapses.s_in)
        synapses.a_out.connect(neurons.a_in)

    def _within_a_sample(self, projection: AnyProjection, out_port: Any, lag: int) -> Any:
        """Return a port that leaves out what would arrive in the next sample: a host clears synapses between them."""
        source = projection.source
        gate = SampleGate(
            shape=self.shape(projection.shape[1]), lag=lag, interval=self.job.steps, depth=self.job.depths[source]
        )
        out_port.connect(gate.s_in)
        return gate.s_out

    def _convolve(self, projection: ConvProjection, out_port: Any, neurons: Any, bits: int) -> None:
        """Lava's Conv flips its kernel, and its images are (width, height, channels)."""
        geometry = projection.geometry
        kernel = projection.kernel.astype(np.int32).transpose(0, 3, 2, 1)[:, ::-1, ::-1]
        channels, height, width = geometry.input_shape
        conv = Conv(
            weight=np.ascontiguousarray(kernel),
            input_shape=(width, height, channels),
            padding=(geometry.padding[1], geometry.padding[0]),
            stride=(geometry.stride[1], geometry.stride[0]),
            dilation=(geometry.dilation[1], geometry.dilation[0]),
            groups=geometry.groups,
            num_message_bits=bits,
        )
        out_port.reshape(geometry.input_shape).transpose((2, 1, 0)).connect(conv.s_in)
        conv.a_out.transpose((2, 1, 0)).reshape((geometry.n_out,)).connect(neurons.a_in)

    def _add_bias(self, population: Compartments, neurons: Any) -> None:
        """Graded neurons have no bias: it comes as the synapse of a neuron that always spikes."""
        bias = population.bias >> self.shift[population.name]
        if not bias.any():
            return
        always = LIFReset(
            shape=(1,), du=4095, dv=4095, vth=0, bias_mant=1, bias_exp=6, reset_interval=1, reset_offset=0
        )
        registers = weight_registers(Projection("bias", population.name, bias[:, None]))
        synapses = Dense(
            weights=registers.weights,
            weight_exp=registers.exponent,
            sign_mode=SignMode[registers.sign_mode],
            num_weight_bits=8,
        )
        always.s_out.connect(synapses.s_in)
        synapses.a_out.connect(neurons.a_in)

    def _soft(self, population: Compartments) -> Any:
        """Return ATRLIF as integrate-and-fire with a soft reset.

        It spikes where v - r >= theta and then adds 2 theta to r: first at theta, and then at every 2 theta more. So v
        begins at -theta, and with everything doubled theta is the threshold.

        Of its current nothing may stay. Lava computes its decay as 4096 delta_i + 1 parts of 4096: with delta_i = 1 it
        would keep -1 part, a 64th of a potential from sums of 32 on, and miss thresholds that are reached exactly.
        """
        bias, shape = bias_registers(population), self.shape(population.size)
        threshold = population.facts.least
        start = -(threshold << _REGISTER_SHIFT)
        neurons = ATRLIF(
            shape=shape,
            delta_i=4095 / 4096,
            delta_v=0,
            delta_theta=0,
            delta_r=0,
            theta_0=threshold,
            theta=threshold,
            theta_step=0,
            v=start,
            bias_mant=bias.mantissa,
            bias_exp=bias.exponent + 1,
        )
        clearer = StateClearer(
            shape=shape, initial=start, interval=self.job.steps, depth=self.job.depths[population.name]
        )
        clearer.v.connect_var(neurons.v)
        clearer.r.connect_var(neurons.r)
        return neurons


def lif(job: Job, population: Compartments, shape: tuple[int, ...]) -> LIFReset:
    """Return neurons whose state is cleared between samples; where a sample is one time step, they have none.

    (LIF with dv=4095 would keep 1/4096 of a potential, which shows from a fan-in of 4097 on.) Thresholds of memoryless
    neurons are in the bias. A readout's threshold is the largest there is, which no potential within the registers
    exceeds: it never spikes.
    """
    facts = population.facts
    keeps = job.steps > 1 and facts.form not in ("threshold", "graded")
    bias = bias_registers(population)
    column = (-1, *(1 for _ in shape[1:]))
    vth: Any = facts.least - 1 if population.spikes else _NEVER if facts.fraction_bits else MAX_SUM
    du, dv = _LAST, 0 if keeps else _LAST
    if facts.fraction_bits:
        assert isinstance(facts.current_decay, int)  # ``is_plain_lif``
        assert isinstance(facts.voltage_decay, int)
        du, dv = facts.current_decay - 1, facts.voltage_decay  # Lava adds 1 to du
    if np.ndim(vth):
        vth = np.broadcast_to(vth.reshape(column), shape).copy()
    return LIFReset(
        shape=shape,
        du=du,
        dv=dv,
        vth=vth,
        bias_mant=np.broadcast_to(bias.mantissa.reshape(column), shape).copy(),
        bias_exp=np.broadcast_to(bias.exponent.reshape(column), shape).copy(),
        reset_interval=job.steps if keeps else 1,
        reset_offset=(job.depths[population.name] + 1) % job.steps if keeps else 0,
    )


def sigma_delta(job: Job, population: Compartments, shape: tuple[int, ...]) -> SigmaDelta:
    """Return Lava's own neurons, with a host that clears their state between samples.

    Lava multiplies threshold and bias by 2^state_exp, which divides them exactly here first, as doubles.
    """
    facts = population.facts
    assert isinstance(facts.shift, int)  # ``SigmaDelta`` has one for all, and one threshold
    column = np.broadcast_to(population.bias.reshape(-1, *(1 for _ in shape[1:])), shape)
    neurons = SigmaDelta(
        shape=shape,
        vth=facts.threshold / 2**facts.shift,  # type: ignore[operator]
        bias=column / 2**facts.shift,  # type: ignore[arg-type]
        act_mode=ActivationMode.RELU if facts.delta == "relu" else ActivationMode.UNIT,
        cum_error=facts.cumulative_error,
        state_exp=facts.shift,
    )
    clearer = SigmaDeltaClearer(shape=shape, interval=job.steps, depth=job.depths[population.name])
    for name in ("sigma", "act", "residue", "error"):
        getattr(clearer, name).connect_var(getattr(neurons, name))
    return neurons


def _column(value: Any) -> Any:
    """Return a parameter, one a neuron, so that it goes with (size, batch)."""
    return value if isinstance(value, int) else value.reshape(-1, 1)


def _neurons(graph: Batched | Stock, population: Compartments, backend: str) -> Any:
    """Return the neurons of a population, by what each form of neuron is in ``graph``."""
    rows = {
        "threshold": graph._lif,
        "readout": graph._lif,
        "graded": graph._graded,
        "multi threshold": graph._multi_threshold,
        "integrating": graph._integrating,
        "leaky": graph._leaky,
        "sigma delta": graph._sigma_delta,
        "leaky readout": graph._leaky,
    }
    return row_for(rows, population, f"{backend}: population {population.name}", "use backend reference")(population)

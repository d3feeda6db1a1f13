"""What a program's parts are on a chip: Lava's own processes, as in conformance mode, with some differences.

A readout is a ``GradedVec``: its potential leaves as a graded spike, as a host cannot read a neuron's state at every
step. A threshold neuron is a plain LIF where that forgets enough, for LIFReset's reset may cost time on the chip. And
over time lines of control say when biases are there (``over_time``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.graded.process import GradedReluVec, GradedVec
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode

from conntra_hardware.backends.child.job import Compartments, Job
from conntra_hardware.backends.lava.graph import Stock
from conntra_hardware.backends.lava.registers import WeightRegisters, bias_registers, weight_registers
from conntra_hardware.backends.loihi.registers import bias_weights
from conntra_hardware.program import AnyProjection, ConvProjection, Projection, SparseProjection

__all__ = ["STOCK", "Deployed", "relay"]

STOCK = (DelayDense, Dense, GradedReluVec, GradedVec, LIF, LIFReset, Sparse)
"""What must be on the chip; all else is the host's."""


class Deployed(Stock):
    """Neurons and synapses of a job, one sample a time step; or over time, where ``control`` holds by depth the lines
    that say when a sample lasts, and when to be silent.
    """

    def __init__(self, job: Job, control: dict[int, Any]) -> None:
        super().__init__(job)
        self.control = control

    def neurons(self, population: Compartments) -> Any:
        """Return the neurons of a population."""
        if self.job.settings["time"]:
            return self._over_time(population)
        shape = self.shape(population.size)
        if not population.spikes:
            potentials = GradedVec(shape=shape, vth=0)
            self._add_readout_bias(population, potentials)
            return potentials
        if population.facts.form == "threshold" and self.job.settings["forgets"][population.name]:
            bias = bias_registers(population)
            # One exponent for all wherever one does: Lava says that it is shared, though its CPU models take many.
            exponents = np.unique(bias.exponent)
            exponent = int(exponents[0]) if len(exponents) == 1 else bias.exponent
            return LIF(shape=shape, vth=0, du=4095, dv=4095, bias_mant=bias.mantissa, bias_exp=exponent)
        return super().neurons(population)

    def _over_time(self, population: Compartments) -> Any:
        """Return neurons that clear themselves between samples, with biases and silence from the lines of control."""
        facts, shape = population.facts, self.shape(population.size)
        depth, period = self.job.depths[population.name], self.job.settings["time"]["period"]
        if not population.spikes:
            neurons: Any = GradedVec(shape=shape, vth=0)
        elif facts.form == "threshold" and self.job.settings["forgets"][population.name]:
            neurons = LIF(shape=shape, vth=0, du=4095, dv=4095)
        else:
            interval = 1 if facts.form == "threshold" else period
            decays: dict[str, Any] = {"du": 4095, "dv": 4095 if facts.form == "threshold" else 0}
            if facts.fraction_bits:  # of one decay a population, the current's not 0: ``refuse_what_stock_cannot``
                decays = {"du": int(facts.current_decay) - 1, "dv": facts.voltage_decay}  # type: ignore[arg-type]
            vth: Any = np.broadcast_to(facts.least - 1, shape).copy()
            neurons = LIFReset(shape=shape, vth=vth, reset_interval=interval, reset_offset=depth % interval, **decays)
        for registers in bias_weights(population):
            self._from_control(0, registers, depth, neurons)
        silencer = self.job.settings["time"]["silencers"].get(population.name, 0)
        if silencer:
            column = Projection("silence", population.name, np.full((population.size, 1), -silencer))
            self._from_control(1, weight_registers(column), depth, neurons)
        return neurons

    def _from_control(self, line: int, registers: WeightRegisters, depth: int, neurons: Any) -> None:
        weights = np.zeros((len(registers.weights), 2), np.int32)
        weights[:, line] = registers.weights[:, 0]
        _through(self.control[depth], WeightRegisters(weights, registers.exponent, registers.sign_mode), neurons)

    def _within_a_sample(self, projection: AnyProjection, out_port: Any, lag: int) -> Any:
        """What would arrive too late meets neurons that are held down: nothing is left out on the way."""
        return out_port

    def connect(self, projection: AnyProjection, out_port: Any, neurons: Any) -> None:
        """Connect a source's ``out_port`` with ``neurons``; a convolution goes as the sparse matrix that it is.

        Lava's Conv wants its images in another order, and ports that are reshaped, and adapters of its own on the way
        in: none of that is known to work between neuro-cores.
        """
        if isinstance(projection, ConvProjection):
            projection = SparseProjection(projection.source, projection.target, projection.matrix(), projection.delay)
        super().connect(projection, out_port, neurons)

    def _add_readout_bias(self, readout: Compartments, potentials: GradedVec) -> None:
        weights = bias_weights(readout)
        if weights:
            always_on = _lif(bias=1)
            for registers in weights:
                _through(always_on.s_out, registers, potentials)


def relay(out_port: Any) -> LIF:
    """Return neurons that pass on the spikes of ``out_port``, a step after they arrive."""
    (size,) = out_port.shape
    neurons = _lif(size)
    _through(out_port, WeightRegisters(np.eye(size, dtype=np.int32), 0, "EXCITATORY"), neurons)
    return neurons


def _lif(size: int = 1, bias: int = 0) -> LIF:
    return LIF(shape=(size,), vth=0, du=4095, dv=4095, bias_mant=bias, bias_exp=6)


def _through(out_port: Any, registers: WeightRegisters, neurons: Any) -> None:
    synapses = Dense(
        weights=registers.weights,
        weight_exp=registers.exponent,
        sign_mode=SignMode[registers.sign_mode],
        num_weight_bits=8,
    )
    out_port.connect(synapses.s_in)
    synapses.a_out.connect(neurons.a_in)

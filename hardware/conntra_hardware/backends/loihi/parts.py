"""What a program's parts are on a chip: Lava's own processes, as in conformance mode, with two differences.

A readout is a ``GradedVec``: its potential leaves as a graded spike, as a host cannot read a neuron's state at every
step. And a threshold neuron is a plain LIF where that forgets enough, for LIFReset's reset may cost time on the chip.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.dense.process import Dense
from lava.proc.graded.process import GradedReluVec, GradedVec
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode

from conntra_hardware.backends.child.job import Compartments
from conntra_hardware.backends.lava.graph import Stock
from conntra_hardware.backends.lava.registers import WeightRegisters, bias_registers
from conntra_hardware.backends.loihi.registers import bias_weights
from conntra_hardware.program import AnyProjection, ConvProjection, SparseProjection

__all__ = ["STOCK", "Deployed", "relay"]

STOCK = (Dense, GradedReluVec, GradedVec, LIF, LIFReset, Sparse)
"""What must be on the chip; all else is the host's."""


class Deployed(Stock):
    """Neurons and synapses of a job, one sample a time step."""

    def neurons(self, population: Compartments) -> Any:
        """Return the neurons of a population."""
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

    def connect(self, projection: AnyProjection, out_port: Any, neurons: Any) -> None:
        """Connect a source's ``out_port`` with ``neurons``; a convolution goes as the sparse matrix that it is.

        Lava's Conv wants its images in another order, and ports that are reshaped, and adapters of its own on the way
        in: none of that is known to work between neuro-cores.
        """
        if isinstance(projection, ConvProjection):
            projection = SparseProjection(projection.source, projection.target, projection.matrix())
        super().connect(projection, out_port, neurons)

    def _add_readout_bias(self, readout: Compartments, potentials: GradedVec) -> None:
        weights = bias_weights(readout)
        if weights:
            always_on = _lif(bias=1)
            for registers in weights:
                _through(always_on.s_out, registers, potentials)


def relay(out_port: Any) -> LIF:
    """Return one neuron that passes on the spikes of ``out_port``, a step after they arrive."""
    neuron = _lif()
    _through(out_port, WeightRegisters(np.ones((1, 1), np.int32), 0, "EXCITATORY"), neuron)
    return neuron


def _lif(bias: int = 0) -> LIF:
    return LIF(shape=(1,), vth=0, du=4095, dv=4095, bias_mant=bias, bias_exp=6)


def _through(out_port: Any, registers: WeightRegisters, neurons: Any) -> None:
    synapses = Dense(
        weights=registers.weights,
        weight_exp=registers.exponent,
        sign_mode=SignMode[registers.sign_mode],
        num_weight_bits=8,
    )
    out_port.connect(synapses.s_in)
    synapses.a_out.connect(neurons.a_in)

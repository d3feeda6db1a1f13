"""What a Loihi 2 deployment adds to Lava's registers: a readout's bias as synapses, and which LIF is exact."""

from __future__ import annotations

import numpy as np

from conntra_hardware.arrays import SpikeArray
from conntra_hardware.backends.lava.registers import WeightRegisters, check_program, weight_registers
from conntra_hardware.errors import BackendError
from conntra_hardware.overflow import synaptic_bounds
from conntra_hardware.program import Population, Program, Projection

__all__ = ["bias_weights", "check_deployable", "forgets"]

ALWAYS_ON = "always-on"

_DIGIT = 128  # the low part of a bias lies within 8 bits, and the high part is a multiple of this
_LEFTOVER_EXACT = 63 * 64


def check_deployable(program: Program, inputs: SpikeArray) -> None:
    """Raise BackendError where stock processes could not run ``inputs`` (n, n_inputs) through ``program`` exactly."""
    if program.steps != 1:
        raise BackendError(
            f"loihi: a sample of {program.steps} time steps; 1 is deployed so far; run it on another backend"
        )
    for population in program.populations:
        if population.neuron.kind not in ("threshold", "readout"):
            raise BackendError(
                f"loihi: population {population.name}: {population.neuron.kind} neurons; threshold neurons and a "
                "readout are deployed so far; run it on another backend"
            )
    check_program(program, inputs)


def forgets(program: Program, population: Population) -> bool:
    """Return whether a plain LIF with the fastest decay is as good as one that is reset at every step.

    A decay of 4095 leaves 1/4096 of a potential (of a negative one: a positive one spikes and is set to 0). In
    registers a weight is 64, so what is left of -4032 and above is less than one weight, rounded either way.
    """
    low, _ = synaptic_bounds(population, program.incoming(population.name))
    return bool(low.min(initial=0) >= -_LEFTOVER_EXACT)


def bias_weights(readout: Population) -> tuple[WeightRegisters, ...]:
    """Return a readout's bias as the weights (size, 1) of a neuron that always spikes: none, one or two to be added.

    Graded neurons have no bias register, and a weight has 8 bits.
    """
    bias = readout.bias.astype(np.int64)
    if not bias.any():
        return ()
    try:
        return (_registers(readout, bias),)
    except BackendError:
        low = (bias + _DIGIT // 2) % _DIGIT - _DIGIT // 2
        return tuple(_registers(readout, part) for part in (low, bias - low) if part.any())


def _registers(readout: Population, bias: np.ndarray) -> WeightRegisters:
    return weight_registers(Projection(ALWAYS_ON, readout.name, bias[:, None]))

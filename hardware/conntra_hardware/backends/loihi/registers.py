"""What a Loihi 2 deployment adds to Lava's registers: a readout's bias as synapses, and which LIF is exact."""

from __future__ import annotations

import numpy as np

from conntra_hardware.backends.lava.registers import (
    Biased,
    WeightRegisters,
    check_program,
    refuse_what_stock_cannot,
    weight_registers,
)
from conntra_hardware.backends.refuse import refuse_neurons, refuse_ways_through_time
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError
from conntra_hardware.fit.overflow import spans_of, synaptic_bounds
from conntra_hardware.program import Program, Projection

__all__ = ["bias_weights", "check_deployable", "forgetful"]

ALWAYS_ON = "always-on"

_DEPLOYED = ("threshold", "graded", "readout")
_DIGIT = 128  # the low part of a bias lies within 8 bits, and the high part is a multiple of this
_LEFTOVER_EXACT = 63 * 64


def check_deployable(backend: str, program: Program, inputs: SpikeArray) -> None:
    """Raise BackendError where stock processes could not run ``inputs`` (n, n_inputs) through ``program`` exactly."""
    refuse_neurons(backend, program, _DEPLOYED, "use another backend")
    refuse_ways_through_time(backend, program, "use another backend")
    if program.steps != 1:
        raise BackendError(
            f"{backend}: a sample of {program.steps} time steps: neurons would have to be cleared between samples, and "
            "how many steps adapters take is not known before the run; use another backend"
        )
    try:
        refuse_what_stock_cannot(program)
        check_program(program, inputs, stock=True)
    except BackendError as error:
        raise BackendError(f"{backend}: on stock processes: {error}") from None


def forgetful(program: Program) -> dict[str, bool]:
    """Return for each population whether a plain LIF with the fastest decay is as good as one reset at every step.

    A decay of 4095 leaves 1/4096 of a potential (of a negative one: a positive one spikes and is set to 0). In
    registers a weight is 64, so what is left of -4032 and above is less than one weight, rounded either way.
    """
    spans = spans_of(program.populations, program.incoming, program.steps, program.encoder)
    lowest = {p.name: synaptic_bounds(p, program.incoming(p.name), spans)[0] for p in program.populations}
    return {name: bool(low.min(initial=0) >= -_LEFTOVER_EXACT) for name, low in lowest.items()}


def bias_weights(readout: Biased) -> tuple[WeightRegisters, ...]:
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


def _registers(readout: Biased, bias: np.ndarray) -> WeightRegisters:
    return weight_registers(Projection(ALWAYS_ON, readout.name, bias[:, None]))

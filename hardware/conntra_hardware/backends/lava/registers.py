"""What Lava's fixed-point registers hold: weights, biases and sums encoded exactly, or refused.

The simulator takes values that the chip would not and rounds or wraps them in silence, so everything is
checked here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import IntArray, SpikeArray
from conntra_hardware.errors import BackendError
from conntra_hardware.overflow import synaptic_bounds
from conntra_hardware.program import AnyProjection, Population, Program

__all__ = ["MAX_SUM", "BiasRegisters", "WeightRegisters", "bias_registers", "check_program", "weight_registers"]

MAX_SUM = 2**17 - 1
"""Largest magnitude of a synaptic sum: shifted left by 6 it must stay within 24 bits, or the current wraps."""

# Synaptic sums are shifted left by 6, biases are not: this exponent puts a bias in weight units.
_BIAS_SCALE = 6
_MANTISSA = (-(2**12), 2**12 - 1)
_EXPONENT_MAX = 7
_MIXED_MAGNITUDE = (-128, 127)
_ONE_SIGN_MAX = 255


@dataclass(frozen=True, eq=False)
class WeightRegisters:
    """Weights (n_target, n_source) as Dense takes them; the true weight is ``weights * 2**exponent``."""

    weights: npt.NDArray[np.int32]
    exponent: int
    sign_mode: str


@dataclass(frozen=True, eq=False)
class BiasRegisters:
    """Biases (size,): ``mantissa << exponent`` in units of 2**-6 weights; 13-bit signed mantissas, exponents 0 to 7."""

    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int32]


def weight_registers(projection: AnyProjection) -> WeightRegisters:
    """Encode a projection's weights so that Dense drops none of their bits.

    With both signs Dense drops the lowest of 8 bits: weights are doubled and the sum halved (exponent -1).
    Weights of one sign keep 8 bits of magnitude. A common factor of 2 goes into the exponent where the
    magnitudes need it.
    """
    weights = projection.weights.astype(np.int32)
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    common = int(np.bitwise_or.reduce(np.abs(weights), axis=None)) or 1
    for factor in range(_EXPONENT_MAX + 2):
        if common % 2**factor:
            break
        if low < 0 < high:
            if _MIXED_MAGNITUDE[0] <= low >> factor and high >> factor <= _MIXED_MAGNITUDE[1]:
                return WeightRegisters((weights >> factor) * 2, factor - 1, "MIXED")
        elif max(-low, high) >> factor <= _ONE_SIGN_MAX and factor <= _EXPONENT_MAX:
            return WeightRegisters(weights >> factor, factor, "INHIBITORY" if low < 0 else "EXCITATORY")
    raise BackendError(
        f"lava: weights {projection.source} -> {projection.target} from {low} to {high}; Lava holds -128 to 127 "
        "exactly, 0 to 255 or -255 to 0 of one sign, times a power of 2; use levels within that"
    )


def bias_registers(population: Population) -> BiasRegisters:
    """Encode a population's biases: exponent 6 for -4096 to 4095, 7 for twice that where the bias is even."""
    bias = population.bias.astype(np.int64)
    small = (bias >= _MANTISSA[0]) & (bias <= _MANTISSA[1])
    double = ~small & (bias % 2 == 0) & (bias >= 2 * _MANTISSA[0]) & (bias <= 2 * _MANTISSA[1])
    if not np.all(small | double):
        neuron = int(np.flatnonzero(~(small | double))[0])
        raise BackendError(
            f"lava: population {population.name}, neuron {neuron}: bias {bias[neuron]}; Lava's 13-bit mantissa holds "
            f"{_MANTISSA[0]} to {_MANTISSA[1]}, and even numbers of twice that; move a part of the bias to an input "
            "that always spikes"
        )
    mantissa = np.where(small, bias, bias // 2).astype(np.int32)
    return BiasRegisters(mantissa, np.where(small, _BIAS_SCALE, _BIAS_SCALE + 1).astype(np.int32))


def check_program(program: Program, inputs: SpikeArray) -> None:
    """Raise BackendError where Lava could not run ``inputs`` (n, n_inputs) through ``program`` exactly.

    Sums are bounded by the weights alone; where that bound is too large, the sums of these very inputs are
    computed.
    """
    for population in program.populations:
        bias_registers(population)
        for projection in program.incoming(population.name):
            weight_registers(projection)
    unbounded = []
    for population in program.populations:
        low, high = synaptic_bounds(population, program.incoming(population.name))
        if low.min() < -MAX_SUM or high.max() > MAX_SUM:
            unbounded.append(population.name)
    if not unbounded:
        return
    source: SpikeArray = inputs
    for population in program.populations:
        sums = _sums(program, population, source)
        if population.name in unbounded:
            _check_sums(population, sums)
        source = (sums + population.bias > 0).astype(np.uint8)


def _sums(program: Program, population: Population, source: SpikeArray) -> IntArray:
    # Sums of 32-bit weights over fewer than 2**21 inputs stay below 2**53: float64 is exact.
    total = np.zeros((len(source), population.size), np.int64)
    for projection in program.incoming(population.name):
        total += (source.astype(np.float64) @ projection.weights.T.astype(np.float64)).astype(np.int64)
    return total


def _check_sums(population: Population, sums: IntArray) -> None:
    potentials = sums if population.neuron.spikes else sums + population.bias
    for values, what in ((sums, "synaptic sum"), (potentials, "potential")):
        outside = np.abs(values) > MAX_SUM
        if outside.any():
            sample, neuron = (int(i) for i in np.argwhere(outside)[0])
            raise BackendError(
                f"lava: population {population.name}, neuron {neuron}, sample {sample}: {what} "
                f"{values[sample, neuron]} would overflow "
                f"Lava's accumulator of -{MAX_SUM} to {MAX_SUM}; use smaller levels or fewer inputs"
            )

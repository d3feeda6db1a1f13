"""What Lava's fixed-point registers hold: weights, biases and sums encoded exactly, or refused.

The simulator takes values that the chip would not and rounds or wraps them in silence, so everything is
checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.backends.refuse import refuse_neurons
from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.errors import BackendError, UnsupportedProgram
from conntra_hardware.fit.overflow import register_bounds, spans_of, synaptic_bounds
from conntra_hardware.fit.synapse_memory import halves
from conntra_hardware.neurons import GRADED_MAX, Facts
from conntra_hardware.program import INPUT, AnyProjection, Population, Program, Projection, SparseProjection
from conntra_hardware.program.arrivals import arriving_sums

__all__ = [
    "FORMS",
    "MAX_SUM",
    "BiasRegisters",
    "Biased",
    "WeightRegisters",
    "as_processes",
    "bias_registers",
    "check_program",
    "is_plain_lif",
    "is_soft",
    "refuse_what_stock_cannot",
    "weight_registers",
]

FORMS = ("threshold", "graded", "multi threshold", "integrating", "leaky", "sigma delta", "readout", "leaky readout")
"""The forms of neuron that Lava's processes, and ours beside them, have rows for."""

MAX_SUM = 2**17 - 1
"""Largest magnitude of a synaptic sum: shifted left by 6 it must stay within 24 bits, or the current wraps."""

# Synaptic sums are shifted left by 6, biases are not: this exponent puts a bias in weight units.
_BIAS_SCALE = 6
_MANTISSA = (-(2**12), 2**12 - 1)
_EXPONENT_MAX = 7
_MIXED_MAGNITUDE = (-128, 127)
_ONE_SIGN_MAX = 255
_ATRLIF_MAX = 2**12 - 1


@dataclass(frozen=True, eq=False)
class WeightRegisters:
    """Weights (n_target, n_source) as Dense takes them, as Sparse does where the projection is not dense.

    The true weight is ``weights * 2**exponent``.
    """

    weights: Any
    exponent: int
    sign_mode: str


@dataclass(frozen=True, eq=False)
class BiasRegisters:
    """Biases (size,): ``mantissa << exponent`` in units of 2**-6 weights; 13-bit signed mantissas, exponents 0 to 7."""

    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int32]


def as_processes(projection: AnyProjection) -> tuple[AnyProjection, ...]:
    """Return the synapses as processes take them: all in one, or those above 0 and those below, or the high and the low
    part of each weight. BackendError for wider ones.
    """
    if _is_held(projection):
        return (projection,)
    for cut in (_by_sign, halves):
        parts = tuple(_like(projection, part) for part in cut(_matrix(projection)))
        if all(map(_is_held, parts)):
            return parts
    weight_registers(projection)
    raise AssertionError("unreachable: what is not held is refused")


def _matrix(projection: AnyProjection) -> Any:
    return projection.weights if isinstance(projection, Projection) else projection.matrix()


def _by_sign(weights: Any) -> tuple[Any, Any]:
    if isinstance(weights, np.ndarray):
        return np.maximum(weights, 0), np.minimum(weights, 0)
    return weights.maximum(0), weights.minimum(0)


def _is_held(projection: AnyProjection) -> bool:
    try:
        weight_registers(projection)
    except BackendError:
        return False
    return True


def _like(projection: AnyProjection, weights: Any) -> AnyProjection:
    kind = Projection if isinstance(weights, np.ndarray) else SparseProjection
    return kind(projection.source, projection.target, weights, projection.delay)


def weight_registers(projection: AnyProjection) -> WeightRegisters:
    """Encode a projection's weights so that Dense and Sparse drop none of their bits.

    With both signs they drop the lowest of 8 bits: weights are doubled and the sum halved (exponent -1).
    Weights of one sign keep 8 bits of magnitude. A common factor of 2 goes into the exponent where the
    magnitudes need it.
    """
    values = projection.alphabet.astype(np.int64)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    common = int(np.bitwise_or.reduce(np.abs(values), axis=None)) or 1
    for factor in range(_EXPONENT_MAX + 2):
        if common % 2**factor:
            break
        if low < 0 < high:
            if _MIXED_MAGNITUDE[0] <= low >> factor and high >> factor <= _MIXED_MAGNITUDE[1]:
                return WeightRegisters(_scaled(projection, factor, 2), factor - 1, "MIXED")
        elif max(-low, high) >> factor <= _ONE_SIGN_MAX and factor <= _EXPONENT_MAX:
            return WeightRegisters(_scaled(projection, factor, 1), factor, "INHIBITORY" if low < 0 else "EXCITATORY")
    raise BackendError(
        f"lava: weights {projection.source} -> {projection.target} from {low} to {high}; Lava holds -128 to 127 "
        "exactly, 0 to 255 or -255 to 0 of one sign, times a power of 2; use levels within that"
    )


def _scaled(projection: AnyProjection, factor: int, times: int) -> Any:
    if isinstance(projection, Projection):
        return (projection.weights.astype(np.int32) >> factor) * times
    matrix = projection.matrix().astype(np.int32)
    matrix.data = (matrix.data >> factor) * times
    return matrix


class Biased(Protocol):
    """A population, or what a simulator's child process is told of one."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def bias(self) -> IntArray:
        """The biases (size,) in weight units."""
        ...


def bias_registers(population: Biased) -> BiasRegisters:
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


def check_program(program: Program, inputs: SpikeArray, stock: bool = False) -> None:
    """Raise BackendError where Lava could not run ``inputs`` (rows, n_inputs) through ``program`` exactly.

    Sums are bounded by the weights alone; where that bound is too large, the sums of these very inputs are
    computed. ``stock``: on Lava's own processes, of which ATRLIF takes everything doubled.
    """
    refuse_neurons("lava", program, FORMS, "use backend reference")
    spans = spans_of(program.populations, program.incoming, program.steps, program.encoder)
    unbounded = []
    for population in program.populations:
        incoming = program.incoming(population.name)
        for projection in incoming:
            as_processes(projection)
        if not population.neuron.graded:
            bias_registers(population)
        if population.neuron.facts.fraction_bits:
            _check_wraps_once(population, *synaptic_bounds(population, incoming, spans))
            continue
        low, high = register_bounds(population, incoming, program.steps, spans)
        if max(-int(low.min()), int(high.max())) > _limit(population, stock):
            unbounded.append(population)
    if unbounded:
        spikes = ReferenceBackend().execute(program, inputs, RunOptions()).spikes
        for population in unbounded:
            _check_sums(program, population, {INPUT: inputs, **spikes}, stock)


def _check_wraps_once(population: Population, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> None:
    """Loihi's u wraps round; Lava's takes off one turn of 2^24 and no more."""
    reached = max(-int(low.min()), int(high.max()))
    if reached > 2 * MAX_SUM:
        raise BackendError(
            f"lava: population {population.name}: sums of a step up to {reached}; Lava's current wraps round right up "
            f"to {2 * MAX_SUM}; use smaller weights or fewer inputs"
        )


def is_plain_lif(facts: Facts) -> bool:
    """Return whether Lava's own LIF does what leaky neurons of these facts do."""
    return (
        facts.reset == "hard"
        and facts.refractory == 0
        and (facts.strict or facts.threshold is None)
        and facts.read == "last"
        and all(isinstance(decay, int) for decay in (facts.current_decay, facts.voltage_decay))
        and facts.current_decay != 0
    )


def is_soft(facts: Facts) -> bool:
    """Return whether these are neurons that keep what exceeds the threshold, which Lava's LIF does not."""
    return facts.form == "integrating" and facts.reset == "soft"


def _limit(population: Population, stock: bool) -> int:
    if population.neuron.graded:
        return GRADED_MAX
    return MAX_SUM // 2 if stock and is_soft(population.neuron.facts) else MAX_SUM


def _check_sums(program: Program, population: Population, sent: Mapping[str, IntArray], stock: bool) -> None:
    over_time = {p.source: sent[p.source] for p in program.incoming(population.name)}
    over_time = {name: values.reshape(-1, program.steps, values.shape[1]) for name, values in over_time.items()}
    shaped = arriving_sums(program, population.name, over_time)
    sums = shaped.reshape(-1, population.size)
    held = population.neuron.held(shaped, population.bias).reshape(sums.shape)
    if stock and is_soft(population.neuron.facts):
        held = (shaped + population.bias).cumsum(axis=1).reshape(sums.shape)  # a spike adds to r, and leaves v as it is
    elif population.neuron.facts.form == "threshold":
        held = sums  # clipped potentials spike alike
    limit = _limit(population, stock)
    for values, what in ((sums, "synaptic sum"), (held, "potential")):
        outside = np.abs(values) > limit
        if outside.any():
            row, neuron = (int(i) for i in np.argwhere(outside)[0])
            raise BackendError(
                f"lava: population {population.name}, neuron {neuron}, sample {row // program.steps}: {what} "
                f"{values[row, neuron]} would overflow "
                f"Lava's accumulator of -{limit} to {limit}; use smaller levels or fewer inputs"
            )


def refuse_what_stock_cannot(program: Program) -> None:
    """Raise UnsupportedProgram where Lava's own processes cannot do what a population does.

    GradedReluVec has neither bias nor shift: the shift is that of the synapses' sum, so there must be one, and a bias
    that is added after it (``remainders`` takes care of other ones). ATRLIF's threshold has 12 bits, and its biases are
    doubled.
    """
    for population in program.populations:
        facts = population.neuron.facts
        what = f"lava-stock: population {population.name}"
        if facts.form == "multi threshold":
            raise UnsupportedProgram(
                f"{what}: {population.neuron.kind} neurons: Lava has none with several thresholds; use backend lava, "
                "or compile the network for a chip without graded spikes (loihi1): as many threshold neurons"
            )
        if facts.form == "graded":
            if facts.ceiling != GRADED_MAX:
                raise UnsupportedProgram(
                    f"{what}: a ceiling of its graded spikes: GradedReluVec has none; use backend lava"
                )
            if not isinstance(facts.shift, int):
                raise UnsupportedProgram(f"{what}: a shift for each neuron: a projection has one; use backend lava")
            if facts.shift and (len(program.incoming(population.name)) > 1 or np.any(population.bias % 2**facts.shift)):
                raise UnsupportedProgram(
                    f"{what}: a shift by {facts.shift} of several sums, or of a sum and a bias that 2^{facts.shift} "
                    "does not divide: GradedReluVec has none of its own; use backend lava"
                )
            if population.bias.any():
                _refuse_bias(population, facts.shift)
        if facts.fraction_bits and not is_plain_lif(facts):
            raise UnsupportedProgram(
                f"{what}: {population.neuron.kind} neurons with soft reset, refractory steps, a threshold that is not "
                "strict, decays that differ, a current that keeps all, or the largest value read; Lava's LIF has none "
                "of these; use backend lava"
            )
        if is_soft(facts):
            if facts.per_neuron:
                raise UnsupportedProgram(f"{what}: a threshold for each neuron: ATRLIF has one; use backend lava")
            largest = int(facts.least)
            if largest > _ATRLIF_MAX:
                raise UnsupportedProgram(
                    f"{what}: a threshold of {largest}; ATRLIF holds {_ATRLIF_MAX}; use backend lava"
                )
            if bias_registers(population).exponent.max() > _BIAS_SCALE:
                raise UnsupportedProgram(
                    f"{what}: biases of up to 13 bits; ATRLIF takes them doubled; use backend lava"
                )


def _refuse_bias(population: Population, shift: int) -> None:
    """A bias of graded neurons is a synapse of stock Lava, and has to be a weight."""
    try:
        weight_registers(Projection("bias", population.name, population.bias[:, None] >> shift))
    except BackendError as error:
        raise UnsupportedProgram(f"{error}; use backend lava") from None

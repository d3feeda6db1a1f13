"""Static overflow proof: the least and the largest potential a neuron can reach, against the registers that hold it.

Inputs are 0 or 1, so ``potential = weights @ x + bias`` lies between the bias plus all negative weights and the bias
plus all positive ones, and so does every partial sum of the synapses in any order. Graded spikes go from the least to
the largest that their neuron can send, which the bounds of its own potential say. Neurons with state, and readouts, add
up the potentials of a sample's time steps; what sigma-delta neurons send adds up to an activation again, however many
steps there are. Nothing outside can occur, whatever the input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.chip import Chip
from conntra_hardware.neurons import GRADED_MAX, Neuron, Span, values
from conntra_hardware.program import INPUT, AnyProjection, Population, Program, Projection
from conntra_hardware.program.input_encoding import ChangeEncoder, Encoder

__all__ = [
    "REGISTERS",
    "Bounds",
    "OverflowProof",
    "prove_no_overflow",
    "register_bounds",
    "register_limit",
    "spans_of",
    "synaptic_bounds",
]

_SHIFT = 6
"""Lava and Loihi hold a weight of 1 as 2^6."""

REGISTERS = {
    # u wraps past 2^23 after the shift by 6 and v is clipped to +-(2^23 - 1), so both stay exact up to 131071.
    "lava": (2**23 - 1) >> _SHIFT,
    "brian2": 2**53,
    "reference": 2**53,
}
"""The largest exact magnitude of a potential in each simulator, in weight units."""

Bounds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OverflowProof:
    """What the neurons of one population can reach, and the register they are held in.

    ``low`` and ``high`` are the extremes over the population, of the synaptic sum with and without the bias;
    ``neuron`` is the one with the largest magnitude, reached by the input with exactly ``inputs`` spiking (source
    indices), where it would overflow. ``stops``: the neurons are Loihi's, whose current wraps round and whose voltage
    stops at its ends, there and in every simulator: a bound that does not hold is a warning then.
    """

    population: str
    register: str
    limit: int
    low: int
    high: int
    neuron: int
    inputs: tuple[int, ...] = ()
    stops: bool = False

    @property
    def holds(self) -> bool:
        """Whether no input can overflow."""
        return max(-self.low, self.high) <= self.limit

    def __str__(self) -> str:
        where = f"{self.population}: potentials {self.low} to {self.high}, register {self.register} +-{self.limit}"
        if self.holds:
            return f"{where}: cannot overflow"
        if self.stops:
            return f"{where}: neuron {self.neuron} may stop at the ends of its registers, alike wherever it runs"
        if not self.inputs:
            return f"{where}: neuron {self.neuron} may overflow"
        return f"{where}: neuron {self.neuron} overflows when its {len(self.inputs)} inputs {_some(self.inputs)} spike"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **{key: getattr(self, key) for key in self.__dataclass_fields__},
            "inputs": list(self.inputs),
            "holds": self.holds,
        }


def register_limit(chip: Chip, neuron: Neuron | None = None) -> int:
    """Return the largest potential, in weight units, that ``chip`` holds; graded neurons do without the shift."""
    largest = 2 ** (chip.potential_bits - 1) - 1
    return largest if neuron is not None and neuron.graded else largest >> _SHIFT


def synaptic_bounds(
    population: Population, incoming: Sequence[AnyProjection], spans: Mapping[str, Span] | None = None
) -> tuple[Bounds, Bounds]:
    """Return the least and the largest value (size,) of each neuron's synaptic sum and potential of one step together.

    ``spans`` holds for sources with graded spikes what each of their neurons can send.
    """
    low = np.zeros(population.size, dtype=np.int64)
    high = np.zeros(population.size, dtype=np.int64)
    for projection in incoming:
        span = (spans or {}).get(projection.source)
        negative, positive = _extremes(projection, None if span is None else (span.low, span.high))
        low += negative
        high += positive
    return np.minimum(low, low + population.bias), np.maximum(high, high + population.bias)


def _extremes(projection: AnyProjection, spikes: tuple[Bounds, Bounds] | None) -> tuple[Bounds, Bounds]:
    """Return the least and the largest sums (n_target,) of ``spikes`` (from, to), None for those of 0 and 1."""
    if isinstance(projection, Projection) and spikes is None:
        # Two reductions without a copy of the matrix: sum and sum of magnitudes.
        total = projection.weights.sum(axis=1, dtype=np.int64)
        positive = np.maximum(projection.weights, 0).sum(axis=1, dtype=np.int64)
        return total - positive, positive
    matrix, n_source = projection.matrix().astype(np.int64), projection.shape[1]
    low, high = (np.zeros(n_source, np.int64), np.ones(n_source, np.int64)) if spikes is None else spikes
    # Half the sum and half the spread of both ends: a negative weight turns them round.
    total, spread = matrix @ (high + low), abs(matrix) @ (high - low)
    return (total - spread) // 2, (total + spread) // 2


def spans_of(
    populations: Sequence[Population],
    incoming: Callable[[str], Sequence[AnyProjection]],
    steps: int,
    encoder: Encoder | None = None,
) -> dict[str, Span]:
    """Return for each population with graded spikes what each of its neurons can send in a sample of ``steps`` steps.

    ``populations`` in feed-forward order; ``incoming`` returns the projections into one of them. Neurons that lead back
    to themselves may send all that 24 bits and their ceiling allow. Inputs are there, too, where the ``encoder`` bounds
    what they send in all.
    """
    spans: dict[str, Span] = {}
    if isinstance(encoder, ChangeEncoder):
        read = [p for population in populations for p in incoming(population.name) if p.source == INPUT]
        if encoder.frames == 1 or all(_puts_together(encoder, projection) for projection in read):
            none, one = np.zeros(encoder.n_out, np.int64), np.ones(encoder.n_out, np.int64)
            spans[INPUT] = Span(none, one, none, encoder.most_in_all)
    for population in populations:
        if not population.neuron.graded:
            continue
        arriving = incoming(population.name)
        if any(p.source == population.name for p in arriving):
            most = np.array(np.broadcast_to(values(population.neuron.facts.ceiling), population.size), np.int64)
            spans[population.name] = Span(-most if population.neuron.facts.delta else 0 * most, most)
            continue
        low, high = register_bounds(population, arriving, steps, spans)
        spans[population.name] = population.neuron.span(low, high, steps)
    return spans


def _puts_together(encoder: ChangeEncoder, projection: AnyProjection) -> bool:
    """Return whether the lines of each value have weights in the encoder's proportions: what they say in all is it."""
    matrix: Any = projection.matrix().astype(np.int64)
    columns = np.arange(encoder.n_out).reshape(encoder.channels, len(encoder.weights), -1)
    first = matrix[:, columns[:, 0].ravel()]  # of the digit 1
    return all(
        not abs(matrix[:, columns[:, line].ravel()] - first * weight).sum()
        for line, weight in enumerate(encoder.weights.tolist())
    )


def register_bounds(
    population: Population, incoming: Sequence[AnyProjection], steps: int, spans: Mapping[str, Span]
) -> tuple[Bounds, Bounds]:
    """Return the least and the largest value (size,) of each neuron's register in a sample of ``steps`` steps.

    ``spans`` as in ``synaptic_bounds``.
    """
    neuron, bias = population.neuron, population.bias
    summed = [spans.get(p.source) for p in incoming]
    if neuron.facts.form not in ("sigma delta", "readout") or all(s is None or s.least is None for s in summed):
        return neuron.register_bounds(*synaptic_bounds(population, incoming, spans), steps)
    low, high = np.zeros(population.size, np.int64), np.zeros(population.size, np.int64)
    for projection, span in zip(incoming, summed, strict=True):
        if span is None or span.least is None or span.most is None:
            fewest, most = _extremes(projection, None if span is None else (span.low, span.high))
            fewest, most = steps * fewest, steps * most
        else:
            fewest, most = _extremes(projection, (np.minimum(span.least, 0), np.maximum(span.most, 0)))
        low, high = low + fewest, high + most
    times = steps if neuron.facts.form == "readout" else 1
    return np.minimum(low, low + times * bias), np.maximum(high, high + times * bias)


def prove_no_overflow(
    program: Program, registers: Sequence[str] = ("lava", "brian2", "reference")
) -> tuple[OverflowProof, ...]:
    """Return a proof, or the neuron and the input that would overflow, for each population on the chip and in each
    simulator.
    """
    spans = spans_of(program.populations, program.incoming, program.steps, program.encoder)
    proofs = []
    for population in program.populations:
        incoming = program.incoming(population.name)
        low, high = register_bounds(population, incoming, program.steps, spans)
        neuron = int(np.maximum(-low, high).argmax())
        for register, limit in _limits(program, population.neuron, registers).items():
            stops = population.neuron.facts.fraction_bits > 0
            proof = OverflowProof(
                population.name, register, limit, int(low.min()), int(high.max()), neuron, stops=stops
            )
            proofs.append(
                proof if proof.holds or stops else _with_inputs(proof, incoming, bool(high[neuron] >= -low[neuron]))
            )
    return tuple(proofs)


def _limits(program: Program, neuron: Neuron, registers: Sequence[str]) -> dict[str, int]:
    limits = {name: REGISTERS[name] for name in registers}
    if neuron.graded and "lava" in limits:
        limits["lava"] = GRADED_MAX  # its sums are not shifted
    return {program.chip.name: register_limit(program.chip, neuron)} | limits


def _with_inputs(proof: OverflowProof, incoming: Sequence[AnyProjection], upward: bool) -> OverflowProof:
    if len(incoming) != 1:
        return proof
    row = incoming[0].rows(slice(proof.neuron, proof.neuron + 1))
    row = row[0] if isinstance(row, np.ndarray) else row.toarray()[0]
    inputs = tuple(np.flatnonzero(row > 0 if upward else row < 0).tolist())
    return OverflowProof(proof.population, proof.register, proof.limit, proof.low, proof.high, proof.neuron, inputs)


def _some(inputs: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, inputs[:5]))
    return f"({shown}{', ...' if len(inputs) > 5 else ''})"

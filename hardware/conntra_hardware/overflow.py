"""Static overflow proof: the least and the largest potential a neuron can reach, against the registers that hold it.

Inputs are 0 or 1, so ``potential = weights @ x + bias`` lies between the bias plus all negative weights and the bias
plus all positive ones, and so does every partial sum of the synapses in any order. Nothing outside can occur,
whatever the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.chip import Chip
from conntra_hardware.program import AnyProjection, Population, Program

__all__ = ["REGISTERS", "OverflowProof", "prove_no_overflow", "register_limit", "synaptic_bounds"]

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
    indices), where it would overflow.
    """

    population: str
    register: str
    limit: int
    low: int
    high: int
    neuron: int
    inputs: tuple[int, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no input can overflow."""
        return max(-self.low, self.high) <= self.limit

    def __str__(self) -> str:
        where = f"{self.population}: potentials {self.low} to {self.high}, register {self.register} +-{self.limit}"
        if self.holds:
            return f"{where}: cannot overflow"
        return f"{where}: neuron {self.neuron} overflows when its {len(self.inputs)} inputs {_some(self.inputs)} spike"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **{key: getattr(self, key) for key in self.__dataclass_fields__},
            "inputs": list(self.inputs),
            "holds": self.holds,
        }


def register_limit(chip: Chip) -> int:
    """Return the largest potential, in weight units, that ``chip`` holds."""
    return (2 ** (chip.potential_bits - 1) - 1) >> _SHIFT


def synaptic_bounds(population: Population, incoming: Sequence[AnyProjection]) -> tuple[Bounds, Bounds]:
    """Return the least and the largest value (size,) of each neuron's synaptic sum and potential together."""
    low = np.zeros(population.size, dtype=np.int64)
    high = np.zeros(population.size, dtype=np.int64)
    for projection in incoming:
        # Two reductions without a copy of the matrix: sum and sum of magnitudes.
        total = projection.weights.sum(axis=1, dtype=np.int64)
        positive = np.maximum(projection.weights, 0).sum(axis=1, dtype=np.int64)
        low += total - positive
        high += positive
    return np.minimum(low, low + population.bias), np.maximum(high, high + population.bias)


def prove_no_overflow(
    program: Program, registers: Sequence[str] = ("lava", "brian2", "reference")
) -> tuple[OverflowProof, ...]:
    """Return a proof, or the neuron and the input that would overflow, for each population on the chip and in each
    simulator.
    """
    limits = {program.chip.name: register_limit(program.chip)} | {name: REGISTERS[name] for name in registers}
    proofs = []
    for population in program.populations:
        incoming = program.incoming(population.name)
        low, high = synaptic_bounds(population, incoming)
        neuron = int(np.maximum(-low, high).argmax())
        for register, limit in limits.items():
            proof = OverflowProof(population.name, register, limit, int(low.min()), int(high.max()), neuron)
            proofs.append(proof if proof.holds else _with_inputs(proof, incoming, bool(high[neuron] >= -low[neuron])))
    return tuple(proofs)


def _with_inputs(proof: OverflowProof, incoming: Sequence[AnyProjection], upward: bool) -> OverflowProof:
    (projection,) = incoming
    row = projection.weights[proof.neuron]
    inputs = tuple(np.flatnonzero(row > 0 if upward else row < 0).tolist())
    return OverflowProof(proof.population, proof.register, proof.limit, proof.low, proof.high, proof.neuron, inputs)


def _some(inputs: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, inputs[:5]))
    return f"({shown}{', ...' if len(inputs) > 5 else ''})"

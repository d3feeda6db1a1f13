"""Partition: cut populations into slices that fit a core, and put slices together on as few cores as will hold them.

A population is cut into slices of consecutive neurons, as few as fit and all of one size give or take a neuron. The last population
is cut first, because a neuron needs an output axon for every core that its spikes go to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import IntArray
from conntra_hardware.chip import Chip
from conntra_hardware.encodings import encode
from conntra_hardware.program import Population, Projection
from conntra_hardware.resources import memory_bits
from conntra_neuro.compiler.lower import Lowered

__all__ = ["Demand", "Part", "Partition", "demand", "partition"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Demand:
    """What neurons take of a core, in the units of ``CoreUsage``."""

    neurons: int
    axons_in: int
    axons_out: int
    memory_bits: int

    def __add__(self, other: Demand) -> Demand:
        return Demand(
            self.neurons + other.neurons,
            self.axons_in + other.axons_in,
            self.axons_out + other.axons_out,
            self.memory_bits + other.memory_bits,
        )

    def load(self, chip: Chip) -> tuple[float, float, float, float]:
        """Return used by limit for each resource."""
        return (
            self.neurons / chip.neurons_per_core,
            self.axons_in / (chip.input_axons_per_core or float("inf")),
            self.axons_out / (chip.output_axons_per_core or float("inf")),
            self.memory_bits / chip.synapse_memory_bits,
        )


@dataclass(frozen=True)
class Part:
    """Neurons ``start`` .. ``stop - 1`` of a population, not placed yet; ``kind`` of neuron takes a threshold configuration."""

    population: str
    start: int
    stop: int
    kind: str
    demand: Demand


@dataclass(frozen=True)
class Partition:
    """``cores[i]`` holds the parts that stand together on one core; which core that is, placement decides."""

    cores: tuple[tuple[Part, ...], ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts."""
        return tuple(part for core in self.cores for part in core)


def partition(lowered: Lowered, chip: Chip, weight_bits: int | None = None) -> Partition:
    """Return the parts of every population, grouped into cores.

    A resource that a single neuron exceeds by itself cannot be met by cutting: it is left to ``check`` and ignored here.
    ``weight_bits`` overrides the width of the weights, to say what another level set would take.
    """
    parts: list[list[Part]] = []
    fans: Counts | None = None
    for population, projection in reversed(lowered.layers):
        cut = _cut(population, projection, fans, chip, weight_bits)
        parts.append(cut)
        fans = np.zeros(projection.weights.shape[1], dtype=np.int64)
        for part in cut:
            fans += projection.weights[part.start : part.stop].any(axis=0)
    in_order = [part for cut in reversed(parts) for part in cut]
    return Partition(_pack(in_order, chip))


def demand(weights: IntArray, fans: Counts, chip: Chip, weight_bits: int | None = None) -> Demand:
    """Return what the neurons of ``weights`` (n_target, n_source) take, with ``fans`` (n_target,) output axons each."""
    stored = encode(weights, chip, share=False, bits=weight_bits)
    out = int(fans.sum())
    return Demand(len(weights), stored.axons, out, memory_bits(chip, stored.bits, len(weights), stored.axons + out))


def _cut(
    population: Population, projection: Projection, fans: Counts | None, chip: Chip, weight_bits: int | None
) -> list[Part]:
    fans = np.zeros(population.size, dtype=np.int64) if fans is None else fans
    weights = projection.weights
    widest = int(np.count_nonzero(weights, axis=1).argmax())
    alone = demand(weights[widest : widest + 1], fans[widest : widest + 1], chip, weight_bits)
    alone = replace(alone, axons_out=int(fans.max()))
    ignored = [load > 1 for load in alone.load(chip)]
    count = -(-population.size // chip.neurons_per_core)
    while True:
        parts = _slices(population, weights, fans, count, chip, weight_bits, ignored)
        if parts is not None:
            return parts
        count += 1


def _slices(
    population: Population,
    weights: IntArray,
    fans: Counts,
    count: int,
    chip: Chip,
    weight_bits: int | None,
    ignored: Sequence[bool],
) -> list[Part] | None:
    """Return ``count`` slices of equal size, or None as soon as one does not fit a core."""
    edges = np.linspace(0, population.size, count + 1).astype(int).tolist()
    parts = []
    for start, stop in zip(edges, edges[1:], strict=False):
        needs = demand(weights[start:stop], fans[start:stop], chip, weight_bits)
        over = any(load > 1 and not skip for load, skip in zip(needs.load(chip), ignored, strict=True))
        if over and count < population.size:
            return None
        parts.append(Part(population.name, start, stop, population.neuron.kind, needs))
    return parts


def _pack(parts: Sequence[Part], chip: Chip) -> tuple[tuple[Part, ...], ...]:
    """Put parts on cores, the most demanding first, each on the fullest core that still takes it."""
    cores: list[list[Part]] = []
    totals: list[Demand] = []
    for part in sorted(parts, key=lambda p: -max(p.demand.load(chip))):
        fitting = [i for i, core in enumerate(cores) if _joins(core, totals[i] + part.demand, part, chip)]
        if fitting:
            best = max(fitting, key=lambda i: max(totals[i].load(chip)))
            cores[best].append(part)
            totals[best] = totals[best] + part.demand
        else:
            cores.append([part])
            totals.append(part.demand)
    order = {id(part): index for index, part in enumerate(parts)}
    grouped = [sorted(core, key=lambda p: order[id(p)]) for core in cores]
    return tuple(tuple(core) for core in sorted(grouped, key=lambda core: order[id(core[0])]))


def _joins(core: Sequence[Part], total: Demand, part: Part, chip: Chip) -> bool:
    if any(other.population == part.population for other in core):
        return False
    kinds = {other.kind for other in core} | {part.kind}
    return max(total.load(chip)) <= 1 and len(kinds) <= chip.threshold_configurations

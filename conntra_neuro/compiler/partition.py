"""Partition: cut populations into slices that fit a core, and put slices together on as few cores as will hold them.

A population is cut into slices of consecutive neurons: as few as fit and all of one size give or take a neuron or,
where that saves cores, so that each core is filled before the next one is begun. The last population is cut first,
because a neuron needs an output axon for every core that its spikes go to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import IntArray
from conntra_hardware.chip import Chip
from conntra_hardware.encodings import encode
from conntra_hardware.program import Population
from conntra_hardware.resources import memory_bits
from conntra_neuro.compiler.lower import Lowered

__all__ = ["Demand", "Part", "Partition", "demand", "partition", "spread"]

Counts = npt.NDArray[np.int64]
_REACH = 1.25


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
    """Neurons ``start`` .. ``stop - 1`` of a population, not placed yet; ``kind`` of neuron takes a threshold
    configuration.
    """

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
    """Return the parts of every population, grouped into cores: the better of two ways to do it.

    Even slices, packed together, are taken unless filling core after core takes fewer cores. A resource that a single
    neuron exceeds by itself cannot be met by cutting: it is left to ``check`` and ignored here. ``weight_bits``
    overrides the width of the weights, to say what another level set would take.
    """
    cut = _cut_all(lowered, chip, weight_bits, _even)
    even = _pack([part for parts in reversed(cut) for part in parts], chip)
    loads = np.sum([part.demand.load(chip) for core in even for part in core], axis=0)
    if len(even) <= np.ceil(loads.max()):
        return Partition(even)
    filler = _Filler([len(parts) for parts in cut])
    _cut_all(lowered, chip, weight_bits, filler.cut)
    return Partition(min(even, filler.filled, key=len))


def spread(lowered: Lowered, chip: Chip, cores: int) -> Partition:
    """Return about ``cores`` cores, each population with a share of them by its synapses, or as few as will do.

    More cores make shorter time steps, and so less leakage a sample, and more packets.
    """
    fewest = partition(lowered, chip)
    if cores <= len(fewest.cores):
        return fewest
    synapses = {projection.target: projection.n_synapses for projection in lowered.projections}
    total = max(sum(synapses.values()), 1)

    def cut(sizing: _Sizing) -> list[Part]:
        share = cores * synapses[sizing.population.name] / total
        return _even(sizing, at_least=min(max(round(share), 1), sizing.population.size))

    parts = [part for cut_parts in reversed(_cut_all(lowered, chip, None, cut)) for part in cut_parts]
    apart = Partition(tuple((part,) for part in parts))
    return apart if len(apart.cores) <= chip.total_cores else fewest


def _cut_all(
    lowered: Lowered, chip: Chip, weight_bits: int | None, cut: Callable[[_Sizing], list[Part]]
) -> list[list[Part]]:
    """Cut every population with ``cut``, the last one first, and return the parts in that order."""
    cut_parts: list[list[Part]] = []
    fans = np.zeros(lowered.populations[-1].size, dtype=np.int64)
    for population, projection in reversed(lowered.layers):
        weights = projection.weights
        parts = cut(_Sizing(population, weights, fans, chip, weight_bits))
        cut_parts.append(parts)
        fans = np.zeros(weights.shape[1], dtype=np.int64)
        for part in parts:
            fans += weights[part.start : part.stop].any(axis=0)
    return cut_parts


def demand(weights: IntArray, fans: Counts, chip: Chip, weight_bits: int | None = None) -> Demand:
    """Return what the neurons of ``weights`` (n_target, n_source) take, with ``fans`` (n_target,) output axons each."""
    stored = encode(weights, chip, share=False, bits=weight_bits)
    out = int(fans.sum())
    return Demand(len(weights), stored.axons, out, memory_bits(chip, stored.bits, len(weights), stored.axons + out))


class _Sizing:
    """What ranges of one population's neurons take of a core, and whether they fit it."""

    def __init__(
        self, population: Population, weights: IntArray, fans: Counts, chip: Chip, weight_bits: int | None
    ) -> None:
        self.population, self.weights, self.fans, self.chip, self.bits = population, weights, fans, chip, weight_bits
        widest = int(np.count_nonzero(weights, axis=1).argmax())
        alone = replace(self._demand(widest, widest + 1), axons_out=int(fans.max()))
        self._hopeless = [load > 1 for load in alone.load(chip)]

    def part(self, start: int, stop: int) -> Part:
        """Return the part from ``start`` to ``stop``."""
        kind = self.population.neuron.kind
        return Part(self.population.name, start, stop, kind, self._demand(start, stop))

    def fits(self, needs: Demand) -> bool:
        """Return whether a core takes ``needs``, what no cut can help apart."""
        return not any(load > 1 and not skip for load, skip in zip(needs.load(self.chip), self._hopeless, strict=True))

    def _demand(self, start: int, stop: int) -> Demand:
        return demand(self.weights[start:stop], self.fans[start:stop], self.chip, self.bits)


def _even(sizing: _Sizing, at_least: int = 1) -> list[Part]:
    """Return the fewest slices of equal size, ``at_least`` so many, that each fit a core."""
    size = sizing.population.size
    for count in range(max(at_least, -(-size // sizing.chip.neurons_per_core)), size + 1):
        parts = []
        for start, stop in pairwise(np.linspace(0, size, count + 1).astype(int).tolist()):
            parts.append(sizing.part(start, stop))
            if not sizing.fits(parts[-1].demand) and count < size:
                break
        else:
            return parts
    raise AssertionError("unreachable: slices of one neuron are always taken")


class _Filler:
    """Fills one core after the other; ``counts`` are the even slices of each population, the last one first."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = iter(counts)
        self._cores: list[list[Part]] = [[]]
        self._taken = Demand(0, 0, 0, 0)

    @property
    def filled(self) -> tuple[tuple[Part, ...], ...]:
        """The cores, in pipeline order."""
        return tuple(tuple(reversed(core)) for core in reversed(self._cores) if core)

    def cut(self, sizing: _Sizing) -> list[Part]:
        """Return the parts of one population, the first of them beside what the population before left room for."""
        size, count = sizing.population.size, next(self._counts)
        # No slice is expected to be much larger than the even ones could not be.
        reach = size if count < 2 else int(_REACH * size / (count - 1)) + 1
        parts: list[Part] = []
        while not parts or parts[-1].stop < size:
            start = parts[-1].stop if parts else 0
            stop = min(size, start + reach)
            # A core holds one slice of a population, so that only the first part may go beside others.
            part = None if parts or self._is_full_of_kinds(sizing) else _largest(sizing, start, stop, self._taken)
            if part is None:
                self._cores.append([])
                self._taken = Demand(0, 0, 0, 0)
                part = _largest(sizing, start, stop, self._taken) or sizing.part(start, start + 1)
            self._cores[-1].append(part)
            self._taken = self._taken + part.demand
            parts.append(part)
        return parts

    def _is_full_of_kinds(self, sizing: _Sizing) -> bool:
        kinds = {part.kind for part in self._cores[-1]} | {sizing.population.neuron.kind}
        return len(kinds) > sizing.chip.threshold_configurations


def _largest(sizing: _Sizing, start: int, stop: int, taken: Demand) -> Part | None:
    """Return the largest part from ``start`` up to ``stop`` that fits beside ``taken``, by bisection, or None."""
    low, high, best = start, stop, None
    while low < high:
        middle = (low + high + 1) // 2
        part = sizing.part(start, middle)
        if sizing.fits(taken + part.demand):
            low, best = middle, part
        else:
            high = middle - 1
    return best


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

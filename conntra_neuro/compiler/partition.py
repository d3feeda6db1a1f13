"""Partition: cut populations into slices that fit a core, and put slices together on as few cores as will hold them.

A population is cut into slices of consecutive neurons: as few as fit and all of one size give or take a neuron or,
where that saves cores, so that each core is filled before the next one is begun. Images that a convolution makes are
cut into blocks of rows and channels instead: see ``compiler.cut``. The last population is cut first, because a neuron
needs an output axon for every core that its spikes go to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from conntra_hardware.chip import Chip
from conntra_hardware.program import AnyProjection, Population
from conntra_neuro.compiler.cut import Counts, Demand, Part, Sizing, cut_evenly, image_of
from conntra_neuro.compiler.lower import Lowered

__all__ = ["Partition", "partition", "spread"]

_REACH = 1.25


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
    cut = _cut_all(lowered, chip, weight_bits, cut_evenly)
    even = _pack([part for parts in reversed(cut) for part in parts], chip)
    loads = np.sum([part.demand.load(chip) for core in even for part in core], axis=0)
    images = any(image_of(incoming) for _, incoming in lowered.layers)
    if images or len(even) <= np.ceil(loads.max()):
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
    synapses = {p.name: sum(i.n_synapses for i in incoming) for p, incoming in lowered.layers}
    total = max(sum(synapses.values()), 1)

    def cut(sizing: Sizing) -> list[Part]:
        share = cores * synapses[sizing.population.name] / total
        return cut_evenly(sizing, at_least=min(max(round(share), 1), sizing.population.size))

    parts = [part for cut_parts in reversed(_cut_all(lowered, chip, None, cut)) for part in cut_parts]
    apart = Partition(tuple((part,) for part in parts))
    return apart if len(apart.cores) <= chip.total_cores else fewest


def _cut_all(
    lowered: Lowered, chip: Chip, weight_bits: int | None, cut: Callable[[Sizing], list[Part]]
) -> list[list[Part]]:
    """Cut every population with ``cut``, the last one first, and return the parts in that order."""
    cut_parts: list[list[Part]] = []
    fans = {p.name: np.zeros(p.size, dtype=np.int64) for p in lowered.populations}
    for population, incoming in reversed(lowered.layers):
        out = fans[population.name] + _to_itself(population, incoming, fans[population.name], chip, weight_bits)
        parts = cut(Sizing(population, incoming, out, chip, weight_bits))
        cut_parts.append(parts)
        for source in dict.fromkeys(p.source for p in incoming if p.source in fans):
            # Synapses of different delays share an axon.
            joined = [p for p in incoming if p.source == source]
            fans[source] += sum(np.add.reduce([p.degrees(part.index) for p in joined]) > 0 for part in parts)
    return cut_parts


def _to_itself(
    population: Population, incoming: Sequence[AnyProjection], fans: Counts, chip: Chip, weight_bits: int | None
) -> int:
    """Return the parts of a recurrent population, as many as a neuron may send to, 0 where it is none.

    The more there are, the more axons leave each neuron, and so the smaller they have to be.
    """
    if all(p.source != population.name for p in incoming):
        return 0
    parts = 1
    while True:
        needed = len(cut_evenly(Sizing(population, incoming, fans + parts, chip, weight_bits)))
        if needed <= parts:
            return parts
        parts = needed


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

    def cut(self, sizing: Sizing) -> list[Part]:
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

    def _is_full_of_kinds(self, sizing: Sizing) -> bool:
        kinds = {part.kind for part in self._cores[-1]} | {sizing.population.neuron}
        return len(kinds) > sizing.chip.threshold_configurations


def _largest(sizing: Sizing, start: int, stop: int, taken: Demand) -> Part | None:
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

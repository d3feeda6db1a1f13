"""Cut: one population into slices that each fit a core.

A slice is a run of consecutive neurons or, of an image that a convolution makes, a block of some of its rows in some of
its channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from conntra_hardware.chip import Chip
from conntra_hardware.fit.resources import memory_bits
from conntra_hardware.fit.synapse_memory import encode
from conntra_hardware.neurons import Neuron
from conntra_hardware.program import AnyProjection, ConvProjection, CoreSlice, Population, Projection
from conntra_hardware.program.projection import Index

__all__ = ["Counts", "Demand", "Part", "Sizing", "blocks", "cut_evenly", "fan_in", "image_of"]

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
    """Neurons of a population, as in ``CoreSlice``, not placed yet; each ``kind`` takes a threshold configuration."""

    population: str
    start: int
    stop: int
    kind: Neuron
    demand: Demand
    runs: int = 1
    stride: int = 0

    @property
    def index(self) -> Index:
        """What selects its neurons from an axis of the population."""
        return CoreSlice(self.population, self.start, self.stop, 0, self.runs, self.stride).index


class Sizing:
    """What ranges of one population's neurons take of a core, and whether they fit it; ``fans`` are the output axons of
    each neuron (size,).
    """

    def __init__(
        self,
        population: Population,
        incoming: Sequence[AnyProjection],
        fans: Counts,
        chip: Chip,
        weight_bits: int | None = None,
    ) -> None:
        self.population, self.incoming, self.fans, self.chip, self.bits = population, incoming, fans, chip, weight_bits
        self.image = image_of(incoming)
        widest = int(fan_in(incoming).argmax())
        alone = replace(self._demand(slice(widest, widest + 1)), axons_out=int(fans.max()))
        self._hopeless = [load > 1 for load in alone.load(chip)]

    def part(self, start: int, stop: int, runs: int = 1, stride: int = 0) -> Part:
        """Return the part from ``start`` to ``stop``, or several such runs."""
        part = Part(self.population.name, start, stop, self.population.neuron, Demand(0, 0, 0, 0), runs, stride)
        return replace(part, demand=self._demand(part.index))

    def fits(self, needs: Demand) -> bool:
        """Return whether a core takes ``needs``, what no cut can help apart."""
        return not any(load > 1 and not skip for load, skip in zip(needs.load(self.chip), self._hopeless, strict=True))

    def _demand(self, index: Index) -> Demand:
        stored = [encode(p.rows(index), self.chip, share=False, bits=self.bits, delay=p.delay) for p in self.incoming]
        neurons, out = len(self.fans[index]), int(self.fans[index].sum())
        axons = sum(e.axons for e in stored)
        bits = sum(e.bits for e in stored)
        return Demand(neurons, axons, out, memory_bits(self.chip, bits, neurons, axons + out))


def fan_in(incoming: Sequence[AnyProjection]) -> Counts:
    """Return the number of synapses of each neuron, (size,)."""
    return np.sum([_row_lengths(projection) for projection in incoming], axis=0)


def _row_lengths(projection: AnyProjection) -> Counts:
    if isinstance(projection, Projection):
        return np.count_nonzero(projection.weights, axis=1)
    return np.diff(projection.matrix().indptr)


def image_of(incoming: Sequence[AnyProjection]) -> tuple[int, int, int] | None:
    """Return the (channels, height, width) of a population that a convolution makes, or None."""
    shapes = [p.geometry.output_shape for p in incoming if isinstance(p, ConvProjection)]
    return shapes[0] if shapes and shapes[0][1] > 1 else None


def cut_evenly(sizing: Sizing, at_least: int = 1) -> list[Part]:
    """Return the fewest slices, ``at_least`` so many, that each fit a core: blocks of an image, else equal runs."""
    parts = None if sizing.image is None else blocks(sizing, sizing.image, at_least)
    return parts or _even(sizing, at_least)


def blocks(sizing: Sizing, image: tuple[int, int, int], at_least: int = 1) -> list[Part] | None:
    """Return the fewest blocks of rows and channels, ``at_least`` so many, that each fit a core, or None.

    Of the ways to make as many, the one with the most channels in a block: its neurons see the same few rows, so that
    a spike goes to few cores, and positions share synapse lists whatever the number of rows.
    """
    channels, height, width = image
    ways = sorted((c * r, c, r) for c in range(1, channels + 1) for r in range(1, height + 1))
    for count, in_channels, in_rows in ways:
        most = -(-channels // in_channels) * -(-height // in_rows) * width
        if count < at_least or most > sizing.chip.neurons_per_core:
            continue
        parts = []
        for c0, c1 in pairwise(np.linspace(0, channels, in_channels + 1).astype(int).tolist()):
            for r0, r1 in pairwise(np.linspace(0, height, in_rows + 1).astype(int).tolist()):
                parts.append(_block(sizing, image, (c0, c1), (r0, r1)))
                if not sizing.fits(parts[-1].demand):
                    break
            else:
                continue
            break
        else:
            return parts
    return None


def _block(sizing: Sizing, image: tuple[int, int, int], channels: tuple[int, int], rows: tuple[int, int]) -> Part:
    _, height, width = image
    area = height * width
    if rows == (0, height):
        return sizing.part(channels[0] * area, channels[1] * area)
    first = channels[0] * area
    runs = channels[1] - channels[0]
    return sizing.part(first + rows[0] * width, first + rows[1] * width, runs, area if runs > 1 else 0)


def _even(sizing: Sizing, at_least: int = 1) -> list[Part]:
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

"""A chip's limits and geometry, read from ``chips/*.toml`` where a citation stands beside every number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Chip", "Cited"]


@dataclass(frozen=True)
class Cited:
    """A number with its unit and where it comes from; ``second_hand`` marks what was not read at the source."""

    value: float
    unit: str
    source: str
    second_hand: bool = False
    note: str = ""


@dataclass(frozen=True)
class Chip:
    """Limits of one kind of chip; every limit's citation is ``cited[name]``.

    Cores are numbered 0 .. cores-1, ``cores_per_tile`` to a tile, tiles row by row on a mesh of ``tiles_x`` by ``tiles_y``.
    """

    name: str
    description: str
    cores: int
    cores_per_tile: int
    tiles_x: int
    tiles_y: int
    neurons_per_core: int
    input_axons_per_core: int
    output_axons_per_core: int
    synapse_memory_bits: int
    weight_bits: tuple[int, ...]
    weight_min: int
    weight_max: int
    bias_mantissa_bits: int
    bias_exponent_max: int
    potential_bits: int
    threshold_configurations: int
    cited: Mapping[str, Cited] = field(default_factory=dict, repr=False, compare=False)

    def tile(self, core: int) -> tuple[int, int]:
        """Return the mesh position (x, y) of the tile that holds ``core``."""
        tile = core // self.cores_per_tile
        return tile % self.tiles_x, tile // self.tiles_x

    def hops(self, source: int, target: int) -> tuple[int, int]:
        """Return the (east-west, north-south) hops from core ``source`` to core ``target``, dimension-ordered."""
        (x0, y0), (x1, y1) = self.tile(source), self.tile(target)
        return abs(x1 - x0), abs(y1 - y0)

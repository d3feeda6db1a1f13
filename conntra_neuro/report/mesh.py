"""Where the cores of a chip stand on paper: tiles of cores, chips of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["extent", "places", "side"]


def side(mesh: Mapping[str, Any]) -> tuple[int, int]:
    """Return the cores of a tile as (columns, rows), the squarest grid that holds them."""
    columns = int((mesh["cores_per_tile"] - 1) ** 0.5) + 1
    return columns, -(-mesh["cores_per_tile"] // columns)


def extent(mesh: Mapping[str, Any]) -> tuple[int, int]:
    """Return the (columns, rows) of cores on all chips together."""
    across, down = side(mesh)
    chips_y = -(-mesh["chips"] // mesh["chips_x"])
    return mesh["chips_x"] * mesh["tiles_x"] * across, chips_y * mesh["tiles_y"] * down


def places(mesh: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    """Return the (column, row) of every core, as ``Chip.tile`` lays out the tiles."""
    across, down = side(mesh)
    found = {}
    for core in range(mesh["cores"] * mesh["chips"]):
        chip, within = divmod(core, mesh["cores"])
        tile, corner = divmod(within, mesh["cores_per_tile"])
        x = chip % mesh["chips_x"] * mesh["tiles_x"] + tile % mesh["tiles_x"]
        y = chip // mesh["chips_x"] * mesh["tiles_y"] + tile // mesh["tiles_x"]
        found[core] = x * across + corner % across, y * down + corner // across
    return found

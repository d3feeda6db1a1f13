"""The core map: the mesh of the chip, how full each core is and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conntra_neuro.report.mesh import extent, places, side
from conntra_neuro.report.plots.style import COLOURS, MAP, bare, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["core_map"]

_RESOURCES = {
    "neurons": "neurons",
    "fan_in_axons": "input axons",
    "fan_out_axons": "output axons",
    "memory_bits": "synapse memory",
}
_NAMED = 60


def core_map(document: Mapping[str, Any]) -> Figure:
    """Return the map of a compile's or run's ``document``: the colour of a core is its fullest resource.

    Beside it, each resource on each core in use as a part of its limit.
    """
    mesh, cores = document["mesh"], document["cores"]
    columns, rows = extent(mesh)
    wide = columns / rows
    height = 3.6
    title = f"{mesh['name']}: {len(cores)} of {mesh['cores'] * mesh['chips']} cores in use"
    figure = new_figure(min(height * wide, 7.2) + 3.8, height, title)
    left, right = figure.subplots(1, 2, width_ratios=(min(height * wide, 7.2), 2.8))
    _map_panel(figure, left, mesh, cores)
    _resource_panel(right, cores)
    return figure


def _map_panel(figure: Figure, axis: Any, mesh: Mapping[str, Any], cores: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    colours, used = colormaps[MAP], {core["core"]: core for core in cores}
    for number, (x, y) in places(mesh).items():
        core = used.get(number)
        colour = "#f2f2f2" if core is None else colours(core["utilization"])
        axis.add_patch(Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, facecolor=colour, edgecolor="none"))
        if core is not None and len(cores) <= _NAMED:
            light = core["utilization"] > 0.55
            lines = (str(number), *core["populations"][:2])
            size = min(5.5, 30 / max(map(len, lines)))
            colour = "k" if light else "w"
            axis.text(x + 0.5, y + 0.5, "\n".join(lines), ha="center", va="center", fontsize=size, color=colour)
    columns, rows = extent(mesh)
    _grid(axis, mesh, columns, rows)
    axis.set_xlim(-0.2, columns + 0.2)
    axis.set_ylim(rows + 0.2, -0.2)
    axis.set_aspect("equal")
    axis.axis("off")
    note = "core number and what it holds; " if len(cores) <= _NAMED else ""
    chips = f"; heavy lines part {mesh['chips']} chips" if mesh["chips"] > 1 else ""
    axis.set_title(f"{note}thin lines are tiles, input enters top left{chips}", fontsize=8)
    scale = ScalarMappable(Normalize(0, 100), MAP)
    figure.colorbar(scale, ax=axis, shrink=0.8, pad=0.01).set_label(
        "fullest resource of the core, % of its limit", fontsize=8
    )


def _grid(axis: Any, mesh: Mapping[str, Any], columns: int, rows: int) -> None:
    across, down = side(mesh)
    for x in range(0, columns + 1, across):
        heavy = mesh["chips"] > 1 and x % (mesh["tiles_x"] * across) == 0
        axis.plot([x, x], [0, rows], color="black" if heavy else "#b0b0b0", lw=1.8 if heavy else 0.6)
    for y in range(0, rows + 1, down):
        heavy = mesh["chips"] > 1 and y % (mesh["tiles_y"] * down) == 0
        axis.plot([0, columns], [y, y], color="black" if heavy else "#b0b0b0", lw=1.8 if heavy else 0.6)


def _resource_panel(axis: Any, cores: Sequence[Mapping[str, Any]]) -> None:
    """Draw each core as a dot, each resource as a row; a resource without a limit has a note instead."""
    names = list(_RESOURCES)
    for row, name in enumerate(names):
        limits = {core["limits"].get(name) for core in cores}
        if None in limits:
            axis.text(2, row, "no limit of its own on this chip", va="center", fontsize=8, color="#555555")
            continue
        parts = [100 * core[name] / core["limits"][name] for core in cores]
        axis.plot(parts, [row] * len(parts), "|", ms=16, mew=1.8, color=COLOURS[0])
        axis.annotate(
            f"{max(parts):.0f} %", (max(parts), row), (6, 6), textcoords="offset points", fontsize=8, color="#333333"
        )
    axis.axvline(100, color=COLOURS[5], lw=1, ls="--")
    axis.set_yticks(range(len(names)), [_RESOURCES[name] for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(-2, 112)
    axis.set_xlabel("used on a core, % of its limit")
    axis.set_title("each core in use (dashed: the limit)", fontsize=8)
    bare(axis)

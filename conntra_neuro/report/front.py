"""The outcome of ``conntra pareto``: a table and a plot of error against modelled energy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from conntra_hardware.base.files import write_atomically
from conntra_neuro.report.comparison import check_plot
from conntra_neuro.report.plots.style import COLOURS, bare
from conntra_neuro.report.tables import grid
from conntra_neuro.report.units import percent, si

if TYPE_CHECKING:
    from conntra_neuro.search.pareto import Point

__all__ = ["front_plot", "front_table"]


def front_table(
    points: Sequence[Point], front: Sequence[Point], data: str, chip: str, best: Point | None, missed: bool
) -> RenderableType:
    """Return the networks by energy, those on the front marked; ``missed``: a target was given, and none meets it."""
    rows = [
        [
            "*" if point in front else "",
            point.layers,
            point.levels,
            f"{point.penalty:g}",
            percent(point.error),
            percent(point.test_error),
            si(point.energy_j, "J"),
            Path(point.model).stem if point.cores is not None else "does not fit",
        ]
        for point in sorted(points, key=lambda p: (p.energy_j is None, p.energy_j or 0.0))
    ]
    columns = ["front", "layers", "levels", "penalty>", "tuning>", "test>", "energy>", "model"]
    caption = "errors; energies are modelled; the tuning split has decided, the test samples nothing"
    if best is not None:
        caption = f"the target is met by {best.model}; {caption}"
    if missed:
        caption = f"no network meets the target: try other layers or levels; {caption}"
    title = f"{data}: error against modelled energy on {chip}"
    return grid(title, columns, rows, caption)


_MARKS = "os^Dv<>"


def front_plot(points: Sequence[Point], front: Sequence[Point], path: Path) -> None:
    """Draw error against energy into ``path`` (png, svg, pdf): all networks, those on the front filled, and the front
    as a line.
    """
    from matplotlib.figure import Figure

    kind = check_plot(path)
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axis = figure.subplots()
    scale, unit = _scale(points)
    steps = [(scale * (p.energy_j or 0), 100 * p.error) for p in front]
    axis.step([x for x, _ in steps], [y for _, y in steps], color="#777777", where="post", zorder=1, lw=1.2)
    for index, (layers, levels) in enumerate(dict.fromkeys((point.layers, point.levels) for point in points)):
        group = [p for p in points if (p.layers, p.levels) == (layers, levels) and p.energy_j is not None]
        colour, mark = COLOURS[index % len(COLOURS)], _MARKS[index % len(_MARKS)]
        axis.plot([], [], mark, color=colour, label=f"{layers}, {levels}")
        for p in group:
            fill = colour if p in front else "white"
            axis.plot(scale * (p.energy_j or 0), 100 * p.error, mark, color=colour, mfc=fill, mew=1.4, zorder=2)
    axis.set_title(
        f"{len(points)} networks; filled, on the line: the {len(front)} on the front", fontsize=10, loc="left"
    )
    axis.set_xlabel(f"energy of an inference, {unit} (dynamic, modelled, not measured)")
    axis.set_ylabel("error on the tuning split, %")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8, title="layers, levels", title_fontsize=8)
    bare(axis)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, dpi=150)
    write_atomically(path, drawn.getvalue())


def _scale(points: Sequence[Point]) -> tuple[float, str]:
    """Return what joules are multiplied by, and the unit then: that in which the largest energy is read easily."""
    _, _, unit = si(max((p.energy_j or 0.0 for p in points), default=0.0), "J").partition(" ")
    return {"nJ": (1e9, "nJ"), "pJ": (1e12, "pJ"), "mJ": (1e3, "mJ")}.get(unit, (1e6, "µJ"))

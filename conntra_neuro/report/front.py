"""The outcome of ``conntra pareto``: a table and a plot of error against modelled energy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from conntra_hardware.base.files import write_atomically
from conntra_neuro.report.comparison import check_plot
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


def front_plot(points: Sequence[Point], front: Sequence[Point], path: Path) -> None:
    """Draw error against energy into ``path`` (png, svg, pdf): all networks, and the front as a line."""
    from matplotlib.figure import Figure

    kind = check_plot(path)
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axis = figure.subplots()
    groups = dict.fromkeys((point.layers, point.levels) for point in points)
    for layers, levels in groups:
        group = [p for p in points if (p.layers, p.levels) == (layers, levels) and p.energy_j is not None]
        energies, errors = [1e6 * (p.energy_j or 0) for p in group], [100 * p.error for p in group]
        axis.plot(energies, errors, "o", label=f"{layers}, {levels}")
    axis.step(
        [1e6 * (p.energy_j or 0) for p in front],
        [100 * p.error for p in front],
        color="grey",
        where="post",
        zorder=0,
        label="front",
    )
    axis.set_xlabel("modelled energy of an inference (µJ)")
    axis.set_ylabel("error on the tuning split (%)")
    axis.legend(frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, dpi=150)
    write_atomically(path, drawn.getvalue())

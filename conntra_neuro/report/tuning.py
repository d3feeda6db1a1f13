"""The outcome of ``conntra tune``: a table and a plot of recipes and their errors."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from conntra_hardware.base.files import write_atomically
from conntra_neuro.report.comparison import check_plot
from conntra_neuro.report.tables import grid
from conntra_neuro.report.units import percent, seconds

if TYPE_CHECKING:
    from conntra_neuro.search.tune import Candidate, Tuning

__all__ = ["tuning_plot", "tuning_table"]

_SHOWN = 10


def tuning_table(tuning: Tuning, data: str, run_file: str) -> RenderableType:
    """Return the best recipes, and the usual one, with their errors on each rung."""
    rungs = [f"{sweeps} sweep{'s' if sweeps > 1 else ''}>" for sweeps in tuning.rungs]
    shown = [c for place, c in enumerate(tuning.candidates) if place < _SHOWN or c.number == 0]
    rows = [
        [
            str(candidate.number),
            *(percent(error) for error in candidate.errors),
            *("" for _ in rungs[len(candidate.errors) :]),
            seconds(candidate.seconds),
            _changes(candidate, tuning.usual),
        ]
        for candidate in shown
    ]
    n, best, usual = len(tuning.candidates), tuning.best, tuning.usual
    title = f"{data}: {n} recipes by their errors on the tuning split{'s' if tuning.splits > 1 else ''}"
    error = best.errors[-1]
    good_to = 100 * math.sqrt(max(error * (1 - error), 1 / tuning.tuned_on) / (tuning.tuned_on * tuning.splits))
    said = "the usual recipe is the best" if best is usual else f"the best one is recipe {best.number}"
    caption = (
        f"{said} ({percent(error)}, good to {good_to:.2g} points; the usual one {percent(usual.errors[-1])}); tuning "
        "errors flatter what was chosen by them, and test samples were not used; "
        f"next: conntra train --config {run_file}"
    )
    return grid(title, ["recipe>", *rungs, "time>", "what differs from the usual recipe"], rows, caption)


def tuning_plot(tuning: Tuning, data: str, path: Path) -> None:
    """Draw errors over sweeps into ``path`` (png, svg, pdf): a line a recipe, the best and the usual one marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    kind = check_plot(path)
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axis = figure.subplots()
    for candidate in reversed(tuning.candidates):
        style: dict[str, Any] = {"color": "#bbbbbb", "lw": 0.8, "ms": 3}
        if candidate is tuning.usual:
            style = {"color": "#d98c21", "lw": 1.8, "ms": 5, "label": "usual recipe"}
        if candidate is tuning.best:
            style = {"color": "#1f6fb4", "lw": 1.8, "ms": 5, "label": f"best, recipe {candidate.number}"}
        sweeps = tuning.rungs[: len(candidate.errors)]
        axis.plot(sweeps, [100 * error for error in candidate.errors], "o-", **style)
    axis.set_xscale("log")
    axis.set_xticks(tuning.rungs, [str(sweeps) for sweeps in tuning.rungs])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("sweeps of a training (logarithmic)")
    axis.set_ylabel("error on the tuning split (%)")
    axis.set_title(f"{data}: {len(tuning.candidates)} recipes", loc="left", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, dpi=150)
    write_atomically(path, drawn.getvalue())


def _changes(candidate: Candidate, usual: Candidate) -> str:
    own = {name: value for name, value in candidate.recipe.items() if usual.recipe.get(name) != value}
    return " ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in own.items()
    )

"""The comparison of training methods as a terminal table and as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.files import write_atomically
from conntra_neuro.report.plots.style import plain_numbers
from conntra_neuro.report.tables import grid
from conntra_neuro.report.units import bytes_, percent, seconds, times

if TYPE_CHECKING:
    from rich.console import RenderableType

    from conntra_neuro.compare import Comparison, Row

__all__ = ["check_plot", "comparison_document", "comparison_plot", "comparison_table"]

_COLOURS = {"backprop-float64": "#777777", "straight-through": "#d98c21", "conntra": "#1f6fb4", "warm": "#2c9a5a"}


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    rows = [row.to_dict() for row in comparison.rows]
    found = {"data": comparison.data, "protocol": comparison.protocol, "neuron": comparison.neuron}
    return found | {"rows": rows}


def comparison_table(comparison: Comparison) -> RenderableType:
    """Return the tables, one an architecture: errors and seconds as mean ± standard deviation over seeds.

    They fit a terminal of 80 columns; what a network is called stands above its table, for it may be long.
    """
    from rich.console import Group
    from rich.text import Text

    ways = len({row.method for row in comparison.rows})
    title = f"{comparison.data}: trained in {ways} way{'s' if ways > 1 else ''}, {comparison.neuron} neurons"
    spread = "± is the standard deviation over seeds; " if len(comparison.rows[0].test_errors) > 1 else ""
    caption = f"{comparison.protocol}; {spread}memory: less than float64's by that factor; time: of one training"
    groups = [
        [row for row in comparison.rows if row.layers == layers]
        for layers in dict.fromkeys(row.layers for row in comparison.rows)
    ]
    return Group(Text(title, style="bold"), *map(_table, groups), Text(caption, style="dim"), Text(""))


def _table(group: list[Row]) -> RenderableType:
    """Return the table of one architecture."""
    columns = ("method", "train error>", "test error>", "memory>", "less by>", "time>")
    float64 = next((row.memory_bytes for row in group if row.dtype == "float64"), None)
    rows = []
    for row in group:
        found = row.to_dict()
        rows.append(
            (
                row.method,
                _spread(found, "train_error"),
                _spread(found, "test_error"),
                bytes_(row.memory_bytes),
                "-" if float64 is None or row.dtype == "float64" else times(float64 / row.memory_bytes),
                seconds(found["train_seconds"]),
            )
        )
    stored = {f"{row.levels} weights, {row.dtype}" for row in group if row.dtype != "float64"}
    return grid("; ".join([_network(group[0].layers), *sorted(stored)]), columns, rows, close=True)


def _network(layers: tuple[int | str, ...]) -> str:
    return "hidden " + ", ".join(map(str, layers)) if layers else "logistic regression"


def _spread(found: dict[str, Any], name: str) -> str:
    spread = found[f"{name}_spread"]
    return percent(found[name]) + ("" if spread is None else f" ± {100 * spread:.2f}")


def check_plot(path: Path) -> str:
    """Return the kind of picture that ``path`` names; InputError where it is none."""
    kind = path.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"plot {path}: a name that ends in .png, .svg or .pdf expected")
    return kind


def comparison_plot(comparison: Comparison, path: Path) -> None:
    """Draw errors, memory and error over seconds, a row of panels an architecture, into ``path`` (png, svg, pdf)."""
    from matplotlib.figure import Figure

    kind = check_plot(path)
    groups = list(dict.fromkeys(row.layers for row in comparison.rows))
    figure = Figure(figsize=(11, 0.7 + 2.9 * len(groups)), layout="constrained")
    axes = figure.subplots(len(groups), 3, squeeze=False, width_ratios=(1.2, 1, 1.4))
    figure.suptitle(f"{comparison.data}: {comparison.protocol}", fontsize=11)
    for line, layers in zip(axes, groups, strict=True):
        group = [row for row in comparison.rows if row.layers == layers]
        _errors_panel(line[0], group, _network(layers))
        _memory_panel(line[1], group)
        _curves_panel(line[2], group)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, dpi=150)
    write_atomically(path, drawn.getvalue())


def _errors_panel(axis: Any, group: list[Row], title: str) -> None:
    for index, row in enumerate(group):
        found = row.to_dict()
        colour = _COLOURS[row.method]
        width = 100 * found["test_error"]
        error = None if found["test_error_spread"] is None else 100 * found["test_error_spread"]
        axis.barh(index, width, color=colour, xerr=error, error_kw={"elinewidth": 1, "capsize": 2})
        label = "training" if index == 0 else None
        axis.plot(100 * found["train_error"], index, "|", color="black", ms=14, mew=1.5, label=label)
        axis.annotate(f"{width:.2f}", (width + (error or 0), index), (4, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(group)), [row.method for row in group])
    axis.invert_yaxis()
    axis.margins(x=0.18)
    axis.set_xlim(left=0)
    axis.set_xlabel("test error, %   ( | training error)")
    axis.set_title(title, loc="left", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)


def _memory_panel(axis: Any, group: list[Row]) -> None:
    axis.barh(range(len(group)), [row.memory_bytes / 1000 for row in group], color=[_COLOURS[r.method] for r in group])
    for index, row in enumerate(group):
        axis.annotate(
            bytes_(row.memory_bytes), (row.memory_bytes / 1000, index), (4, 0), textcoords="offset points", va="center"
        )
    axis.set_xscale("log")
    plain_numbers(axis.xaxis)
    axis.set_yticks([])
    axis.invert_yaxis()
    axis.margins(x=0.3)
    axis.set_xlabel("memory, kB (logarithmic)")
    axis.spines[["top", "right"]].set_visible(False)


def _curves_panel(axis: Any, group: list[Row]) -> None:
    positive = [e for row in group for _, e in row.curve if e > 0]
    floor = min(positive, default=1e-3) / 2  # no error at all lies below the axis of a logarithm
    for row in group:
        if row.curve:
            x, y = zip(*row.curve, strict=True)
            best = np.maximum(np.minimum.accumulate(y), floor)
            axis.plot(x, 100 * best, color=_COLOURS[row.method], label=row.method, lw=1.4)
    axis.set_xscale("log")
    axis.set_yscale("log")
    plain_numbers(axis.xaxis)
    plain_numbers(axis.yaxis)
    axis.set_xlabel("seconds (first training)")
    axis.set_ylabel("lowest error so far, %")
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)

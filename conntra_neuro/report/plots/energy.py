"""Where the modelled energy goes: by kind, by layer and by core, a coefficient set beside the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_neuro.report.energy import MODELLED
from conntra_neuro.report.plots.style import COLOURS, KINDS, bare, new_figure
from conntra_neuro.report.units import si

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["energy_breakdown"]

_CORES = 40


def energy_breakdown(document: Mapping[str, Any]) -> Figure:
    """Return the dynamic energy of a sample by kind for each set, and by layer and core for the last of them."""
    estimates = document["energy"]
    title = f"dynamic energy of a sample on {document['chip']}: {MODELLED}"
    layers = len(estimates[-1]["by_layer"])
    figure = new_figure(10, 5.2 + 0.22 * max(layers, 4), title)
    panels = figure.subplot_mosaic([["sets", "layers"], ["cores", "cores"]], width_ratios=(1, 1.15))
    _sets_panel(panels["sets"], estimates)
    _layers_panel(panels["layers"], estimates[-1])
    _cores_panel(panels["cores"], estimates[-1])
    leaks = ", ".join(f"{si(e['static_j'] / e['samples'], 'J')} ({e['coefficients']})" for e in estimates)
    figure.supxlabel(f"Leakage is not in the bars. A sample's share of it, modelled too: {leaks}", fontsize=8)
    return figure


def _kinds(parts: Mapping[str, float]) -> list[str]:
    return [kind for kind in KINDS if kind in parts]


def _stack(axis: Any, rows: Sequence[tuple[str, Mapping[str, float]]], samples: int) -> None:
    """Draw horizontal bars of stacked kinds, in microjoules a sample, with their sums."""
    for index, (_, parts) in enumerate(rows):
        left = 0.0
        for kind in _kinds(parts):
            width = parts[kind] / samples * 1e6
            axis.barh(index, width, left=left, color=KINDS[kind], edgecolor="white", lw=0.5)
            left += width
        axis.annotate(si(left * 1e-6, "J"), (left, index), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.invert_yaxis()
    axis.margins(x=0.35)
    axis.set_xlim(left=0)
    axis.set_xlabel("µJ a sample (dynamic, modelled)")
    bare(axis)


def _sets_panel(axis: Any, estimates: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.patches import Patch

    rows = [(e["coefficients"] + ("\n(proxy)" if e["proxy"] else ""), _dynamic(e["breakdown"])) for e in estimates]
    _stack(axis, rows, estimates[0]["samples"])
    shown = [kind for kind in KINDS if any(kind in parts for _, parts in rows)]
    handles = [Patch(color=KINDS[kind], label=kind.replace("_", " ")) for kind in shown]
    axis.figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
    axis.set_title("by kind, under each coefficient set", fontsize=9, loc="left")


def _dynamic(breakdown: Mapping[str, float]) -> dict[str, float]:
    return {kind: energy for kind, energy in breakdown.items() if kind != "static"}


def _layers_panel(axis: Any, estimate: Mapping[str, Any]) -> None:
    _stack(axis, list(estimate["by_layer"].items()), estimate["samples"])
    axis.set_title(f"by layer, under {estimate['coefficients']}", fontsize=9, loc="left")


def _cores_panel(axis: Any, estimate: Mapping[str, Any]) -> None:
    """Draw the cores, the one that takes most first where there are too many to name."""
    energies = {int(core): value / estimate["samples"] * 1e9 for core, value in estimate["by_core"].items()}
    cores = sorted(energies, key=lambda core: -energies[core]) if len(energies) > _CORES else sorted(energies)
    axis.bar(np.arange(len(cores)), [energies[core] for core in cores], color=COLOURS[0], width=0.8)
    if len(cores) <= _CORES:
        axis.set_xticks(range(len(cores)), [str(core) for core in cores], fontsize=7)
        axis.set_xlabel("core")
    else:
        axis.set_xlabel(f"{len(cores)} cores, the one that takes most first")
    axis.set_xlim(-0.6, max(len(cores), 12) - 0.4)
    axis.set_ylabel("nJ a sample (modelled)")
    axis.set_title(f"by core, under {estimate['coefficients']}; input spikes belong to none", fontsize=9, loc="left")
    bare(axis)

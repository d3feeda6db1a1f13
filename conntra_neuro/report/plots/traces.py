"""What neurons with state hold over time: potentials, thresholds and spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_neuro.report.plots.style import COLOURS, bare, new_figure
from conntra_neuro.report.recorded import unpack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["membrane_traces"]

_LAYERS = 6


def membrane_traces(document: Mapping[str, Any]) -> Figure:
    """Return the potentials of some neurons of each layer with state, a panel a layer, over the steps of the first
    samples: dots where they spike, dashes at thresholds, a line between samples.
    """
    traces = document["traces"]
    layers, steps = traces["layers"][:_LAYERS], traces["steps"]
    rows = len(unpack(layers[0]["potentials"]))
    title = f"potentials before a spike is decided: the first {rows // steps} of {document['samples']:,} samples"
    figure = new_figure(9.5, 1.1 + 1.9 * len(layers), f"{title} on {document['counted_on']}")
    axes = figure.subplots(len(layers), 1, sharex=True, squeeze=False)[:, 0]
    for axis, layer in zip(axes, layers, strict=True):
        _panel(axis, layer, steps)
    axes[-1].set_xlabel(f"time step of the layer ({steps} steps a sample)", fontsize=9)
    return figure


def _panel(axis: Any, layer: Mapping[str, Any], steps: int) -> None:
    held = unpack(layer["potentials"]) / layer["unit"]
    sent = None if layer["sent"] is None else unpack(layer["sent"])
    step = np.arange(len(held))
    for index, neuron in enumerate(layer["neurons"]):
        colour = COLOURS[index % 6]
        for first in range(0, len(held), steps):
            part = slice(first, first + steps)
            label = f"{neuron}" if first == 0 else None
            axis.plot(step[part], held[part, index], color=colour, lw=1.2, label=label)
        if sent is not None:
            fired = np.flatnonzero(sent[:, index])
            axis.plot(fired, held[fired, index], "o", color=colour, ms=3.5)
    for threshold in sorted(set(layer["thresholds"] or [])):
        axis.axhline(threshold, color="#000000", lw=0.8, ls="--")
    for border in range(steps, len(held), steps):
        axis.axvline(border - 0.5, color="#999999", lw=0.6)
    axis.set_xlim(-0.5, len(held) - 0.5)
    axis.set_ylabel(f"{layer['name']} ({layer['kind']})\nweight units", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(title="neuron", fontsize=7, title_fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    bare(axis)

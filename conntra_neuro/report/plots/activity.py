"""Who spikes when (the raster) and how often (the rates)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_neuro.report.plots.style import COLOURS, MAP, bare, new_figure, samples_of
from conntra_neuro.report.recorded import unpack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["layer_rates", "spike_raster"]

_LAYERS = 12
_PANEL_POINTS = 200  # the height of a panel, about: a mark is as thick as its neuron's share of it


def spike_raster(document: Mapping[str, Any]) -> Figure:
    """Return every spike of the first samples, a panel a layer, at the time steps of the pipeline, and the readout's
    potentials.

    A layer at depth d answers d steps after the input; what it would send before that is fill, and left out.
    """
    recorded = document["recorded"]
    layers, steps, readout = recorded["layers"][:_LAYERS], recorded["steps"], recorded["readout"]
    heights = [max(0.6, layer["neurons"] ** 0.5) for layer in layers]
    heights += [] if readout is None else [max(1.0, 0.3 * max(heights))]
    shown = len(unpack(layers[0]["raster"])) // steps
    title = f"spikes: the first {shown} of {samples_of(document)} on {document['counted_on']}"
    figure = new_figure(9.5, 1.2 + min(1.9 * len(heights), 9.0), title)
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for index, (axis, layer) in enumerate(zip(axes, layers, strict=False)):
        row, neuron = np.nonzero(unpack(layer["raster"]))
        step, width = row + layer["depth"], min(2.5, max(0.12, _PANEL_POINTS / layer["neurons"]))
        axis.hlines(neuron, step - 0.4, step + 0.4, colors=COLOURS[index % 6], lw=width, rasterized=True)
        axis.set_ylim(layer["neurons"] - 0.5, -0.5)
        axis.locator_params(axis="y", integer=True)
        axis.set_ylabel(f"{layer['name']}\nneuron", fontsize=8)
        axis.tick_params(labelsize=7)
        bare(axis)
    if readout is not None:
        _readout_panel(figure, axes[-1], readout, steps)
    each = "one sample a step" if steps == 1 else f"{steps} steps a sample"
    axes[-1].set_xlabel(f"time step ({each}; a layer answers one step after the one before it)", fontsize=9)
    return figure


def _readout_panel(figure: Figure, axis: Any, readout: Mapping[str, Any], steps: int) -> None:
    """Draw the logits of each sample at the step at which they are complete; a dot marks the largest."""
    logits = unpack(readout["logits"])
    step = np.arange(len(logits)) * steps + steps - 1 + readout["depth"]
    edges = step[0] - steps + 0.5, step[-1] + 0.5, logits.shape[1] - 0.5, -0.5
    image = axis.imshow(logits.T, aspect="auto", extent=edges, cmap=MAP, interpolation="nearest")
    axis.plot(step - (steps - 1) / 2, logits.argmax(axis=1), ".", color="#D55E00", ms=4)
    axis.set_ylabel(f"{readout['name']}\nclass", fontsize=8)
    axis.locator_params(axis="y", integer=True)
    axis.tick_params(labelsize=7)
    bar = figure.colorbar(image, ax=axis, pad=0.01)
    bar.set_label("potential\n(dot: largest)", fontsize=7)
    bar.ax.tick_params(labelsize=7)


def layer_rates(document: Mapping[str, Any]) -> Figure:
    """Return how often neurons fire: the mean of each layer, and the spread over its neurons."""
    layers = document["recorded"]["layers"][:_LAYERS]
    rates = [100 * unpack(layer["fired"]) / layer["rows"] for layer in layers]
    title = f"how often neurons fire: {samples_of(document)} on {document['counted_on']}"
    figure = new_figure(9, 1.6 + max(2.2, 0.45 * len(layers)), title)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    _means(left, layers, rates)
    for index, (layer, rate) in enumerate(zip(layers, rates, strict=True)):
        ordered = np.sort(rate)[::-1]
        place = (np.arange(len(ordered)) + 0.5) / len(ordered) * 100
        right.plot(place, ordered, color=COLOURS[index % 6], lw=1.6, label=layer["name"])
    right.set_xlabel("neurons of the layer, the busiest first, %")
    right.set_ylabel("fires in % of time steps")
    right.set_xlim(0, 100)
    right.set_ylim(-2, 102)
    right.legend(fontsize=8, frameon=False)
    bare(right)
    return figure


def _means(axis: Any, layers: Sequence[Mapping[str, Any]], rates: Sequence[Any]) -> None:
    for index, (layer, rate) in enumerate(zip(layers, rates, strict=True)):
        mean = float(rate.mean())
        axis.barh(index, mean, color=COLOURS[index % 6])
        silent = int(np.count_nonzero(rate == 0))
        text = f"{mean:.1f} %, {mean * layer['neurons'] / 100:.1f} spikes" + (f", {silent} silent" if silent else "")
        axis.annotate(text, (mean, index), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_yticks(range(len(layers)), [f"{layer['name']} ({layer['neurons']})" for layer in layers])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.9 * max(float(rate.mean()) for rate in rates) + 1)
    axis.set_xlabel("mean rate, % of time steps")
    bare(axis)

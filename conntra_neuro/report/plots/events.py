"""Events as pictures: frames, accumulated and as a time surface, rasters of events, and decisions over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.report.plots.style import COLOURS, bare, new_figure, samples_of
from conntra_neuro.report.recorded import unpack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["decision_course", "decision_stream", "event_frames"]

_SAMPLES = 4
_NAMED = len(COLOURS)
_FADES = 4
"""A time surface fades to 1/e in a quarter of a sample."""

Array = npt.NDArray[Any]


def event_frames(document: Mapping[str, Any]) -> Figure | None:
    """Return the events of the first samples, a row a sample: all of them added up, brighter less darker ones; the time
    surface at the sample's end, exp(-age / (steps / 4)) since a pixel's last event (Lagorce et al., HOTS, 2017); and a
    raster of pixels over time. None for a run whose input is no plane of events.
    """
    told = document["explorer"]
    if (told.get("shown") or {}).get("kind") != "events":
        return None
    channels, height, width = told["shown"]["shape"]
    frames = unpack(told["layers"][0]["sent"])[:_SAMPLES].astype(np.int64)
    frames = frames.reshape(len(frames), told["steps"], channels, height, width)
    title = f"events: the first {len(frames)} of {samples_of(document)}, as the network gets them"
    figure = new_figure(10.5, 0.8 + 2.6 * len(frames), title)
    grid = figure.subplots(len(frames), 3, squeeze=False, width_ratios=(1, 1, 1.6))
    for axes, events, sample in zip(grid, frames, told["samples"], strict=False):
        _added_panel(figure, axes[0], events, _name(sample))
        _surface_panel(figure, axes[1], events)
        _raster_panel(axes[2], events, told["step_us"])
    return figure


def _name(sample: Mapping[str, Any]) -> str:
    return f"sample {sample['index']}" + ("" if sample["class"] is None else f", class {sample['class']}")


def _added_panel(figure: Figure, axis: Any, events: Array, name: str) -> None:
    """Draw the events of each pixel, added up; with two polarities the brighter ones less the darker ones."""
    from matplotlib.ticker import MaxNLocator

    added = events.sum(axis=0)
    signed = len(added) == 2
    values = added[1] - added[0] if signed else added[0]
    limit = max(1, int(np.abs(values).max()))
    low, colours = (-limit, "PuOr_r") if signed else (0, "cividis")
    image = axis.imshow(values, cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
    bar = figure.colorbar(image, ax=axis, shrink=0.8, pad=0.02)
    bar.locator = MaxNLocator(5, integer=True)
    bar.ax.tick_params(labelsize=7)
    axis.set_title(name, fontsize=9, loc="left")
    axis.set_xlabel("brighter less darker events" if signed else "events", fontsize=8)
    axis.tick_params(labelsize=7)


def _surface_panel(figure: Figure, axis: Any, events: Array) -> None:
    surface = time_surface(events.any(axis=1))
    image = axis.imshow(surface, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axis, shrink=0.8, pad=0.02).ax.tick_params(labelsize=7)
    axis.set_xlabel("time surface at the end", fontsize=8)
    axis.tick_params(labelsize=7)


def time_surface(fired: Array) -> npt.NDArray[np.float64]:
    """Return exp(-age / (steps / 4)) of each pixel's last event, 0 where there was none, of ``fired`` (steps, ...)."""
    steps = len(fired)
    age = np.argmax(fired[::-1], axis=0)
    return np.where(fired.any(axis=0), np.exp(-age * _FADES / steps), 0.0)


def _raster_panel(axis: Any, events: Array, step_us: int | None) -> None:
    """Draw a mark an event: its step to the right, its pixel, counted row by row, downwards."""
    steps, channels = events.shape[:2]
    unit, scale = ("ms", step_us / 1000) if step_us else ("time step", 1.0)
    flat = events.reshape(steps, channels, -1)
    for channel in range(channels):
        step, pixel = np.nonzero(flat[:, channel])
        label = ("darker", "brighter")[channel] if channels == 2 else "event"
        axis.plot((step + 0.5) * scale, pixel, "s", color=COLOURS[(0, 5)[channel]], ms=2.2, label=label)
    axis.set_xlim(0, steps * scale)
    axis.set_ylim(flat.shape[2] - 0.5, -0.5)
    axis.set_xlabel(unit, fontsize=8)
    axis.set_ylabel("pixel", fontsize=8)
    axis.tick_params(labelsize=7)
    if channels == 2:
        axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    bare(axis)


def decision_course(document: Mapping[str, Any]) -> Figure | None:
    """Return what each class has gathered at every step of the first samples, a panel a sample: the last values are
    the logits. None where a sample takes one step.
    """
    told = document["explorer"]
    if told.get("left_out") or told["steps"] == 1:
        return None
    gathered = unpack(told["decision"])[:_SAMPLES] / _unit(told["layers"][-1])
    title = f"the decision over time: the first {len(gathered)} of {samples_of(document)}"
    figure = new_figure(9.5, 0.9 + 1.9 * len(gathered), title)
    axes = figure.subplots(len(gathered), 1, sharex=True, squeeze=False)[:, 0]
    scale = told["step_us"] / 1000 if told["step_us"] else 1.0
    time = (np.arange(told["steps"]) + 1) * scale
    for axis, values, sample in zip(axes, gathered, told["samples"], strict=False):
        _lines(axis, time, values, told["classes"])
        right = "" if sample["right"] is None else " (correct)" if sample["right"] else " (wrong)"
        axis.set_title(f"{_name(sample)}: decided {sample['decided']}{right}", fontsize=9, loc="left")
    axes[-1].set_xlabel("ms" if told["step_us"] else f"time step, of {told['steps']}", fontsize=9)
    return figure


def _unit(layer: Mapping[str, Any]) -> int:
    return 1 if layer["sent"] is not None else layer["unit"]


def _lines(axis: Any, time: Array, values: Array, classes: Sequence[str]) -> None:
    """Draw a line a class; where there are many, those that come highest have colours, and the rest is grey."""
    order = np.argsort(-values.max(axis=0), kind="stable")
    named = sorted(order[:_NAMED].tolist())
    for index in order[_NAMED:]:
        axis.plot(time, values[:, index], color="#b0b0b0", lw=0.6)
    for colour, index in zip(COLOURS, named, strict=False):
        label = classes[index] if index < len(classes) else str(index)
        axis.plot(time, values[:, index], color=colour, lw=1.4, label=label)
    axis.set_ylabel("logits so far", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    bare(axis)


def decision_stream(document: Mapping[str, Any]) -> Figure:
    """Return decisions on a stream: what each class has, the class that is held to, and the events of each step.

    ``document`` holds for every step "time_s", "index", "logits" (steps, classes) and "events", all so far; and
    "labels", "dropped_steps", those before what is shown.
    """
    time, logits = np.array(document["time_s"]), np.array(document["logits"])
    labels, index = document["labels"], np.array(document["index"])
    before = f", without the first {document['dropped_steps']:,}" if document["dropped_steps"] else ""
    figure = new_figure(10, 6.2, f"decisions on a stream: {len(time):,} time steps{before}")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 1, 1))
    _lines(top, time, logits, labels)
    middle.step(time, index, where="mid", color=COLOURS[0], lw=1.5)
    shown = sorted(set(index.tolist()))
    middle.set_yticks(shown, [labels[at] for at in shown], fontsize=7)
    middle.set_ylim(max(shown) + 0.5, min(shown) - 0.5)
    middle.set_ylabel("decision", fontsize=8)
    bottom.step(
        time, np.diff(document["events"], prepend=document["events_before"]), where="mid", color="#555555", lw=1
    )
    bottom.set_ylim(bottom=0)
    bottom.set_ylabel("events a step", fontsize=8)
    bottom.set_xlabel("seconds of the stream", fontsize=9)
    for axis in (middle, bottom):
        axis.tick_params(labelsize=7)
        bare(axis)
    return figure

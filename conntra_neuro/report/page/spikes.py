"""Spikes and potentials over time, as SVG: what is seen where JavaScript is off, and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.report.recorded import unpack
from conntra_neuro.report.units import count

__all__ = ["raster_chart", "traces_chart"]

_LAYERS = 12
_LINES = 96
"""Lines of a raster; where there are more neurons, a line stands for several."""
_SHADES = 4


def raster_chart(recorded: Mapping[str, Any]) -> str:
    """Return every spike of the first samples, a strip a layer: time to the right, neurons from top to bottom."""
    parts = []
    for layer in recorded["layers"][:_LAYERS]:
        shown, each = _binned(unpack(layer["raster"]).T)
        name = f"{layer['name']}: {count(layer['neurons'])} {'inputs' if layer['depth'] == 0 else 'neurons'}"
        name += f", a line for {each} of them, the stronger the more of these spike" if each > 1 else ""
        parts.append(f"<h4>{escape(name)}</h4>{_strip(shown, recorded['steps'], layer['name'])}")
    return "".join(parts)


def _binned(fired: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], int]:
    """Return shades 0 .. ``_SHADES`` of lines (lines, time) that stand for some neurons each, and how many."""
    each = -(-len(fired) // _LINES)
    if each <= 1:
        return fired.astype(np.int64) * _SHADES, 1
    padded = np.zeros((-(-len(fired) // each) * each, fired.shape[1]))
    padded[: len(fired)] = fired
    share = padded.reshape(-1, each, fired.shape[1]).mean(axis=1)
    top = max(float(share.max()), 1e-9)
    return np.ceil(share / top * _SHADES).astype(np.int64), each


def _strip(shades: npt.NDArray[np.int64], steps: int, name: str) -> str:
    """Return one path a shade; neighbours in time are one stroke of it."""
    lines, columns = shades.shape
    paths = []
    for shade in range(1, _SHADES + 1):
        drawn = "".join(f"M{start} {line}.5h{length}" for line, start, length in _runs(shades == shade))
        if drawn:
            paths.append(f'<path class="s{shade}" d="{drawn}"/>')
    borders = "".join(f"M{at} 0v{lines}" for at in range(steps, columns, steps)) if steps > 1 else ""
    paths.append(f'<path class="border" d="{borders}"/>')
    label, size = escape(f"spikes of {name}", quote=True), "tall" if lines > 40 else "low"
    head = f'<svg class="raster {size}" viewBox="0 0 {columns} {lines}" preserveAspectRatio="none" role="img"'
    return f'{head} aria-label="{label}">{"".join(paths)}</svg>'


def _runs(marked: npt.NDArray[Any]) -> list[tuple[int, int, int]]:
    """Return (line, start, length) of what is marked without a gap."""
    edges = np.diff(np.pad(marked.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    return [(int(line), int(start), int(end - start)) for (line, start), (_, end) in zip(starts, ends, strict=True)]


def traces_chart(traces: Mapping[str, Any]) -> str:
    """Return the potentials of some neurons with state, a panel a layer, a line a neuron, dots where it spikes."""
    return "".join(_panel(layer, traces["steps"]) for layer in traces["layers"][:_LAYERS])


def _panel(layer: Mapping[str, Any], steps: int) -> str:
    held = unpack(layer["potentials"]) / layer["unit"]
    sent = None if layer["sent"] is None else unpack(layer["sent"])
    thresholds = sorted(set(layer["thresholds"] or []))
    low = min([float(held.min()), *thresholds])
    high = max([float(held.max()), *thresholds])
    scale = 100 / ((high - low) or 1.0)
    rows = (high - held) * scale
    drawn = []
    for index in range(held.shape[1]):
        line = "".join(
            f"{'M' if step % steps == 0 else 'L'}{step + 0.5:g} {y:.1f}" for step, y in enumerate(rows[:, index])
        )
        drawn.append(f'<path class="line t{index}" d="{line}"/>')
        if sent is not None:
            dots = "".join(f"M{step + 0.5:g} {rows[step, index]:.1f}h0" for step in np.flatnonzero(sent[:, index]))
            drawn.append(f'<path class="dot t{index}" d="{dots}"/>')
    drawn += [f'<path class="threshold" d="M0 {(high - t) * scale:.1f}H{len(held)}"/>' for t in thresholds]
    borders = "".join(f"M{at} 0V100" for at in range(steps, len(held), steps))
    names = ", ".join(f"{_WORDS[i]} neuron {n}" for i, n in enumerate(layer["neurons"]))
    range_ = f"from {low:.4g} to {high:.4g} weight units"
    threshold = f"; dashed: threshold {', '.join(f'{t:g}' for t in thresholds)}" if thresholds else ""
    label = escape(f"potentials of {layer['name']}", quote=True)
    return (
        f"<h4>{escape(layer['name'])} ({escape(layer['kind'])})</h4>"
        f'<svg class="trace" viewBox="0 0 {len(held)} 100" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'{"".join(drawn)}<path class="border" d="{borders}"/></svg>'
        f'<p class="note">{names}; {range_}{threshold}</p>'
    )


_WORDS = ("solid:", "long dashes:", "dots:")
"""How the lines of a panel are told apart, besides by colour."""

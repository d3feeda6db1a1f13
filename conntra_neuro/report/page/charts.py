"""The charts of a run: the core map, where energy goes, how often neurons fire, who is taken for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from conntra_neuro.report.mesh import extent, places, side
from conntra_neuro.report.page.pieces import bars
from conntra_neuro.report.recorded import unpack
from conntra_neuro.report.units import count, percent, si

__all__ = ["KINDS", "confusion_chart", "core_chart", "energy_chart", "legend", "rates_chart"]

KINDS = ("synapse", "neuron", "spike", "network", "input", "chip_links")
"""The kinds of dynamic energy, in the order of the bars' parts."""
_CLASSES_NUMBERED = 24
_MOST_CORES = 40
_MOST_LAYERS = 40
_LEVELS = 5


def legend(kinds: Sequence[str]) -> str:
    """Return which colour is which kind."""
    found = [
        f'<li><svg class="swatch" aria-hidden="true"><rect class="{kind}" width="100%" height="100%"/></svg>'
        f"{escape(kind.replace('_', ' '))}</li>"
        for kind in kinds
    ]
    return f'<ul class="legend">{"".join(found)}</ul>'


def energy_chart(estimates: Sequence[Mapping[str, Any]]) -> str:
    """Return the dynamic energy of a sample by kind under each set, then by layer and by core under the last set."""
    rows = [(e["coefficients"] + (" (proxy)" if e["proxy"] else ""), *_stack(e["breakdown"], e)) for e in estimates]
    kinds = [kind for kind in KINDS if any(kind in e["breakdown"] for e in estimates)]
    last = estimates[-1]
    layers = [(name, *_stack(parts, last)) for name, parts in list(last["by_layer"].items())[:_MOST_LAYERS]]
    energies = sorted(last["by_core"].items(), key=lambda item: int(item[0]))
    if len(energies) > _MOST_CORES:
        energies = sorted(energies, key=lambda item: -item[1])[:_MOST_CORES]
    cores = [_core_row(core, energy, last) for core, energy in energies]
    under = f"under {escape(last['coefficients'])}"
    most = f", the {_MOST_CORES} of {len(last['by_core'])} that take most" if len(last["by_core"]) > _MOST_CORES else ""
    by_core = f"<h4>by core, {under}{most}; input spikes belong to none</h4>{bars(cores)}"
    return f"{legend(kinds)}<h4>by coefficient set</h4>{bars(rows)}<h4>by layer, {under}</h4>{bars(layers)}{by_core}"


def _stack(parts: Mapping[str, float], estimate: Mapping[str, Any]) -> tuple[list[tuple[str, float]], str]:
    sizes = [(kind, parts[kind] / estimate["samples"]) for kind in KINDS if kind in parts]
    return sizes, si(sum(size for _, size in sizes), "J")


def _core_row(core: str, energy: float, estimate: Mapping[str, Any]) -> tuple[str, list[tuple[str, float]], str]:
    each = energy / estimate["samples"]
    return f"core {core}", [("synapse", each)], si(each, "J")


def rates_chart(layers: Sequence[Mapping[str, Any]]) -> str:
    """Return how often the neurons of each layer fire, in % of time steps."""
    rows = []
    for layer in layers[:_MOST_LAYERS]:
        rate = unpack(layer["fired"]) / max(layer["rows"], 1)
        mean, silent = float(rate.mean()), int(np.count_nonzero(rate == 0))
        text = f"{percent(mean, 1)} of the time, {count(round(mean * layer['neurons'], 1))} a step; busiest "
        text += percent(float(rate.max()), 0) + (f"; {count(silent)} silent" if silent else "")
        rows.append((f"{layer['name']} ({count(layer['neurons'])})", [("neuron", mean)], text))
    return bars(rows)


def core_chart(mesh: Mapping[str, Any], cores: Sequence[Mapping[str, Any]]) -> str:
    """Return the map of the chip: a square a core, the fuller the darker, tiles and chips apart."""
    (columns, rows), (across, down) = extent(mesh), side(mesh)
    used = {core["core"]: core for core in cores}
    wide, high = across * mesh["tiles_x"], down * mesh["tiles_y"]
    squares = []
    for number, (x, y) in places(mesh).items():
        left, top = _spot(x, across, wide), _spot(y, down, high)
        core = used.get(number)
        if core is None:
            squares.append(f'<rect class="f0" x="{left:.2f}" y="{top:.2f}" width=".9" height=".9"/>')
            continue
        level = min(_LEVELS, 1 + int(core["utilization"] * _LEVELS))
        title = f"core {number}: {', '.join(core['populations'])}; {percent(core['utilization'], 0)} of a limit"
        squares.append(
            f'<rect class="f{level}" data-core="{number}" x="{left:.2f}" y="{top:.2f}" width=".9" height=".9">'
            f"<title>{escape(title)}</title></rect>"
        )
    box = f"-0.2 -0.2 {_spot(columns - 1, across, wide) + 1.3:.2f} {_spot(rows - 1, down, high) + 1.3:.2f}"
    says = f"{mesh['name']}: {len(cores)} of {mesh['cores'] * mesh['chips']} cores in use"
    picture = f'<svg class="cores" viewBox="{box}" role="img" aria-label="{escape(says, quote=True)}">'
    return picture + "".join(squares) + "</svg>" + _fullness()


def _spot(at: int, tile: int, chip: int) -> float:
    """Return where a core stands: a gap after each tile, a wider one after each chip."""
    return at + 0.25 * (at // tile) + 0.8 * (at // chip)


def _fullness() -> str:
    names = ["not used", *(f"{100 * i // _LEVELS} to {100 * (i + 1) // _LEVELS} %" for i in range(_LEVELS))]
    found = [
        f'<li><svg class="swatch" aria-hidden="true"><rect class="f{level}" width="100%" height="100%"/></svg>'
        f"{name}</li>"
        for level, name in enumerate(names)
    ]
    return f'<ul class="legend">{"".join(found)}</ul>'


def confusion_chart(confusion: Mapping[str, Any]) -> str:
    """Return the classes (rows) against what they were taken for (columns): the numbers, mistakes shaded by share."""
    counts, labels = np.array(confusion["counts"]), confusion["labels"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(labels) > _CLASSES_NUMBERED:
        return _confusion_map(counts, shares)
    heads = "".join(f'<th scope="col" class="n">{escape(label)}</th>' for label in labels)
    lines = [f'<tr><th scope="col">class</th>{heads}</tr>']
    for row, label in enumerate(labels):
        cells = [
            f'<td class="n{_shade(shares[row, column], row == column)}">{count(n) if n else ""}</td>'
            for column, n in enumerate(counts[row].tolist())
        ]
        lines.append(f'<tr><th scope="row">{escape(label)}</th>{"".join(cells)}</tr>')
    box = '<div class="scroll" tabindex="0" role="region" aria-label="confusion"><table class="confusion">'
    return f"{box}{''.join(lines)}</table></div>"


def _shade(share: float, right: bool) -> str:
    if share == 0:
        return ""
    return " right" if right else f" wrong{min(3, 1 + int(share * 20))}"


def _confusion_map(counts: Any, shares: Any) -> str:
    n = len(counts)
    squares = []
    for row, column in np.argwhere(counts):
        kind = _shade(shares[row, column], row == column).strip()
        squares.append(f'<rect class="{kind}" x="{column}" y="{row}" width="1" height="1"/>')
    picture = f'<svg class="matrix" viewBox="0 0 {n} {n}" role="img" aria-label="confusion of {n} classes">'
    return f"{picture}{''.join(squares)}</svg>"

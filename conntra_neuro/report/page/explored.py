"""The spike explorer of a run: the place that the page's script fills, its data, and the core map beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from conntra_neuro.report.page.charts import core_chart
from conntra_neuro.report.page.pieces import figure
from conntra_neuro.report.recorded import unpack
from conntra_neuro.report.units import count

__all__ = ["core_figure", "explorer_html", "json_for_script"]


def explorer_html(document: Mapping[str, Any], number: int) -> str:
    """Return the explorer of the ``number``-th document; "" where it has no samples, or a line that says why not."""
    explorer = document.get("explorer")
    if not explorer:
        return ""
    if "left_out" in explorer:
        return f'<p class="note">No spike explorer: {escape(str(explorer["left_out"]))}.</p>'
    _check(explorer)
    keys = "Left and right arrow keys go through time, up and down through samples"
    core_map = core_figure(document) if document.get("cores") and document.get("mesh") else ""
    return (
        f'<section class="explorer" data-source="data{number}" aria-labelledby="explorer{number}">'
        f'<h3 id="explorer{number}">Spikes, step by step</h3>'
        '<noscript><p class="note">Stepping needs JavaScript; all evidence below is there without it.</p></noscript>'
        f'<div class="app" hidden tabindex="0" role="group" aria-label="Spike explorer. {keys}."></div>'
        f'{core_map}<p class="note">{_embedded(explorer)}</p>'
        f'<script type="application/json" id="data{number}">{json_for_script(explorer)}</script></section>'
    )


def _check(explorer: Mapping[str, Any]) -> None:
    """Raise ValueError where arrays do not belong together: the page's script trusts them."""
    samples, steps = len(explorer["samples"]), explorer["steps"]
    if unpack(explorer["decision"]).shape[:2] != (samples, steps):
        raise ValueError("decision of another number of samples or steps")
    for layer in explorer["layers"]:
        for name in ("sent", "held"):
            if layer.get(name) and unpack(layer[name]).shape != (samples, steps, layer["size"]):
                raise ValueError(f"{name} of {layer['name']!r} of another shape")
        if any(runs * (stop - start) > layer["size"] for start, stop, _, runs, _ in layer.get("places", ())):
            raise ValueError(f"places of {layer['name']!r} that hold more neurons than there are")
    shown = explorer["shown"]
    if shown and "values" in shown and unpack(shown["values"]).shape[0] != samples:
        raise ValueError("pictures of another number of samples")


def core_figure(document: Mapping[str, Any]) -> str:
    """Return the core map with its caption."""
    mesh, cores = document["mesh"], document["cores"]
    caption = (
        f"Where the network stands: {count(len(cores))} of {count(mesh['cores'] * mesh['chips'])} cores of "
        f"{mesh['name']}, coloured by the fullest resource of a core. Input enters top left."
    )
    return figure("core-map", core_chart(mesh, cores), caption)


def json_for_script(value: Any) -> str:
    """Return ``value`` as JSON that cannot end the script element it stands in, nor begin a comment there."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _embedded(explorer: Mapping[str, Any]) -> str:
    samples, total = explorer["samples"], explorer["total"]
    first = sum(sample["index"] == at for at, sample in enumerate(samples))
    later = len(samples) - first
    verb = "is" if len(samples) == 1 else "are"
    words = f"{count(len(samples))} of {count(total)} samples {verb} in this file: the first {count(first)}"
    words += f", and {count(later)} mistakes among the others" if later else ""
    without = [layer["name"] for layer in explorer["layers"][1:] if layer["held"] is None]
    words += f". Potentials of {escape(', '.join(without))} are left out for their size" if without else ""
    return f"{words}. Potentials follow from the recorded spikes, exactly."

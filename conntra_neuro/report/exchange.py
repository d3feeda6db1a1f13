"""Terminal tables of ``conntra export`` and ``conntra import``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from conntra_neuro.report.tables import facts
from conntra_neuro.report.units import bytes_, count

__all__ = ["export_table", "import_table"]


def export_table(document: Mapping[str, Any]) -> RenderableType:
    """Return what ``conntra export`` shows."""
    rows = [("format", document["format"]), ("size", bytes_(document["bytes"]))]
    for name, value in document["details"].items():
        if isinstance(value, list):
            rows += [("to do" if not number else "", line) for number, line in enumerate(value)]
            continue
        counted = name.endswith("_bytes")
        rows.append((name.removesuffix("_bytes").replace("_", " "), f"{value:,} bytes" if counted else str(value)))
    return facts(f"{document['file']} -> {document['path']}", rows)


def import_table(document: Mapping[str, Any]) -> RenderableType:
    """Return what ``conntra import`` shows."""
    model = document["model"]
    rows = [(f"layer {index}", layer) for index, layer in enumerate(document["layers"])]
    rows += [("assumed", what) for what in document["assumed"]]
    for note in document["rounded"]:
        low, high = note["scale"]
        what = f"{note['rounded']:,} of {note['weights']:,} weights rounded, scale {low:.4g} to {high:.4g}"
        what += f", {note['clipped']:,} clipped" if note["clipped"] else ""
        rows.append((f"node {note['name']}", "; ".join([what, *note["notes"]])))
    if "accuracy" in document:
        beside = f", {100 * document['float_accuracy']:.2f} % in floating point" if "float_accuracy" in document else ""
        rows.append(("accuracy", f"{100 * document['accuracy']:.2f} %{beside}"))
    for layer in document.get("agreement", ()):
        agrees = f"{100 * layer['equal']:.2f} % of values equal, "
        agrees += f"{100 * layer['within_a_step']:.2f} % of spikes within a step"
        rows.append((f"node {layer['name']}", agrees))
    rows += [
        ("exact", "yes: nothing was rounded" if document["exact"] else "no"),
        ("inputs", count(document["inputs"])),
        ("encoder", document["encoder"] or "none: inputs are spikes of 0 and 1"),
        ("classes", count(document["classes"])),
        ("parameters", count(document["parameters"])),
        ("size", bytes_(document["bytes"])),
    ]
    return facts(
        f"{document['file']} -> {model}", rows, f"next: conntra train DATA --from {model}, or conntra compile {model}"
    )

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


def _named(name: str) -> str:
    return name if name.startswith("node ") else f"node {name}"


def _rounded(note: Mapping[str, Any]) -> tuple[str, str]:
    """Return the row of what became of a layer: of spiking neurons, of ReLU, or of the scales of logits alone."""
    low, high = note["scale"]
    if "rounded" not in note:
        return note[
            "name"
        ], f"a scale for each class, rounded to whole multiples: {100 * note['error']:.2g} % off at most"
    what = f"{note['rounded']:,} of {note['weights']:,} weights rounded, scale {low:.4g} to {high:.4g}"
    if "decay_error" in note:
        what += f", {note['clipped']:,} clipped" if note["clipped"] else ""
        return _named(note["name"]), "; ".join([what, *note["notes"]])
    what += f"; sums miss {100 * note['error']:.2f} % of their spread"
    if note["bits"]:
        what += f"; sends {note['bits']} bits, {100 * note['clipped']:.2g} % above them"
    return _named(note["name"]), what


def _agreement(layer: Mapping[str, Any]) -> tuple[str, str]:
    """Return the row of how a layer agrees with the float network."""
    if "alike" in layer:
        agrees = f"{100 * layer['alike']:.2f} % of units on or off alike, values {100 * layer['error']:.2f} % off"
    else:
        agrees = f"{100 * layer['equal']:.2f} % of values equal, "
        agrees += f"{100 * layer['within_a_step']:.2f} % of spikes within a step"
    return _named(layer["name"]), agrees


def import_table(document: Mapping[str, Any]) -> RenderableType:
    """Return what ``conntra import`` shows."""
    model = document["model"]
    rows = [(f"layer {index}", layer) for index, layer in enumerate(document["layers"])]
    rows += [("assumed", what) for what in document["assumed"]]
    rows += [_rounded(note) for note in document["rounded"]]
    if "accuracy" in document:
        beside = f", {100 * document['float_accuracy']:.2f} % in floating point" if "float_accuracy" in document else ""
        beside += f" ({document['float_evaluator']})" if "float_evaluator" in document else ""
        rows.append(("accuracy", f"{100 * document['accuracy']:.2f} %{beside}"))
    if "repair" in document:
        how = document["repair"]
        before, after = (100 * (1 - how[end][0]) for end in ("before", "after"))
        earlier = document.get("accuracy_before_repair", document.get("same_class_before_repair"))
        what = "" if earlier is None else f"{100 * earlier:.2f} % before; "
        what += f"{how['seconds']:.0f} s, {how['sweeps']:.1f} "
        what += f"sweeps; {before:.2f} to {after:.2f} % of {how['held_out']:,} held-out training samples"
        rows.append(("repair", what))
    if "same_class" in document:
        rows.append(("same class", f"{100 * document['same_class']:.2f} % of the test samples, as the float network"))
    rows += [_agreement(layer) for layer in document.get("agreement", ())]
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

"""The JSON files that verbs write with ``--out``, read back and checked before anything is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conntra_hardware.base.errors import MALFORMED, FileFormatError, in_short

__all__ = ["kind_of", "read_result"]

_NEEDED = {
    "run": (
        "backend",
        "chip",
        "samples",
        "accuracy",
        "run_seconds",
        "counts",
        "counts_by_layer",
        "counted_on",
        "energy",
    ),
    "certificate": ("backends", "compared", "equal", "samples", "chip", "overflow", "first_divergence", "diagnoses"),
    "fuzz": ("programs", "seed", "backends", "equal", "space"),
}
_SOURCE = ("coefficients", "provenance", "modelled", "per_inference_j", "breakdown", "by_layer", "by_core")
_WRITE = "give files that `conntra run --out` or `conntra verify --out` wrote"


def kind_of(document: Mapping[str, Any]) -> str:
    """Return what a document is: "run", "certificate" or "fuzz"."""
    if "fuzz" in document:
        return "fuzz"
    return "run" if "energy" in document else "certificate"


def read_result(path: str | Path) -> dict[str, Any]:
    """Return the document in ``path``; FileFormatError for what is none, and for an energy without its source."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise FileFormatError(f"{path}: {reason}; {_WRITE}") from None
    if not isinstance(document, dict):
        raise FileFormatError(f"{path}: not a JSON object; {_WRITE}")
    kind = kind_of(document)
    missing = [key for key in _NEEDED[kind] if key not in document]
    if missing:
        raise FileFormatError(f"{path}: {', '.join(missing)} missing; {_WRITE}")
    if kind == "run":
        try:
            _check_sources(document, path)
        except MALFORMED as error:
            raise FileFormatError(
                f"{path}: its energy is not what a run has ({in_short(repr(error))}); {_WRITE}"
            ) from None
    return document


def _check_sources(document: Mapping[str, Any], path: str | Path) -> None:
    """Refuse a figure whose coefficient set, or a coefficient whose source, is not in the document."""
    sets = document.get("coefficients", {})
    for estimate in document["energy"]:
        missing = [key for key in _SOURCE if not estimate.get(key)]
        name = estimate.get("coefficients")
        if missing:
            raise FileFormatError(f"{path}: energy {name}: no {', '.join(missing)}; a figure without it is not shown")
        entries = sets.get(name, {}).get("entries", {})
        unsourced = [key for key, entry in entries.items() if not entry.get("source")]
        if not entries or unsourced:
            what = ", ".join(unsourced) or "all entries"
            raise FileFormatError(f"{path}: energy {name}: no source for {what}; a figure without one is not shown")

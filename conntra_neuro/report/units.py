"""Numbers as people read them: SI prefixes, bytes, percentages, ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["bytes_", "count", "percent", "right_of", "seconds", "si", "squared", "times"]

_PREFIXES = (
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
)


def si(value: float | None, unit: str) -> str:
    """Return ``value`` with three figures and an SI prefix: 0.00123 J is "1.23 mJ"."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return f"0 {unit}"
    # Three figures of 0.9999 are 1.00: the rounded value decides on the prefix.
    size = float(f"{abs(value):.3g}")
    factor, prefix = next((pair for pair in _PREFIXES if size >= pair[0]), _PREFIXES[-1])
    return f"{_three(value / factor)} {prefix}{unit}"


def bytes_(value: float) -> str:
    """Return a size in bytes, decimal: "41.7 kB"."""
    return f"{int(value)} B" if abs(value) < 1000 else si(value, "B")


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction as a percentage: "97.22 %"."""
    return "-" if fraction is None else f"{100 * fraction:.{digits}f} %"


def right_of(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return how good the answers of a run are, as a name and a figure: accuracy, or of values their error."""
    if document.get("mse") is not None:
        return "error", squared(document["mse"], document.get("r2"))
    return "accuracy", percent(document["accuracy"])


def squared(error: float | None, r2: float | None = None) -> str:
    """Return a mean squared error, and the share of the variance that is explained: "MSE 2,961 (R² 0.48)"."""
    explained = "" if r2 is None else f" (R² {r2:.3f})"
    return "-" if error is None else f"MSE {error:,.4g}{explained}" if error < 1000 else f"MSE {error:,.0f}{explained}"


def seconds(value: float) -> str:
    """Return a duration: "0.42 s", "3 min 05 s"."""
    if value < 1e-2:
        return si(value, "s")
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def count(value: float) -> str:
    """Return a count with separated thousands, or with one decimal where it is a mean: "12,345", "61.3"."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.1f}"


def times(ratio: float) -> str:
    """Return a ratio: "38.9x"."""
    return f"{_three(ratio)}x"


def _three(value: float) -> str:
    """Return three figures without an exponent; trailing zeros stay, for they are figures too."""
    rounded = float(f"{value:.3g}")
    whole = len(str(int(abs(rounded)))) if abs(rounded) >= 1 else 1
    return f"{rounded:.{max(3 - whole, 0)}f}"

"""What all pictures share: colours, a figure without a window, bytes of a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "KINDS", "MAP", "bare", "new_figure", "plain_numbers", "png", "samples_of", "svg"]

# Okabe and Ito (2008), without yellow, which is too faint on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
KINDS: dict[str, str] = dict(
    zip(("synapse", "neuron", "spike", "network", "input", "chip_links"), COLOURS, strict=False)
)
"""The colour of each kind of energy, the same in every picture."""
MAP = "cividis"


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return an empty figure of ``width`` x ``height`` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def bare(axis: Any) -> None:
    """Take away the lines above and to the right of a panel."""
    axis.spines[["top", "right"]].set_visible(False)


def plain_numbers(axis: Any) -> None:
    """Have the labels of a logarithmic x or y axis say 3 and 0.5 instead of powers of ten, at 1, 2 and 5 of each."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def samples_of(document: Mapping[str, Any]) -> str:
    """Return which samples a run's ``document`` is about: "359 samples (digits, test)"."""
    kind, _, path = str(document.get("data", "")).rpartition(":")
    name = f"{kind}:{Path(path).name}" if kind else path  # without the folders of a file
    source = f" ({name}, {document['split']})" if name else ""
    return f"{document['samples']:,} samples{source}"


def png(figure: Figure) -> bytes:
    """Return ``figure`` as a PNG file."""
    return _file(figure, "png")


def svg(figure: Figure) -> bytes:
    """Return ``figure`` as an SVG file, the same bytes for the same figure."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "conntra"}):
        return _file(figure, "svg", metadata={"Date": None})


def _file(figure: Figure, kind: str, **options: Any) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format=kind, dpi=150, **options)
    return written.getvalue()

"""Pictures of a run, each a function from a run's document to a matplotlib figure.

``run_document(result)`` makes the document, and so does ``conntra run --out``:

    from conntra_neuro.report.documents import run_document
    from conntra_neuro.report.plots import energy_breakdown

    energy_breakdown(run_document(program.run(x, y), labels=y)).savefig("energy.png")

Colours are Okabe and Ito's and matplotlib's cividis, which colour-blind people tell apart. matplotlib is imported here
only, and without a window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conntra_neuro.report.plots.activity import layer_rates, spike_raster
from conntra_neuro.report.plots.confusion import confusion_matrix
from conntra_neuro.report.plots.cores import core_map
from conntra_neuro.report.plots.energy import energy_breakdown
from conntra_neuro.report.plots.events import decision_course, decision_stream, event_frames
from conntra_neuro.report.plots.traces import membrane_traces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "confusion_matrix",
    "core_map",
    "decision_course",
    "decision_stream",
    "draw",
    "energy_breakdown",
    "event_frames",
    "figures",
    "layer_rates",
    "membrane_traces",
    "spike_raster",
]

_PICTURES: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Figure | None]]] = {
    "core-map": (("cores", "mesh"), core_map),
    "energy": (("energy",), energy_breakdown),
    "layer-rates": (("recorded",), layer_rates),
    "spike-raster": (("recorded",), spike_raster),
    "membrane-traces": (("traces",), membrane_traces),
    "events": (("explorer",), event_frames),
    "decision": (("explorer",), decision_course),
    "confusion": (("confusion",), confusion_matrix),
}
"""Each picture with the fields that it is drawn from."""


def figures(document: Mapping[str, Any]) -> dict[str, Figure]:
    """Return all pictures that the run ``document`` has the data for, by name."""
    drawn = {
        name: picture(document)
        for name, (needed, picture) in _PICTURES.items()
        if all(document.get(field) for field in needed)
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write all pictures into ``folder`` as PNG files and return their paths."""
    from conntra_hardware.base.files import write_atomically
    from conntra_neuro.report.plots.style import png

    paths = []
    for name, figure in figures(document).items():
        paths.append(folder / f"{name}.png")
        write_atomically(paths[-1], png(figure))
    return paths

"""Who is taken for whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_neuro.report.plots.style import new_figure, samples_of
from conntra_neuro.report.units import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix"]

_NUMBERED = 24


def confusion_matrix(document: Mapping[str, Any]) -> Figure:
    """Return the classes (rows) against what they were taken for (columns): counts, coloured by share of the row.

    The colour scale ends at 10 % so that mistakes show; right answers lie beyond it.
    """
    counts = np.array(document["confusion"]["counts"])
    labels, n = document["confusion"]["labels"], len(counts)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    title = f"confusion: {percent(document['accuracy'])} right of {samples_of(document)}"
    side = min(4.2 + 0.18 * n, 9.0)
    figure = new_figure(side + 1.0, side, title)
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=10)
    figure.colorbar(image, ax=axis, extend="max", label="% of the class", shrink=0.8)
    if n <= _NUMBERED:
        for row, column in np.argwhere(counts):
            dark = shares[row, column] > 5
            text = f"{counts[row, column]:,}"
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color="w" if dark else "k")
        axis.set_xticks(range(n), labels, rotation=45 if max(map(len, labels)) > 2 else 0)
        axis.set_yticks(range(n), labels)
    axis.set_xlabel("taken for")
    axis.set_ylabel("class")
    return figure

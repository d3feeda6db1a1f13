"""The scale of integer logits: what to multiply them by so that their softmax is a probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.program import ValueScale
from conntra_neuro.training.objective import VALUE_ONE

__all__ = ["calibrated_scale", "slope_of", "value_scale"]

_SCALES = np.geomspace(1e-3, 10, 81)
_LEAST = 1e-9


def slope_of(logits: IntArray, y: npt.NDArray[np.int64]) -> float:
    """Return the slope, above 0, of the line from logits (n, 1) that is nearest to targets ``y`` (n,) of a task."""
    z = logits[:, 0].astype(np.float64)
    spread = max(float(z.std()), 1.0)
    slope = float(np.mean((z - z.mean()) * y)) / spread**2 / VALUE_ONE
    return slope if slope > 0 else 1 / spread


def value_scale(logits: IntArray, y: npt.NDArray[np.float64]) -> ValueScale:
    """Return what logits (n, 1) stand for: the line through them that is nearest to the targets ``y`` (n,)."""
    z = logits[:, 0].astype(np.float64)
    spread = float(z.var())
    slope = float(np.mean((z - z.mean()) * (y - y.mean()))) / spread if spread else 0.0
    slope = slope if slope else float(y.std()) or 1.0  # one logit for all: any slope will do
    return ValueScale(slope, float(y.mean()) - slope * float(z.mean()))


def calibrated_scale(logits: IntArray | npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> float:
    """Return the scale (of 81 from 0.001 to 10) at which logits (n, classes) have the lowest cross-entropy with ``y``.

    Where that is the least of them, those from a ten thousandth of it on are looked at.

    One sample is added whose class is told wrongly by the mean margin: it keeps the scale finite where all samples
    are told apart.
    """
    margins = logits - logits[np.arange(len(y)), y][:, None]
    wrong = np.where(np.arange(logits.shape[1]) == y[0], 0.0, np.abs(margins).mean())
    margins = np.vstack([margins, wrong])
    unit = 1.0
    while True:
        losses = []
        for scale in _SCALES:
            powers = np.exp(np.minimum(unit * scale * margins, 500))
            losses.append(float(np.log(powers.sum(axis=1)).mean()))
        best = int(np.argmin(losses))
        if best or unit * _SCALES[0] < _LEAST:
            return float(unit * _SCALES[best])
        unit *= _SCALES[0] / _SCALES[-1]

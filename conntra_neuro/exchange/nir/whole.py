"""Layers that are integers already, at some power of two: nothing of them is to be rounded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ROUNDING", "whole_scales"]

Array = npt.NDArray[np.float64]
ROUNDING = 1e-5
"""The relative error of parameters that exporters write in float32, and of what is computed of them."""

_SCALES = 2.0 ** np.arange(13)


def whole_scales(
    weights: Array,
    biases: Array,
    thresholds: Array,
    unit: int,
    most: int,
    largest_bias: int,
    limit: Array,
    shared: bool,
) -> Array | None:
    """Return of each unit the least scale at which its ``weights`` (units, inputs) are whole and at most ``most``, and
    its ``biases`` and ``thresholds`` (units, places) are whole parts of ``unit``; None where a unit has none.

    limit    the largest scale of each unit; ``shared``: one scale for all of them
    """
    at = _SCALES[:, None, None]
    fits = (_is_whole(weights * at) & (np.abs(weights * at) <= most + 0.5)).all(axis=2)
    fits &= (_is_whole(biases * at * unit) & (np.abs(biases * at * unit) <= largest_bias + 0.5)).all(axis=2)
    fits &= _is_whole(thresholds * at * unit).all(axis=2)
    fits &= _SCALES[:, None] <= limit
    if shared:
        fits = np.repeat(fits.all(axis=1)[:, None], len(weights), axis=1)
    return _SCALES[fits.argmax(axis=0)] if fits.any(axis=0).all() else None


def _is_whole(values: Array) -> npt.NDArray[np.bool_]:
    return np.abs(values - np.rint(values)) <= ROUNDING * np.maximum(1, np.abs(values))

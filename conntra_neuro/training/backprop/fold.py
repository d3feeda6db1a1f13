"""Batch normalisation folded into integer thresholds: not nearly the same decisions, the same.

A normalised threshold unit spikes iff ``gamma * (z - mean) / sqrt(variance + epsilon) + beta > 0``. Its potential z
is an integer, and the left side, as float64 computes it, never falls (gamma > 0) or never rises (gamma < 0) with z:
every operation in it is monotone under rounding. So there is one integer that parts spikes from silence, and bisection
over the potentials that inputs of 0 and 1 can reach finds it; no rounding of a quotient is trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import Levels

__all__ = ["Normalisation", "fold"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Normalisation:
    """Batch normalisation with fixed statistics, in float64; every array has shape (n_out,)."""

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    gamma: npt.NDArray[np.float64]
    beta: npt.NDArray[np.float64]
    epsilon: float = 1e-3

    def __call__(self, z: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the normalised potentials of ``z`` (..., n_out)."""
        spread = np.sqrt(np.asarray(self.variance, dtype=np.float64) + self.epsilon)
        return self.gamma * ((np.asarray(z, dtype=np.float64) - self.mean) / spread) + self.beta


def fold(
    weight: npt.ArrayLike, normalisation: Normalisation, levels: Levels, largest: int = 1, added: int = 0
) -> tuple[Ints, Ints]:
    """Return integer (weight, bias) such that ``x @ weight + bias > 0`` iff ``normalisation(x @ weight_given) > 0``.

    For every x of 0 and 1 (or 0 to ``largest``), and anything from -``added`` to ``added`` on top (gamma > 0
    then). ``weight`` integers (n_in, n_out), each one of ``levels``. A unit with gamma < 0 gets its
    weights negated; InputError where their negatives are not levels.
    """
    weight = np.array(weight, dtype=np.int64)
    falling = np.asarray(normalisation.gamma) < 0
    sign = np.where(falling, -1, 1)
    low = largest * np.minimum(weight * sign, 0).sum(axis=0) - added
    high = largest * np.maximum(weight * sign, 0).sum(axis=0) + added
    threshold = _last_silent(lambda u: normalisation(sign * u) > 0, low - 1, high)
    # A falling unit that always or never spikes needs no weights of the other sign.
    constant = (threshold < low) | (threshold == high)
    threshold = np.where(falling & constant, np.where(threshold < low, -high - 1, -low), threshold)
    weight[:, falling & ~constant] *= -1
    missing = ~np.isin(weight, levels.array)
    if missing.any():
        unit = int(np.flatnonzero(missing.any(axis=0))[0])
        raise InputError(
            f"batch normalisation: unit {unit} has gamma {normalisation.gamma[unit]:g}, its weights' negatives are not "
            f"among the levels {levels}; use levels that are symmetric about 0, or keep gamma positive"
        )
    return weight, -threshold


def _last_silent(fires: Callable[[Ints], npt.NDArray[np.bool_]], low: Ints, high: Ints) -> Ints:
    """Return the largest integers in [low, high] that do not fire; ``low`` counts as silent, ``fires`` never falls."""
    silent, firing = low.copy(), high + 1
    while (firing - silent > 1).any():
        middle = (silent + firing) // 2
        between = middle > silent
        found = fires(middle)
        firing = np.where(between & found, middle, firing)
        silent = np.where(between & ~found, middle, silent)
    return silent

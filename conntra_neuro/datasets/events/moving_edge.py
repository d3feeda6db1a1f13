"""``moving-edge``: a bright or dark edge crosses an event camera in one of four directions, made from a seed.

Which pixels have an event, of which polarity, and how often the edge stops, is drawn before the direction is: summed
over time, the samples of all directions are alike. What tells them apart is the order alone, so no network without
memory can.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.datasets.events.binning import Binning
from conntra_neuro.datasets.events.recipe import Recipe
from conntra_neuro.datasets.events.recording import Sensor

__all__ = ["DIRECTIONS", "edge_binning", "moving_edge"]

DIRECTIONS = ("down", "left", "right", "up")
_SIDE, _STEPS = 12, 16
_STEP_US = 5000
_TRAIN, _TEST = 600, 200
_SEEN = 0.8  # share of the pixels that see the edge go by
_NOISE = 8  # events of a sample that are not the edge's

Array = npt.NDArray[Any]


def moving_edge(seed: int) -> dict[str, Array]:
    """Return x_train, y_train, x_test, y_test: spikes (n, 16, 2, 12, 12), polarity first darker, and directions."""
    rng = np.random.default_rng((seed, _SIDE))
    arrays: dict[str, Array] = {}
    for part, n in (("train", _TRAIN), ("test", _TEST)):
        arrays[f"y_{part}"] = np.array(DIRECTIONS)[rng.permutation(n) % len(DIRECTIONS)]
        arrays[f"x_{part}"] = np.stack([_sample(rng, direction) for direction in arrays[f"y_{part}"]])
    return arrays


def edge_binning() -> Binning:
    """Return how a camera's events become such spikes: steps of 5 ms."""
    return Binning(Recipe(steps=_STEPS, step_us=_STEP_US), Sensor(_SIDE, _SIDE), 0)


def _sample(rng: np.random.Generator, direction: str) -> Array:
    polarity, seen = int(rng.integers(2)), rng.random((_SIDE, _SIDE)) < _SEEN
    # When the edge comes to each of the lines it crosses: rising, with pauses, all within the sample.
    when = np.sort(rng.choice(_STEPS, _SIDE, replace=False))
    noise = rng.integers((0, 0, 0, 0), (_STEPS, 2, _SIDE, _SIDE), (_NOISE, 4))
    rows, columns = np.nonzero(seen)
    line = rows if direction in ("down", "up") else columns
    out = np.zeros((_STEPS, 2, _SIDE, _SIDE), np.uint8)
    out[when[line if direction in ("down", "right") else _SIDE - 1 - line], polarity, rows, columns] = 1
    out[tuple(noise.T)] = 1
    return out

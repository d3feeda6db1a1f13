"""Synapses with delays while they are trained: a weight has a row for each delay that it may have.

The weights of a delayed layer are ((delays + 1) * inputs, outputs): first the rows of no delay, then those of one step,
and so on. Of the rows of a synapse, which are its slots, one at most is not 0: that is its delay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import later

__all__ = ["chosen", "drawn_delays", "seen_late", "slots_of", "sooner", "spread"]

Array = npt.NDArray[Any]


def drawn_delays(rng: np.random.Generator, shape: tuple[int, ...], delays: int) -> npt.NDArray[np.int64]:
    """Return the random delays that synapses of weights of ``shape`` begin with, each 0 to ``delays`` steps."""
    return rng.integers(0, delays + 1, shape)


def spread(weight: Array, delay: Array, delays: int) -> Array:
    """Return weights (n_in, n_out) with their ``delay`` as rows ((delays + 1) * n_in, n_out)."""
    out = np.zeros((delays + 1, *weight.shape), weight.dtype)
    np.put_along_axis(out, np.asarray(delay)[None], weight[None], axis=0)
    return out.reshape(-1, weight.shape[1])


def slots_of(rows: Array, delays: int) -> npt.NDArray[np.int64]:
    """Return the delay (n_in, n_out) of each synapse, 0 where its weight is 0."""
    return (rows.reshape(delays + 1, -1, rows.shape[1]) != 0).argmax(axis=0)


def chosen(rows: Array, delays: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return weights and delays (n_in, n_out) of such rows."""
    return rows.reshape(delays + 1, -1, rows.shape[1]).sum(axis=0, dtype=rows.dtype), slots_of(rows, delays)


def seen_late(x: Array, delays: int, steps: int) -> Array:
    """Return what the rows see of ``x`` (samples * steps, n_in): (samples * steps, (delays + 1) * n_in)."""
    by_step = x.reshape(-1, steps, x.shape[-1])
    return np.concatenate([later(by_step, lag) for lag in range(delays + 1)], axis=2).reshape(len(x), -1)


def sooner(gain: Array, delays: int, steps: int) -> Array:
    """Return what a step's inputs (samples * steps, n_in) are worth, ``gain`` being that of what the rows see."""
    parts = gain.reshape(-1, steps, delays + 1, gain.shape[1] // (delays + 1))
    out = parts[:, :, 0].copy()
    for lag in range(1, min(delays, steps - 1) + 1):
        out[:, :-lag] += parts[:, lag:, lag]
    return out.reshape(len(gain), -1)

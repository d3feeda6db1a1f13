"""Events of samples over time, dropped and moved one by one or together, anew in every sweep: the loop that does it.

What happens to an event follows from the sample's own seed and the event's place by a hash (SplitMix64, Steele, Lea
and Flood, 2014), so it is the same on every machine, and wherever the sample is held.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit

__all__ = ["COLUMNS", "SHARE_UNIT", "drawn", "scatter"]

COLUMNS = 6
"""Numbers of a sample: steps later, units along, share dropped, steps of jitter, and two halves of a seed."""
SHARE_UNIT = 2**14
"""Parts that a share is given in."""

_fast = jit


def drawn(rng: np.random.Generator, n: int, steps: int, units: int, drop: float, jitter: int) -> npt.NDArray[np.int16]:
    """Return the numbers of ``n`` samples (n, COLUMNS): later by up to ``steps``, moved by up to ``units``."""
    found = np.empty((n, COLUMNS), np.int16)
    found[:, 0] = rng.integers(-steps, steps + 1, n)
    found[:, 1] = rng.integers(-units, units + 1, n)
    found[:, 2], found[:, 3] = round(drop * SHARE_UNIT), jitter
    found[:, 4:] = rng.integers(-(2**15), 2**15, (n, 2))
    return found


@_fast
def scatter(x, moves, width, line, out):
    """``out`` (zeros before) = samples ``x`` (B, inputs + 1) whose events are dropped and moved by ``moves``.

    A step has ``width`` inputs, every ``line`` of which are neighbours. The last column is copied.
    """
    last = x.shape[1] - 1
    steps = last // width
    for n in range(x.shape[0]):
        later, along, drop, jitter = moves[n, 0], moves[n, 1], moves[n, 2], np.int64(moves[n, 3])
        seed = ((np.int64(moves[n, 4]) & 0xFFFF) << 16) | (np.int64(moves[n, 5]) & 0xFFFF)
        out[n, last] = x[n, last]
        for j in range(last):
            if x[n, j] == 0:
                continue
            h = _mixed((seed << 32) + j)
            if np.int64(h & np.uint64(SHARE_UNIT - 1)) < drop:
                continue
            step = j // width + later
            if jitter > 0:
                step += np.int64((h >> np.uint64(32)) % np.uint64(2 * jitter + 1)) - jitter
            at = j % line + along
            if 0 <= step < steps and 0 <= at < line:
                out[n, step * width + j % width + along] = 1


@_fast
def _mixed(seed):
    z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

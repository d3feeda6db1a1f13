"""The compiled loops of ``leaky_kernel``."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["feed_forward", "recurrent"]

_HALF = 2**23
_UNIT = 64


@njit(cache=True, inline="always")
def _decayed(x, keeps):  # type: ignore[no-untyped-def]
    if x >= 0:
        return (np.int64(x) * keeps) >> 12
    return -((np.int64(-x) * keeps) >> 12)


@njit(cache=True)
def _step(sums, parameters, hard, u, v, waits, out):  # type: ignore[no-untyped-def]
    """Take one sample's neurons one time step on: ``sums`` (size,), the states changed, spikes into ``out``."""
    keeps_u, keeps_v, theta, refractory, bias, least = parameters
    for i in range(len(sums)):
        current = _decayed(u[i], keeps_u[i]) + _UNIT * np.int64(sums[i])
        if current > _HALF or current <= -_HALF:
            current = _HALF - (_HALF - current) % (2 * _HALF)
        u[i] = current
        fired = False
        if waits[i] > 0:
            waits[i] -= 1
        else:
            charge = _decayed(v[i], keeps_v[i]) + current + bias[i]
            charge = min(max(charge, 1 - _HALF), _HALF - 1)
            fired = charge >= least[i]
            if fired:
                charge = 0 if hard else charge - theta[i]
                waits[i] = refractory[i]
            v[i] = charge
        out[i] = fired


@njit(cache=True)
def _sample(sums, parameters, hard, out):  # type: ignore[no-untyped-def]
    size = sums.shape[1]
    u, v, waits = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for step in range(len(sums)):
        _step(sums[step], parameters, hard, u, v, waits, out[step])


@njit(cache=True, nogil=True)
def feed_forward(sums, parameters, hard, out):  # type: ignore[no-untyped-def]
    """Write the spikes of all samples into ``out`` (n, steps, size)."""
    for sample in range(len(sums)):
        _sample(sums[sample], parameters, hard, out[sample])


@njit(cache=True, nogil=True)
def recurrent(sums, parameters, hard, lags, starts, targets, weights, out):  # type: ignore[no-untyped-def]
    """Write the spikes of all samples into ``out``; those of a step add to the sums of a later one.

    ``starts`` (loops, size + 1): where the synapses of a source begin in ``targets`` and ``weights``.
    """
    steps, size = sums.shape[1:]
    arriving = np.empty(size, np.int64)
    for sample in range(len(sums)):
        u, v, waits = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
        for step in range(steps):
            for i in range(size):
                arriving[i] = np.int64(sums[sample, step, i])
            for loop in range(len(lags)):
                if step >= lags[loop]:
                    before = out[sample, step - lags[loop]]
                    for source in range(size):
                        if before[source]:
                            for place in range(starts[loop, source], starts[loop, source + 1]):
                                arriving[targets[place]] += weights[place]
            _step(arriving, parameters, hard, u, v, waits, out[sample, step])

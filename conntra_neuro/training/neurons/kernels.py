"""Gains of spikes to terms of potentials: times the slope, on a grid on which their sums are exact."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["lower_gains", "price_spikes"]

_fast = jit


@_fast
def lower_gains(z, gains, curve, inverse_grid, grid, first, last):
    """``gains`` in place: first-order gains from the layer above times the slope at ``z``, on the grid."""
    reach = (curve.size - 1) // 2
    for n in range(first, last):
        potential, row = z[n], gains[n]
        for i in range(row.size):
            at = np.int32(min(max(potential[i], -reach), reach)) + reach
            row[i] = np.rint(row[i] * curve[at] * inverse_grid) * grid


@_fast
def price_spikes(z, price, curve, inverse_grid, grid, q, first, last):
    """Add to ``q`` what a spike of each unit costs, ``price`` (H,), times the slope at ``z``, on the grid."""
    reach = (curve.size - 1) // 2
    for n in range(first, last):
        potential, row = z[n], q[n]
        for i in range(row.size):
            at = np.int32(min(max(potential[i], -reach), reach)) + reach
            row[i] += np.rint(price[i] * curve[at] * inverse_grid) * grid


@_fast
def leak(z, bias, keeps_u, keeps_v, theta, least, hard, refractory, over, spikes):
    """Leaky neurons at potentials ``z`` (n, steps, units), ``bias`` (units,) of which enters v and not u.

    ``over``: how far v is above the threshold, in weight units, rounded up; ``spikes``: 0 or 1; both as ``z``.
    """
    n, steps, units = z.shape
    u, v = np.zeros(units, np.int64), np.zeros(units, np.int64)
    waits = np.zeros(units, np.int64)
    for sample in range(n):
        u[:], v[:], waits[:] = 0, 0, 0
        for step in range(steps):
            for i in range(units):
                current = _left(u[i], keeps_u) + 64 * np.int64(z[sample, step, i] - bias[i])
                if current > _HALF or current <= -_HALF:
                    current = _HALF - (_HALF - current) % (2 * _HALF)
                u[i] = current
                charge = v[i]
                if waits[i] == 0:
                    charge = _left(charge, keeps_v) + current + 64 * np.int64(bias[i])
                    charge = min(max(charge, 1 - _HALF), _HALF - 1)
                fired = waits[i] == 0 and charge >= least
                over[sample, step, i] = -((theta - charge) // 64)
                spikes[sample, step, i] = fired
                if waits[i] > 0:
                    waits[i] -= 1
                if fired:
                    charge = 0 if hard else charge - theta
                    waits[i] = refractory
                v[i] = charge


_HALF = 2**23


@_fast
def _left(x, keeps):
    if x >= 0:
        return (x * keeps) >> 12
    return -((-x * keeps) >> 12)


@_fast
def credit(over, spikes, price, curve, keeps_u, keeps_v, hard, inverse_grid, grid, gains):
    """``gains`` (n, steps, units) in place: from what a spike is worth at each step to what a step's sum is worth."""
    n, steps, units = gains.shape
    reach = (curve.size - 1) // 2
    later_v, later_u = np.zeros(units), np.zeros(units)
    for sample in range(n):
        later_v[:], later_u[:] = 0.0, 0.0
        for step in range(steps - 1, -1, -1):
            for i in range(units):
                at = np.int32(min(max(over[sample, step, i], -reach), reach)) + reach
                stays = later_v[i] * keeps_v
                if hard and spikes[sample, step, i] > 0:
                    stays = 0.0
                later_v[i] = (gains[sample, step, i] + price[i]) * curve[at] + stays
                later_u[i] = later_v[i] + later_u[i] * keeps_u
                gains[sample, step, i] = np.rint(later_u[i] * inverse_grid) * grid

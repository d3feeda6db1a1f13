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
def leak(z, bias, loop, keeps_u, keeps_v, theta, least, hard, refractory, over, spikes):
    """Leaky neurons at potentials ``z`` (n, steps, units), ``bias`` (units,) of which enters v and not u.

    ``loop`` (units, units): the weights from each unit to each, whose spikes arrive a step later; (0, 0) where there
    are none. ``over``: how far v is above the threshold, in weight units, rounded up; ``spikes``: 0 or 1; both as
    ``z``.
    """
    n, steps, units = z.shape
    u, v = np.zeros(units, np.int64), np.zeros(units, np.int64)
    waits, arriving = np.zeros(units, np.int64), np.zeros(units, loop.dtype)
    for sample in range(n):
        u[:], v[:], waits[:], arriving[:] = 0, 0, 0, 0
        for step in range(steps):
            if loop.size and step:
                arriving[:] = 0
                for i in range(units):
                    if spikes[sample, step - 1, i] > 0:
                        arriving += loop[i]
            for i in range(units):
                current = _left(u[i], keeps_u) + 64 * np.int64(z[sample, step, i] - bias[i] + arriving[i])
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
def credit(over, spikes, price, curve, loop, keeps_u, keeps_v, theta, hard, resets, bound, grid, gains, first, last):
    """``gains`` (n, steps, units) in place: from what a spike is worth at each step to what a step's sum is worth.

    ``loop`` (units, units): the weights to each unit from each, by which a spike brings something to all units a step
    later; (0, 0): none. ``resets``: a spike's reset of v, by ``theta`` or by all of it, counts too. What a sum is
    worth is cut at ``bound``.
    """
    steps, units = gains.shape[1:]
    reach, inverse_grid = (curve.size - 1) // 2, 1 / grid
    later_v, later_u, back = np.zeros(units), np.zeros(units), np.zeros(units)
    for sample in range(first, last):
        later_v[:], later_u[:], back[:] = 0.0, 0.0, 0.0
        for step in range(steps - 1, -1, -1):
            if loop.size and step < steps - 1:
                back[:] = 0
                for i in range(units):
                    if gains[sample, step + 1, i] != 0:
                        back += loop[i] * np.float64(gains[sample, step + 1, i])
            for i in range(units):
                at = np.int32(min(max(over[sample, step, i], -reach), reach)) + reach
                stays = 0.0 if hard and spikes[sample, step, i] > 0 else 1.0
                if resets:
                    stays -= (over[sample, step, i] + theta if hard else theta) * curve[at]
                worth = (gains[sample, step, i] + price[i] + back[i]) * curve[at] + later_v[i] * keeps_v * stays
                later_v[i] = min(max(worth, -bound), bound)
                later_u[i] = min(max(later_v[i] + later_u[i] * keeps_u, -bound), bound)
                gains[sample, step, i] = np.rint(later_u[i] * inverse_grid) * grid

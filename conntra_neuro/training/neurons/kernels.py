"""Gains of spikes to terms of potentials: times the slope, on a grid on which their sums are exact."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["lower_gains", "price_spikes"]

_fast = nb.njit(nogil=True, cache=True)


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

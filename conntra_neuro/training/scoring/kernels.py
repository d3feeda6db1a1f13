"""The hot loops of scoring; their plain NumPy twins are the oracles of the tests.

All floats here are exact: potentials and logits are integers, gains are rounded to multiples of a power of two before
they are summed. Nothing is compiled with fastmath, so no multiply-add is contracted and no sum reordered.
"""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = [
    "flip_gains",
    "log_rows",
    "readout",
    "spikes",
    "top_gains",
]

_fast = jit


@_fast
def spikes(potentials, out, first, last):
    """``out[:, :-1] = potentials > 0`` as 0/1 floats; the last column, the bias input, is 1."""
    for n in range(first, last):
        z, h = potentials[n], out[n]
        for i in range(z.size):
            h[i] = 1 if z[i] > 0 else 0
        h[z.size] = 1


@_fast
def readout(logits, y, table, scale, step, margin, inverse_grid, grid, p, q, losses, wrong, first, last):
    """Softmax ``p``, score terms ``q`` of the logits, loss in nats and whether it is wrong, a sample.

    ``q`` is the exact change of the sample's loss when the logit moves by +-step, halved and a unit of logit:
    with t = log(1 + p (exp(s d) - 1)): q = (t(+d) - t(-d)) / (2 d) - s [k = y], rounded to the grid.
    """
    up, down = np.expm1(scale * step), np.expm1(-scale * step)
    for n in range(first, last):
        row, target = logits[n], y[n]
        best = 0
        for k in range(1, row.size):
            if row[k] > row[best]:
                best = k
        wrong[n] = best != target
        top = row[target] - margin
        for k in range(row.size):
            if k != target:
                top = max(top, row[k])
        total = 0.0
        for k in range(row.size):
            below = int(top - row[k]) + (margin if k == target else 0)
            value = table[below] if below < table.size else 0.0
            p[n, k] = value
            total += value
        for k in range(row.size):
            share = p[n, k] / total
            p[n, k] = share
            change = (np.log1p(share * up) - np.log1p(share * down)) / (2 * step)
            if k == target:
                change -= scale
            q[n, k] = np.rint(change * inverse_grid) * grid
        losses[n] = np.log(total) + scale * (top - row[target] + margin)


@_fast
def log_rows(x, bits):
    """In place, the natural logarithm of positive finite float32 ``x``; ``bits`` is ``x.view(int32)``.

    Cephes' logf: to about one unit in the last place, in plain multiplications and additions that vectorise and give
    the same bits on every machine, which a library's logarithm does not.
    """
    for i in range(x.size):
        b = bits[i]
        e = (b - np.int32(0x3F3504F3)) >> np.int32(23)  # mantissa into [sqrt(1/2), sqrt(2))
        bits[i] = b - (e << np.int32(23))
        m = x[i] - np.float32(1)
        p = np.float32(7.0376836292e-2)
        p = p * m + np.float32(-1.1514610310e-1)
        p = p * m + np.float32(1.1676998740e-1)
        p = p * m + np.float32(-1.2420140846e-1)
        p = p * m + np.float32(1.4249322787e-1)
        p = p * m + np.float32(-1.6668057665e-1)
        p = p * m + np.float32(2.0000714765e-1)
        p = p * m + np.float32(-2.4999993993e-1)
        p = p * m + np.float32(3.3333331174e-1)
        m2 = m * m
        f = np.float32(e)
        tail = m * m2 * p + f * np.float32(-2.12194440e-4) - np.float32(0.5) * m2
        x[i] = m + tail + f * np.float32(0.693359375)


def top_gains(z, h, p, y, on, off, target, curve, inverse_grid, grid, q, first, last):
    """Exact flip gain of every unit below the readout, times the slope of its noisy threshold, on the grid.

    on, off   (classes, H): exp(+s V), exp(-s V)
    target    (classes, H): s V
    curve     the slope at potentials -R .. R, zero at both ends

    Switching a unit on changes the loss by log(sum_k p_k on_k) - s V_y where it is off; where it is on already, having
    done so changed it by -log(sum_k p_k off_k) - s V_y. All of it is float32: the scale is refused where that is small.
    """
    # Allocated here and not in the compiled loop, which would take a third of a second longer to compile.
    value, other = np.empty((2, z.shape[1]), dtype=np.float32)
    tables = (on, off, target, curve)
    _top_gains(z, h, p, y, *tables, inverse_grid, grid, value, other, value.view(np.int32), q, first, last)


@_fast
def _top_gains(z, h, p, y, on, off, target, curve, inverse_grid, grid, value, other, bits, q, first, last):
    width = z.shape[1]
    reach = (curve.size - 1) // 2
    for n in range(first, last):
        for i in range(width):
            value[i] = 0
            other[i] = 0
        for k in range(p.shape[1]):
            share = np.float32(p[n, k])
            raised, lowered = on[k], off[k]
            for i in range(width):
                value[i] += share * raised[i]
                other[i] += share * lowered[i]
        row = h[n]
        for i in range(width):
            value[i] = other[i] if row[i] > 0 else value[i]
        log_rows(value, bits)
        own, potential, out = target[y[n]], z[n], q[n]
        for i in range(width):
            gain = (-value[i] if row[i] > 0 else value[i]) - own[i]
            at = np.int32(min(max(potential[i], -reach), reach)) + reach
            out[i] = np.rint(gain * curve[at] * inverse_grid) * grid


@_fast
def flip_gains(z, h, distance, weight, curve, inverse_grid, grid, q, first, last):
    """What ``top_gains`` does for a value: the exact change of half the squared error when a unit's spike is there.

    distance  (rows, 1): by how much the value is above the target;  ``weight`` (H,): what a spike adds to it
    """
    reach = (curve.size - 1) // 2
    for n in range(first, last):
        above, potential, row, out = np.float64(distance[n, 0]), z[n], h[n], q[n]
        for i in range(potential.size):
            own = np.float64(weight[i])
            half = -0.5 * own if row[i] > 0 else 0.5 * own
            at = np.int32(min(max(potential[i], -reach), reach)) + reach
            out[i] = np.rint(own * (above + half) * np.float64(curve[at]) * inverse_grid) * grid

"""The hot loops of the blocks gear; their plain NumPy twins are the oracles of the tests.

All floats here are exact: potentials and logits are integers, gains are rounded to multiples of a power of two before
they are summed. Nothing is compiled with fastmath, so no multiply-add is contracted and no sum reordered.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = [
    "add_average",
    "apply_moves",
    "gather_dense",
    "gather_sparse",
    "log_rows",
    "lower_gains",
    "price_spikes",
    "radix_histogram",
    "readout",
    "sparse_potentials",
    "sparse_scores",
    "spikes",
    "top_gains",
]

_fast = nb.njit(nogil=True, cache=True)


@_fast
def sparse_potentials(start, index, weights, out, first, last):
    """``out[first:last] = x @ weights`` of active lists; the last row of ``weights`` is the bias."""
    bias = weights[weights.shape[0] - 1]
    for n in range(first, last):
        z = out[n]
        for i in range(z.size):
            z[i] = bias[i]
        for e in range(start[n], start[n + 1]):
            row = weights[index[e]]
            for i in range(z.size):
                z[i] += row[i]


@_fast
def sparse_scores(start, index, q, out, first, last):
    """``out[:, first:last] = x.T @ q``, in strips of columns that stay in the cache."""
    n_in = out.shape[0] - 1
    for left in range(first, last, 64):
        right = min(left + 64, last)
        out[:, left:right] = 0
        bias = out[n_in, left:right]
        for n in range(q.shape[0]):
            gains = q[n, left:right]
            for e in range(start[n], start[n + 1]):
                row = out[index[e], left:right]
                for i in range(gains.size):
                    row[i] += gains[i]
            for i in range(gains.size):
                bias[i] += gains[i]


@_fast
def gather_sparse(start, index, rows, shifts, table):
    """Active lists of ``rows``, shifted; ``table`` is ``Inputs._columns``, its last row the image's size."""
    moved = table.shape[0] > 0
    size = 0
    for row in rows:
        size += start[row + 1] - start[row]
    out_start = np.empty(rows.size + 1, dtype=np.int64)
    out = np.empty(size, dtype=index.dtype)
    at = 0
    for n in range(rows.size):
        out_start[n] = at
        row = rows[n]
        if not moved:
            count = start[row + 1] - start[row]
            out[at : at + count] = index[start[row] : start[row + 1]]
            at += count
            continue
        height, width = table[table.shape[0] - 1]
        for e in range(start[row], start[row + 1]):
            r, c = table[index[e], 0] + shifts[n, 0], table[index[e], 1] + shifts[n, 1]
            if 0 <= r < height and 0 <= c < width:
                out[at] = index[e] + shifts[n, 0] * width + shifts[n, 1]
                at += 1
    out_start[rows.size] = at
    return out_start, out[:at]


@_fast
def gather_dense(x, rows, shifts, table, out):
    """``out[:, :-1]`` (zeros before) = the rows of ``x``, shifted; ``out[:, -1] = 1``."""
    moved = table.shape[0] > 0
    for n in range(rows.size):
        source = x[rows[n]]
        target = out[n]
        target[target.size - 1] = 1
        if not moved:
            for j in range(source.size):
                target[j] = source[j]
            continue
        height, width = table[table.shape[0] - 1]
        for j in range(source.size):
            if source[j]:
                r, c = table[j, 0] + shifts[n, 0], table[j, 1] + shifts[n, 1]
                if 0 <= r < height and 0 <= c < width:
                    target[j + shifts[n, 0] * width + shifts[n, 1]] = 1


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


@_fast
def top_gains(z, h, p, y, on, off, target, curve, inverse_grid, grid, q, first, last):
    """Exact flip gain of every unit below the readout, times the slope of its noisy threshold, on the grid.

    on, off   (classes, H): exp(+s V), exp(-s V)
    target    (classes, H): s V
    curve     the slope at potentials -R .. R, zero at both ends

    Switching a unit on changes the loss by log(sum_k p_k on_k) - s V_y where it is off; where it is on already, having
    done so changed it by -log(sum_k p_k off_k) - s V_y. All of it is float32: the scale is refused where that is small.
    """
    width = z.shape[1]
    reach = (curve.size - 1) // 2
    value = np.empty(width, dtype=np.float32)
    other = np.empty(width, dtype=np.float32)
    bits = value.view(np.int32)
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
def _move_gains(average, square, floor, level, moves, price):
    """What the moves up and down would gain: distance to the next level times normalised average, less the price.

    The average is in units of the root of the mean square, never below ``floor``; ``price`` is a nonzero weight's.
    """
    unit = np.sqrt(square) + floor
    ratio = average / unit
    up = -ratio * moves[0, level] - moves[2, level]
    down = ratio * moves[1, level] - moves[3, level]
    if price != 0:
        up -= moves[4, level] * price / unit
        down -= moves[5, level] * price / unit
    return up, down


@_fast
def add_average(average, square, score, keep, keep_square, share, floor, index, moves, price, benefit, first, last):
    """Running averages of the scores and of their squares, and what the better move of each weight would gain.

    Over flat arrays. ``share`` turns a score into a mean over samples.
    moves  (6, levels): distance up, distance down, price up, price down (a move that is not allowed has no gain left),
           nonzero weights more after a move up, after one down
    price  of a nonzero weight from each input (n_in,), in the scores' unit; empty where it is free
    """
    one = np.float32(1)
    width = benefit.size // price.size if price.size else 0
    for i in range(first, last):
        mean = score[i] * share
        a = keep * average[i] + (one - keep) * mean
        v = keep_square * square[i] + (one - keep_square) * mean * mean
        average[i] = a
        square[i] = v
        cost = price[i // width] if width else np.float32(0)
        up, down = _move_gains(a, v, floor, index[i], moves, cost)
        benefit[i] = max(up, down)


@_fast
def radix_histogram(bits, shift, prefix_shift, prefix, first, last):
    """Counts (4096,) of ``(bits >> shift) % 4096`` of positive ``bits`` whose ``bits >> prefix_shift`` is ``prefix``.

    A ``prefix_shift`` of 32 takes them all.
    """
    counts = np.zeros(4096, dtype=np.int64)
    for i in range(first, last):
        if bits[i] > 0 and (prefix_shift > 31 or bits[i] >> prefix_shift == prefix):
            counts[(bits[i] >> shift) & 4095] += 1
    return counts


@_fast
def apply_moves(weights, average, square, floor, index, moves, price, bits, levels, threshold, ties):
    """Move every weight whose benefit is above ``threshold`` and the first ``ties`` that equal it.

    See ``moves.select_largest``. A moved weight's average starts anew. Returns how many moved.
    """
    moved = 0
    width = bits.size // price.size if price.size else 0
    for i in range(bits.size):
        b = bits[i] >> 7
        if b < threshold or bits[i] <= 0:
            continue
        if b == threshold:
            if ties == 0:
                continue
            ties -= 1
        cost = price[i // width] if width else np.float32(0)
        up, down = _move_gains(average[i], square[i], floor, index[i], moves, cost)
        index[i] = index[i] + 1 if up > down else index[i] - 1
        weights[i] = levels[index[i]]
        average[i] = 0
        moved += 1
    return moved

"""The hot loops of moves in the blocks gear: averages of scores, the best of them, and weights that move.

Their plain NumPy twins are the oracles of the tests.
"""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = [
    "add_average",
    "apply_moves",
    "one_slot_each",
    "radix_histogram",
]

_fast = jit


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
def radix_histogram(bits, shift, prefix_shift, prefix, counts, first, last):
    """Add to ``counts`` (4096,) those of ``(bits >> shift) % 4096``, of positive ``bits`` whose
    ``bits >> prefix_shift`` is ``prefix``.

    A ``prefix_shift`` of 32 takes them all. Memory is the caller's: to compile an allocation takes a third of a second.
    """
    for i in range(first, last):
        if bits[i] > 0 and (prefix_shift > 31 or bits[i] >> prefix_shift == prefix):
            counts[(bits[i] >> shift) & 4095] += 1


@_fast
def one_slot_each(index, zero, slots, fixed, benefit):
    """Leave one slot of each synapse to move, in ``benefit`` (delays + 1, synapses): the others gain nothing.

    It is the one that is not at level ``zero``, else that of ``fixed`` (synapses,), or where that is empty the one
    that gains most.
    """
    for i in range(index.shape[1]):
        own = fixed[i] if fixed.size else 0
        for k in range(slots):
            if index[k, i] != zero:
                own = k
                break
            if fixed.size == 0 and benefit[k, i] > benefit[own, i]:
                own = k
        for k in range(slots):
            if k != own:
                benefit[k, i] = -1


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

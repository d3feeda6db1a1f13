"""The loops of ``compiled``, apart because they import numba. Without branches, so that they run on vectors."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["active", "counted", "feed_forward", "integrated", "recurrent", "traced"]

_fast = jit


@_fast
def _step(sums, u, v, waits, rules, hard, pauses, sent):
    """Take neurons one step on at ``sums`` (size,): u, v and what they wait for change, spikes go into ``sent``."""
    keeps_u, keeps_v, unit, bias, theta, least, refractory, end = rules
    for i in range(len(u)):
        # Cut off towards 0: a negative number is rounded up.
        current = ((u[i] * keeps_u[i] + ((u[i] >> 63) & 4095)) >> 12) + np.int64(sums[i]) * unit[i]
        # Round at the end, which is a power of two.
        current = end[i] - ((end[i] - current) & (2 * end[i] - 1))
        charge = ((v[i] * keeps_v[i] + ((v[i] >> 63) & 4095)) >> 12) + current + bias[i]
        charge = min(max(charge, 1 - end[i]), end[i] - 1)
        fired = charge >= least[i]
        after = (0 if hard else charge - theta[i]) if fired else charge
        u[i] = current
        if pauses:
            rests = waits[i] > 0
            fired = fired and not rests
            after = v[i] if rests else after
            waits[i] = refractory[i] if fired else max(waits[i] - 1, 0)
        v[i] = after
        sent[i] = fired


@_fast
def counted(sums, levels, out):
    """Write into ``out`` (rows, size) how many ``levels`` (k, size) the ``sums`` (rows, size) exceed."""
    rows, size = sums.shape
    for row in range(rows):
        arriving, sent = sums[row], out[row]
        sent[:] = 0
        for j in range(len(levels)):
            level = levels[j]
            for i in range(size):
                sent[i] += arriving[i] > level[i]


@_fast
def feed_forward(sums, rules, hard, pauses, out):
    """Write the spikes of all samples into ``out`` (n, steps, size)."""
    n, steps, size = sums.shape
    u, v, waits = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for sample in range(n):
        u[:], v[:], waits[:] = 0, 0, 0
        for step in range(steps):
            _step(sums[sample, step], u, v, waits, rules, hard, pauses, out[sample, step])


@_fast
def traced(sums, rules, hard, pauses, out, traces):
    """Write spikes as ``feed_forward`` does, and ``traces`` of that shape: 1 where u or v goes on, 2 where sums are not
    0.
    """
    n, steps, size = sums.shape
    u, v, waits = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    keeps_u = rules[0]
    for sample in range(n):
        u[:], v[:], waits[:] = 0, 0, 0
        for step in range(steps):
            arriving, trace = sums[sample, step], traces[sample, step]
            _step(arriving, u, v, waits, rules, hard, pauses, out[sample, step])
            for i in range(size):
                left = (v[i] != 0) | ((u[i] != 0) & (keeps_u[i] != 0))
                trace[i] = np.uint8(left) | (np.uint8(arriving[i] != 0) << 1)


@_fast
def integrated(sums, bias, theta, least, hard, out, traces):
    """Do what ``traced`` does for neurons without a leak whose v always fits in 32 bits: twice as many in a vector."""
    n, steps, size = sums.shape
    v = np.zeros(size, np.int32)
    for sample in range(n):
        v[:] = 0
        for step in range(steps):
            arriving, sent, trace = sums[sample, step], out[sample, step], traces[sample, step]
            for i in range(size):
                charge = np.int32(v[i] + np.int32(arriving[i]) + bias[i])
                fired = charge >= least[i]
                after = np.int32((0 if hard else np.int32(charge - theta[i])) if fired else charge)
                v[i] = after
                sent[i] = fired
                trace[i] = np.uint8(after != 0) | (np.uint8(arriving[i] != 0) << 1)


@_fast
def recurrent(sums, rules, hard, pauses, lags, starts, targets, weights, out):
    """Write the spikes of all samples into ``out``; those of a step add to the sums of a later one.

    ``starts`` (loops, size + 1): where the synapses of a source begin in ``targets`` and ``weights``.
    """
    n, steps, size = sums.shape
    u, v, waits = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    arriving = np.empty(size, np.int64)
    for sample in range(n):
        u[:], v[:], waits[:] = 0, 0, 0
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
            _step(arriving, u, v, waits, rules, hard, pauses, out[sample, step])


@_fast
def active(sums, reached, rules, hard, pauses, groups, out):
    """Add up in ``out`` (n - 1, steps, groups) the neurons that are active, from the second sample on."""
    n, steps, size = sums.shape
    u, v, waits = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    sent, left = np.zeros(size, np.uint8), np.zeros(size, np.bool_)
    keeps_u, bias = rules[0], rules[3]
    for sample in range(n):
        u[:], v[:], waits[:] = 0, 0, 0
        for step in range(steps):
            if sample:
                counts, met = out[sample - 1, step], reached[sample, step]
                if len(counts) == 1:
                    total = 0
                    for i in range(size):
                        total += np.int64(left[i] | met[i] | (bias[i] != 0))
                    counts[0] += total
                else:
                    for i in range(size):
                        counts[groups[i]] += np.int64(left[i] | met[i] | (bias[i] != 0))
            _step(sums[sample, step], u, v, waits, rules, hard, pauses, sent)
            for i in range(size):
                left[i] = (v[i] != 0) | ((u[i] != 0) & (keeps_u[i] != 0))

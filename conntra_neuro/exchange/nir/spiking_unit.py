"""How often single neurons, in Loihi's registers, send something else than they should."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["missed"]

_HALF = 2**23


@jit
def missed(sums, wanted, numbers, hard, most, refractory):
    """Return at how many steps each neuron is wrong, (units,), at ``sums`` (sequences, steps, units).

    wanted   what it should send, of the same shape
    numbers  (units, 7): bias; what a spike adds to the sum a step later, and two steps later; threshold and least v
             that spikes, in 64ths; what stays of u and of v, of 4096
    hard     whether v is 0 after a spike, instead of less by the threshold
    most     spikes that it sends in a step at most; ``refractory``: steps in which v does not move after one
    """
    count, steps, units = sums.shape
    off = np.zeros(units, np.int64)
    for o in range(units):
        bias, own, after, theta, least, keeps_u, keeps_v = numbers[o]
        for s in range(count):
            u, v, sent, before, waits = 0, 0, 0, 0, 0
            for t in range(steps):
                total = sums[s, t, o] + own * sent + after * before
                u = (u * keeps_u >> 12 if u >= 0 else -(-u * keeps_u >> 12)) + 64 * total
                u = _HALF - (_HALF - u) % (2 * _HALF)
                before, sent = sent, 0
                if waits > 0:
                    waits -= 1
                    off[o] += wanted[s, t, o] != 0
                    continue
                v = (v * keeps_v >> 12 if v >= 0 else -(-v * keeps_v >> 12)) + u + 64 * bias
                v = min(max(v, 1 - _HALF), _HALF - 1)
                while sent < most and v >= least + sent * theta:
                    sent += 1
                if sent:
                    v, waits = 0 if hard else v - sent * theta, refractory
                off[o] += sent != wanted[s, t, o]
    return off

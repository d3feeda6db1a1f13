"""Loihi's registers u and v, as integers of 24 bits with 6 binary places: their step, and bounds of it.

``x`` decayed by ``d`` of 4096 is ``sign(x) * (|x| * (4096 - d) >> 12)``, towards 0. u wraps round beyond 2^23, as in
Lava's fixed-point model of Loihi; v stops at +-(2^23 - 1). Silicon's own trace agrees: docs/time.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons.base import FORGETS, FRACTION_BITS, Bounds

__all__ = ["HALF", "bounded", "decayed", "stepped", "zeros"]

HALF = 2**23
"""u is above -HALF and at most HALF; v is below HALF in magnitude."""

_UNIT = 2**FRACTION_BITS
_SHIFT = 12

Register = npt.NDArray[np.int64]


def zeros(n: int, size: int) -> Register:
    """Return registers as a sample begins with them, (n, size)."""
    return np.zeros((n, size), np.int64)


def decayed(x: Register, keeps: Any) -> Register:
    """Return what is left of ``x`` where of 4096 parts ``keeps`` stay."""
    return np.sign(x) * (np.abs(x) * keeps >> _SHIFT)


def stepped(u: Register, v: Register, sums: Any, bias: Any, keeps_u: Any, keeps_v: Any) -> tuple[Register, Register]:
    """Return u and v one time step on, before a spike is decided; ``sums`` and ``bias`` in weight units."""
    u = decayed(u, keeps_u) + _UNIT * sums
    u = HALF - (HALF - u) % (2 * HALF)
    v = decayed(v, keeps_v) + u + _UNIT * np.asarray(bias, np.int64)  # biases of 32 bits would wrap round times 64
    return u, np.clip(v, 1 - HALF, HALF - 1)


def bounded(low: Bounds, high: Bounds, steps: int, current_decay: Any, voltage_decay: Any) -> tuple[Bounds, Bounds]:
    """Return what v can reach in ``steps`` time steps without a spike, in weight units, rounded away from 0.

    ``low`` and ``high`` (size,) are the least and the largest sum of a step. Decays are monotonic, so the bound of a
    step follows from that of the step before.
    """
    keeps_u, keeps_v = FORGETS - current_decay, FORGETS - voltage_decay
    found = []
    for extreme in (np.minimum(low, 0), np.maximum(high, 0)):
        u = v = furthest = np.zeros_like(extreme)
        for _ in range(steps):
            u_next = np.clip(decayed(u, keeps_u) + _UNIT * extreme, -(2**52), 2**52)
            v_next = np.clip(decayed(v, keeps_v) + u_next, -(2**52), 2**52)
            if np.array_equal(u_next, u) and np.array_equal(v_next, v):
                break
            u, v = u_next, v_next
            furthest = np.where(np.abs(v) > np.abs(furthest), v, furthest)
        found.append(np.sign(furthest) * -(-np.abs(furthest) // _UNIT))
    return found[0], found[1]

"""The compiled step of leaky neurons: the integers of ``Lif.advance``, forward and backward. Imported like ``steps``.

Registers are whole numbers of 24 bits, held as floats in which all of it is exact: a product of 24 and 12 bits, which
float32 could not hold, is taken in two halves. Derivatives are those of the same formulas without their rounding; of a
spike, a logistic curve's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from conntra_hardware.neurons import FORGETS, FRACTION_BITS, Lif, values
from conntra_neuro.training.backprop.steps import spike

__all__ = ["leak"]

_ONE = 1 << FRACTION_BITS
_HALF = 2.0**23  # of the range of a register


def leak(z: jax.Array, bias: jax.Array, loop: jax.Array | None, neuron: Lif, width: jax.Array, steps: int) -> jax.Array:
    """Return the spikes of synaptic sums ``z`` (n * steps, ..., channels), whole numbers, beside ``bias`` (channels,).

    ``loop`` (units, units): weights from each unit to each, whose spikes arrive a step later; None: there are none.
    ``width`` of the curve whose derivative stands for that of a spike, in thresholds. float32 takes sums below 2^17.
    """
    by_step = z.reshape(-1, steps, *z.shape[1:]).swapaxes(0, 1)
    theta = float(int(values(neuron.threshold)) * _ONE)
    least = theta + neuron.strict
    keeps_u, keeps_v = (FORGETS - int(values(d)) for d in (neuron.current_decay, neuron.voltage_decay))
    waiting = int(values(neuron.refractory))
    scale = (width * max(theta, _ONE)).astype(z.dtype)

    def step(state: Any, sums: jax.Array) -> tuple[Any, jax.Array]:
        u, v, sent, waits = state
        sums = sums if loop is None else sums + sent @ loop
        u = _wrapped(_left(u, keeps_u) + _ONE * sums)
        charged: jax.Array = jnp.clip(_left(v, keeps_v) + u + _ONE * bias, 1 - _HALF, _HALF - 1)
        v = jax.lax.select(waits > 0, v, charged) if waiting else charged
        fired = spike(v - (least - 0.5), scale)  # whole numbers: half below is never met
        fired = jnp.where(waits > 0, 0, fired) if waiting else fired
        known = jax.lax.stop_gradient(fired)
        v = v * (1 - known) if neuron.reset == "hard" else v - theta * known
        waits = jnp.where(known > 0, waiting, jnp.maximum(waits - 1, 0)) if waiting else waits
        return (u, v, fired, waits), fired

    none = jnp.zeros_like(by_step[0])
    # Not unrolled, which compiles for twice as long and runs no faster [measured: 240-128-10, 40 steps].
    _, spikes = jax.lax.scan(step, (none, none, none, none), by_step)
    return spikes.swapaxes(0, 1).reshape(z.shape)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _left(x: jax.Array, keeps: int) -> jax.Array:
    """Return what a decay leaves of whole numbers ``x``, up to 2^24: ``keeps`` 4096ths, cut off towards zero."""
    size = jnp.abs(x)
    high = jnp.floor(size / FORGETS)
    low = size - FORGETS * high
    return jnp.sign(x) * (high * keeps + jnp.floor(low * keeps / FORGETS))


@_left.defjvp
def _left_jvp(keeps: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _left(primals[0], keeps), tangents[0] * (keeps / FORGETS)


def _wrapped(u: jax.Array) -> jax.Array:
    """Return ``u`` as 24 bits hold it, from 1 - 2^23 to 2^23; it has wrapped once at most in float32."""
    if u.dtype == jnp.float64:
        wrapped = _HALF - jnp.mod(_HALF - u, 2 * _HALF)
    else:
        wrapped = u - 2 * _HALF * (u > _HALF) + 2 * _HALF * (u <= -_HALF)
    return u + jax.lax.stop_gradient(wrapped - u)

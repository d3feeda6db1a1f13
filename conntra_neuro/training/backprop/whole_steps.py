"""The compiled steps for neurons whose scale matters: the integer network that ships, forward and backward.

The forward pass computes the network's own integers, as floats in which they are exact; only the derivatives of its
steps are made up. Imported like ``steps``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from conntra_hardware.neurons import IntegrateAndFire, Lif, Neuron, Readout, row_for, values
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.backprop.folded_steps import potentials
from conntra_neuro.training.backprop.leaky_steps import leak
from conntra_neuro.training.backprop.steps import Tree, clipped_update, descent, one_slot_each, spike
from conntra_neuro.training.parameters import BIAS_LIMIT

__all__ = ["whole_activity", "whole_step"]

_READOUT = Readout()


def whole_activity(
    tree: Tree,
    x: jax.Array,
    levels: tuple[int, ...],
    width: jax.Array,
    arch: Architecture,
    units: Sequence[float],
    centred: bool,
) -> list[jax.Array]:
    """Return the inputs, and the outputs of every node, (n * steps, *shape), the last one the logits (n, classes).

    ``x`` (n * input_steps, *shape) in the type that all is computed in; ``units``: what a bias of 1 in ``tree`` is in
    units of potential, for each of its layers; ``width`` of the surrogate derivative, in units of a threshold;
    ``centred``: hidden biases are those in ``tree`` less the mean potential of the mini-batch, then rounded.
    """
    weights = [one_slot_each(t["weight"], levels, arch.delays_of(i)).astype(x.dtype) for i, t in enumerate(tree)]
    outputs = [x]
    repeats = arch.steps if arch.input_steps < arch.steps else 1
    for node in arch.nodes:
        z = potentials(outputs, weights, node, repeats, arch.steps)
        bias = jnp.zeros((), x.dtype)
        if node.index >= 0:
            bias = units[node.index] * tree[node.index]["bias"].astype(x.dtype)
            if centred and node.neuron != _READOUT:
                bias = bias - z.reshape(-1, z.shape[-1]).mean(axis=0)  # one axis: much faster than several
            bias = jnp.clip(_whole(bias), -BIAS_LIMIT, BIAS_LIMIT)
        if isinstance(node.neuron, Lif):
            loop = weights[node.loop] if node.loop >= 0 else None
            outputs.append(leak(z, bias, loop, node.neuron, width, arch.steps))
            continue
        z = z + bias
        outputs.append(z if node.neuron is None else _answer_of(node.neuron)(z, node.neuron, width))
    outputs[-1] = outputs[-1].reshape(-1, arch.steps, outputs[-1].shape[-1]).sum(axis=1)
    return outputs


@partial(jax.jit, static_argnames=("levels", "arch", "units", "centred"), donate_argnums=(0, 1))
def whole_step(
    tree: Tree,
    moments: Any,
    x: jax.Array,
    y: jax.Array,
    rate_weight: jax.Array,
    rate: jax.Array,
    width: jax.Array,
    *,
    levels: tuple[int, ...],
    arch: Architecture,
    units: tuple[float, ...],
    centred: bool,
) -> tuple[Tree, Any, jax.Array, jax.Array]:
    """One step of Adam on the integer network; as ``folded_steps.folded_step``."""

    def logits_of(tree: Tree) -> jax.Array:
        logits = whole_activity(tree, x, levels, width, arch, units, centred)[-1]
        return jnp.exp(tree[arch.nodes[-1].index]["log_scale"]) * logits

    update, moments, loss, wrong = descent(logits_of, tree, moments, y)
    return clipped_update(tree, update, rate_weight, rate, levels), moments, loss, wrong


def _whole(x: jax.Array) -> jax.Array:
    """Round ``x``; its derivative is taken to be 1."""
    return x + jax.lax.stop_gradient(jnp.rint(x) - x)


def _answer_of(neuron: Neuron) -> Callable[[jax.Array, Any, jax.Array], jax.Array]:
    return row_for(_ANSWERS, neuron, "backpropagation", "use method conntra")


@jax.custom_jvp
def _graded(z: jax.Array, scale: jax.Array, top: jax.Array) -> jax.Array:
    """What a graded neuron puts out, ``scale`` 2**-shift; its derivative is ``scale`` from 0 to the top."""
    return jnp.clip(jnp.floor(z * scale), 0, top)


@_graded.defjvp
def _graded_jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    z, scale, top = primals
    y = _graded(z, scale, top)
    return y, jnp.where((z > 0) & (y < top), scale, 0) * tangents[0]


def _integrate(z: jax.Array, neuron: IntegrateAndFire, width: jax.Array) -> jax.Array:
    """Return the spikes of potentials (n * steps, ...), backward through time with a surrogate derivative.

    A spike's derivative is that of a logistic curve in v about the threshold. The reset is a fact of the
    forward pass alone, for what it did is not differentiated [as good as if it were; docs/records/images.md].
    """
    by_step = z.reshape(-1, neuron.steps, *z.shape[1:]).swapaxes(0, 1)
    scale = (width * neuron.threshold).astype(z.dtype)

    def step(v: jax.Array, current: jax.Array) -> tuple[jax.Array, jax.Array]:
        v = v + current
        fired = spike(v - (values(neuron.threshold) - 0.5), scale)  # whole numbers: half below is never met
        known = jax.lax.stop_gradient(fired)
        return v * (1 - known) if neuron.reset == "hard" else v - neuron.threshold * known, fired

    _, spikes = jax.lax.scan(step, jnp.zeros_like(by_step[0]), by_step, unroll=min(neuron.steps, 16))
    return spikes.swapaxes(0, 1).reshape(z.shape)


# By the form of a neuron's facts. A threshold is that of a maximum here, whose spikes are 0 or 1 already.
_ANSWERS: dict[str, Callable[[jax.Array, Any, jax.Array], jax.Array]] = {
    "readout": lambda z, neuron, width: z,
    "threshold": lambda z, neuron, width: z,
    "graded": lambda z, neuron, width: _graded(
        z, jnp.asarray(0.5 ** values(neuron.shift), z.dtype), jnp.asarray(values(neuron.ceiling), z.dtype)
    ),
    "integrating": _integrate,
}

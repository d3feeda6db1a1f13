"""The compiled steps of backpropagation: of the folded network, and of the real-valued one; imported like ``steps``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.backprop.steps import (
    Tree,
    clipped_update,
    descent,
    normalised,
    plain_update,
    quantise,
    spike,
)

__all__ = ["folded_step", "linear", "potentials", "real_logits", "real_step"]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def linear(x: jax.Array, weight: jax.Array, geometry: Geometry | None) -> jax.Array:
    """Return ``x`` times ``weight``, dense (None) or as a convolution; biases apart."""
    if geometry is None:
        return x.reshape(len(x), -1) @ weight
    g = geometry
    kernel = weight.reshape(*g.kernel, g.kernel_shape[1], g.out_channels)
    if x.dtype == jnp.float64:
        return _place_by_place(x, kernel, g)
    padding = [(side, side) for side in g.padding]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        g.stride,
        padding,
        rhs_dilation=g.dilation,
        dimension_numbers=_LAYOUT,
        feature_group_count=g.groups,
    )


def _place_by_place(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """Return the convolution as a sum of matrix products: on the CPU XLA's own takes several times as long in float64.

    [measured: forward and backward of the three layers of docs/images.md's ImageNet network, 140 ms against 650]
    """
    padded = jnp.pad(x, ((0, 0), *((side, side) for side in g.padding), (0, 0)))
    shape = (*g.kernel, g.kernel_shape[1], g.groups, g.out_channels // g.groups)
    places = [
        jnp.einsum("nhwgc,cgo->nhwgo", seen.reshape(*seen.shape[:3], g.groups, -1), kernel.reshape(shape)[i, j])
        if g.groups > 1
        else seen @ kernel[i, j]
        for (i, j), seen in _places(padded, g)
    ]
    total = reduce(jnp.add, places)
    return total.reshape(*total.shape[:3], g.out_channels)


def _places(x: jax.Array, g: Geometry) -> Iterator[tuple[tuple[int, int], jax.Array]]:
    """Yield each place of a window, and what all windows have there; ``x`` is padded already."""
    (down, right), (rows, columns) = g.stride, g.output_shape[1:]
    for i, j in np.ndindex(*g.kernel):
        top, left = i * g.dilation[0], j * g.dilation[1]
        yield (i, j), x[:, top : top + down * (rows - 1) + 1 : down, left : left + right * (columns - 1) + 1 : right]


def _pooled(x: jax.Array, node: Node) -> jax.Array:
    """Return the largest, or the sum, of each window, place by place of the window: faster than reduce_window."""
    assert node.geometry is not None
    places = [seen for _, seen in _places(x, node.geometry)]
    return reduce(jnp.maximum if node.kind == "max" else jnp.add, places)


def potentials(
    outputs: list[jax.Array], weights: list[jax.Array], node: Node, repeats: int = 1, steps: int = 1
) -> jax.Array:
    """Return what ``node`` computes from ``outputs``, which begin with the inputs; biases apart.

    Inputs that stand for ``repeats`` time steps are given once: what comes of them is repeated, not computed again.
    A sample has ``steps`` rows, of inputs that are repeated by then.
    """

    def repeated(found: jax.Array, source: int) -> jax.Array:
        return jnp.repeat(found, repeats, axis=0) if source < 0 and repeats > 1 else found

    below = len(outputs) - 2
    if node.index < 0:
        return repeated(_pooled(outputs[-1], node), below)
    if node.delays:
        x = repeated(outputs[-1], below)
        return linear(_seen_late(x.reshape(len(x), -1), node.delays, steps), weights[node.index], None)
    z = repeated(linear(outputs[-1], weights[node.index], node.geometry), below)
    if node.skip is None:
        return z
    source = outputs[node.skip.source + 1]
    if node.skip.geometry is None:
        return z + repeated(node.skip.scale * source, node.skip.source)
    return z + repeated(linear(source, weights[node.skip.index], node.skip.geometry), node.skip.source)


def _seen_late(x: jax.Array, delays: int, steps: int) -> jax.Array:
    """``layers.delayed.seen_late``."""
    by_step = jnp.pad(x.reshape(-1, steps, x.shape[-1]), ((0, 0), (delays, 0), (0, 0)))
    parts = [by_step[:, delays - lag : delays - lag + steps] for lag in range(delays + 1)]
    return jnp.concatenate(parts, axis=2).reshape(len(x), -1)


def _discrete_logits(
    tree: Tree, x: jax.Array, levels: tuple[int, ...], width: jax.Array, arch: Architecture, normalise: bool
) -> Any:
    """Logits of the quantised network; with ``normalise`` its potentials normalised over samples and places."""
    weights = [quantise(layer["weight"], levels) for layer in tree]
    outputs = [x]
    for node in arch.nodes[:-1]:
        z = potentials(outputs, weights, node)
        if node.index >= 0:
            z = spike((normalised(z) if normalise else z) + tree[node.index]["bias"], width)
        outputs.append(z)
    last = tree[arch.nodes[-1].index]
    bias = last["bias"] + jax.lax.stop_gradient(jnp.rint(last["bias"]) - last["bias"])
    return jnp.exp(last["log_scale"]) * (linear(outputs[-1], weights[arch.nodes[-1].index], None) + bias)


@partial(jax.jit, static_argnames=("levels", "arch", "normalise"), donate_argnums=(0, 1))
def folded_step(
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
    normalise: bool,
) -> tuple[Tree, Any, jax.Array, jax.Array]:
    """One step of Adam on the quantised network: new parameters and moments, sum of losses, number of errors.

    Images ``x`` (n, *shape) lie channel last.
    """

    update, moments, loss, wrong = descent(
        lambda t: _discrete_logits(t, x, levels, width, arch, normalise), tree, moments, y
    )
    return clipped_update(tree, update, rate_weight, rate, levels), moments, loss, wrong


@partial(jax.jit, static_argnames=("arch",))
def real_logits(tree: Tree, x: jax.Array, *, arch: Architecture) -> jax.Array:
    """Logits of the real-valued network: rectified linear units, sums of windows as their means."""
    weights = [layer["weight"] for layer in tree]
    outputs = [x]
    for node in arch.nodes[:-1]:
        z = potentials(outputs, weights, node)
        if node.index >= 0:
            z = jax.nn.relu(z + tree[node.index]["bias"])
        elif node.kind == "sum":
            assert node.geometry is not None
            z = 1 / (node.geometry.kernel[0] * node.geometry.kernel[1]) * z
        outputs.append(z)
    last = arch.nodes[-1]
    return linear(outputs[-1], weights[last.index], None) + tree[last.index]["bias"]


@partial(jax.jit, static_argnames=("arch",), donate_argnums=(0, 1))
def real_step(
    tree: Tree, moments: Any, x: jax.Array, y: jax.Array, rate: jax.Array, *, arch: Architecture
) -> tuple[Tree, Any, jax.Array, jax.Array]:
    """One step of Adam on the real-valued network; as ``folded_step``."""

    update, moments, loss, wrong = descent(lambda t: real_logits(t, x, arch=arch), tree, moments, y)
    return plain_update(tree, update, rate), moments, loss, wrong

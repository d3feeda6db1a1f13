"""What compiled steps of backpropagation are made of. Imports JAX: load it through ``load.load_steps``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

__all__ = [
    "EPSILON",
    "Tree",
    "clipped_update",
    "descent",
    "double_precision",
    "leaves",
    "normalised",
    "plain_update",
    "quantise",
    "restored",
    "spike",
    "start",
]

EPSILON = 1e-3
_MOST_STEPS = 32  # level sets larger than this are searched, not summed over

Tree = list[dict[str, Any]]
_adam = optax.scale_by_adam()


def double_precision() -> AbstractContextManager[Any]:
    """Return the context in which JAX computes in float64."""
    if hasattr(jax, "enable_x64"):  # from JAX 0.8 on
        switch: Any = jax
        return switch.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


def start(layers: Sequence[Mapping[str, Any]]) -> tuple[Tree, Any]:
    """Return parameters and optimiser state from NumPy arrays, in their precision."""
    tree = [{name: jnp.asarray(value) for name, value in layer.items()} for layer in layers]
    return tree, _adam.init(tree)


def leaves(tree: Any) -> list[np.ndarray]:
    """Return the arrays of a tree, in its order."""
    return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(tree)]


def restored(tree: Any, values: Sequence[np.ndarray]) -> Any:
    """Return a tree like ``tree`` with other values; files may have made an array of one element of a number."""
    like = jax.tree_util.tree_leaves(tree)
    found = [jnp.asarray(v, leaf.dtype).reshape(leaf.shape) for leaf, v in zip(like, values, strict=True)]
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(tree), found)


def quantise(latent: jax.Array, levels: tuple[int, ...]) -> jax.Array:
    """Return the level nearest to each ``latent``, in units of the largest magnitude; gradients pass through."""
    unit = float(max(abs(levels[0]), abs(levels[-1])))
    values = latent * unit
    middles = [(a + b) / 2 for a, b in pairwise(levels)]
    if len(levels) <= _MOST_STEPS:
        nearest = jnp.full_like(values, levels[0])
        for below, above, middle in zip(levels[:-1], levels[1:], middles, strict=True):
            nearest = nearest + (above - below) * (values > middle)
    else:
        nearest = jnp.asarray(levels, values.dtype)[jnp.searchsorted(jnp.asarray(middles, values.dtype), values)]
    return values + jax.lax.stop_gradient(nearest - values)


@jax.custom_jvp
def spike(z: jax.Array, width: jax.Array) -> jax.Array:
    """1 where z > 0; its derivative is taken to be that of a logistic curve of scale ``width``."""
    return (z > 0).astype(z.dtype)


@spike.defjvp
def _spike_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    z, width = primals
    p = jax.nn.sigmoid(z / width)
    return spike(z, width), p * (1 - p) / width * tangents[0]


def normalised(z: jax.Array) -> jax.Array:
    """Return ``z`` (..., units) with mean 0 and variance 1 over all but the last axis."""
    flat = z.reshape(-1, z.shape[-1])  # XLA sums over one axis three times as fast as over three
    away = flat - flat.mean(axis=0)
    return (away / jnp.sqrt((away * away).mean(axis=0) + EPSILON)).reshape(z.shape)


def descent(
    logits_of: Callable[[Tree], jax.Array], tree: Tree, moments: Any, y: jax.Array
) -> tuple[Any, Any, jax.Array, jax.Array]:
    """Return Adam's update of ``tree``, its new moments, the sum of the losses of ``y``, the number of errors.

    ``y`` are class indices; floats are values, in standard deviations, whose loss is half the squared error.
    """

    def objective(tree: Tree) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        logits = logits_of(tree)
        if jnp.issubdtype(y.dtype, jnp.floating):
            halves = jnp.square(logits[:, 0] - y) / 2
            return halves.mean(), (halves.sum(), jnp.zeros((), jnp.int32))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return losses.mean(), (losses.sum(), (logits.argmax(axis=1) != y).sum())

    gradient, (loss, wrong) = jax.grad(objective, has_aux=True)(tree)
    update, moments = _adam.update(gradient, moments)
    return update, moments, loss, wrong


def plain_update(tree: Tree, changes: Any, rate: jax.Array) -> Tree:
    """Return ``tree`` less ``rate`` times ``changes``."""
    return jax.tree_util.tree_map(lambda value, change: value - rate * change, tree, changes)


def clipped_update(tree: Tree, changes: Any, rate_weight: jax.Array, rate: jax.Array, levels: tuple[int, ...]) -> Tree:
    """Return ``tree`` less the rates times ``changes``; latent weights stay in the levels' range."""
    unit = float(max(abs(levels[0]), abs(levels[-1])))
    low, high = levels[0] / unit, levels[-1] / unit

    def moved(name: str, value: jax.Array, change: jax.Array) -> jax.Array:
        # A latent weight outside the levels would be out of the gradient's reach for a long time.
        return jnp.clip(value - rate_weight * change, low, high) if name == "weight" else value - rate * change

    return [
        {name: moved(name, value, change[name]) for name, value in layer.items()}
        for layer, change in zip(tree, changes, strict=True)
    ]

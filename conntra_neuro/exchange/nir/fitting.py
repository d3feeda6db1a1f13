"""Whole weights of spiking neurons, chosen on data by what they do to the potentials.

What a neuron's v would be without spikes is its weights times the traces of its inputs, which leak as v does. Whole
weights, and a scale, are looked for whose sums with the traces of what the integer layers before really send come
nearest to that of the float weights with the float ones; so errors of earlier layers are taken back where they can be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.relu.fit import Fitted, Moments, fitted, moments

__all__ = ["Seen", "by_weights_alone", "on_data"]

Array = npt.NDArray[np.float64]
_ROWS = 6_000
_REACH = float((2**23 - 1) >> 6)
_MANY = 8  # different decays in a layer, beyond which all take the one in the middle
_BOUND = 0.9 * 4095.0


@dataclass(frozen=True, eq=False)
class Seen:
    """What a layer takes, (n, steps, inputs), in the float simulation and in the integer network so far."""

    exact: Array
    integers: Array


def by_weights_alone(rows: Array, most: int, cap: Array, shared: bool) -> Fitted:
    """Return weights up to ``most`` nearest to ``rows`` (units, inputs), with scales up to ``cap`` (units,).

    ``shared``: one scale for all.
    """
    units, k = rows.shape
    square = (rows**2).sum(axis=1)
    m = Moments(np.eye(k), rows.T, np.zeros(k), np.zeros(units), np.maximum(square, 1e-30), rows)
    return fitted(m, most, np.ones(k), _REACH, _BOUND / cap, 4095.0, shared, descend=False)


def on_data(
    rows: Array,
    seen: Seen,
    geometry: Geometry | None,
    stays: tuple[Array, Array],
    most: int,
    cap: Array,
    shared: bool,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Return whole weights (units, inputs), scales (units,), and what biases are off by, in whole units of a step.

    rows    float weights of a unit, of a convolution of a channel; ``geometry`` with groups has to be None
    stays   shares of u and v of each unit that stay after a step, (units,)
    cap     the largest scale of each unit
    """
    weight, scale, missing = np.empty_like(rows), np.empty(len(rows)), np.zeros(len(rows))
    keys = np.stack([np.round(part, 3) for part in stays], axis=1)
    kinds, which = np.unique(keys, axis=0, return_inverse=True)
    if len(kinds) > _MANY or shared:
        kinds, which = np.median(keys, axis=0)[None], np.zeros(len(rows), np.int64)
    for number, (u, v) in enumerate(kinds):
        units = np.flatnonzero(which.ravel() == number)
        exact, integers, steps = _samples(seen, geometry, (float(u), float(v)), rng)
        z = exact @ rows[units].T
        m = moments(integers, z, rows[units])
        found = fitted(m, most, np.ones(rows.shape[1]), _REACH, _BOUND / cap[units], 4095.0, shared)
        weight[units], scale[units] = found.weight, found.scale
        ones = _leaky(np.ones((1, seen.exact.shape[1], 1)), (0.0, float(v)))[0, steps, 0]
        left = found.scale * z - integers @ found.weight.T
        missing[units] = ones @ left / (ones @ ones)
    return weight, scale, missing


def _samples(
    seen: Seen, geometry: Geometry | None, stays: tuple[float, float], rng: np.random.Generator
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return traces (rows, inputs of a unit) of some samples, steps and places, and the rows' steps."""
    n, steps, _ = seen.exact.shape
    places = 1 if geometry is None else geometry.positions
    chosen = rng.permutation(n)[: max(1, min(n, 4 * _ROWS // steps + 1))]
    pairs = rng.permutation(len(chosen) * steps)[: max(1, _ROWS if geometry is None else 3 * _ROWS // places + 1)]
    found = []
    for x in (seen.exact, seen.integers):
        traces = _leaky(x[chosen], stays).reshape(len(chosen) * steps, -1)[pairs]
        found.append(traces if geometry is None else geometry.columns(traces)[0])
    at = np.repeat(pairs % steps, places)
    rows = rng.permutation(len(at))[:_ROWS]
    return found[0][rows], found[1][rows], at[rows]


def _leaky(x: Array, stays: tuple[float, float]) -> Array:
    """Return v (n, steps, inputs) of neurons that never spike, with a current where its share that stays is above 0."""
    out = np.empty(x.shape)
    u = v = np.zeros((len(x), x.shape[2]))
    for step in range(x.shape[1]):
        u = u * stays[0] + x[:, step]
        v = v * stays[1] + u
        out[:, step] = v
    return out

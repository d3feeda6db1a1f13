"""Integer weights whose sums are nearest to those of a layer in floating point, on data.

For one unit, whole weights w, a bias b and a scale a (integers to a float unit) are looked for such that (w x + b) / a
is nearest to the float sums z, in the mean square over samples x of integers. b follows from the means; a from w; and w
is moved one weight after the other to the whole number that is best given all others, until none moves: the same
coordinate descent over levels as CoNNTrA's, here on a quadratic form, so that no sample is looked at twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit

__all__ = ["Fitted", "Moments", "fitted", "moments"]

Array = npt.NDArray[np.float64]
_SWEEPS, _ROUNDS = 12, 3
_RIDGE = 0.01  # of the mean variance of an input: what data do not say is left near the float weights
_CANDIDATES = 16
_LARGEST = 4096  # inputs of a unit, beyond which the quadratic form is too large: weights are rounded


@dataclass(frozen=True, eq=False)
class Moments:
    """What the fit needs of data: ``form`` (k, k) of inputs, ``cross`` (k, units) with the sums, means of both, the
    sums' variances ``spread`` (units,), and the float ``weight`` (units, k) by which the inputs would be multiplied.

    A ridge is added to form, cross and spread: it draws weights towards the float ones.
    """

    form: Array
    cross: Array
    mean_x: Array
    mean_z: Array
    spread: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class Fitted:
    """``weight`` (units, k), whole; ``scale`` (units,); ``bias`` (units,) not rounded; ``error`` (units,): the mean
    square of what is missed, as a share of the sums' variance.
    """

    weight: Array
    scale: Array
    bias: Array
    error: Array


def moments(x: npt.NDArray[Any], z: npt.NDArray[Any], weight: Array) -> Moments:
    """Return the moments of inputs (n, k) and sums (n, units)."""
    x, z = x.astype(np.float64), z.astype(np.float64)
    mean_x, mean_z = x.mean(axis=0), z.mean(axis=0)
    n, k = x.shape
    if k > _LARGEST:
        form = np.diag(x.var(axis=0))
        cross = form @ weight.T
    else:
        form = x.T @ x / n - np.outer(mean_x, mean_x)
        cross = x.T @ z / n - np.outer(mean_x, mean_z)
    ridge = _RIDGE * max(float(np.diag(form).mean()), 1e-12)
    cross = cross + ridge * weight.T
    form = form + ridge * np.eye(k)
    spread = z.var(axis=0) + ridge * (weight**2).sum(axis=1)
    return Moments(form, cross, mean_x, mean_z, spread, weight)


def fitted(
    m: Moments,
    most: int,
    largest: Array,
    limit: float,
    bias: Array,
    bias_limit: float,
    shared: bool,
    descend: bool = True,
) -> Fitted:
    """Return whole weights from -``most`` to ``most``, sums of which with inputs up to ``largest`` (k,) stay within
    ``limit``, and biases, about ``bias`` (units,) float units, within ``bias_limit``.

    ``shared``: one scale for all units, as logits need; ``descend`` False: the best rounding alone.
    """
    bias = np.abs(bias - bias.mean() if shared else bias)
    top = np.maximum(np.abs(m.weight).max(axis=1), 1e-30)
    reach = np.maximum(np.maximum(m.weight, 0) @ largest, np.maximum(-m.weight, 0) @ largest)
    allowed = np.minimum(0.98 * limit / np.maximum(reach + bias, 1e-30), 0.9 * bias_limit / np.maximum(bias, 1e-30))
    start = np.minimum(most / top, allowed)
    widest = np.minimum(np.maximum(_clipping(m.weight, most), 1.0), allowed / start)
    if shared:
        start, widest = np.full_like(start, start.min()), np.full_like(widest, widest.min())
    best = None
    for step in range(_CANDIDATES):
        scale = start * widest ** (step / (_CANDIDATES - 1))
        w = np.clip(np.rint(m.weight * scale[:, None]), -most, most)
        scale, error = _scaled(m, w, shared, scale)
        error = np.full_like(error, error.mean()) if shared else error
        if best is None:
            best = [w, scale, error]
        else:
            better = error < best[2]
            w = np.where(better[:, None], w, best[0])
            best = [w, np.where(better, scale, best[1]), np.where(better, error, best[2])]
    assert best is not None
    w, scale = best[0], best[1]
    if descend and m.form.shape[0] <= _LARGEST:
        w, scale = _descended(m, w, scale, most, shared, largest, limit - 1.05 * bias * scale)
    _, error = _scaled(m, w, shared, scale)
    bias = scale * m.mean_z - w @ m.mean_x
    return Fitted(w, scale, bias, error)


def _clipping(weight: Array, most: int) -> Array:
    """Return by how much a scale may exceed the one at which the largest weight is just held."""
    top = np.abs(weight).max(axis=1)
    usual = np.abs(weight).mean(axis=1)
    return np.maximum(top / np.maximum(usual, 1e-30) / (2 if most == 1 else most**0.5), 1.0)


def _scaled(m: Moments, w: Array, shared: bool, otherwise: Array) -> tuple[Array, Array]:
    """Return the best scale of whole weights, and the share of the variance that is missed then."""
    along = np.einsum("ok,ko->o", w, m.cross)
    square = np.einsum("ok,ok->o", w @ m.form, w)
    if shared:
        along, square = np.full_like(along, along.sum()), np.full_like(square, square.sum())
    good = (along > 0) & (square > 0)
    scale = np.where(good, square / np.where(good, along, 1), otherwise)
    return scale, _missed(m, w, scale)


def _missed(m: Moments, w: Array, scale: Array) -> Array:
    v = w / scale[:, None]
    along = np.einsum("ok,ko->o", v, m.cross)
    square = np.einsum("ok,ok->o", v @ m.form, v)
    return (m.spread - 2 * along + square) / np.maximum(m.spread, 1e-12)


def _descended(
    m: Moments, w: Array, scale: Array, most: int, shared: bool, largest: Array, limit: Array
) -> tuple[Array, Array]:
    w = np.ascontiguousarray(w)
    for _ in range(_ROUNDS):
        _descend(m.form, np.ascontiguousarray(m.cross.T), w, scale, float(most), largest, limit, _SWEEPS)
        scale, _ = _scaled(m, w, shared, scale)
    return w, scale


@jit
def _descend(form, cross, w, scale, most, largest, limit, sweeps):
    """Move each weight to the whole number that is best given the others; none is moved beyond ``limit``."""
    units, k = w.shape
    for o in range(units):
        g = form @ w[o]
        up, down = 0.0, 0.0
        for j in range(k):
            up += max(w[o, j], 0.0) * largest[j]
            down += max(-w[o, j], 0.0) * largest[j]
        for _ in range(sweeps):
            moved = 0
            for j in range(k):
                h = form[j, j]
                before = w[o, j]
                wanted = np.rint((scale[o] * cross[o, j] - g[j]) / h + before)
                new = min(max(wanted, -most), most)
                if new == before:
                    continue
                more = (max(new, 0.0) - max(before, 0.0)) * largest[j]
                less = (max(-new, 0.0) - max(-before, 0.0)) * largest[j]
                if (more > 0 and up + more > limit[o]) or (less > 0 and down + less > limit[o]):
                    continue
                up += more
                down += less
                w[o, j] = new
                for i in range(k):
                    g[i] += form[i, j] * (new - before)
                moved += 1
            if moved == 0:
                break

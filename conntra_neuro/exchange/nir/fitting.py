"""Whole weights of spiking neurons, chosen on data by what they do to the potentials.

What a neuron's v would be without spikes is its weights times the traces of its inputs, which leak as v does. Whole
weights are looked for whose sums with the traces of what the integer layers before really send come nearest to that of
the float weights with the float ones; so errors of earlier layers are taken back where they can be. Those of the float
weights with the same integer spikes are aimed at, too: an input that is off by a step draws weights towards 0. Of both,
and of the nearest weights, each neuron takes what sends the right spikes on samples that it was not fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_hardware.neurons import FORGETS
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.nir.spiking_unit import missed
from conntra_neuro.exchange.relu.fit import Fitted, Moments, fitted, moments

__all__ = ["Fit", "Seen", "Units", "by_weights_alone", "fitted_units", "nearest", "on_data"]

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
_ROWS = 25_000
_REACH = float((2**23 - 1) >> 6)
_MANY = 8  # different decays in a layer, beyond which all take the one in the middle
_BOUND = 0.9 * 4095.0
_CANDIDATES, _DESCENDED = 400, 6
_NARROWEST = 0.55  # of the scale at which the largest weight is just held: what smaller ones may gain by rounding
_RIDGE, _SWEEPS = 0.01, 12
_LARGEST = 4096  # inputs of a unit, beyond which the quadratic form is too large
_VALUES, _SEQUENCES = 12_000_000, 600


@dataclass(frozen=True, eq=False)
class Seen:
    """What a layer takes, (n, steps, inputs), in the float simulation and in the integer network so far, and what it
    sends in the float simulation, (n, steps, size). ``others``: what convolutions take beside the first, and their
    geometries.
    """

    exact: Array
    integers: Array
    sent: Array
    others: tuple[tuple[Array, Array, Geometry], ...] = ()


@dataclass(frozen=True, eq=False)
class Units:
    """Neurons that spike, of a convolution its channels, in floating point.

    rows       weights of their inputs (units, inputs); ``step`` (inputs,): whole weights are multiples of it, and at
               most ``most`` (inputs,) of them
    threshold  (units,), as are all that follow; ``cap``: the largest scale; ``bias``: what is added to v at a step
    own        what a spike adds to the neuron's own sum a step later, and ``after`` two steps later; whole multiples of
               ``own_step``
    stays_u    share of u that stays after a step; ``stays_v`` of v
    multiple   whole thresholds are multiples of it
    constants  inputs that spike at every step: v takes up what is missed by them
    spikes     the most that a neuron sends in a step; ``refractory``: steps in which v does not move after one
    """

    rows: Array
    step: Array
    most: Array
    threshold: Array
    cap: Array
    bias: Array
    own: Array
    after: Array
    own_step: int
    stays_u: Array
    stays_v: Array
    multiple: int
    strict: bool
    hard: bool
    constants: tuple[int, ...] = ()
    spikes: int = 1
    refractory: int = 0

    def rounded(self, scale: Array) -> Array:
        """Return the nearest whole weights at ``scale`` (units,)."""
        return self.step * np.clip(np.rint(self.rows * scale[:, None] / self.step), -self.most, self.most)

    def scales(self) -> Array:
        """Return scales to try, (units, candidates), at which thresholds are whole."""
        held = np.max(np.abs(self.rows) / (self.step * self.most), axis=1)
        usual = np.mean(np.abs(self.rows) / self.step, axis=1)
        start = np.minimum(1 / np.maximum(held, 1e-30), self.cap)
        most = self.most.max()
        clipped = held * most / np.maximum(usual, 1e-30) / (2 if most == 1 else most**0.5)
        widest = np.minimum(start * np.maximum(np.where(usual > 0, clipped, 1), 1), self.cap)
        unit = self.multiple / self.threshold
        high = np.maximum(np.floor(widest / unit), 1)
        low = np.minimum(np.maximum(np.ceil(_NARROWEST * start / unit), 1), high)
        share = np.linspace(0, 1, _CANDIDATES)
        return np.rint(low[:, None] + (high - low)[:, None] * share) * unit[:, None]


@dataclass(frozen=True, eq=False)
class Fit:
    """Whole ``weight`` (units, inputs); ``scale`` (units,); ``missing`` (units,): what biases are off by, whole."""

    weight: Array
    scale: Array
    missing: Array

    def where(self, chosen: npt.NDArray[np.bool_], other: Fit) -> Fit:
        """Return ``other`` at the ``chosen`` units, and this elsewhere."""
        return Fit(
            np.where(chosen[:, None], other.weight, self.weight),
            np.where(chosen, other.scale, self.scale),
            np.where(chosen, other.missing, self.missing),
        )

    def error(self, units: Units) -> Array:
        """Return the mean square by which weights are off, as a share of theirs, (units,)."""
        off = ((units.rows - self.weight / self.scale[:, None]) ** 2).sum(axis=1)
        return off / np.maximum((units.rows**2).sum(axis=1), 1e-30)


def nearest(units: Units) -> Fit:
    """Return the whole weights that are nearest to the float ones, by the scale at which they are."""
    weights = np.ones(units.rows.shape[1])
    weights[list(units.constants)] = 0
    found = _best_rounded(units, units.scales(), weights)[0]
    for column in units.constants:
        off = units.rows[:, column] * found.scale - found.weight[:, column]
        found = replace(found, missing=found.missing + off / np.maximum(1 - units.stays_u, 1e-12))
    return found


def _best_rounded(units: Units, scales: Array, weights: Array, count: int = 1) -> list[Fit]:
    """Return the ``count`` best of ``scales`` by the squares of rounding errors times ``weights`` (inputs,)."""
    errors = np.empty(scales.shape)
    for column in range(scales.shape[1]):
        off = units.rows - units.rounded(scales[:, column]) / scales[:, column, None]
        errors[:, column] = off**2 @ weights
    order = np.argsort(errors, axis=1, kind="stable")[:, :count]
    found = []
    for column in order.T:
        scale = np.take_along_axis(scales, column[:, None], axis=1)[:, 0]
        found.append(Fit(units.rounded(scale), scale, np.zeros(len(scale))))
    return found


def fitted_units(units: Units, seen: Seen | None, geometry: Geometry | None, back: bool, seed: int) -> Fit:
    """Return whole weights of ``units``: on what is ``seen``, else the nearest.

    ``back``: the last inputs, as many as units, are their own spikes of the step before.
    """
    plain = nearest(units)
    if seen is None or len(seen.exact) < 2 or units.rows.shape[1] > _LARGEST:
        return plain
    rng = np.random.default_rng(seed)
    found = plain
    kinds = [1 if geometry is None else geometry.groups, *(other.groups for *_, other in seen.others)]
    groups = max(kinds)
    if any(groups % kind for kind in kinds):
        return plain
    size = len(units.rows) // groups
    for group in range(groups):
        among = slice(group * size, (group + 1) * size)
        some = _Sequences(seen, geometry, group, groups, among, back, rng)
        part = _taken(units, among)
        best = Fit(plain.weight[among], plain.scale[among], plain.missing[among])
        least = some.missed(part, best)
        for exact in (some.integers, some.exact):
            fit = _on_traces(part, some.integers[some.fitted], exact[some.fitted], rng)
            off = some.missed(part, fit)
            best, least = best.where(off < least, fit), np.minimum(least, off)
        found = Fit(
            *(
                np.concatenate([a[: among.start], b, a[among.stop :]])
                for a, b in zip(_parts(found), _parts(best), strict=True)
            )
        )
    return found


def _parts(fit: Fit) -> tuple[Array, Array, Array]:
    return fit.weight, fit.scale, fit.missing


def _taken(units: Units, among: slice | Whole) -> Units:
    names = ("rows", "threshold", "cap", "bias", "own", "after", "stays_u", "stays_v")
    return replace(units, **{name: getattr(units, name)[among] for name in names})


class _Sequences:
    """What units take, (sequences, steps, inputs), ``exact`` and ``integers``, and should send, (sequences, steps,
    units): of samples, and of images at some places. Three of four are ``fitted`` on.
    """

    def __init__(
        self,
        seen: Seen,
        geometry: Geometry | None,
        group: int,
        groups: int,
        among: slice,
        back: bool,
        rng: np.random.Generator,
    ) -> None:
        n, steps, _ = seen.exact.shape
        if geometry is None:
            rows = rng.permutation(n)[: max(2, _VALUES // (steps * seen.exact.shape[2]))]
            self.exact, self.integers = (x[rows].astype(np.float64) for x in (seen.exact, seen.integers))
            self.sent = seen.sent[rows][:, :, among]
        else:
            given = [(seen.exact, seen.integers, geometry), *seen.others]
            places, values = geometry.positions, sum(int(np.prod(g.kernel_shape[1:])) * g.groups for *_, g in given)
            rows = rng.permutation(n)[: max(2, _VALUES // (steps * places * values))]
            pairs = rng.permutation(len(rows) * places)[:_SEQUENCES]
            sample, place = pairs // places, pairs % places

            def columns(x: Array, g: Geometry) -> Array:
                of = g.columns(x[rows].reshape(len(rows) * steps, -1))[group * g.groups // groups]
                return of.reshape(len(rows), steps, places, -1)[sample, :, place].astype(np.float64)

            self.exact = np.concatenate([columns(exact, g) for exact, _, g in given], axis=2)
            self.integers = np.concatenate([columns(integers, g) for _, integers, g in given], axis=2)
            sent = seen.sent[rows].reshape(len(rows), steps, -1, places)
            self.sent = sent[sample, :, among, place]
            self.sent = np.ascontiguousarray(self.sent).reshape(len(sample), steps, -1)
        if back:
            before = np.zeros_like(self.sent)
            before[:, 1:] = self.sent[:, :-1]
            self.exact, self.integers = (np.concatenate([x, before], axis=2) for x in (self.exact, self.integers))
        self.fitted = np.arange(len(self.exact)) % 4 != 3

    def missed(self, units: Units, fit: Fit) -> Whole:
        """Return of each unit at how many steps it sends something else than it should, on what was not fitted on."""
        chosen = ~self.fitted
        sums = np.rint(self.integers[chosen] @ fit.weight.T).astype(np.int64)
        wanted = self.sent[chosen].astype(np.int64)
        scale = fit.scale
        theta = 64 * np.rint(scale * units.threshold)
        step = units.own_step
        numbers = np.stack(
            [
                np.rint(scale * units.bias + fit.missing),
                step * np.rint(scale * units.own / step),
                step * np.rint(scale * units.after / step),
                theta,
                theta + units.strict,
                FORGETS - np.rint(FORGETS * (1 - units.stays_u)),
                FORGETS - np.rint(FORGETS * (1 - units.stays_v)),
            ],
            axis=1,
        ).astype(np.int64)
        return missed(sums, wanted, numbers, units.hard, units.spikes, units.refractory)


def _on_traces(units: Units, integers: Array, exact: Array, rng: np.random.Generator) -> Fit:
    """Return weights whose sums with ``integers`` are nearest to those of the float weights with ``exact``."""
    found = nearest(units)
    keys = np.round(np.stack([units.stays_u, units.stays_v], axis=1), 3)
    kinds, which = np.unique(keys, axis=0, return_inverse=True)
    if len(kinds) > _MANY:
        kinds, which = np.median(keys, axis=0)[None], np.zeros(len(keys), np.int64)
    count, steps, inputs = integers.shape
    rows = rng.permutation(count * steps)[:_ROWS]
    for number, (u, v) in enumerate(kinds):
        among = np.flatnonzero(which.ravel() == number)
        traces = [_leaky(x, (float(u), float(v))).reshape(-1, inputs)[rows] for x in (integers, exact)]
        ones = _leaky(np.ones((1, steps, 1)), (0.0, float(v)))[0, rows % steps, 0]
        fit = _on_moments(_taken(units, among), traces[0], traces[1], ones)
        for whole, part in zip(_parts(found), _parts(fit), strict=True):
            whole[among] = part
    return found


def _on_moments(units: Units, x: Array, exact: Array, ones: Array) -> Fit:
    z = exact @ units.rows.T
    centred, target = x - x.mean(axis=0), z - z.mean(axis=0)
    form, cross = centred.T @ centred / len(x), target.T @ centred / len(x)
    ridge = _RIDGE * max(float(np.diag(form).mean()), 1e-12)
    form, cross = form + ridge * np.eye(len(form)), cross + ridge * units.rows
    best, least = nearest(units), np.full(len(units.rows), np.inf)
    for fit in _best_rounded(units, units.scales(), np.diag(form), _DESCENDED):
        weight = np.ascontiguousarray(fit.weight)
        _descend(form, cross, weight, fit.scale, units.step, units.most, _SWEEPS)
        v = weight / fit.scale[:, None]
        off = np.einsum("ok,ok->o", v @ form - 2 * cross, v)
        left = fit.scale * z - x @ weight.T
        better = off < least
        best = best.where(better, Fit(weight, fit.scale, ones @ left / (ones @ ones)))
        least = np.where(better, off, least)
    return best


@jit
def _descend(form, cross, w, scale, step, most, sweeps):
    """Move each weight to the multiple of its step that is best given the others."""
    units, k = w.shape
    for o in range(units):
        g = form @ w[o]
        for _ in range(sweeps):
            moved = 0
            for j in range(k):
                whole = np.rint(((scale[o] * cross[o, j] - g[j]) / form[j, j] + w[o, j]) / step[j])
                change = step[j] * min(max(whole, -most[j]), most[j]) - w[o, j]
                if change == 0:
                    continue
                w[o, j] += change
                for i in range(k):
                    g[i] += form[i, j] * change
                moved += 1
            if moved == 0:
                break


def by_weights_alone(rows: Array, most: int, cap: Array) -> Fitted:
    """Return weights up to ``most`` nearest to ``rows`` (units, inputs), of one scale for all, up to ``cap``."""
    units, k = rows.shape
    square = (rows**2).sum(axis=1)
    m = Moments(np.eye(k), rows.T, np.zeros(k), np.zeros(units), np.maximum(square, 1e-30), rows)
    return fitted(m, most, np.ones(k), _REACH, _BOUND / cap, 4095.0, True, descend=False)


def on_data(
    rows: Array, seen: Seen, stays: tuple[float, float], most: int, cap: Array, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return whole weights (units, inputs) of neurons that never spike, scales (units,), all the same, and what biases
    are off by, in whole units of a step.

    rows    float weights of a unit
    stays   shares of u and v that stay after a step
    cap     the largest scale of each unit
    """
    n, steps, inputs = seen.exact.shape
    chosen = rng.permutation(n)[: max(1, min(n, 4 * _ROWS // steps + 1))]
    pairs = rng.permutation(len(chosen) * steps)[:_ROWS]
    exact, integers = (_leaky(x[chosen], stays).reshape(-1, inputs)[pairs] for x in (seen.exact, seen.integers))
    z = exact @ rows.T
    found = fitted(moments(integers, z, rows), most, np.ones(inputs), _REACH, _BOUND / cap, 4095.0, True)
    ones = _leaky(np.ones((1, steps, 1)), (0.0, stays[1]))[0, pairs % steps, 0]
    left = found.scale * z - integers @ found.weight.T
    return found.weight, found.scale, ones @ left / (ones @ ones)


def _leaky(x: Array, stays: tuple[float, float]) -> Array:
    """Return v (n, steps, inputs) of neurons that never spike, with a current where its share that stays is above 0."""
    out = np.empty(x.shape)
    u = v = np.zeros((len(x), x.shape[2]))
    for step in range(x.shape[1]):
        u = u * stays[0] + x[:, step]
        v = v * stays[1] + u
        out[:, step] = v
    return out

"""From a float ReLU network to integers, layer by layer, on data.

Each layer is fitted on what the integer layers before it really send, so that it takes their errors back where it can.
Its sums get the largest scale that weights and registers leave; graded neurons shift them down to a few bits, as many
as serve the next layer best.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GRADED_MAX
from conntra_neuro.exchange.relu.codes import input_code
from conntra_neuro.exchange.relu.fit import Fitted, fitted, moments
from conntra_neuro.exchange.relu.integer import IntLayer, IntNet, largest_of
from conntra_neuro.exchange.relu.net import FloatLayer, FloatNet

__all__ = ["READ_LIMIT", "Fit", "Inputs", "Rounded", "calibrated", "held_bias", "with_constant"]

_ROWS, _TRIED = 12_000, 2_000  # samples and places that a layer is fitted on, and that decide how its inputs are
_BITS = (12, 10, 8, 7, 6, 5, 4, 3)  # of activations
READ_LIMIT = (2**23 - 1) >> 6  # a readout's register holds a weight of 1 as 2^6
_MANTISSA, _EXPONENT = 4095, 7  # of a bias

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rounded:
    """What became of a layer: ``scale``, integers of a sum to its float unit, from and to; ``weights`` there are and
    ``rounded`` ones; ``error``: of its sums, what the integers miss, root mean square, as a share of their spread;
    ``bits`` of what it sends (0: the readout), and ``clipped``, the share of activations above them in the data.
    """

    name: str
    scale: tuple[float, float]
    weights: int
    rounded: int
    error: float
    bits: int
    clipped: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "scale": list(self.scale)}


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a layer sees: whole numbers ``x`` (n, inputs), of channels worth ``step`` each and ``low`` at 0.

    ``largest`` (inputs,) in the proof of no overflow; a last channel of ``constant`` where that is above 0.
    """

    x: Array
    step: Array
    low: Array
    largest: Array
    constant: float = 0.0


def calibrated(
    net: FloatNet, features: Array, scale: float, bits: int = 8, seed: int = 0
) -> tuple[IntNet, list[Rounded]]:
    """Return ``net`` as integers of ``bits`` bits a weight, fitted on ``features`` (n, features), and what was rounded.

    Features are those of the data, which are divided by ``scale`` before they enter the graph.
    """
    rng, most = np.random.default_rng(seed), 2 ** (bits - 1) - 1
    code, step, low = input_code(net, features, scale)
    x = code.rows(features)
    largest = np.full(x.shape[1], 2.0**code.encoder.bits - 1)
    inputs = Inputs(x, step, low, largest, code.constant)
    activity = net.activity((features / scale).astype(np.float32))
    layers: list[IntLayer] = []
    notes: list[Rounded] = []
    for index, (layer, (targets, _)) in enumerate(zip(net.layers, activity, strict=True)):
        fit = Fit(layer, targets, most, index == len(net.layers) - 1, rng)
        if layers:
            sums = layers[-1].sums(inputs.x)
            inputs, layers[-1], notes[-1] = _sent(layers[-1], notes[-1], net.layers[index - 1], sums, fit)
        made, note = fit.result(inputs)
        layers.append(made)
        notes.append(note)
    return IntNet(code, layers, net.single), notes


class Fit:
    """A layer that is to be fitted to its float ``targets`` (n, units), with weights up to ``most``."""

    def __init__(self, layer: FloatLayer, targets: Array, most: int, last: bool, rng: np.random.Generator) -> None:
        self.layer, self.targets, self.most, self.last, self.rng = layer, targets, most, last, rng
        self.limit = float(READ_LIMIT if last else GRADED_MAX)
        self.bias_limit = float(_MANTISSA if last else _MANTISSA << _EXPONENT)

    def trial(self, rows: Any) -> Fit:
        """Return the same on some rows of the samples, with random numbers of its own."""
        found = Fit(self.layer, self.targets[rows], self.most, self.last, np.random.default_rng(0))
        found.limit, found.bias_limit = self.limit, self.bias_limit
        return found

    def result(self, inputs: Inputs) -> tuple[IntLayer, Rounded]:
        """Return the integer layer, whose neurons are not chosen yet, and what became of it."""
        weight, bias, geometry = self.effective(inputs)
        groups, share = (1, 1) if geometry is None else (geometry.groups, 1)
        parts = []
        for group, (x, z) in enumerate(self.samples(inputs, geometry, _ROWS)):
            rows = slice(group * len(weight) // groups, (group + share) * len(weight) // groups)
            parts.append(self._solve(x, z, weight[rows], bias[rows], inputs, group, groups))
        found = Fitted(*(np.concatenate([getattr(p, name) for p in parts]) for name in _PARTS))
        off = np.abs(found.weight - weight.reshape(found.weight.shape) * found.scale[:, None])
        whole = found.weight.astype(np.int64).reshape(weight.shape)
        zero = np.zeros(len(whole), np.int64)
        biases = held_bias(found.bias - found.bias.mean() if self.last and len(whole) > 1 else found.bias, self.last)
        pools = self.layer.pools
        made = IntLayer(self.layer.name, whole, biases, geometry, zero, zero + 1, None, pools, found.scale)
        error = float(np.sqrt(np.average(np.maximum(found.error, 0), weights=self._spreads())))
        ends = (float(found.scale.min()), float(found.scale.max()))
        return made, Rounded(self.layer.name, ends, whole.size, int(np.count_nonzero(off > 1e-6)), error, 0, 0.0)

    def error(self, inputs: Inputs) -> float:
        """Return what rounding alone would miss, as a share of the variance of the sums: a quick look."""
        weight, bias, geometry = self.effective(inputs)
        groups = 1 if geometry is None else geometry.groups
        found = []
        for group, (x, z) in enumerate(self.samples(inputs, geometry, _TRIED)):
            rows = slice(group * len(weight) // groups, (group + 1) * len(weight) // groups)
            found.append(self._solve(x, z, weight[rows], bias[rows], inputs, group, groups, descend=False).error)
        return float(np.average(np.concatenate(found), weights=self._spreads()))

    def _spreads(self) -> Array:
        shaped = self.targets.reshape(len(self.targets), len(self.layer.bias), -1)
        return shaped.var(axis=(0, 2)) + 1e-12

    def _solve(
        self, x: Array, z: Array, weight: Array, bias: Array, inputs: Inputs, group: int, groups: int, **how: bool
    ) -> Fitted:
        flat = weight.reshape(len(weight), -1)
        channels = weight.shape[1] if weight.ndim == 4 else flat.shape[1]
        by_channel = inputs.largest.reshape(channels * groups if weight.ndim == 4 else flat.shape[1], -1).max(axis=1)
        largest = by_channel[group * channels : (group + 1) * channels]
        wide = np.repeat(largest, flat.shape[1] // channels)
        return fitted(moments(x, z, flat), self.most, wide, self.limit, bias, self.bias_limit, self.last, **how)

    def effective(self, inputs: Inputs) -> tuple[Array, Array, Any]:
        """Return weights and biases (outputs,) in units of the inputs' whole numbers, and the geometry with them."""
        layer, geometry = self.layer, self.layer.geometry
        if geometry is None:
            each = layer.weight.shape[1] // len(inputs.step)
            weight = layer.weight * np.repeat(inputs.step, each)
            return weight, layer.bias + layer.weight @ np.repeat(inputs.low, each), None
        groups = geometry.groups
        grouped = layer.weight.reshape(groups, -1, *layer.weight.shape[1:])
        step, low = (part.reshape(groups, 1, -1, 1, 1) for part in (inputs.step, inputs.low))
        weight = (grouped * step).reshape(layer.weight.shape)
        plane = (grouped * low).sum(axis=2).reshape(len(weight), *geometry.kernel)
        plane = plane if layer.plane is None else plane + layer.plane
        if not inputs.constant:
            return weight, layer.bias + plane.sum(axis=(1, 2)), geometry
        if groups > 1:
            raise InputError(
                f"{layer.name}: groups, and inputs that are shifted before their padding; one group expected"
            )
        channels, height, width = geometry.input_shape
        weight = np.concatenate([weight, plane[:, None] / inputs.constant], axis=1)
        return weight, layer.bias, replace(geometry, input_shape=(channels + 1, height, width))

    def samples(self, inputs: Inputs, geometry: Any, count: int) -> list[tuple[Array, Array]]:
        """Return for each group inputs (rows, k) and sums (rows, units) of some samples and places."""
        n = len(inputs.x)
        if geometry is None:
            rows = self.rng.permutation(n)[:count]
            return [(inputs.x[rows], self.targets[rows])]
        places = geometry.positions
        rows = self.rng.permutation(n)[: min(n, max(count // 50, 2 * count // places + 1))]
        seen = geometry.columns(inputs.x[rows])
        sums = self.targets[rows].reshape(len(rows), geometry.groups, -1, places)
        chosen = self.rng.permutation(len(rows) * places)[:count]
        return [
            (seen[group][chosen], sums[:, group].transpose(0, 2, 1).reshape(len(rows) * places, -1)[chosen])
            for group in range(geometry.groups)
        ]


_PARTS = ("weight", "scale", "bias", "error")


def _sent(
    made: IntLayer, note: Rounded, layer: FloatLayer, sums: Array, following: Fit
) -> tuple[Inputs, IntLayer, Rounded]:
    """Return what the next layer sees of ``made``, whose neurons are chosen for it, by their ``sums`` (n, units)."""
    rows = np.random.default_rng(0).permutation(len(sums))[:_TRIED]
    shaped = sums.reshape(len(sums), made.channels, -1)
    most = np.minimum(shaped.max(axis=(0, 2)), layer.stops * made.scale)
    best: tuple[float, int] | None = None
    for bits in _BITS:
        trial = following.trial(rows)
        error = trial.error(_outputs(_graded(made, layer, most, bits, following.layer), sums[rows]))
        if best is None or error < 0.98 * best[0]:
            best = error, bits
    assert best is not None
    chosen = _graded(made, layer, most, best[1], following.layer)
    inputs = _outputs(chosen, sums)
    above = np.floor(
        (shaped + _half(chosen.shift)[: made.channels, None])
        * np.exp2(-chosen.shift[: made.channels, None].astype(float))
    )
    clipped = float((above > chosen.ceiling[: made.channels, None]).mean())
    return inputs, chosen, replace(note, bits=best[1], clipped=clipped)


def _half(shift: Ints) -> Ints:
    """Return what makes a shift round, not cut."""
    return np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)


def _graded(made: IntLayer, layer: FloatLayer, most: Array, bits: int, following: FloatLayer) -> IntLayer:
    """Return ``made`` with graded neurons that send ``bits`` bits where sums reach ``most`` (outputs,)."""
    reach = np.maximum(np.floor(most), 0).astype(np.int64)
    lengths = np.array([int(value).bit_length() for value in reach])
    shift = np.maximum(lengths - bits, 0)
    full = 2**bits - 1
    stops = np.minimum(np.rint(layer.stops * made.scale * np.exp2(-shift.astype(float))), full)
    ceiling = np.maximum(stops, 1).astype(np.int64)
    chosen = replace(made, shift=shift, ceiling=ceiling, bias=held_bias(made.bias + _half(shift), False))
    return chosen if following.plane is None else with_constant(chosen, full)


def with_constant(made: IntLayer, value: int) -> IntLayer:
    """Return a convolution with a channel more, which always sends ``value``."""
    g = made.geometry
    if g is None or g.groups > 1:
        raise InputError(f"{made.name}: its outputs are shifted before they are padded; one group expected there")
    more = replace(g, out_channels=g.out_channels + 1)
    pools = []
    for pool in made.pools:
        channels, height, width = pool.geometry.input_shape
        wider = replace(
            pool.geometry, input_shape=(channels + 1, height, width), out_channels=channels + 1, groups=channels + 1
        )
        pools.append(replace(pool, geometry=wider))
    return replace(
        made,
        weight=np.concatenate([made.weight, np.zeros_like(made.weight[:1])]),
        bias=np.append(made.bias, value),
        geometry=more,
        shift=np.append(made.shift, 0),
        threshold=None if made.threshold is None else np.append(made.threshold, value),
        ceiling=np.append(made.ceiling, value),
        pools=pools,
        scale=np.append(made.scale, 1.0),
        constant=value,
    )


def _outputs(made: IntLayer, sums: Array) -> Inputs:
    """Return what a layer of graded neurons sends at its ``sums`` (n, units), which had no half added yet."""
    channels = made.channels - bool(made.constant)
    half = _half(made.shift)[:channels, None].astype(sums.dtype)
    shaped = (sums.reshape(len(sums), channels, -1) + half).reshape(len(sums), -1)
    if made.constant:
        more = sums.shape[1] // channels
        shaped = np.concatenate([shaped, np.full((len(sums), more), made.constant, sums.dtype)], axis=1)
    x = made.pooled(made.respond(shaped))
    step = np.exp2(made.shift.astype(float))[:channels] / made.scale[:channels]
    inside = np.prod([np.prod(pool.geometry.kernel) for pool in made.pools if pool.kind == "sum"])
    largest = largest_of(made).astype(np.float64)
    return Inputs(x, step, np.zeros(channels), largest, made.constant * float(inside))


def held_bias(bias: Array, last: bool) -> Ints:
    """Return biases as a chip holds them: a mantissa of 13 bits, times a power of two up to 2^7 in graded neurons."""
    exponent = np.zeros(len(bias), np.int64)
    if not last:
        exponent = np.clip(np.ceil(np.log2(np.maximum(np.abs(bias), 1) / _MANTISSA)), 0, _EXPONENT).astype(np.int64)
    mantissa = np.clip(np.rint(bias / np.exp2(exponent)), -_MANTISSA, _MANTISSA).astype(np.int64)
    return mantissa << exponent

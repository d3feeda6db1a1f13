"""A layer of a float graph of spiking neurons as one of Loihi's integers: see ``quantise``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import FORGETS, Lif, Neuron, Readout
from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.fitting import Fit, Seen, Units, by_weights_alone, fitted_units, nearest, on_data
from conntra_neuro.exchange.nir.float_layer import FloatLayer, Map
from conntra_neuro.exchange.nir.pooling import most_summed, pooled, pools_before
from conntra_neuro.exchange.nir.rounding import Rounding
from conntra_neuro.exchange.nir.several import MOST_HELD, differ, held_by
from conntra_neuro.exchange.nir.simulate import stepped
from conntra_neuro.exchange.nir.whole import ROUNDING, whole_scales
from conntra_neuro.network import Conv2d, Dense
from conntra_neuro.network.layers import Layer

__all__ = ["LayerQuantiser", "Made"]

_LARGEST_THRESHOLD = 2**17 - 1
_LARGEST_BIAS = 2**12 - 1
_REACH = 2**17 - 1  # of a step's sum, in units of weights
_FINEST = 10  # bits of a unit of weights and what it is a multiple of
_MOST_LOOP = 127
_MOST_BETWEEN = 4096  # copies of an image that a matrix leads to one another
_COARSEST_LATE = 8  # the largest unit of what a late reset takes off

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Made:
    """Integer ``layers`` (pooling before it is one), ``loops``: recurrent weights by delay; ``branches``: what is added
    of earlier layers, by index; and what was rounded.
    """

    layers: list[Layer]
    loops: list[tuple[Any, int]]
    branches: list[tuple[int, Dense | Conv2d]]
    rounding: Rounding


class LayerQuantiser:
    """One layer: ``layer`` by ``how``; ``seen``: what it takes by its maps and by each branch, None without data."""

    def __init__(
        self,
        layer: FloatLayer,
        how: Convention,
        bits: int,
        last: bool,
        seen: Sequence[Seen] | None,
        seed: int,
    ) -> None:
        self.layer, self.how, self.last, self.seed = layer, how, last, seed
        ways = [layer.maps, *(branch.maps for branch in layer.branches)]
        self.idle = bool(layer.branches) and not layer.maps[-1].weight.any()
        self.ways = ways[self.idle :]
        self.geometry = self.ways[0][-1].geometry
        if any((maps[-1].geometry is None) != (self.geometry is None) for maps in self.ways):
            raise InputError(f"node {layer.name}: adds images and rows; both of one kind expected")
        self.seen = None if not seen or len(seen[0].exact) == 0 else self._joined(seen[self.idle :])
        self.most, self.unit = 2 ** (bits - 1) - 1, 2 ** max(0, _FINEST - bits)
        self.stays_u, self.stays_v, self.into_u, self.into_v = stepped(layer.neuron, how)
        if np.any(self.stays_u < -ROUNDING) or np.any(self.stays_v < -ROUNDING):
            raise InputError(f"node {layer.name}: a time constant below dt = {how.dt:g} s; give the graph's own --dt")
        self.stays_u, self.stays_v = (np.maximum(part, 0) for part in (self.stays_u, self.stays_v))
        self.reset = how.reset_of(layer.neuron.kind, layer.recurrent is not None)
        self.notes: list[str] = []
        self.clipped = 0
        self.steady: tuple[bool, bool] = (False, False)  # whether its last input, its last neuron spikes at every step
        self.counts = self._counts()
        self.held = 1  # what thresholds are multiples of

    @property
    def spikes(self) -> bool:
        """Whether its neurons ever do."""
        return bool(np.isfinite(self.layer.neuron.threshold).all())

    def _counts(self) -> npt.NDArray[np.int64] | None:
        """Return how many neurons stand for each, of a convolution for each channel; None where it is one for all."""
        layer, how = self.layer, self.how
        copies = how.several and how.most > 1 and self.reset == "subtract"
        if not (copies and self.spikes) or layer.neuron.kind == "Threshold":
            return None
        geometry = self.geometry
        counts = np.full(layer.size if geometry is None else geometry.out_channels, how.most)
        if self._differs and layer.size * how.most > _MOST_BETWEEN:
            self.notes.append("one spike a step: of large images with several a channel has one threshold")
            return None
        if self.seen is not None:
            sent = np.clip(self.seen.sent.max(axis=(0, 1)), 1, how.most).astype(np.int64)
            counts = sent if geometry is None else np.full_like(counts, sent.max())
        return counts if counts.max() > 1 else None

    @property
    def _differs(self) -> bool:
        """Whether neurons of a channel of an image have thresholds of their own."""
        return self.geometry is not None and differ(self.layer.neuron.threshold, self.geometry.out_channels)

    def result(self) -> Made:
        """Return the integer layers, and what was rounded."""
        layer, gain, geometry = self.layer, self.into_u * self.into_v, self.geometry
        parts = [pools_before(layer.name, maps) for maps in self.ways]
        if any(pools for pools, _ in parts[not self.idle :]):
            raise InputError(f"node {layer.name}: a branch with sums over windows before its weights; convolve alone")
        pools, channels = [] if self.idle else parts[0][0], len(parts[0][1])
        # Exporters write them in float32.
        by_channel = gain.reshape(channels, -1)
        if (np.ptp(by_channel, axis=1) > ROUNDING * np.abs(gain).max()).any():
            raise InputError(
                f"node {layer.name}: time constants that differ within a channel of a convolution; one for all expected"
            )
        rows = np.hstack([weight.reshape(channels, -1) for _, weight in parts]) * by_channel[:, :1]
        back = None if layer.recurrent is None else layer.recurrent * gain[:, None]
        threshold, late = self._thresholds()
        fit, whole = self._spiking(rows, back, late) if self.spikes else (self._reading(rows), None)
        scale, integers = fit.scale, fit.weight[:, : rows.shape[1]].astype(np.int64)
        off = np.abs(rows * scale[:, None] - integers) / self.unit
        wide = np.repeat(scale, geometry.positions) if geometry is not None else scale
        bias = self._bias(wide, fit.missing if geometry is None else np.repeat(fit.missing, geometry.positions))
        loops = self._loops(whole, late, wide)
        neuron = self._neuron(threshold, wide)
        ends = np.cumsum([weight[0].size for _, weight in parts])[:-1]
        main, *others = [np.zeros(layer.maps[-1].weight.shape, np.int64)] * self.idle + np.split(integers, ends, axis=1)
        rounding = Rounding(
            layer.name,
            (float(scale.min()), float(scale.max())),
            integers.size,
            int(np.count_nonzero(off > 1e-9)),
            float(off.max(initial=0)),
            self.clipped,
            self._decay_error(),
            tuple(self.notes),
        )
        branches = [
            (branch.source, self._weighted(branch.maps[-1], weight, None, "readout"))
            for branch, weight in zip(layer.branches, others, strict=True)
        ]
        return Made([*pools, self._weighted(layer.maps[-1], main, bias, neuron)], loops, branches, rounding)

    def _weighted(self, linear: Map, weight: Any, bias: Any, neuron: Any) -> Dense | Conv2d:
        """Return whole weights (size, inputs) as the layer that ``linear`` is."""
        if linear.geometry is None:
            return Dense(weight, bias, neuron)
        if bias is not None:
            shared = bias.reshape(len(weight), -1)
            if (shared != shared[:, :1]).any():
                raise InputError(f"node {self.layer.name}: biases that differ within a channel")
            bias = shared[:, 0]
        return Conv2d(weight.reshape(linear.weight.shape), bias, neuron, **linear.geometry.window)

    def _joined(self, seen: Sequence[Seen]) -> Seen:
        """Return what all ways take as one: of rows as more inputs, of images by their geometries."""
        first, *others = (pooled(part, maps[:-1]) for part, maps in zip(seen, self.ways, strict=True))
        if self.geometry is None:
            exact, integers = (
                np.concatenate([getattr(part, name) for part in (first, *others)], axis=2)
                for name in ("exact", "integers")
            )
            return Seen(exact, integers, first.sent)
        beside = zip(others, self.ways[1:], strict=True)
        return replace(first, others=tuple((part.exact, part.integers, maps[-1].geometry) for part, maps in beside))

    def _thresholds(self) -> tuple[Array, Array | None]:
        """Return the thresholds, and what a spike takes off more by the next step than a soft reset does."""
        threshold = self.layer.neuron.threshold
        if not self.spikes or self.reset != "subtract-late" or self.layer.neuron.kind == "Threshold":
            return threshold, None
        # theta comes off after the decay: a soft reset takes it off before, and leaves (1 - decay) of it gone.
        return threshold, -(1 - self.stays_v) * threshold

    def _spiking(self, rows: Array, back: Array | None, late: Array | None) -> tuple[Fit, npt.NDArray[np.int64] | None]:
        """Return whole weights of neurons that spike, those of their own spikes last, and all of these as a matrix."""
        if back is None:
            units = self._units(rows, None, late, 1)
            same = self._whole(rows, units.cap)
            if same is not None and self._holds(same):
                return self._unrounded(rows, same), None
            return fitted_units(self._of_copies(units), self.seen, self.geometry, False, self.seed), None
        same = self._whole(np.hstack([rows, back]), self._units(rows, back, late, self.unit).cap)
        if same is not None and self._holds(same):
            ways = back * same[:, None] + np.diag(np.zeros(len(rows)) if late is None else late * same)
            return self._unrounded(rows, same), self._multiples(ways)
        # Ways back have an exponent of their own, so that they may be multiples of another unit.
        tried = [self._units(rows, back, late, 2**power) for power in range(_FINEST)]
        units = min(tried, key=lambda units: float(nearest(units).error(units).sum()))
        fit = fitted_units(self._of_copies(units), self.seen, self.geometry, True, self.seed)
        own = units.own_step * np.rint(fit.scale * units.own / units.own_step)
        return fit, (fit.weight[:, rows.shape[1] :] + np.diag(own)).astype(np.int64)

    def _of_copies(self, units: Units) -> Units:
        """Return units whose thresholds are multiples of what synapses between copies hold."""
        if self.counts is None:
            return units
        largest = (units.scales() * units.threshold[:, None]).max()
        if np.all(self.stays_v == 1) and not self._differs:  # others are no multiples: two synapses hold them
            self.held = held_by(float(largest), int(self.counts.max()))
        return replace(units, multiple=self.held, spikes=int(self.counts.max()))

    def _whole(self, weights: Array, cap: Array, shared: bool = False) -> Array | None:
        """Return the scales, up to ``cap``, at which nothing is rounded; None where there are none."""
        thresholds = self.layer.neuron.threshold if self.spikes else np.zeros(self.layer.size)
        biases, thresholds = (part.reshape(len(weights), -1) for part in (self._exact_bias(), thresholds))
        limit = cap / self.unit
        found = whole_scales(weights, biases, thresholds, self.unit, self.most, _LARGEST_BIAS, limit, shared)
        return None if found is None else found * self.unit

    def _unrounded(self, rows: Array, scale: Array) -> Fit:
        return Fit(self.unit * np.rint(rows * scale[:, None] / self.unit), scale, np.zeros(len(rows)))

    def _holds(self, scale: Array) -> bool:
        """Return whether synapses hold what copies lose at ``scale``; take over what thresholds are multiples of."""
        if self.counts is None or np.any(self.stays_v < 1) or self._differs:  # no multiples: two synapses hold them
            return True
        thresholds = np.rint(self.layer.neuron.threshold.reshape(len(scale), -1) * scale[:, None])
        held = held_by(float(thresholds.max()), int(self.counts.max()))
        self.held = held if np.all(thresholds % held == 0) else self.held
        return bool(self.held == held)

    def _units(self, rows: Array, back: Array | None, late: Array | None, step: int) -> Units:
        """Return the neurons, or channels, that ``rows`` are the weights of; ways back are multiples of ``step``."""
        count, inputs = rows.shape

        def of(values: Array) -> Array:
            """Return the largest value of a channel's neurons."""
            return values.reshape(count, -1).max(axis=1)

        threshold, bias = self.layer.neuron.threshold, np.abs(self._exact_bias()).reshape(count, -1)
        own = np.zeros(count) if late is None else late.reshape(count, -1)[:, 0]
        most = np.full(inputs, float(self.most))
        steps, constants = np.full(inputs, float(self.unit)), (inputs - 1,) * self.steady[0]
        copies = 1 if self.counts is None else int(self.counts.max())
        cap = _LARGEST_THRESHOLD / np.maximum(copies * of(threshold), 1e-30)
        if copies > 1:
            cap = np.minimum(cap, MOST_HELD / np.maximum((copies - 1) * of(threshold), 1e-30))
        cap = np.minimum(cap, (_LARGEST_BIAS - 0.5) / np.maximum(bias.max(axis=1), 1e-30))
        summed = max(most_summed(maps[:-1]) for maps in self.ways)
        reach = np.maximum(np.maximum(rows, 0).sum(axis=1), np.maximum(-rows, 0).sum(axis=1)) * summed
        cap = np.minimum(cap, _REACH * self.unit / np.maximum(reach, 1e-30))
        largest = max(_MOST_LOOP * _COARSEST_LATE, self.most)
        if back is not None:
            own, largest = own + np.diag(back), max(_MOST_LOOP, self.most) * step
            rows = np.hstack([rows, back - np.diag(np.diag(back))])
            most = np.append(most, np.full(count, float(max(_MOST_LOOP, self.most))))
            steps = np.append(steps, np.full(count, float(step)))
            constants += (inputs + count - 1,) * self.steady[1]
        cap = np.minimum(cap, largest / np.maximum(np.abs(own), 1e-30))
        return Units(
            rows,
            steps,
            most,
            np.where(of(threshold) > 0, of(threshold), 1.0),
            cap,
            self._exact_bias().reshape(count, -1)[:, 0],
            own,
            np.zeros(count) if late is None else -of(self.stays_u) * late.reshape(count, -1)[:, 0],
            step,
            of(self.stays_u),
            of(self.stays_v),
            1,
            self.how.strict,
            self._resets_to_zero,
            constants,
            refractory=self._refractory,
        )

    def _reading(self, rows: Array) -> Fit:
        """Return whole weights of neurons that never spike: one scale for all of them."""
        cap = (_LARGEST_BIAS - 0.5) / np.maximum(np.abs(self._exact_bias()).reshape(len(rows), -1).max(axis=1), 1e-12)
        same = self._whole(rows, cap, shared=True)
        if same is not None:
            return self._unrounded(rows, same)
        if self.seen is None or self.geometry is not None:
            found = by_weights_alone(rows, self.most, cap / self.unit)
            missing = np.zeros(len(rows))
            if self.steady[0]:
                missing = (rows[:, -1] * found.scale - found.weight[:, -1]) / np.maximum(1 - self.stays_u, 1e-12)
            return Fit(found.weight * self.unit, found.scale * self.unit, missing * self.unit)
        stays = (float(np.median(self.stays_u)), float(np.median(self.stays_v)))
        rng = np.random.default_rng(self.seed)
        weight, scale, missing = on_data(rows, self.seen, stays, self.most, cap / self.unit, rng)
        return Fit(weight * self.unit, scale * self.unit, missing * self.unit)

    def _exact_bias(self) -> Array:
        """Return what is added to each v at a step, in its float unit."""
        layer = self.layer
        steady = self.into_u * self.into_v / np.maximum(1 - self.stays_u, 1e-12)
        given = layer.bias if layer.recurrent_bias is None else layer.bias + layer.recurrent_bias
        if np.any((self.stays_u > ROUNDING) & (given != 0)) and not self.notes:
            self.notes.append("biases go to v at once, and not through the current: at their steady value")
        return steady * given + (1 - self.stays_v) * layer.neuron.v_leak

    def _bias(self, scale: Array, missing: Array) -> npt.NDArray[np.int64]:
        exact = scale * self._exact_bias() + missing
        rounded = np.clip(np.rint(exact), -_LARGEST_BIAS, _LARGEST_BIAS)
        self.clipped += int(np.count_nonzero(np.abs(exact) > _LARGEST_BIAS + 0.5))
        return rounded.astype(np.int64)

    def _loops(self, whole: npt.NDArray[np.int64] | None, late: Array | None, scale: Array) -> list[tuple[Any, int]]:
        """Return the recurrent weights and their delays; ``whole``: those that what a spike takes off is part of."""
        made = [] if whole is None or not whole.any() else [(whole, 0)]
        if late is None:
            return made
        own = late * scale
        # What a spike takes off by a synapse stays in the current: a step later the same synapse takes it back.
        for weights, delay in ((own, 0), (-self.stays_u * own, 1)):
            if delay == 0 and whole is not None:
                continue
            integers = self._multiples(weights)
            if integers.any():
                made.append((np.diag(integers), delay))
        return made

    def _multiples(self, weights: Array) -> npt.NDArray[np.int64]:
        """Return weights of ways back as multiples of the least power of two at which they are held."""
        most = max(_MOST_LOOP, self.most)
        unit = 2 ** int(max(0, np.ceil(np.log2(max(float(np.abs(weights).max()), 1) / most))))
        return np.clip(np.rint(weights / unit), -most, most).astype(np.int64) * unit

    @property
    def _resets_to_zero(self) -> bool:
        return self.reset.startswith("zero") or self.layer.neuron.kind == "Threshold"

    @property
    def _refractory(self) -> int:
        """Steps in which v does not move after a spike: a v that is 0 for a step more is one that does not in it."""
        return int(self.reset == "zero-late" and self.layer.neuron.kind != "Threshold")

    def _neuron(self, threshold: Array, scale: Array) -> Neuron:
        decays = {"voltage_decay": _decays(self.stays_v), "current_decay": _decays(self.stays_u)}
        if not self.spikes:
            if not self.last:
                raise InputError(f"node {self.layer.name}: neurons that never spike stand last only")
            return Readout("last", **decays)
        exact = threshold * scale
        strict = self.how.strict
        # A threshold between two integers is as good as the one below it, strictly; at it, as the one above.
        rounded = np.floor(exact + 0.5 - 1e-9).astype(np.int64)
        rounded = np.clip(rounded, 0 if strict else 1, _LARGEST_THRESHOLD)
        reset = "hard" if self._resets_to_zero else "soft"
        if self.how.several and self.counts is None and self.how.most == 1:
            self.notes.append(
                "neurons send one spike a step, where the package sends as many as the threshold goes into v; "
                "--spikes N takes up to N neurons for one"
            )
        return Lif(rounded, **decays, reset=reset, strict=strict, refractory=self._refractory)  # type: ignore[arg-type]

    def _decay_error(self) -> float:
        shares = [1 - stays for stays in (self.stays_u, self.stays_v)]
        errors = [np.abs(np.rint(FORGETS * share) / FORGETS - share).max() for share in shares]
        return float(max(errors))


def _decays(stays: Array) -> Any:
    return np.rint(FORGETS * (1 - stays)).astype(np.int64)

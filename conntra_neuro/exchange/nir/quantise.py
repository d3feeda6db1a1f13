"""From a float graph of spiking neurons to Loihi's integers: one scale a neuron, and what was lost by it.

A neuron's weights, bias and threshold may all be multiplied by one positive number without a change of its spikes. So
each gets the one at which whole weights of ``bits`` bits miss least (a channel of a convolution shares one): of the
potentials on data, else of the weights. Layers that are whole numbers already, at a power of two, stay as they are.
Weights stand as multiples of a power of two, which a chip has in an exponent, so that thresholds and biases are finer
than they: weights are rounded once, thresholds hardly. Decays are rounded to 12 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import FORGETS, Lif, Neuron, Readout
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.fitting import Seen, by_weights_alone, on_data
from conntra_neuro.exchange.nir.float_graph import FloatLayer
from conntra_neuro.exchange.nir.simulate import applied, simulate, stepped
from conntra_neuro.exchange.nir.whole import ROUNDING, whole_scales
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Recurrent, SumPool
from conntra_neuro.network.layers import Layer

__all__ = ["Rounding", "quantised"]

_LARGEST_THRESHOLD = 2**17 - 1
_LARGEST_BIAS = 2**12 - 1
_FINEST = 10  # bits of a unit of weights and what it is a multiple of
_MOST_LOOP = 127

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rounding:
    """What became of a layer: ``name``; ``scale``, integers to its float unit, from and to; how many weights were
    ``rounded`` (of ``weights``), and the largest error of one in integer units; thresholds or biases ``clipped``;
    the largest error of a decay; and ``notes`` on what integers cannot say.
    """

    name: str
    scale: tuple[float, float]
    weights: int
    rounded: int
    largest_error: float
    clipped: int
    decay_error: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "scale": list(self.scale), "notes": list(self.notes)}


def quantised(
    layers: Sequence[FloatLayer],
    how: Convention,
    steps: int,
    bits: int = 8,
    data: npt.NDArray[np.integer] | None = None,
    seed: int = 0,
) -> tuple[DiscreteNetwork, list[Rounding]]:
    """Return the integer network of float ``layers`` and what each was rounded by.

    ``bits`` of a weight, 2 to 8, the sign among them; ``data``: spikes (n, steps, inputs) that weights and scales are
    chosen on. InputError for what the chip's neurons cannot be.
    """
    whole(bits, "bits", 2, 8)
    found: list[Layer] = []
    loops: list[Recurrent] = []
    notes: list[Rounding] = []
    exact = [] if data is None else [data.astype(np.float64), *simulate(layers, data, how)]
    for number, layer in enumerate(layers):
        seen = None
        if data is not None:
            sent = data if not found else DiscreteNetwork(found, steps=steps, recurrent=loops).outputs(data)[-1]
            seen = Seen(exact[number], sent.reshape(len(data), steps, -1).astype(np.float64))
        quantiser = _Quantiser(layer, how, bits, number == len(layers) - 1, seen, np.random.default_rng(seed))
        made, back, note = quantiser.result()
        found += made
        loops += [Recurrent(len(found) - 1, weight, delay) for weight, delay in back]
        notes.append(note)
    return DiscreteNetwork(found, steps=steps, recurrent=loops), notes


class _Quantiser:
    """One layer."""

    def __init__(
        self,
        layer: FloatLayer,
        how: Convention,
        bits: int,
        last: bool,
        seen: Seen | None,
        rng: np.random.Generator,
    ) -> None:
        self.layer, self.how, self.last, self.seen, self.rng = layer, how, last, seen, rng
        self.most, self.unit = 2 ** (bits - 1) - 1, 2 ** (_FINEST - bits)
        self.stays_u, self.stays_v, self.into_u, self.into_v = stepped(layer.neuron, how)
        self.reset = how.reset_of(layer.neuron.kind, layer.recurrent is not None)
        self.notes: list[str] = []
        self.clipped = 0
        if np.any(self.stays_u < -ROUNDING) or np.any(self.stays_v < -ROUNDING):
            raise InputError(f"node {layer.name}: a time constant below dt = {how.dt:g} s; give the graph's own --dt")
        self.stays_u, self.stays_v = (np.maximum(part, 0) for part in (self.stays_u, self.stays_v))

    @property
    def spikes(self) -> bool:
        """Whether its neurons ever do."""
        return bool(np.isfinite(self.layer.neuron.threshold).all())

    def result(self) -> tuple[list[Layer], list[tuple[Any, int]], Rounding]:
        """Return the integer layers (pooling before it is one), recurrent weights by delay, and what was rounded."""
        layer, gain = self.layer, self.into_u * self.into_v
        *before, main = layer.maps
        pools, weight = self._before(before, main.weight, main.geometry)
        geometry = main.geometry
        # Exporters write them in float32.
        by_channel = gain.reshape(len(weight), -1)
        if (np.ptp(by_channel, axis=1) > ROUNDING * np.abs(gain).max()).any():
            raise InputError(
                f"node {layer.name}: time constants that differ within a channel of a convolution; one for all expected"
            )
        rows = weight.reshape(len(weight), -1) * by_channel[:, :1]
        back = None if layer.recurrent is None else layer.recurrent * gain[:, None]
        threshold, late = self._thresholds()
        weights, scale, missing = self._fitted(before, rows, self._cap(back, late, geometry), geometry)
        exact = rows * scale[:, None] / self.unit
        integers = weights * self.unit
        wide = np.repeat(scale, geometry.positions) if geometry is not None else scale
        bias = self._bias(wide, gain, missing if geometry is None else np.repeat(missing, geometry.positions))
        loops = self._loops(back, late, wide)
        neuron = self._neuron(threshold, wide)
        made: Layer
        if geometry is None:
            made = Dense(integers, bias, neuron)
        else:
            shared = bias.reshape(len(integers), -1)
            if (shared != shared[:, :1]).any():
                raise InputError(f"node {layer.name}: biases that differ within a channel")
            kernel = integers.reshape(main.weight.shape)
            made = Conv2d(kernel, shared[:, 0], neuron, **geometry.window)
        off = np.abs(exact - weights)
        return (
            [*pools, made],
            loops,
            Rounding(
                layer.name,
                (float(scale.min()), float(scale.max())),
                integers.size,
                int(np.count_nonzero(off > 1e-9)),
                float(off.max(initial=0)),
                self.clipped,
                self._decay_error(),
                tuple(self.notes),
            ),
        )

    def _before(self, maps: Sequence[Any], weight: Array, geometry: Geometry | None) -> tuple[list[Layer], Array]:
        """Return sums over windows before the weights as layers; an average and a scale go into the weights."""
        pools: list[Layer] = []
        for linear in maps:
            if linear.geometry is not None and linear.geometry.depthwise:
                g = linear.geometry
                share = float(linear.weight.flat[0])
                if np.ptp(linear.weight) > 0:
                    raise InputError(f"node {self.layer.name}: two convolutions without neurons between")
                pools.append(SumPool(g.kernel, input_shape=g.input_shape, stride=g.stride, padding=g.padding))
                weight = weight * share
            elif linear.geometry is None and geometry is None:
                weight = weight @ linear.weight
            else:
                raise InputError(f"node {self.layer.name}: weights behind weights without neurons between")
        return pools, weight

    def _thresholds(self) -> tuple[Array, Array | None]:
        """Return the thresholds, and what a spike takes off more by the next step than a soft reset does."""
        threshold = self.layer.neuron.threshold
        if not self.spikes or self.reset != "subtract-late" or self.layer.neuron.kind == "Threshold":
            return threshold, None
        # theta comes off after the decay: a soft reset takes it off before, and leaves (1 - decay) of it gone.
        return threshold, -(1 - self.stays_v) * threshold

    def _cap(self, back: Array | None, late: Array | None, geometry: Geometry | None) -> Array:
        """Return the largest scale of each neuron, of a convolution of each channel: thresholds and ways back fit."""
        threshold = self.layer.neuron.threshold
        channels = len(threshold) if geometry is None else geometry.out_channels
        if not self.spikes:
            return np.full(channels, np.inf)
        limit = threshold.reshape(channels, -1).max(axis=1)
        loops = np.zeros(channels) if late is None else np.abs(late).reshape(channels, -1).max(axis=1)
        if back is not None:
            own = back if late is None else back + np.diag(late)
            loops = np.abs(own).max(axis=1, initial=0)
        # Ways back have an exponent of their own, so that they may be multiples of the same unit.
        by_loops = np.divide(_MOST_LOOP * self.unit, loops, out=np.full(channels, np.inf), where=loops > 0)
        return np.minimum(by_loops, _LARGEST_THRESHOLD / np.maximum(limit, 1e-30))

    def _fitted(
        self, before: Sequence[Any], rows: Array, cap: Array, geometry: Geometry | None
    ) -> tuple[npt.NDArray[np.int64], Array, Array]:
        """Return whole weights, the scale of each row (whole units to a float unit, times ``unit``), and what biases
        are off by at these scales.
        """
        shared, limit = not self.spikes, np.maximum(cap / self.unit, 1e-6)
        limit = np.where(np.isfinite(limit), limit, 1e12)
        whole = self._whole(rows, limit, shared)
        if whole is not None:
            return np.rint(rows * whole[:, None]).astype(np.int64), whole * self.unit, np.zeros(len(rows))
        grouped = geometry is not None and geometry.groups > 1
        if self.seen is None or grouped or self.layer.recurrent is not None or len(self.seen.exact) == 0:
            found = by_weights_alone(rows, self.most, limit, shared)
            weight, scale, missing = found.weight, found.scale, np.zeros(len(rows))
        else:
            seen = self._pooled(before)
            units = len(rows)
            stays = tuple(part.reshape(units, -1)[:, 0] for part in (self.stays_u, self.stays_v))
            weight, scale, missing = on_data(rows, seen, geometry, stays, self.most, limit, shared, self.rng)  # type: ignore[arg-type]
        idle = ~(weight != 0).any(axis=1)
        scale = np.where(
            idle & (not shared), np.minimum(limit, self.most / np.maximum(np.abs(rows).max(axis=1), 1e-9)), scale
        )
        capped = np.minimum(scale, limit * 1.05)
        self.clipped += int(np.count_nonzero(capped < scale))
        return weight.astype(np.int64), capped * self.unit, missing * self.unit

    def _whole(self, rows: Array, limit: Array, shared: bool) -> Array | None:
        """Return the scales at which nothing is rounded; None where there are none."""
        units, gain = len(rows), self.into_u * self.into_v
        ways = np.zeros((units, 0)) if self.layer.recurrent is None else self.layer.recurrent * gain[:, None]
        weights = np.concatenate([rows, ways], axis=1)
        thresholds = self.layer.neuron.threshold if self.spikes else np.zeros(self.layer.size)
        biases, thresholds = (part.reshape(units, -1) for part in (self._exact_bias(gain), thresholds))
        return whole_scales(weights, biases, thresholds, self.unit, self.most, _LARGEST_BIAS, limit, shared)

    def _pooled(self, before: Sequence[Any]) -> Seen:
        """Return what the weights see: sums over windows as whole numbers; weights before weights are merged."""
        assert self.seen is not None
        maps = [linear for linear in before if linear.geometry is not None]
        if not maps:
            return self.seen
        share = float(np.prod([linear.weight.flat[0] for linear in maps]))
        n, steps, _ = self.seen.exact.shape
        sums = (applied(maps, x.reshape(n * steps, -1)) / share for x in (self.seen.exact, self.seen.integers))
        return Seen(*(part.reshape(n, steps, -1) for part in sums))

    def _bias(self, scale: Array, gain: Array, missing: Array) -> npt.NDArray[np.int64]:
        if np.any(self.stays_u > 0) and np.any(self._given_bias() != 0):
            self.notes.append("biases go to v at once, and not through the current: at their steady value")
        exact = scale * self._exact_bias(gain) + missing
        rounded = np.clip(np.rint(exact), -_LARGEST_BIAS, _LARGEST_BIAS)
        self.clipped += int(np.count_nonzero(np.abs(exact) > _LARGEST_BIAS + 0.5))
        return rounded.astype(np.int64)

    def _given_bias(self) -> Array:
        layer = self.layer
        return layer.bias if layer.recurrent_bias is None else layer.bias + layer.recurrent_bias

    def _exact_bias(self, gain: Array) -> Array:
        """Return what a step adds to v without spikes."""
        steady = gain / np.maximum(1 - self.stays_u, 1e-12)
        return steady * self._given_bias() + (1 - self.stays_v) * self.layer.neuron.v_leak

    def _loops(self, back: Array | None, late: Array | None, scale: Array) -> list[tuple[Any, int]]:
        """Return the recurrent weights and their delays."""
        size, found = len(scale), []
        total = np.zeros((size, size)) if back is None else back * scale[:, None]
        if late is not None:
            own = late * scale
            total = total + np.diag(own)
            # What a spike takes off by a synapse stays in the current: a step later the same synapse takes it back.
            found.append((np.diag(-self.stays_u * own), 1))
        found.insert(0, (total, 0))
        made = []
        for weights, delay in found:
            unit = 2 ** int(max(0, np.ceil(np.log2(max(float(np.abs(weights).max()), 1) / _MOST_LOOP))))
            integers = np.clip(np.rint(weights / unit), -_MOST_LOOP, _MOST_LOOP).astype(np.int64) * unit
            if integers.any():
                made.append((integers, delay))
        return made

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
        reset = "hard" if self.reset.startswith("zero") or self.layer.neuron.kind == "Threshold" else "soft"
        if self.how.several:
            self.notes.append(
                "neurons send one spike a step, where the package sends as many as the threshold goes into v"
            )
        # A v that is 0 for a step more is one that does not move in it.
        refractory = int(self.reset == "zero-late" and self.layer.neuron.kind != "Threshold")
        return Lif(rounded, **decays, reset=reset, strict=strict, refractory=refractory)  # type: ignore[arg-type]

    def _decay_error(self) -> float:
        shares = [1 - stays for stays in (self.stays_u, self.stays_v)]
        errors = [np.abs(np.rint(FORGETS * share) / FORGETS - share).max() for share in shares]
        return float(max(errors))


def _decays(stays: Array) -> Any:
    return np.rint(FORGETS * (1 - stays)).astype(np.int64)

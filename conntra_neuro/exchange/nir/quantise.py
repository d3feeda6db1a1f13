"""From a float graph of spiking neurons to Loihi's integers: one scale a neuron, and what was lost by it.

A neuron's weights, bias and threshold may all be multiplied by one positive number without a change of its spikes. So
each gets the largest that leaves its weights within ``bits`` bits (a channel of a convolution shares one), and its
threshold takes up the rest: weights are rounded once, thresholds hardly. Decays are rounded to 12 bits.
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
from conntra_neuro.exchange.nir.float_graph import FloatLayer
from conntra_neuro.exchange.nir.simulate import euler
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Recurrent, SumPool
from conntra_neuro.network.layers import Layer

__all__ = ["Rounding", "quantised"]

_LARGEST_THRESHOLD = 2**17 - 1
_LARGEST_BIAS = 2**12 - 1
_IDLE = 64.0  # scale of a neuron without weights

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
    layers: Sequence[FloatLayer], how: Convention, steps: int, bits: int = 8
) -> tuple[DiscreteNetwork, list[Rounding]]:
    """Return the integer network of float ``layers`` and what each was rounded by.

    ``bits`` of a weight, 2 to 8, the sign among them. InputError for what the chip's neurons cannot be.
    """
    whole(bits, "bits", 2, 8)
    found: list[Layer] = []
    loops: list[Recurrent] = []
    notes: list[Rounding] = []
    for number, layer in enumerate(layers):
        made, back, note = _Quantiser(layer, how, 2 ** (bits - 1) - 1, number == len(layers) - 1).result()
        found += made
        loops += [Recurrent(len(found) - 1, weight, delay) for weight, delay in back]
        notes.append(note)
    return DiscreteNetwork(found, steps=steps, recurrent=loops), notes


class _Quantiser:
    """One layer."""

    def __init__(self, layer: FloatLayer, how: Convention, most: int, last: bool) -> None:
        self.layer, self.how, self.most, self.last = layer, how, most, last
        self.stays_u, self.stays_v, self.into_u, self.into_v = euler(layer.neuron, how.dt)
        self.notes: list[str] = []
        self.clipped = 0
        if np.any(self.stays_u < 0) or np.any(self.stays_v < 0):
            raise InputError(f"node {layer.name}: a time constant below dt = {how.dt:g} s; give the graph's own --dt")

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
        per_channel = geometry is not None
        if per_channel and np.ptp(gain) > 1e-12 * np.abs(gain).max():
            raise InputError(
                f"node {layer.name}: time constants that differ within a convolution; one for all expected"
            )
        rows = weight.reshape(len(weight), -1) * (gain[: len(weight), None] if not per_channel else gain[0])
        back = None if layer.recurrent is None else layer.recurrent * gain[:, None]
        threshold, late = self._thresholds()
        scale = self._scale(rows, back, late, geometry)
        exact = rows * scale[:, None]
        integers = np.rint(exact).astype(np.int64)
        wide = np.repeat(scale, geometry.positions) if geometry is not None else scale
        bias = self._bias(wide, gain)
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
        off = np.abs(exact - integers)
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
        if not self.spikes or self.how.reset != "subtract-late" or self.layer.neuron.kind == "Threshold":
            return threshold, None
        # theta comes off after the decay: a soft reset takes it off before, and leaves (1 - decay) of it gone.
        return threshold, -(1 - self.stays_v) * threshold

    def _scale(self, rows: Array, back: Array | None, late: Array | None, geometry: Geometry | None) -> Array:
        """Return the scale of each neuron, of a convolution of each channel."""
        channels, threshold = len(rows), self.layer.neuron.threshold
        largest = np.abs(rows).max(axis=1, initial=0)
        if geometry is None:
            own = np.zeros((channels, channels)) if back is None else back
            own = own if late is None else own + np.diag(late)
            largest = np.maximum(largest, np.abs(own).max(axis=1, initial=0))
        elif late is not None:
            largest = np.maximum(largest, np.abs(late).reshape(channels, -1).max(axis=1))
        limit = threshold if geometry is None else threshold.reshape(channels, -1).max(axis=1)
        wanted = np.divide(self.most, largest, out=np.full(channels, _IDLE), where=largest > 0)
        if not self.spikes:
            # Logits are compared: one scale for all of them.
            return np.full(channels, wanted.min())
        capped = np.minimum(wanted, _LARGEST_THRESHOLD / np.maximum(limit, 1e-30))
        self.clipped += int(np.count_nonzero(capped < wanted))
        return capped

    def _bias(self, scale: Array, gain: Array) -> npt.NDArray[np.int64]:
        neuron, layer = self.layer.neuron, self.layer
        steady = gain / np.maximum(1 - self.stays_u, 1e-12)
        given = layer.bias if layer.recurrent_bias is None else layer.bias + layer.recurrent_bias
        if np.any(self.stays_u > 0) and np.any(given != 0):
            self.notes.append("biases go to v at once, and not through the current: at their steady value")
        exact = scale * (steady * given + (1 - self.stays_v) * neuron.v_leak)
        rounded = np.clip(np.rint(exact), -_LARGEST_BIAS, _LARGEST_BIAS)
        self.clipped += int(np.count_nonzero(np.abs(exact) > _LARGEST_BIAS + 0.5))
        return rounded.astype(np.int64)

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
            integers = np.clip(np.rint(weights), -128, 127).astype(np.int64)
            self.clipped += int(np.count_nonzero(np.abs(np.rint(weights)) > 128))
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
        reset = "hard" if self.how.reset == "zero" or self.layer.neuron.kind == "Threshold" else "soft"
        if self.how.several:
            self.notes.append(
                "neurons send one spike a step, where the package sends as many as the threshold goes into v"
            )
        return Lif(rounded, **decays, reset=reset, strict=strict)  # type: ignore[arg-type]

    def _decay_error(self) -> float:
        shares = [1 - stays for stays in (self.stays_u, self.stays_v)]
        errors = [np.abs(np.rint(FORGETS * share) / FORGETS - share).max() for share in shares]
        return float(max(errors))


def _decays(stays: Array) -> Any:
    return np.rint(FORGETS * (1 - stays)).astype(np.int64)

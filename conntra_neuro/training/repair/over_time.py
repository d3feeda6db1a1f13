"""A layer of neurons that live in time, as repair sees it: exact spikes forward, a surrogate slope back in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import FORGETS, Neuron, values
from conntra_hardware.neurons.base import Advance
from conntra_neuro.training.layers.maps import pooled, potentials, score, seen, spread_out
from conntra_neuro.training.repair.stage import Stage, Trace
from conntra_neuro.training.threads import Threads

__all__ = ["StageOverTime"]

Floats = npt.NDArray[Any]
_WIDTH = 0.5  # of the surrogate's hump, in thresholds


@dataclass(eq=False)
class StageOverTime(Stage):
    """Rows are (samples * steps, ...), a sample's steps one after the other; ``neuron`` has its units channel last.

    The last stage sums a readout, or counts the spikes of a sample: (samples, classes). Its weights stand in ``unit``,
    biases do not. ``loops`` are the neurons' ways back to themselves, which do not move: steps from a spike to its
    arrival, and weights, (units,) of each to itself or (units, units); scores do not go back through them.
    """

    neuron: Neuron = field(kw_only=True)
    steps: int = field(kw_only=True)
    last: bool = field(kw_only=True, default=False)
    unit: int = field(kw_only=True, default=1)
    loops: Sequence[tuple[int, npt.NDArray[np.int64]]] = field(kw_only=True, default=())

    def forward(self, x: Floats, threads: Threads) -> tuple[Floats, Trace]:
        """Return the outputs for rows ``x``, channel last, and what happened on the way."""
        columns = seen(x, self.geometry, threads)
        sums = (potentials(columns, self.weight) - self.weight[-1]) * np.float32(self.unit)
        shape = (len(x), *self._places, sums.shape[1])
        shaped = sums.reshape(len(x) // self.steps, self.steps, -1).astype(np.int64)
        bias = np.tile(self.weight[-1].astype(np.int64), shaped.shape[2] // sums.shape[1])
        if not self.neuron.spikes:
            return self.neuron.respond(shaped, bias).astype(np.float32), Trace(columns, sums, sums)
        found = self._advanced(shaped, bias) if self.loops else self.neuron.advance(shaped, bias)
        unit = 2.0**self.neuron.facts.fraction_bits
        over = (found.held / unit - (self.neuron.facts.least - 0.5)).astype(np.float32)
        y = found.sent.astype(np.float32).reshape(shape)
        trace = Trace(columns, over, y)
        if self.last:
            return found.sent.sum(axis=1, dtype=np.float32), trace
        for _, geometry in self.pools:
            trace.pooled.append(y)
            y = pooled(y, geometry)
        return y, trace

    def _advanced(self, sums: npt.NDArray[np.int64], bias: npt.NDArray[np.int64]) -> Advance:
        """Return what neurons do that see their own spikes, as ``respond_recurrently`` has it."""
        steps: list[Advance] = []
        for step in range(self.steps):
            now = sums[:, step]
            for lag, weight in self.loops:
                if step >= lag:
                    sent = steps[step - lag].sent[:, 0].astype(np.int64)
                    now = now + (sent * weight if weight.ndim == 1 else sent @ weight.T)
            steps.append(self.neuron.advance(now[:, None], bias, steps[-1].state if steps else None))
        sent, held, left = (
            np.concatenate([getattr(found, name) for found in steps], axis=1) for name in ("sent", "held", "left")
        )
        return Advance(sent, held, left, steps[-1].state)

    @property
    def _places(self) -> tuple[int, ...]:
        return () if self.geometry is None else self.geometry.output_shape[1:]

    def backward(self, gain: Floats, trace: Trace, threads: Threads) -> Floats:
        """Return the gains of the sums, (rows, outputs), through all steps of a sample."""
        for _, geometry in reversed(self.pools):
            gain = spread_out(gain, geometry)
        facts, channels = self.neuron.facts, self.weight.shape[1]
        keeps_u, keeps_v = (1 - values(decay) / FORGETS for decay in (facts.current_decay, facts.voltage_decay))
        n = len(gain) if self.last else len(gain) // self.steps
        by_step = np.repeat(gain[:, None], self.steps, axis=1) if self.last else gain.reshape(n, self.steps, -1)
        slope, stays = np.ones((n, self.steps, 1), np.float32), np.ones((n, self.steps, 1), np.float32)
        if self.neuron.spikes:
            width = _WIDTH * np.maximum(values(facts.threshold if facts.threshold is not None else 0), 1)
            over, sent = trace.z, trace.y.reshape(trace.z.shape)
            slope = (1 / width / (1 + np.abs(over) / width) ** 2).astype(np.float32)
            stays = 1 - sent if facts.reset == "hard" else stays
        elif self.last and facts.read == "last" and facts.fraction_bits:
            by_step = by_step * (np.arange(self.steps) == self.steps - 1)[None, :, None]
        elif self.last:
            keeps_v = 0.0  # the sum of all potentials: each step counts for itself
        gains, at_v = np.empty_like(by_step, dtype=np.float32), np.zeros(by_step[:, 0].shape)
        later_v, later_u = np.zeros_like(at_v), np.zeros_like(at_v)
        for step in range(self.steps - 1, -1, -1):
            own = by_step[:, step] * slope[:, step] + later_v * keeps_v * stays[:, step]
            later_v, at_v = own, at_v + own
            later_u = own + keeps_u * later_u
            gains[:, step] = later_u
        trace.bias = at_v.reshape(-1, channels).sum(axis=0)
        return gains.reshape(-1, channels)

    def scores(self, terms: Floats, trace: Trace) -> Floats:
        """Return the gain of each weight and bias, summed over the mini-batch; biases go to v at every step."""
        found = score(trace.columns, terms).astype(np.float32)
        found *= np.float32(self.unit)
        found[-1] = trace.bias
        return found

    def down(self, terms: Floats, n: int, shape: tuple[int, ...], threads: Threads) -> Floats:
        """Return the gains of the inputs, of ``shape``."""
        return super().down(terms, n, shape, threads) * np.float32(self.unit)

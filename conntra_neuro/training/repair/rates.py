"""A layer of integrate-and-fire neurons whose rates mean something, as repair sees it: spikes exact, gains by rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_neuro.training.layers.maps import pooled, potentials, seen, spread_out
from conntra_neuro.training.repair.stage import Stage, Trace
from conntra_neuro.training.threads import Threads

__all__ = ["StageOfRates"]

Floats = npt.NDArray[Any]


@dataclass(eq=False)
class StageOfRates(Stage):
    """Rows are (samples * steps, ...), a sample's steps one after the other; a soft reset, and no leak.

    ``threshold`` (outputs,) of the neurons, None in the readout, which sums all steps: (samples, classes). What a
    neuron sends in a sample is its sums over its threshold, cut to between none and one spike a step, but for what is
    left in the end. So gains are those of rates (samples, ...), and scores take the mean of the inputs over the steps.
    """

    steps: int = field(kw_only=True)
    threshold: Floats | None = field(kw_only=True, default=None)

    def forward(self, x: Floats, threads: Threads) -> tuple[Floats, Trace]:
        """Return the outputs for rows ``x``, channel last, and what happened on the way."""
        n = len(x) // self.steps
        mean = x.reshape(n, self.steps, *x.shape[1:]).mean(axis=1)
        z = potentials(seen(x, self.geometry, threads), self.weight).reshape(n, self.steps, -1)
        columns = seen(mean, self.geometry, threads)
        if self.threshold is None:
            sums = z.sum(axis=1)
            return sums, Trace(columns, sums, sums)
        y, rate = np.empty_like(z), np.empty((n, z.shape[2]), np.float32)
        each = np.tile(self.threshold.astype(np.float32), z.shape[2] // len(self.threshold))
        threads.run(_fire, n, z, each, y, rate)
        places = () if self.geometry is None else self.geometry.output_shape[1:]
        shape = (*places, self.weight.shape[1])
        trace = Trace(columns, z.sum(axis=1), rate)
        sent = y.reshape(len(x), *shape)
        for _, geometry in self.pools:
            sent = pooled(sent, geometry)
        return sent, trace

    def backward(self, gain: Floats, trace: Trace, threads: Threads) -> Floats:
        """Return the gains of the mean sums of a step, (rows, outputs), from those of the rates."""
        for _, geometry in reversed(self.pools):
            gain = spread_out(gain, geometry)
        if self.threshold is None:
            return np.ascontiguousarray(gain * np.float32(self.steps))
        flat = gain.reshape(len(gain), -1)
        inside = (trace.z > 0) & (trace.y < 1)
        each = np.tile(1 / self.threshold.astype(np.float32), flat.shape[1] // len(self.threshold))
        return np.ascontiguousarray((flat * inside * each).reshape(-1, len(self.threshold)))

    def down(self, terms: Floats, n: int, shape: tuple[int, ...], threads: Threads) -> Floats:
        """Return the gains of the inputs' rates; ``n`` and ``shape`` count all steps."""
        few = n // self.steps
        return super().down(terms, few, (few, *shape[1:]), threads)


@jit
def _fire(z, threshold, y, rate, first, last):
    steps, units = z.shape[1], z.shape[2]
    for n in range(first, last):
        for o in range(units):
            v, count = np.float32(0), 0
            for step in range(steps):
                v += z[n, step, o]
                fired = v >= threshold[o]
                y[n, step, o] = fired
                if fired:
                    v -= threshold[o]
                    count += 1
            rate[n, o] = count / steps

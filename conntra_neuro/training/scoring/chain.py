"""Scores of all moves of a chain of dense threshold layers: inputs as lists of active ones, gains and slopes fused.

The gains of the topmost hidden layer are exact; the layers below take first-order ones, carried down by one product
with the weights each. Buffers are made once: a step allocates next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.inputs.batches import Batch, Floats, Inputs, StreamedInputs
from conntra_neuro.training.layers.products import HostProducts, Products
from conntra_neuro.training.neurons import of_word
from conntra_neuro.training.neurons.kernels import lower_gains, price_spikes
from conntra_neuro.training.objective import QUANTA, SquaredError
from conntra_neuro.training.scoring import kernels
from conntra_neuro.training.scoring.costs import fan_outs
from conntra_neuro.training.scoring.plan import Plan, Sums
from conntra_neuro.training.threads import Threads

__all__ = ["ChainScorer"]

_EXACT = 2.0**24  # float32 holds every integer up to here
_ROWS = 2048  # samples at a time when evaluating, of so many inputs in all
_INPUTS = 2**22


class ChainScorer:
    """Scores of all moves on mini-batches of at most ``rows`` samples.

    ``weights`` are (n_in + 1, n_out) of every layer, biases in the last row; they are read anew at every call.
    """

    def __init__(
        self, plan: Plan, weights: Sequence[Floats], n: int, threads: Threads, products: Products | None = None
    ) -> None:
        """``n``: how many samples there are in all, at most; ``products``: where they are computed, None is here."""
        self.plan, self._weights, self._threads = plan, weights, threads
        self._products = products or HostProducts(threads)
        self._table = plan.objective.table
        self._counts = plan.prices is not None or plan.centred  # whether spikes are counted
        self._neuron, self._sizes = of_word(plan.arch.neurons.kind), plan.arch.sizes
        rows = max(min(plan.batch, n), min(_ROWS, _INPUTS // self._sizes[0], n))
        self._room = _Room(self._sizes, rows, plan.dtype)
        self._furthest = 1.0  # of the distances from the targets, where they are values

    @property
    def input_type(self) -> Any:
        """The type of inputs as matrices."""
        return self.plan.dtype

    def rounds(self, batch: Batch, y: npt.NDArray[np.int64], time: float) -> Generator[float, float, Sums]:
        """Score all moves on a mini-batch; ``time`` runs from 0 to 1 over the training.

        Yields the largest gain of each hidden layer below the topmost, from above, of a value the largest distance from
        the target before, and takes that of the whole mini-batch, of which ``batch`` may be a part.
        """
        room, n, last = self._room, len(y), len(self._weights) - 1
        self._forward(batch, n)
        spike_prices = self._spike_prices(time)
        if isinstance(self.plan.objective, SquaredError):
            loss, wrong = yield from self._value(self.plan.objective, y)
        else:
            room.grid = _grid(self.plan.objective.scale, self.plan.batch)
            loss, wrong = self._readout(y, room.grid)
        for i in range(last, -1, -1):
            if i == last - 1:
                self._top_gains(i, y, time, spike_prices[i])
            elif i < last:
                q = room.q[i][:n]
                self._products.multiply(room.q[i + 1][:n], self._weights[i + 1][:-1].T, q)
                peak = yield float(np.abs(q).max())
                self._lower_gains(i, peak, n, time, spike_prices[i])
            if i:
                self._products.multiply(room.h[i - 1][:n].T, room.q[i][:n], room.scores[i])
            else:
                self._products.batch_scores(batch, room.q[i][:n], room.scores[i])
        return Sums(room.scores, loss, wrong, self._spikes(n))

    def evaluate(self, inputs: Inputs | StreamedInputs, y: npt.NDArray[np.int64]) -> Sums:
        """Return losses, errors and spikes of all samples."""
        rows_at_once = len(self._room.losses)
        total = Sums([], 0, 0, [np.zeros(width) for width in self._sizes[1:-1]] if self.plan.prices else [])
        for first in range(0, inputs.n, rows_at_once):
            rows = np.arange(first, min(first + rows_at_once, inputs.n))
            self._forward(inputs.batch(rows, self.plan.dtype), len(rows))
            spikes = self._spikes(len(rows)) if self.plan.prices else []
            total = total + Sums([], *self._readout(y[rows], 1.0), spikes)
        return total

    def _forward(self, batch: Batch, n: int) -> None:
        room = self._room
        self._products.batch_potentials(batch, self._weights[0], room.z[0][:n])
        for weights, z, h, above in zip(self._weights[1:], room.z[:-1], room.h, room.z[1:], strict=True):
            self._threads.run(kernels.spikes, n, z[:n], h[:n])
            self._products.multiply(h[:n], weights, above[:n])

    def _readout(self, y: npt.NDArray[np.int64], grid: float) -> tuple[int, int]:
        """Fill softmax and readout terms; return the sum of the losses in quanta and the number of errors."""
        room, n, objective = self._room, len(y), self.plan.objective
        if isinstance(objective, SquaredError):
            return int(objective.losses(room.z[-1][:n], y).sum()), 0
        args = (room.z[-1][:n], y, self._table, objective.scale, float(self.plan.step), objective.margin, 1 / grid)
        self._threads.run(kernels.readout, n, *args, grid, room.p[:n], room.q[-1][:n], room.losses, room.wrong)
        quanta = np.rint(room.losses[:n] * QUANTA).astype(np.int64)
        return int(quanta.sum()), int(np.count_nonzero(room.wrong[:n]))

    def _value(self, objective: SquaredError, y: npt.NDArray[np.int64]) -> Generator[float, float, tuple[int, int]]:
        """Fill distances from the targets and readout terms, as ``_readout`` does for classes."""
        room, n = self._room, len(y)
        distances = objective.distances(room.z[-1][:n], y)
        peak = yield float(np.abs(distances).max())
        self._furthest = max(peak, 1e-9)
        room.grid = _grid(objective.scale * self._furthest, self.plan.batch)
        room.p[:n, 0] = distances
        # (L(z + d) - L(z - d)) / 2 d of a parabola is its slope.
        room.q[-1][:n, 0] = np.rint(objective.scale * distances / room.grid) * room.grid
        return int(objective.losses(room.z[-1][:n], y).sum()), 0

    def _spikes(self, n: int) -> list[npt.NDArray[np.float64]]:
        if not self._counts:
            return []
        return [h[:n, :-1].sum(axis=0, dtype=np.float64) for h in self._room.h]

    def _spike_prices(self, time: float) -> list[Floats | None]:
        """Return what a spike of each unit of the hidden layers costs; None where it is free."""
        prices, hidden = self.plan.prices_at(time), len(self._weights) - 1
        if prices is None:
            return [None] * hidden
        fan_out = fan_outs(self.plan.arch, self._weights)
        return [prices.of_spikes(i, fan_out[i + 1]) for i in range(hidden)]

    def _curve(self, i: int, time: float) -> npt.NDArray[np.float32]:
        neuron = self.plan.arch.nodes[i].neuron
        assert neuron is not None
        return self._neuron.slope(neuron, self.plan.sigma_at(i, time))

    def _top_gains(self, i: int, y: npt.NDArray[np.int64], time: float, price: Floats | None) -> None:
        """Fill ``q[i]``: the exact gain of every unit below the readout, times the slope of its noisy threshold."""
        room, n, curve = self._room, len(y), self._curve(i, time)
        weights = self._weights[i + 1][:-1].T.astype(np.float64) * self.plan.objective.scale
        if isinstance(self.plan.objective, SquaredError):
            largest = float(np.abs(weights).max())
            self._set_grid(i, largest * (self._furthest + largest / 2), curve, price)
            args = (room.z[i][:n], room.h[i][:n], room.p[:n], weights[0], curve, 1 / room.grid, room.grid)
            self._threads.run(kernels.flip_gains, n, *args, room.q[i][:n])
            self._add_price(i, n, curve, price)
            return
        self._set_grid(i, float(weights.max() - weights.min()), curve, price)
        tables = [np.ascontiguousarray(t, dtype=np.float32) for t in (np.exp(weights), np.exp(-weights), weights)]
        args = (room.z[i][:n], room.h[i][:n], room.p[:n], y, *tables, curve, 1 / room.grid, room.grid)
        self._threads.run(kernels.top_gains, n, *args, room.q[i][:n])
        self._add_price(i, n, curve, price)

    def _lower_gains(self, i: int, peak: float, n: int, time: float, price: Floats | None) -> None:
        """Turn first-order gains in ``q[i]``, in all the mini-batch at most ``peak``, into what is summed."""
        room, curve = self._room, self._curve(i, time)
        self._set_grid(i, peak, curve, price)
        self._threads.run(lower_gains, n, room.z[i][:n], room.q[i][:n], curve, 1 / room.grid, room.grid)
        self._add_price(i, n, curve, price)

    def _set_grid(self, i: int, gain: float, curve: npt.NDArray[np.float32], price: Floats | None) -> None:
        """Set the grid for terms of hidden layer i that are at most ``gain`` (and a price) times the slope."""
        plan = self.plan
        bound = (gain + (0.0 if price is None else float(price.max()))) * float(curve.max())
        # They are summed over samples for the scores, and over the layer's units for the layer below.
        terms = max(plan.batch, 0 if i == 0 else self._sizes[i + 1] * plan.largest)
        self._room.grid = _grid(max(bound, 1e-9), terms)

    def _add_price(self, i: int, n: int, curve: npt.NDArray[np.float32], price: Floats | None) -> None:
        room = self._room
        if price is not None:
            args = (room.z[i][:n], price, curve, 1 / room.grid, room.grid, room.q[i][:n])
            self._threads.run(price_spikes, n, *args)


class _Room:
    """Buffers of one mini-batch, so that steps allocate next to nothing."""

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: Any) -> None:
        def empty(*shape: int) -> Floats:
            return np.empty(shape, dtype=dtype)

        self.z = [empty(rows, width) for width in sizes[1:]]
        self.h = [empty(rows, width + 1) for width in sizes[1:-1]]
        self.q = [empty(rows, width) for width in sizes[1:]]
        self.scores = [empty(n_in + 1, n_out) for n_in, n_out in pairwise(sizes)]
        self.p = empty(rows, sizes[-1])
        self.losses = np.empty(rows, dtype=np.float64)
        self.wrong = np.empty(rows, dtype=np.bool_)
        self.grid = 1.0


def _grid(bound: float, terms: int) -> float:
    """Return the power of two on which ``terms`` values of at most ``bound`` add up exactly in float32."""
    return 2.0 ** math.ceil(math.log2(bound * (terms + 1) / _EXACT) + 1e-9)

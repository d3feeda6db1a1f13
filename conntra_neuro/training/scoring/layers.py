"""Scores of all moves of a network of any layers and neurons, on mini-batches.

The gains of the units below the readout are exact, through pooling in between, too; they are carried on down by first
order, ``gain_below = (gain * slope) @ weights.T``, scattered back over the image where layers are convolutions. A
kernel's weight is one coordinate: its score is the sum over all places of the kernel and all time steps.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import later
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.inputs.batches import Batch, DenseBatch, Floats, Inputs, StreamedInputs
from conntra_neuro.training.layers.delayed import sooner
from conntra_neuro.training.layers.forward import Activity, forward, loop_of, rows_of
from conntra_neuro.training.layers.maps import TERMS, max_gain, spread_out
from conntra_neuro.training.layers.products import HostProducts, Products
from conntra_neuro.training.neurons import Terms, of_neuron
from conntra_neuro.training.objective import QUANTA, SquaredError
from conntra_neuro.training.scoring import kernels
from conntra_neuro.training.scoring.costs import fan_outs
from conntra_neuro.training.scoring.plan import Plan, Sums
from conntra_neuro.training.threads import Threads

__all__ = ["LayerScorer", "rows_at_once"]

_VALUES = 2**24  # of columns at a time when evaluating
_ONES = np.ones(3, np.float32)  # a slope of 1 everywhere
_FINE = 2.0**-20  # grid of bare gains, nats


Rounds = Generator[float, float, Any]


class LayerScorer:
    """Scores on mini-batches. ``weights`` (inputs of a unit + 1, outputs) are read anew at every call."""

    input_type = np.float32

    def __init__(
        self, plan: Plan, weights: Sequence[Floats], threads: Threads, products: Products | None = None
    ) -> None:
        """``products``: where they are computed; None is here."""
        self.plan, self._weights, self._threads = plan, weights, threads
        self._given, self._products = products, products or HostProducts(threads)
        self._table = plan.objective.table

    @property
    def threads(self) -> Threads:
        """Those that it computes on."""
        return self._threads

    def parts(self) -> tuple[LayerScorer, ...]:
        """Return as many scorers as it has threads, one for each; only itself where another device computes."""
        count = 1 if self._given is not None else self._threads.count
        one = Threads(1)
        return tuple(LayerScorer(self.plan, self._weights, one) for _ in range(count)) if count > 1 else (self,)

    def evaluate(self, inputs: Inputs | StreamedInputs, y: npt.NDArray[np.int64]) -> Sums:
        """Return losses, errors and spikes of all samples."""
        return self.evaluate_rows(inputs, y, slice(0, inputs.n))

    def evaluate_rows(self, inputs: Inputs | StreamedInputs, y: npt.NDArray[np.int64], rows: slice) -> Sums:
        """Return losses, errors and spikes of some samples, at least one."""
        total, at_once = None, rows_at_once(self.plan.arch)
        for first in range(rows.start, rows.stop, at_once):
            some = np.arange(first, min(first + at_once, rows.stop))
            x = self._rows(inputs.batch(some, self.input_type))
            found = forward(self.plan.arch, self._weights, x, self._threads, keep=False, products=self._products)
            _, _, loss, wrong = self._readout(found.outputs[-1], y[some], 1.0)
            part = Sums([], loss, wrong, self._spikes(found))
            total = part if total is None else total + part
        assert total is not None
        return total

    def rounds(self, batch: Batch, y: npt.NDArray[np.int64], time: float) -> Generator[float, float, Sums]:
        """Score all moves on a mini-batch; ``time`` runs from 0 to 1 over the training.

        Yields the largest graded spikes, of a value the largest distance from the target, and the largest gains of each
        node, and takes those of the whole mini-batch, of which ``batch`` may be a part.
        """
        arch, steps = self.plan.arch, self.plan.arch.steps
        found = forward(arch, self._weights, self._rows(batch), self._threads, products=self._products)
        peaks = yield from self._peaks(found)
        last = len(arch.nodes) - 1
        top = arch.nodes[last]
        scale = self.plan.objective.scale
        if isinstance(self.plan.objective, SquaredError):
            distances = self.plan.objective.distances(found.outputs[-1], y)
            scale *= max((yield float(np.abs(distances).max())), 1e-9)
        grid = _grid_of_readout(self.plan, scale, max(top.largest, peaks[last]), found.inputs.dtype)
        p, q, loss, wrong = self._readout(found.outputs[-1], y, grid)
        scores: list[Any] = [None] * len(self._weights)
        q = np.repeat(q, steps, axis=0) if steps > 1 else q
        self._score(top, found.columns[last], q, scores)
        gains: list[Floats | None] = [None] * last
        prices = self._spike_prices(time)
        if last:
            self._top_gains(found, p, q, y, gains)
        for number in range(last - 1, -1, -1):
            yield from self._descend(number, found, peaks, gains, scores, prices[number], time)
        return Sums(scores, loss, wrong, self._spikes(found))

    def _rows(self, batch: Batch) -> Floats:
        assert isinstance(batch, DenseBatch)
        return rows_of(self.plan.arch, batch.x[:, :-1], self.plan.dtype)

    def _peaks(self, found: Activity) -> Generator[float, float, list[float]]:
        """Return the largest output of the inputs and of each node below the readout; graded ones by all samples."""
        peaks = []
        for number in range(-1, len(self.plan.arch.nodes) - 1):
            bound = 1 if number < 0 else self.plan.arch.nodes[number].bound
            peaks.append(float(bound) if bound else (yield _peak(found.output(number))))
        return peaks

    def _spikes(self, found: Activity) -> list[npt.NDArray[np.float64]]:
        """Return how often each unit of each node below the readout spikes; none where spikes are free."""
        if self.plan.prices is None:
            return []
        return [np.count_nonzero(h, axis=0).astype(np.float64).ravel() for h in found.outputs[:-1]]

    def _spike_prices(self, time: float) -> list[Floats | None]:
        """Return what a spike of each unit of the hidden nodes costs, as their shapes; None where it is free."""
        prices, hidden = self.plan.prices_at(time), self.plan.arch.nodes[:-1]
        if prices is None:
            return [None] * len(hidden)
        found = fan_outs(self.plan.arch, self._weights)
        return [
            None if node.neuron is None else prices.of_spikes(i, found[i + 1]).reshape(node.shape)
            for i, node in enumerate(hidden)
        ]

    def _readout(self, logits: Floats, y: npt.NDArray[np.int64], grid: float) -> tuple[Floats, Floats, int, int]:
        """Return softmax, score terms of the logits, the sum of the losses in quanta, the number of errors."""
        n, objective = len(y), self.plan.objective
        if isinstance(objective, SquaredError):
            distances = objective.distances(logits, y)[:, None]
            terms = np.rint(objective.scale * distances / grid) * grid
            loss = int(objective.losses(logits, y).sum())
            return distances.astype(logits.dtype), terms.astype(logits.dtype), loss, 0
        p, q, losses, wrong = np.empty_like(logits), np.empty_like(logits), np.empty(n), np.empty(n, dtype=np.bool_)
        args = (logits, y, self._table, objective.scale, float(self.plan.step), objective.margin, 1 / grid, grid)
        self._threads.run(kernels.readout, n, *args, p, q, losses, wrong)
        quanta = np.rint(losses * QUANTA).astype(np.int64)
        return p, q, int(quanta.sum()), int(np.count_nonzero(wrong))

    def _score(self, node: Node, columns: Floats | None, q: Floats, scores: list[Any]) -> None:
        assert columns is not None
        scores[node.index] = self._products.score(columns, q.reshape(-1, q.shape[-1]))

    def _top_gains(
        self, found: Activity, p: Floats, q: Floats, y: npt.NDArray[np.int64], gains: list[Floats | None]
    ) -> None:
        """Fill the gains of what the readout reads: exact flip gains of spikes, first order where it reads sums.

        Spikes that are pooled first get the exact gains here, too: a sum moves by one, an OR where all others are off.
        """
        arch, top = self.plan.arch, len(self.plan.arch.nodes) - 2
        below, weights = arch.nodes[top], self._weights[-1][:-1].T.astype(np.float64) * self.plan.objective.scale
        outputs = found.outputs[top]
        if below.kind == "sum" and top and arch.nodes[top - 1].bound == 1:
            assert below.geometry is not None
            tables = spread_out(weights.reshape(-1, *below.shape), below.geometry)
            gains[top - 1] = self._flip_gains(found.outputs[top - 1], p, y, tables.reshape(len(weights), -1))
        elif below.bound == 1:
            gains[top] = self._flip_gains(outputs, p, y, weights)
        else:
            gains[top] = self._products.down(q, self._weights[-1], None, len(q)).reshape(outputs.shape)

    def _flip_gains(self, spikes: Floats, p: Floats, y: npt.NDArray[np.int64], weights: Floats) -> Floats:
        """Return the exact change of the loss when a unit's spike is there, against when it is not: as ``spikes``."""
        steps, n = self.plan.arch.steps, len(spikes)
        h = np.ascontiguousarray(spikes.reshape(n, -1))
        if steps > 1:
            p, y = np.repeat(p, steps, axis=0), np.repeat(y, steps)
        out = np.empty_like(h)
        if isinstance(self.plan.objective, SquaredError):
            self._threads.run(kernels.flip_gains, n, h, h, p, weights[0], _ONES, 1 / _FINE, _FINE, out)
            return out.reshape(spikes.shape)
        tables = [np.ascontiguousarray(t, dtype=np.float32) for t in (np.exp(weights), np.exp(-weights), weights)]
        self._threads.run(kernels.top_gains, n, h, h, p, y, *tables, _ONES, 1 / _FINE, _FINE, out)
        return out.reshape(spikes.shape)

    def _descend(
        self,
        number: int,
        found: Activity,
        peaks: Sequence[float],
        gains: list[Floats | None],
        scores: list[Any],
        price: Floats | None,
        time: float,
    ) -> Rounds:
        """From the gains of a node's outputs to its scores, and to the gains of what it reads."""
        node, gain = self.plan.arch.nodes[number], gains[number]
        if gain is None:  # the sum pooling below the readout: what it reads has its gains already
            return
        gains[number] = None
        before = found.output(number - 1)
        if node.index < 0:
            assert node.geometry is not None
            if price is not None:  # of a spike of the neuron that takes the maximum
                gain = gain + price.astype(gain.dtype)
            pool = spread_out(gain, node.geometry) if node.kind == "sum" else None
            if pool is None:
                pool = max_gain(gain, before, found.z[number], node.geometry)
            _add(gains, number - 1, pool)
            return
        assert node.neuron is not None
        how = Terms(
            self.plan.sigma_at(number, time), (yield max(_peak(gain), 1e-9)), self._count(node, peaks, number), price
        )
        outputs, gain = found.outputs[number], np.ascontiguousarray(gain)
        q = of_neuron(node.neuron).terms(
            node.neuron,
            found.z[number],
            outputs,
            gain,
            how,
            self._threads,
            self.plan.arch.steps,
            loop_of(node, self._weights),
        )
        flat = q.reshape(-1, node.shape[-1])
        self._score(node, found.columns[number], flat, scores)
        weights = self._weights
        if node.loop >= 0:
            scores[node.loop] = self._products.score(_before(outputs, self.plan.arch.steps), flat)
            scores[node.loop][-1] = 0
        if number:
            below = self._products.down(flat, weights[node.index], node.geometry, len(before))
            if node.delays:
                below = sooner(below, node.delays, self.plan.arch.steps)
            _add(gains, number - 1, below.reshape(before.shape))
        skip = node.skip
        if skip is None:
            return
        if skip.geometry is None:
            _add(gains, skip.source, np.multiply(q, skip.scale, dtype=q.dtype))
            return
        columns = found.skipped[number]
        assert columns is not None
        scores[skip.index] = self._products.score(columns, flat)
        scores[skip.index][-1] = 0  # the bias of the layer itself is enough
        if skip.source >= 0:
            added = self._products.down(flat, weights[skip.index], skip.geometry, len(before))
            _add(gains, skip.source, added)

    def _count(self, node: Node, peaks: Sequence[float], number: int) -> float:
        """Return how many terms of a node are to add up exactly, times what they are multiplied by."""
        largest = max(node.largest or peaks[number], 1)
        if node.skip is not None:
            largest = max(largest, peaks[node.skip.source + 1])
        kernel = 1 if node.geometry is None else math.prod(node.geometry.kernel)
        return max(TERMS * largest, kernel * node.shape[-1] * self.plan.largest)


def rows_at_once(arch: Architecture) -> int:
    """Return how many samples' columns fit in a modest buffer."""
    values = max(
        n.fan_in * (n.delays + 1) * (n.geometry.positions if n.geometry else 1) * arch.steps for n in arch.nodes
    )
    return max(1, min(2048, _VALUES // values))


def _add(gains: list[Floats | None], number: int, more: Floats) -> None:
    """Add to the gains of a node; the inputs have none."""
    if number >= 0:
        before = gains[number]
        gains[number] = more if before is None else before + more


def _before(outputs: Floats, steps: int) -> Floats:
    """Return the outputs (n * steps, units) of the step before each; of the first, none."""
    moved = later(outputs.reshape(-1, steps, outputs.shape[-1]), 1)
    return moved.reshape(1, *outputs.shape)


def _peak(x: Floats) -> float:
    return float(max(x.max(initial=0), -x.min(initial=0)))


def _grid_of_readout(plan: Plan, term: float, largest: float, dtype: Any) -> float:
    exact = 2.0**24 if dtype == np.float32 else 2.0**52
    terms_of = max(TERMS * max(largest, 1), plan.arch.nodes[-1].shape[0] * plan.largest)
    return 2.0 ** math.ceil(math.log2(term * (terms_of + 1) / exact) + 1e-9)

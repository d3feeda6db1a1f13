"""Scores of all moves of a network with convolutions, on mini-batches: what ``Blocks`` asks of its samples.

The gains of the units below the readout are exact, through pooling in between, too; they are carried on down by first
order, ``gain_below = (gain * slope) @ weights.T``, scattered back over the image where layers are convolutions. A
kernel's weight is one coordinate: its score is the sum over all places of the kernel and all time steps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training import kernels
from conntra_neuro.training.bits import BitSpikes, Spikes
from conntra_neuro.training.inputs import DenseBatch, Floats, Inputs, StreamedInputs
from conntra_neuro.training.layered.architecture import Architecture, Node
from conntra_neuro.training.layered.forward import Activity, forward, rows_of
from conntra_neuro.training.layered.gains import terms
from conntra_neuro.training.layered.maps import TERMS, down, max_gain, score, spread_out
from conntra_neuro.training.objective import QUANTA, Objective
from conntra_neuro.training.parameters import BIAS_LIMIT
from conntra_neuro.training.scoring import Sums
from conntra_neuro.training.task import Task
from conntra_neuro.training.threads import Threads

__all__ = [
    "LayeredPlan",
    "LayeredSamples",
    "LayeredScorer",
    "bytes_of",
    "exact_float",
    "layered_samples",
    "rows_at_once",
]

_VALUES = 2**24  # of columns at a time when evaluating
_ONES = np.ones(3, np.float32)  # a slope of 1 everywhere
_FINE = 2.0**-20  # grid of bare gains, nats


@dataclass(frozen=True)
class LayeredPlan:
    """What scores depend on besides weights and samples; as ``scoring.Plan``. ``spreads``: a number a node."""

    arch: Architecture
    largest: int
    step: int
    batch: int
    objective: Objective
    spreads: tuple[float, ...]
    sigma: float
    sigma_end: float

    @property
    def dtype(self) -> Any:
        """float32 while every potential is exact in it, else float64."""
        return exact_float(self.arch, self.largest)

    def prices_at(self, time: float) -> None:
        """Return None: cost is no part of the objective here."""

    def sigma_at(self, number: int, time: float) -> float:
        """Return the noise of a node's thresholds, in units of potential; ``time`` from 0 to 1 over the training."""
        return max(self.spreads[number] * self.sigma * (self.sigma_end / self.sigma) ** time, 0.25)


def exact_float(arch: Architecture, largest: int) -> Any:
    """Return float32 while all sums of a pass are exact in it, else float64; graded spikes have no bound beforehand."""
    most = max(node.fan_in * largest * max(node.largest, 1) * arch.steps for node in arch.nodes)
    graded = any(node.bound == 0 for node in arch.nodes)
    return np.float64 if graded or most + 4 * arch.steps * BIAS_LIMIT >= 2**24 else np.float32


@dataclass(frozen=True, eq=False)
class LayeredSamples:
    """Samples in this process, and the scorer that they are given to."""

    inputs: Inputs | StreamedInputs
    y: npt.NDArray[np.int64]
    scorer: LayeredScorer

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes."""
        return self.inputs.rates

    def score(self, rows: IntArray, shifts: IntArray | None, time: float) -> Sums:
        """Score the samples ``rows``, images moved by ``shifts``."""
        return self.scorer.score(self._batch(rows, shifts), self.y[rows], time)

    def evaluate(self) -> Sums:
        """Return losses and errors of all samples."""
        total, at_once = Sums([], 0, 0, []), rows_at_once(self.scorer.plan.arch)
        for first in range(0, self.inputs.n, at_once):
            rows = np.arange(first, min(first + at_once, self.inputs.n))
            total = total + self.scorer.evaluate(self._batch(rows, None), self.y[rows])
        return total

    def _batch(self, rows: IntArray, shifts: IntArray | None) -> Floats:
        plan = self.scorer.plan
        batch = self.inputs.batch(rows, np.float32, shifts)
        assert isinstance(batch, DenseBatch)
        return rows_of(plan.arch, batch.x[:, :-1], plan.dtype)


class LayeredScorer:
    """Scores on mini-batches. ``weights`` (inputs of a unit + 1, outputs) are read anew at every call."""

    def __init__(self, plan: LayeredPlan, weights: Sequence[Floats], threads: Threads) -> None:
        self.plan, self._weights, self._threads = plan, weights, threads
        self._table = plan.objective.table

    def evaluate(self, x: Floats, y: npt.NDArray[np.int64]) -> Sums:
        """Return losses and errors of rows ``x`` (n * steps, ...)."""
        found = forward(self.plan.arch, self._weights, x, self._threads, keep=False)
        _, _, loss, wrong = self._readout(found.outputs[-1], y, 1.0)
        return Sums([], loss, wrong, [])

    def score(self, x: Floats, y: npt.NDArray[np.int64], time: float) -> Sums:
        """Score all moves on rows ``x`` (n * steps, ...); ``time`` runs from 0 to 1 over the training."""
        arch, steps = self.plan.arch, self.plan.arch.steps
        found = forward(arch, self._weights, x, self._threads)
        last = len(arch.nodes) - 1
        top = arch.nodes[last]
        grid = _grid_of_readout(self.plan, max(top.largest, _peak(found.output(last - 1))), x.dtype)
        p, q, loss, wrong = self._readout(found.outputs[-1], y, grid)
        scores: list[Any] = [None] * len(self._weights)
        q = np.repeat(q, steps, axis=0) if steps > 1 else q
        self._score(top, found.columns[last], q, scores)
        gains: list[Floats | None] = [None] * last
        if last:
            self._top_gains(found, p, q, y, gains)
        for number in range(last - 1, -1, -1):
            self._descend(number, found, gains, scores, time)
        return Sums(scores, loss, wrong, [])

    def _readout(self, logits: Floats, y: npt.NDArray[np.int64], grid: float) -> tuple[Floats, Floats, int, int]:
        """Return softmax, score terms of the logits, the sum of the losses in quanta, the number of errors."""
        n, objective = len(y), self.plan.objective
        p, q, losses, wrong = np.empty_like(logits), np.empty_like(logits), np.empty(n), np.empty(n, dtype=np.bool_)
        args = (logits, y, self._table, objective.scale, float(self.plan.step), objective.margin, 1 / grid, grid)
        self._threads.run(kernels.readout, n, *args, p, q, losses, wrong)
        quanta = np.rint(losses * QUANTA).astype(np.int64)
        return p, q, int(quanta.sum()), int(np.count_nonzero(wrong))

    def _score(self, node: Node, columns: Floats | None, q: Floats, scores: list[Any]) -> None:
        assert columns is not None
        scores[node.index] = score(columns, q.reshape(-1, q.shape[-1])).astype(np.float32)

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
            gains[top] = down(q, self._weights[-1], None, len(q), self._threads).reshape(outputs.shape)

    def _flip_gains(self, spikes: Floats, p: Floats, y: npt.NDArray[np.int64], weights: Floats) -> Floats:
        """Return the exact change of the loss when a unit's spike is there, against when it is not: as ``spikes``."""
        steps, n = self.plan.arch.steps, len(spikes)
        h = np.ascontiguousarray(spikes.reshape(n, -1))
        if steps > 1:
            p, y = np.repeat(p, steps, axis=0), np.repeat(y, steps)
        out = np.empty_like(h)
        tables = [np.ascontiguousarray(t, dtype=np.float32) for t in (np.exp(weights), np.exp(-weights), weights)]
        self._threads.run(kernels.top_gains, n, h, h, p, y, *tables, _ONES, 1 / _FINE, _FINE, out)
        return out.reshape(spikes.shape)

    def _descend(
        self, number: int, found: Activity, gains: list[Floats | None], scores: list[Any], time: float
    ) -> None:
        """From the gains of a node's outputs to its scores, and to the gains of what it reads."""
        node, gain = self.plan.arch.nodes[number], gains[number]
        if gain is None:  # the sum pooling below the readout: what it reads has its gains already
            return
        gains[number] = None
        before = found.output(number - 1)
        if node.index < 0:
            assert node.geometry is not None
            pool = spread_out(gain, node.geometry) if node.kind == "sum" else None
            if pool is None:
                pool = max_gain(gain, before, found.z[number], node.geometry)
            _add(gains, number - 1, pool)
            return
        q = self._terms(number, node, found, gain, time)
        flat = q.reshape(-1, node.shape[-1])
        self._score(node, found.columns[number], flat, scores)
        weights = self._weights
        if number:
            below = down(flat, weights[node.index], node.geometry, len(before), self._threads)
            _add(gains, number - 1, below.reshape(before.shape))
        skip = node.skip
        if skip is None:
            return
        if skip.geometry is None:
            _add(gains, skip.source, skip.scale * q)
            return
        columns = found.skipped[number]
        assert columns is not None
        scores[skip.index] = score(columns, flat).astype(np.float32)
        scores[skip.index][-1] = 0  # the bias of the layer itself is enough
        if skip.source >= 0:
            added = down(flat, weights[skip.index], skip.geometry, len(before), self._threads)
            _add(gains, skip.source, added)

    def _terms(self, number: int, node: Node, found: Activity, gain: Floats, time: float) -> Floats:
        largest = max(node.largest or _peak(found.output(number - 1)), 1)
        if node.skip is not None:
            largest = max(largest, _peak(found.output(node.skip.source)))
        kernel = 1 if node.geometry is None else math.prod(node.geometry.kernel)
        count = max(TERMS * largest, kernel * node.shape[-1] * self.plan.largest)
        args = (self.plan.sigma_at(number, time), max(_peak(gain), 1e-9), count, self._threads)
        assert node.neuron is not None
        return terms(node.neuron, found.z[number], found.outputs[number], np.ascontiguousarray(gain), *args)


def layered_samples(
    plan: LayeredPlan, task: Task, weights: Sequence[Floats], threads: Threads
) -> tuple[LayeredSamples, LayeredSamples | None]:
    """Return the training samples of ``task``, and the held-out ones."""
    scorer = LayeredScorer(plan, weights, threads)
    held = task.held_out
    found = None if held is None else LayeredSamples(bytes_of(task, held[0]), held[1], scorer)
    return LayeredSamples(bytes_of(task, task.spikes), task.y, scorer), found


def rows_at_once(arch: Architecture) -> int:
    """Return how many samples' columns fit in a modest buffer."""
    values = max(n.fan_in * (n.geometry.positions if n.geometry else 1) * arch.steps for n in arch.nodes)
    return max(1, min(2048, _VALUES // values))


def bytes_of(task: Task, spikes: Spikes) -> Inputs | StreamedInputs:
    """Return samples as bytes, or bits in a file; the time steps of an image lie like channels: shifted alike."""
    image, steps = task.image, 1 if task.layered is None else task.layered.input_steps
    if image is not None:
        image = dataclasses.replace(image, channels=image.channels * steps)
    if isinstance(spikes, BitSpikes):
        return StreamedInputs(spikes, image, dense=True)
    return Inputs(len(spikes), spikes.shape[1], image, x=np.ascontiguousarray(spikes, dtype=np.uint8))


def _add(gains: list[Floats | None], number: int, more: Floats) -> None:
    """Add to the gains of a node; the inputs have none."""
    if number >= 0:
        before = gains[number]
        gains[number] = more if before is None else before + more


def _peak(x: Floats) -> float:
    return float(np.abs(x).max(initial=0))


def _grid_of_readout(plan: LayeredPlan, largest: float, dtype: Any) -> float:
    exact = 2.0**24 if dtype == np.float32 else 2.0**52
    terms_of = max(TERMS * max(largest, 1), plan.arch.nodes[-1].shape[0] * plan.largest)
    return 2.0 ** math.ceil(math.log2(plan.objective.scale * (terms_of + 1) / exact) + 1e-9)

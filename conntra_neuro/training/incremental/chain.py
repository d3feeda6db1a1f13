"""The network on all samples, one unit's moves at a time: the state that the exact and annealed gears share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.incremental import flips
from conntra_neuro.training.inputs.bits import Spikes
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters
from conntra_neuro.training.task import Evaluation, Task
from conntra_neuro.training.threads import Threads

__all__ = ["IncrementalChain", "Moves", "Steps", "step_curves"]

_MOST_STEPS = 4096
_ROWS = 4096


@dataclass(frozen=True)
class Moves:
    """Moves of one unit: weights of ``inputs`` by ``steps``, the bias by ``bias_step``."""

    inputs: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    bias_step: int

    @property
    def count(self) -> int:
        """How many coordinates move."""
        return len(self.inputs) + (self.bias_step != 0)


class Steps:
    """Every distance between two levels: what a weight may move by. Biases move by the same, and by one.

    values  (moves,), ascending
    between (levels, levels): the index in ``values`` of the step from one level to another; the diagonal is
    unused
    """

    def __init__(self, levels: Levels) -> None:
        array = levels.array
        distance = array[None, :] - array[:, None]
        self.values = np.setdiff1d(np.append(distance.ravel(), [-1, 1]), [0])
        if len(self.values) > _MOST_STEPS:
            raise InputError(
                f"levels {levels}: {len(self.values)} different distances, at most {_MOST_STEPS} in this gear; "
                "space the levels evenly, or use gear='blocks'"
            )
        self.between = np.searchsorted(self.values, distance)
        self.largest = int(self.values[-1])


def step_curves(step_curve: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return P(z + step) - P(z), (moves, 2 R + 1), of P at -r .. r, constant beyond; R leaves room for every step."""
    edge = (len(step_curve) - 1) // 2
    reach = edge + int(np.abs(steps).max()) + 1
    z = np.arange(-reach, reach + 1)
    place = np.clip(z + np.append(0, steps)[:, None], -edge, edge) + edge
    p = step_curve[place]
    return np.ascontiguousarray(p[1:] - p[0])


class IncrementalChain:
    """Potentials, spikes and losses of all training samples; at most 4 bytes and 1 bit a sample and unit."""

    def __init__(self, task: Task, start: Parameters, objective: Objective, threads: Threads) -> None:
        self._task, self._threads, self.objective = task, threads, objective
        self.steps = Steps(task.levels)
        self.sizes = task.sizes
        self._loss = flips.Loss(*objective.args)
        self._biases = [bias.astype(np.int64) for bias in start.biases]
        self._net = _build(task, start)
        self._weights = _views(self._net)
        for i in range(0, len(task.y), _ROWS):
            rows = slice(i, i + _ROWS)
            logits = self._net.potentials[rows, self._net.unit_at[-1] :]
            self._net.losses[rows] = objective.losses(logits, task.y[rows])
        self.total = int(self._net.losses.sum())

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self._net.losses)

    @property
    def units(self) -> npt.NDArray[np.int64]:
        """All units as rows (layer, unit)."""
        return np.array([(layer, i) for layer, size in enumerate(self.sizes[1:]) for i in range(size)])

    def evaluate(self) -> Evaluation:
        """Return the exact training objective and error."""
        logits = self._net.potentials[:, self._net.unit_at[-1] :]
        wrong = sum(
            int(np.count_nonzero(logits[i : i + _ROWS].argmax(axis=1) != self._task.y[i : i + _ROWS]))
            for i in range(0, self.n, _ROWS)
        )
        return Evaluation(self.objective.nats(self.total, self.n), wrong / self.n)

    def evaluate_on(self, spikes: Spikes, y: npt.NDArray[np.int64]) -> Evaluation:
        """Return objective and error on other samples, by a forward pass."""
        parameters, total, wrong = self.parameters(), 0, 0
        for i in range(0, len(y), _ROWS):
            logits = parameters.potentials(spikes[i : i + _ROWS])[-1]
            total += int(self.objective.losses(logits, y[i : i + _ROWS]).sum())
            wrong += int(np.count_nonzero(logits.argmax(axis=1) != y[i : i + _ROWS]))
        return Evaluation(self.objective.nats(total, len(y)), wrong / len(y))

    def parameters(self) -> Parameters:
        """Return a copy of the weights and biases."""
        weights = tuple(weight.copy() for weight in self._weights)
        return Parameters(weights, tuple(bias.astype(np.int32) for bias in self._biases))

    def scores(
        self,
        rows: IntArray,
        layer: int,
        unit: int,
        curves: npt.NDArray[np.int64],
        gains: npt.NDArray[np.int64],
        reach: int,
        shift: int,
    ) -> npt.NDArray[np.int64]:
        """Return the scores (n_in + 1, moves) of every move of a unit, the bias last, over ``rows``.

        curves  (moves, 2 R + 1): P(z + step) - P(z) at z = -R .. R
        gains   (rows,) is filled with the flip gains where ``|z| <= reach``; not for the readout
        Gains and scores of the readout are in quanta of 2^(shift - 32) nats, other scores in these over P's unit.
        """
        if layer == len(self.sizes) - 2:
            args = (self._net, self._loss, rows, unit, self.steps.values, shift)
            return np.sum(self._threads.run(flips.score_readout, len(rows), *args), axis=0)
        edge = (curves.shape[1] - 1) // 2
        args = (self._net, self._loss, rows, layer, unit, edge, gains, reach, shift)
        return np.sum(self._threads.run(flips.gather_gains, len(rows), *args), axis=0).T @ curves.T

    def best_steps(
        self, layer: int, unit: int, scores: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return for every weight of the unit, and its bias last, the step with the lowest score, and that score."""
        index = np.searchsorted(self._task.levels.values, self._weights[layer][:, unit])
        allowed = self.steps.between[index]
        found = np.take_along_axis(scores[:-1], np.minimum(allowed, scores.shape[1] - 1), axis=1)
        found[np.arange(len(index)), index] = 0  # to stay where it is
        best = found.argmin(axis=1)
        lowest = found[np.arange(len(index)), best]
        steps = self._task.levels.array[best] - self._task.levels.array[index]
        reachable = np.abs(self._biases[layer][unit] + self.steps.values) <= BIAS_LIMIT
        bias_scores = np.where(reachable, scores[-1], 0)
        at = int(bias_scores.argmin())
        return np.append(steps, self.steps.values[at]), np.append(lowest, bias_scores[at])

    def trial(
        self,
        rows: IntArray,
        layer: int,
        unit: int,
        moves: Moves,
        gains: npt.NDArray[np.int64],
        step_curve: npt.NDArray[np.int64],
        shift: int,
    ) -> int:
        """Return what ``moves`` together would change over ``rows``; see ``flips.try_moves``."""
        args = (rows, layer, unit, moves.inputs, moves.steps, moves.bias_step, gains, step_curve, shift)
        return int(sum(self._threads.run(flips.try_moves, len(rows), self._net, self._loss, *args)))

    def move(self, layer: int, unit: int, moves: Moves) -> int:
        """Make ``moves``; return the change of the total loss, in quanta."""
        args = (layer, unit, moves.inputs, moves.steps, moves.bias_step)
        change = int(sum(self._threads.run(flips.move_unit, self.n, self._net, self._loss, *args)))
        self._weights[layer][moves.inputs, unit] += moves.steps.astype(np.int32)
        self._biases[layer][unit] += moves.bias_step
        self.total += change
        return change


def _build(task: Task, start: Parameters) -> flips.Net:
    sizes = np.array(task.sizes, dtype=np.int64)
    words = (sizes[:-1] + 63) // 64
    unit_at = np.concatenate([[0], np.cumsum(sizes[1:])])
    word_at = np.concatenate([[0], np.cumsum(words)])
    weight_at = np.concatenate([[0], np.cumsum(sizes[:-1] * sizes[1:])])
    n = len(task.y)
    potentials = np.empty((n, unit_at[-1]), dtype=_potential_type(task))
    spikes = np.empty((n, word_at[-1]), dtype=np.uint64)
    for i in range(0, n, _ROWS):
        rows = slice(i, i + _ROWS)
        x = task.spikes[rows]
        for layer, z in enumerate(start.potentials(x)):
            spikes[rows, word_at[layer] : word_at[layer + 1]] = _bit_sets(x)
            potentials[rows, unit_at[layer] : unit_at[layer + 1]] = z
            x = (z > 0).astype(np.uint8)
    return flips.Net(
        potentials,
        spikes,
        np.concatenate([weight.ravel() for weight in start.weights]).astype(np.int32),
        np.empty(n, dtype=np.int64),
        task.y,
        sizes,
        unit_at[:-1],
        word_at[:-1],
        weight_at[:-1],
    )


def _views(net: flips.Net) -> list[npt.NDArray[np.int32]]:
    """Return each layer's weights (n_in, n_out), views of the flat array."""
    views = []
    for at, (n_in, n_out) in zip(net.weight_at, pairwise(net.sizes), strict=True):
        views.append(net.weights[at : at + n_in * n_out].reshape(n_in, n_out))
    return views


def _bit_sets(x: SpikeArray) -> npt.NDArray[np.uint64]:
    """Return 0/1 inputs (n, width) as bit sets (n, words): input j is bit j % 64 of word j // 64."""
    width = (x.shape[1] + 63) // 64 * 8
    packed = np.zeros((len(x), width), dtype=np.uint8)
    bits = np.packbits(x, axis=1, bitorder="little")
    packed[:, : bits.shape[1]] = bits
    return packed.view("<u8").astype(np.uint64)


def _potential_type(task: Task) -> Any:
    largest = max(abs(task.levels.values[0]), abs(task.levels.values[-1]))
    return np.int16 if max(task.sizes[:-1]) * largest + BIAS_LIMIT < 2**15 else np.int32

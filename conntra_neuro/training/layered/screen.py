"""Which moves are worth an exact look: the summed flip gains of all moves, and the lowest of them.

``LayeredScorer`` says what a unit of each weight changes the loss by, to first order; times the step of a move it is a
guess of the change. Guesses only decide what is looked at.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.layered.scorer import LayeredPlan, LayeredSamples, LayeredScorer, bytes_of, rows_at_once
from conntra_neuro.training.layered.state import LayeredNetwork, Moves
from conntra_neuro.training.parameters import BIAS_LIMIT
from conntra_neuro.training.task import Task, generator
from conntra_neuro.training.threads import Threads
from conntra_neuro.training.unitwise import Steps

__all__ = ["Screen"]

_ROWS = 1000  # samples that are scored at a time


class Screen:
    """Scores all moves of ``network`` on at most ``samples`` training samples, in the order of their promise."""

    def __init__(
        self, task: Task, network: LayeredNetwork, spreads: list[float], sigma: float, samples: int, threads: Threads
    ) -> None:
        """``sigma``: noise of the thresholds, in units of ``spreads``; larger sets are screened on a random part."""
        self._task, self._network, self._most = task, network, samples
        self._levels, self._bias_steps = task.levels.array.astype(np.int64), Steps(task.levels).values
        largest, step = int(np.abs(self._levels).max()), int(np.diff(self._levels).min())
        plan = LayeredPlan(network.arch, largest, step, _ROWS, network.objective, tuple(spreads), sigma, sigma)
        scorer = LayeredScorer(plan, network.weights, threads)
        self._samples = LayeredSamples(bytes_of(dataclasses.replace(task, image=None), task.spikes), task.y, scorer)
        self._unbiased = {node.skip.index for node in network.arch.nodes if node.skip is not None}

    def scores(self, number: int) -> list[npt.NDArray[np.float64]]:
        """Return the scores (inputs of a unit + 1, outputs) of all weights, of sweep ``number``'s samples.

        They are sums over chunks of samples in one order: the same on any number of threads.
        """
        n = len(self._task.y)
        rows = np.arange(n)
        if n > self._most:
            rows = np.sort(generator(self._task.seed, 3, number).permutation(n)[: self._most])
        total = [np.zeros(weight.shape) for weight in self._network.weights]
        at_once = min(_ROWS, rows_at_once(self._network.arch))
        for first in range(0, len(rows), at_once):
            found = self._samples.score(rows[first : first + at_once], None, 0.0)
            for sums, part in zip(total, found.scores, strict=True):
                sums += part
        return total

    def candidates(self, index: int, scores: npt.NDArray[np.float64], count: int) -> Moves:
        """Return the ``count`` moves of weights ``index`` with the lowest guesses, if those are below zero.

        A weight may move to any level, a bias by any distance of two levels, and by one.
        """
        weight = self._network.weights[index].astype(np.int64)
        steps = self._levels - weight[:-1, :, None]
        moves, guesses = _moves(index, steps, scores[:-1], 0)
        if index not in self._unbiased:
            steps = np.broadcast_to(self._bias_steps, (1, weight.shape[1], len(self._bias_steps)))
            steps = np.where(np.abs(weight[-1:, :, None] + steps) <= BIAS_LIMIT, steps, 0)
            biases, more = _moves(index, steps, scores[-1:], len(weight) - 1)
            moves, guesses = np.concatenate([moves, biases]), np.concatenate([guesses, more])
        return moves[np.argsort(guesses, kind="stable")[:count]]


def _moves(
    index: int, steps: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], first: int
) -> tuple[Moves, npt.NDArray[np.float64]]:
    """Return the moves whose guesses are below zero, and these; ``steps`` (rows, columns, choices) from row ``first``
    on.
    """
    guesses = scores[:, :, None] * steps
    rows, columns, choices = np.nonzero(guesses < 0)
    chosen = steps[rows, columns, choices]
    moves = np.stack([np.full(len(rows), index), rows + first, columns, chosen], axis=1)
    return moves, guesses[rows, columns, choices]

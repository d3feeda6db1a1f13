"""Which moves are worth an exact look: the summed flip gains of all moves, and the lowest of them.

``LayerScorer`` says what a unit of each weight changes the loss by, to first order; times the step of a move it is a
guess of the change. Guesses only decide what is looked at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training.incremental.chain import Steps
from conntra_neuro.training.incremental.layers import IncrementalNetwork, Moves
from conntra_neuro.training.parameters import BIAS_LIMIT
from conntra_neuro.training.scoring import samples_of
from conntra_neuro.training.scoring.layers import LayerScorer, rows_at_once
from conntra_neuro.training.scoring.plan import Plan
from conntra_neuro.training.task import Task
from conntra_neuro.training.threads import Threads

__all__ = ["Screen", "one_each"]

_ROWS = 1000  # samples that are scored at a time


class Screen:
    """Scores all moves of ``network`` on training samples, and puts them in the order of their promise."""

    def __init__(
        self,
        task: Task,
        network: IncrementalNetwork,
        spreads: list[float],
        sigmas: tuple[float, float],
        threads: Threads,
    ) -> None:
        """``sigmas``: noise of the thresholds at the start and the end, in units of ``spreads``."""
        self._network = network
        self._levels, self._bias_steps = task.levels.array.astype(np.int64), Steps(task.levels).values
        step = int(np.diff(self._levels).min())
        fixed = (network.arch, task.largest_level, step, _ROWS, network.objective, tuple(spreads))
        self._samples = samples_of(LayerScorer(Plan(*fixed, *sigmas), network.weights, threads), task.spikes, task.y)
        self._unbiased = {node.skip.index for node in network.arch.nodes if node.skip is not None}

    def scores(self, rows: IntArray, time: float) -> list[npt.NDArray[np.float64]]:
        """Return the scores (inputs of a unit + 1, outputs) of all weights, of samples ``rows``.

        They are sums over chunks of samples in one order: the same on any number of threads.
        """
        total = [np.zeros(weight.shape) for weight in self._network.weights]
        at_once = min(_ROWS, rows_at_once(self._network.arch))
        for first in range(0, len(rows), at_once):
            found = self._samples.score(rows[first : first + at_once], None, time)
            for sums, part in zip(total, found.scores, strict=True):
                sums += part.astype(np.float32)
        return total

    def candidates(
        self, index: int, scores: npt.NDArray[np.float64], count: int | None, units: slice = slice(None)
    ) -> Moves:
        """Return the ``count`` moves (None: all) of weights ``index`` with the lowest guesses, if these are below zero.

        Of the weights to ``units`` only. A weight may move to any level, a bias by any distance of two levels, and by
        one.
        """
        weight, scores = self._network.weights[index][:, units].astype(np.int64), scores[:, units]
        steps = self._levels - weight[:-1, :, None]
        moves, guesses = _moves(index, steps, scores[:-1], 0)
        if index not in self._unbiased:
            steps = np.broadcast_to(self._bias_steps, (1, weight.shape[1], len(self._bias_steps)))
            steps = np.where(np.abs(weight[-1:, :, None] + steps) <= BIAS_LIMIT, steps, 0)
            biases, more = _moves(index, steps, scores[-1:], len(weight) - 1)
            moves, guesses = np.concatenate([moves, biases]), np.concatenate([guesses, more])
        moves[:, 2] += units.start or 0
        return moves[np.argsort(guesses, kind="stable")[:count]]


def one_each(moves: Moves) -> Moves:
    """Return the first move of each coordinate, in the order that they are in."""
    _, first = np.unique(moves[:, 1:3], axis=0, return_index=True)
    return moves[np.sort(first)]


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

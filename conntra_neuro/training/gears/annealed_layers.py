"""The annealed gear for layers of any kind: proposed under noise, tried without it, several moves of a unit together.

A visit takes a layer and a random batch of samples. All moves of the layer are scored there under thresholds with
logistic noise of scale sigma, by summed flip gains (``Screen``). Then its units come in random order: of the moves with
the lowest scores those are kept that lower the batch's objective, and the best m of them tried together, exactly; while
they do not lower it m is halved. Sigma, m and with them the steps are annealed from coarse to fine, as in the gear for
chains, which scores each unit anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.gears.annealed import AnnealedOptions
from conntra_neuro.training.gears.held_network import NetworkGear
from conntra_neuro.training.incremental.layers import IncrementalNetwork
from conntra_neuro.training.incremental.screen import Screen, one_each
from conntra_neuro.training.inputs.bits import taken
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.start import check_exponents, start_of_classes
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["AnnealedLayers"]

_LOOKED_AT = 4  # times as many moves of a unit as are made together, at most


class AnnealedLayers(NetworkGear[IncrementalNetwork]):
    """See the module."""

    finished = False
    anneals = True
    priced = False
    decides_by_objective = False

    def __init__(self, task: Task, options: AnnealedOptions, threads: Threads) -> None:
        self._options, self._threads = options, threads
        start, self._objective, self._spreads = start_of_classes(task, options.scale, options.margin)
        check_exponents(self._objective, task.levels)
        # A batch is a run of samples, which has to be as mixed as any other.
        order = generator(task.seed, purpose=5).permutation(len(task.y))
        self._task = dataclasses.replace(task, spikes=taken(task.spikes, order), y=task.y[order])
        self.sweeps = options.sweeps or 40
        self._begin(start)

    def _begin(self, start: Parameters) -> None:
        options = self._options
        self.network = IncrementalNetwork(self._task, start, self._objective, self._threads)
        sigmas = (options.sigma, options.sigma_end)
        self._screen = Screen(self._task, self.network, self._spreads, sigmas, self._threads)

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Visit every layer, and each of its units, once, in an order of the sweep's own."""
        rng = generator(self._task.seed, 1, number)
        order = rng.permutation(len(self.network.weights)).tolist()
        for done, index in enumerate(order):
            first = int(rng.integers(0, max(1, self.network.n - self._options.batch + 1)))
            rows = slice(first, min(first + self._options.batch, self.network.n))
            units = rng.permutation(self.network.weights[index].shape[1])
            time = (number + done / len(order)) / sweeps
            if time >= 1 or clock.stops(number + done / len(order)):
                break
            stops = partial(_stops, clock, number + done / len(order), 1 / len(order) / len(units))
            self.visit(index, units, rows, time, stops)
            tick(number + (done + 1) / len(order), self.network.evaluate())
        return self.network.evaluate()

    def visit(
        self,
        index: int,
        units: npt.NDArray[np.int64],
        rows: slice,
        time: float,
        stops: Callable[[int], bool] = lambda visited: False,
    ) -> int:
        """Make the best moves of each of ``units`` on a batch; return their change of the batch's loss, in quanta.

        ``stops(visited)`` says whether to leave the rest out.
        """
        scores = self._screen.scores(np.arange(rows.start, rows.stop), time)[index]
        most, total = max(1, round(self._options.moves ** (1 - time))), 0
        for visited, unit in enumerate(units.tolist()):
            if stops(visited):
                break
            moves = self._screen.candidates(index, scores, _LOOKED_AT * most, slice(unit, unit + 1))
            changes = self.network.changes(moves, rows)
            best = np.argsort(changes, kind="stable")
            moves = one_each(moves[best[changes[best] < 0]])[:most]
            while len(moves):
                change = self.network.together(moves, rows=rows)
                if change < 0:
                    self.network.together(moves, write=True)
                    total += change
                    break
                moves = moves[: len(moves) // 2]
        return total

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state; potentials, outputs and losses follow from it."""
        self._begin(Parameters.from_arrays(state))


def _stops(clock: Clock, done: float, share: float, visited: int) -> bool:
    return clock.stops(done + share * visited)

"""The exact gear for layers of any kind: moves are screened by summed flip gains, verified exactly, accepted together.

A kernel's weight is seen at many places, so that no closed form gives the exact change of the objective; a guess does
(``Screen``). A sweep screens all moves and visits all layers in an order of its own. A visit verifies the moves with
the lowest guesses, each on its own, on all samples and on the integer network (``IncrementalNetwork.changes``). Of
those that lower the objective all, half, a quarter, down to the best one are tried together, and what lowers it most is
made; the rest is verified anew, until none is left that lowers it. So the objective never rises.

A sweep that makes no move has the next one look at four times as many moves; where there are no more to look at, or
``widest`` are looked at, the training ends: no single one of them lowers the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.gears.exact_chain import ExactOptions
from conntra_neuro.training.gears.held_network import NetworkGear
from conntra_neuro.training.incremental.layers import IncrementalNetwork, Moves
from conntra_neuro.training.incremental.screen import Screen, one_each
from conntra_neuro.training.options import COUNT, SIGMA, check_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.start import check_exponents, start_of_classes
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["ExactLayers", "ExactLayersOptions"]

_WIDER = 4


@dataclass(frozen=True)
class ExactLayersOptions(ExactOptions):
    """As ``ExactOptions``, a sweep being a visit of each layer, and

    candidates  moves of a layer that a visit verifies at first
    widest      and at most, where fewer of them lower nothing any more; as many as a layer has moves, and the end is a
                local optimum of the moves that the screening expects to lower the objective
    sigma       noise of the thresholds in the screening, in units of the potentials' spread
    screened    samples of the screening; larger sets are screened on a random part, anew in each sweep
    """

    candidates: int = 64
    widest: int = 1024
    sigma: float = 0.1
    screened: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, {**dict.fromkeys(("candidates", "widest", "screened"), COUNT), "sigma": SIGMA})


class ExactLayers(NetworkGear[IncrementalNetwork]):
    """The exact gear; see the module."""

    decides_by_objective = True
    anneals = False
    priced = False

    def __init__(self, task: Task, options: ExactLayersOptions, threads: Threads) -> None:
        self._task, self._options, self._threads = task, options, threads
        start, self._objective, self._spreads = start_of_classes(task, options.scale, options.margin)
        check_exponents(self._objective, task.levels)
        self.sweeps = options.sweeps or 100
        self.finished, self._count = False, min(options.candidates, options.widest)
        self._begin(start)

    def _begin(self, start: Parameters) -> None:
        options = self._options
        self.network = IncrementalNetwork(self._task, start, self._objective, self._threads)
        sigmas = (options.sigma, options.sigma)
        self._screen = Screen(self._task, self.network, self._spreads, sigmas, self._threads)

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Screen all moves, and visit every layer once, in an order of the sweep's own."""
        scores, before = self._screen.scores(self._screened(number), 0.0), self.network.total
        order = generator(self._task.seed, 1, number).permutation(len(scores)).tolist()
        more = False
        for done, index in enumerate(order):
            at = number + done / len(order)
            if at >= sweeps or clock.stops(at):
                return self.network.evaluate()
            found = self._screen.candidates(index, scores[index], self._count)
            more |= len(found) == self._count
            self.visit(found, partial(_stops, clock, at, 1 / len(order) / (len(found) + 1)))
            if clock.stopped is not None:
                return self.network.evaluate()
            tick(number + (done + 1) / len(order), self.network.evaluate())
        if self.network.total == before:
            self.finished = not more or self._count >= self._options.widest
            self._count = min(_WIDER * self._count, self._options.widest)
        return self.network.evaluate()

    def _screened(self, number: int) -> npt.NDArray[np.int64]:
        """Return the samples that sweep ``number`` screens: all, or a random part of many."""
        n, most = len(self._task.y), self._options.screened
        return np.arange(n) if n <= most else np.sort(generator(self._task.seed, 3, number).permutation(n)[:most])

    def visit(self, moves: Moves, stops: Callable[[int], bool] = lambda rounds: False) -> int:
        """Verify ``moves`` of one layer, make those that lower the objective together; return its change, in quanta."""
        before, rounds = self.network.total, 0
        while len(moves) and not stops(rounds):
            rounds += 1
            changes = self.network.changes(moves)
            best = np.argsort(changes, kind="stable")
            moves = one_each(moves[best[changes[best] < 0]])
            if not len(moves):
                break
            count = self._together(moves)
            self.network.together(moves[:count], write=True)
            moves = moves[count:]
        return self.network.total - before

    def _together(self, moves: Moves) -> int:
        """Return how many of ``moves``, the best first, lower the objective most: all, half, ... or the best one."""
        lowest, count, best = 0, len(moves), 1
        while count:
            change = self.network.together(moves[:count])
            if change < lowest:
                lowest, best = change, count
            count //= 2
        return best

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights, biases, how many moves a visit verifies, and whether the end is reached."""
        here = {"finished": np.array(self.finished), "count": np.array(self._count)}
        return super().state() | here

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state; potentials, outputs and losses follow from it."""
        self.finished, self._count = bool(state["finished"].item()), int(state["count"].item())
        self._begin(Parameters.from_arrays(state))


def _stops(clock: Clock, done: float, share: float, rounds: int) -> bool:
    return clock.stops(done + share * rounds)

"""The annealed gear: one unit at a time, exact gains, several moves accepted together after a check.

Each visit takes a random batch of samples and scores all moves of one unit under thresholds with logistic noise of
scale sigma, through exact flip gains in any depth. The best m moves are tried together; while they do not lower the
batch's objective m is halved. Sigma, m and with them the steps are annealed from coarse to fine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.gears.held_network import NetworkGear
from conntra_neuro.training.incremental.chain import IncrementalChain, Moves, step_curves
from conntra_neuro.training.options import COUNT, SIGMA, SWEEPS, check_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.start import start_of_classes
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["Annealed", "AnnealedOptions"]

_P = 2.0**16  # probabilities are whole multiples of 2^-16, so that sums are exact
_SHIFT = 12  # gains are whole multiples of 2^-20 nats


@dataclass(frozen=True)
class AnnealedOptions:
    """The recipe.

    sweeps             visits of each unit
    batch              samples in a visit's batch
    scale, margin      the objective's; see ``BlocksOptions``
    sigma, sigma_end   noise of the thresholds at the start and the end, in units of the potentials' spread
    moves              moves of a unit made together at the start; one at the end
    """

    sweeps: float | None = None
    batch: int = 10_000
    scale: float | None = None
    margin: int = 0
    sigma: float = 0.4
    sigma_end: float = 0.04
    moves: int = 16

    def __post_init__(self) -> None:
        counts, noise = ("batch", "moves"), ("sigma", "sigma_end")
        check_options(self, {"sweeps": SWEEPS, **dict.fromkeys(counts, COUNT), **dict.fromkeys(noise, SIGMA)})


class Annealed(NetworkGear[IncrementalChain]):
    """The annealed gear; see the module."""

    finished = False
    anneals = True
    priced = False
    decides_by_objective = False

    def __init__(self, task: Task, options: AnnealedOptions, threads: Threads) -> None:
        self._task, self._options, self._threads = task, options, threads
        start, objective, self._spreads = start_of_classes(task, options.scale, options.margin)
        self.sweeps = options.sweeps or 40
        self.network = IncrementalChain(task, start, objective, threads)

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Visit every unit once, in an order of the sweep's own."""
        rng = generator(self._task.seed, 1, number)
        units = rng.permutation(self.network.units)
        found = self.evaluate(held_out=False)
        for done, (layer, unit) in enumerate(units.tolist()):
            time = (number + done / len(units)) / sweeps
            if time >= 1 or clock.stops(number + done / len(units)):
                break
            rows = self._batch(rng)
            self.visit(layer, unit, rows, time)
            tick(number + done / len(units), Evaluation(self._objective, found.error))
        return self.evaluate(held_out=False)

    def visit(self, layer: int, unit: int, rows: npt.NDArray[np.int64], time: float) -> int:
        """Make the best moves of a unit on a batch; return their change of it, in the batch's own units."""
        options, network = self._options, self.network
        sigma = self._spreads[layer] * options.sigma * (options.sigma_end / options.sigma) ** time
        step_curve = _noisy_step(max(sigma, 0.05))
        curves = step_curves(step_curve, network.steps.values)
        most = max(1, round(options.moves ** (1 - time)))
        gains = np.zeros(len(rows), dtype=np.int64)
        reach = (len(step_curve) - 1) // 2 + most * network.steps.largest
        scores = network.scores(rows, layer, unit, curves, gains, reach, _SHIFT)
        steps, lowest = network.best_steps(layer, unit, scores)
        order = np.argsort(lowest, kind="stable")[:most]
        order = order[lowest[order] < 0]
        while len(order):
            moves = _moves(order, steps)
            change = network.trial(rows, layer, unit, moves, gains, step_curve, _SHIFT)
            if change < 0:
                network.move(layer, unit, moves)
                return change
            order = order[: len(order) // 2]
        return 0

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state; potentials, spikes and losses follow from it."""
        found = Parameters.from_arrays(state)
        self.network = IncrementalChain(self._task, found, self.network.objective, self._threads)

    def _batch(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        n = self.network.n
        if self._options.batch >= n:
            return np.arange(n)
        return np.sort(rng.choice(n, self._options.batch, replace=False, shuffle=False))

    @property
    def _objective(self) -> float:
        return self.network.objective.nats(self.network.total, self.network.n)


def _noisy_step(sigma: float) -> npt.NDArray[np.int64]:
    """Return P(z) in multiples of 2^-16 at z = -R .. R, exactly 0 and 1 at the ends; the threshold is at 1/2."""
    reach = math.ceil(12 * sigma) + 1  # exp(-12) is below the resolution
    z = np.arange(-reach, reach + 1)
    p = np.rint(_P / (1 + np.exp(-(z - 0.5) / sigma))).astype(np.int64)
    p[0], p[-1] = 0, int(_P)
    return p


def _moves(order: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> Moves:
    bias = len(steps) - 1
    inputs = order[order != bias]
    return Moves(inputs, steps[inputs], int(steps[bias]) if bias in order else 0)

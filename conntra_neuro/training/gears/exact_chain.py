"""The exact gear, the paper's algorithm: all samples, hard thresholds, one move at a time; the objective
never rises.

Units are visited in random order; at each visit every move of the unit, to any level, is scored exactly, and the best
is made if it lowers the objective. A sweep that moves nothing ends the training: no single move lowers the objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.gears.held_network import NetworkGear
from conntra_neuro.training.incremental.chain import IncrementalChain, Moves, step_curves
from conntra_neuro.training.options import SWEEPS, check_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.start import start_of_classes
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["ExactChain", "ExactOptions"]


@dataclass(frozen=True)
class ExactOptions:
    """sweeps: visits of each unit at most. scale, margin: the objective's; see ``BlocksOptions``."""

    sweeps: float | None = None
    scale: float | None = None
    margin: int = 0

    def __post_init__(self) -> None:
        check_options(self, {"sweeps": SWEEPS})


class ExactChain(NetworkGear[IncrementalChain]):
    """The exact gear; see the module."""

    decides_by_objective = True
    anneals = False
    priced = False

    def __init__(self, task: Task, options: ExactOptions, threads: Threads) -> None:
        self._task, self._threads = task, threads
        start, objective, _ = start_of_classes(task, options.scale, options.margin)
        self.sweeps = options.sweeps or 100
        self.finished = False
        self.network = IncrementalChain(task, start, objective, threads)
        self._curves = step_curves(np.array([0, 0, 1]), self.network.steps.values)
        self._gains = np.zeros(len(task.y), dtype=np.int64)
        self._rows = np.arange(len(task.y))

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Visit every unit once, in an order of the sweep's own."""
        units = generator(self._task.seed, 1, number).permutation(self.network.units)
        accepted, found = 0, self.evaluate(held_out=False)
        for done, (layer, unit) in enumerate(units.tolist()):
            at = number + done / len(units)
            if at >= sweeps or clock.stops(at):
                return self.evaluate(held_out=False)
            accepted += self.visit(layer, unit) < 0
            tick(number + done / len(units), Evaluation(self._objective, found.error))
        self.finished = accepted == 0
        return self.evaluate(held_out=False)

    def scores(self, layer: int, unit: int) -> npt.NDArray[np.int64]:
        """Return the exact change of the total loss, in quanta, of every move of a unit: (n_in + 1, steps)."""
        reach = self.network.steps.largest
        return self.network.scores(self._rows, layer, unit, self._curves, self._gains, reach, 0)

    def visit(self, layer: int, unit: int) -> int:
        """Make the best move of a unit if it lowers the objective; return the change of the total loss, in quanta."""
        steps, lowest = self.network.best_steps(layer, unit, self.scores(layer, unit))
        at = int(lowest.argmin())
        if lowest[at] >= 0:
            return 0
        is_bias = at == len(steps) - 1
        chosen = np.array([] if is_bias else [at], dtype=np.int64)
        return self.network.move(layer, unit, Moves(chosen, steps[chosen], int(steps[at]) if is_bias else 0))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights, biases, and whether the end is reached."""
        return super().state() | {"finished": np.array(self.finished)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state; potentials, spikes and losses follow from it."""
        self.finished = bool(state["finished"])
        found = Parameters.from_arrays(state)
        self.network = IncrementalChain(self._task, found, self.network.objective, self._threads)

    @property
    def _objective(self) -> float:
        return self.network.objective.nats(self.network.total, self.network.n)

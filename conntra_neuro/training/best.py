"""Keeping the best network: the held-out part decides, or the exact training objective of small sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from conntra_neuro.training.checkpoint import TrainingState
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.result import Record
from conntra_neuro.training.task import Evaluation, Gear

__all__ = ["Keeper"]


@dataclass
class Keeper:
    """The history, and the parameters with the lowest key: held-out (error, objective), or the objective.

    ``started``: from a network that is given. On held-out samples it, and what has taken its place, gives way only
    where neither error nor objective is higher: an error of some thousand samples is good to a few of them, and the
    lowest of many such errors is luck. Where the training objective decides, the held-out error must not be higher;
    where nothing is held out, and the gear is to lower nothing but the objective, the error may. Where an inference's
    cost is part of the objective (``priced``), more errors may be what it asks for.
    """

    held_out: bool
    decides_by_objective: bool = False
    started: bool = False
    priced: bool = False
    history: list[Record] = field(default_factory=list)
    best: Parameters | None = None
    best_error: float | None = None
    key: tuple[float, float] = (float("inf"), float("inf"))

    @property
    def error(self) -> float | None:
        """Held-out error of the best parameters; None where nothing is held out."""
        return self.best_error if self.held_out else None

    def take(self, gear: Gear, sweep: int, seconds: float, running: Evaluation) -> Record:
        """Evaluate after a sweep, keep the parameters where they are the best, and return the record.

        With equal keys the later parameters are kept.
        """
        held_out = gear.evaluate(held_out=True) if self.held_out else None
        exact = gear.evaluate(held_out=False) if held_out is None or self.decides_by_objective else None
        if held_out is not None and exact is None:
            key = (held_out.error, held_out.objective)
        else:
            assert exact is not None
            key = (exact.objective, exact.error)
        if key <= self.key and not (self.started and not self.priced and self._worse(held_out, exact, key)):
            self.best, self.key = gear.parameters(), key
            self.best_error = (held_out or exact or running).error
        shown = exact or running
        record = Record(seconds, sweep, shown.objective, shown.error, held_out.error if held_out else None)
        self.history.append(record)
        return record

    def _worse(self, held_out: Evaluation | None, exact: Evaluation | None, key: tuple[float, float]) -> bool:
        """Say whether a network is worse than the best so far on what validates."""
        if held_out is not None and exact is None:
            return key[1] > self.key[1]
        found = held_out or exact
        assert found is not None
        may_rise = held_out is None and self.decides_by_objective
        return not may_rise and self.best_error is not None and found.error > self.best_error

    def state(self, gear: Gear, seconds: float, schedule: float | None = None) -> TrainingState:
        """Return where training stands, after the last record."""
        assert self.best is not None
        assert self.best_error is not None
        history = tuple(self.history)
        kept = (self.best, self.key, self.best_error, history, schedule)
        return TrainingState(history[-1].sweep, seconds, gear.state(), *kept)

    def restore(self, state: TrainingState) -> None:
        """Take up a state."""
        self.history = list(state.history)
        self.best, self.key, self.best_error = state.best, state.key, state.best_error

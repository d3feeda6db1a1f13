"""Keeping the best network: the held-out part decides, or the exact training objective of small sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.result import Record
from conntra_neuro.training.task import Evaluation, Gear

__all__ = ["Keeper"]


@dataclass
class Keeper:
    """The history, and the parameters with the lowest key: held-out (error, objective), or the objective."""

    held_out: bool
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
        found = gear.evaluate(self.held_out)
        key = (found.error, found.objective) if self.held_out else (found.objective, found.error)
        if key <= self.key:
            self.best, self.best_error, self.key = gear.parameters(), found.error, key
        shown = running if self.held_out else found
        record = Record(seconds, sweep, shown.objective, shown.error, found.error if self.held_out else None)
        self.history.append(record)
        return record

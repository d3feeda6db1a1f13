"""The loop around a gear: sweeps until the end, the time limit or Ctrl-C; the best network kept, progress reported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from conntra_neuro.training.best import Keeper
from conntra_neuro.training.checkpoint import Checkpoints, TrainingState, take_up
from conntra_neuro.training.result import Progress, Record
from conntra_neuro.training.task import Clock, Evaluation, Gear, Task

__all__ = ["drive"]

_TICK_S = 0.5

OnProgress = Callable[[Progress], None]


def drive(
    engine: Gear,
    task: Task,
    clock: Clock,
    progress: OnProgress | None,
    checkpoints: Checkpoints | None = None,
    resumed: TrainingState | None = None,
) -> tuple[Keeper, bool]:
    """Train, and return what was kept and whether Ctrl-C ended it."""
    keeper = Keeper(task.held_out is not None, engine.decides_by_objective, started=task.start is not None)
    first = 0
    if resumed is not None:
        take_up(engine, resumed, task.levels)
        keeper.restore(resumed)
        first = resumed.sweep
    elif task.start is not None:
        keeper.take(engine, 0, clock.seconds, engine.evaluate(held_out=False))  # the result is never worse
    try:
        for number in range(first, engine.sweeps):
            if engine.finished or clock.expired:
                break
            running = engine.sweep(number, engine.sweeps, clock, _ticker(progress, engine.sweeps, clock, keeper))
            record = keeper.take(engine, number + 1, clock.seconds, running)
            if checkpoints is not None:
                last = engine.finished or clock.expired or number + 1 == engine.sweeps
                checkpoints.save(lambda: keeper.state(engine, clock.seconds), now=last)
            if progress is not None:
                progress(_progress(record, engine.sweeps, keeper))
    except KeyboardInterrupt:
        return _ended(keeper, engine, clock), True
    return _ended(keeper, engine, clock), False


def _ended(keeper: Keeper, engine: Gear, clock: Clock) -> Keeper:
    if keeper.best is None:
        keeper.take(engine, 0, clock.seconds, engine.evaluate(held_out=False))
    return keeper


def _ticker(
    progress: OnProgress | None, sweeps: int, clock: Clock, keeper: Keeper
) -> Callable[[float, Evaluation], None]:
    """Return what a gear calls at every step: it passes on no more than two calls a second."""
    if progress is None:
        return lambda done, running: None
    last = clock.seconds

    def tick(done: float, running: Evaluation) -> None:
        nonlocal last
        now = clock.seconds
        if now - last >= _TICK_S:
            last = now
            error = keeper.history[-1].validation_error if keeper.history else None
            record = Record(now, 0, running.objective, running.error, error)
            progress(dataclasses.replace(_progress(record, sweeps, keeper), sweep=done))

    return tick


def _progress(record: Record, sweeps: int, keeper: Keeper) -> Progress:
    return Progress(
        record.seconds,
        record.sweep,
        sweeps,
        record.objective,
        record.train_error,
        record.validation_error,
        keeper.best_error,
    )

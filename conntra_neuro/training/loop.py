"""The loop around a gear: sweeps until the end, the time limit or Ctrl-C; the best network kept, progress reported."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable

from conntra_neuro.training.best import Keeper
from conntra_neuro.training.checkpoint import Checkpoints, TrainingState, take_up
from conntra_neuro.training.result import Progress, Record
from conntra_neuro.training.schedule import Pace
from conntra_neuro.training.task import Clock, Evaluation, Gear, Task

__all__ = ["drive"]

_TICK_S = 0.5
_log = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]


def drive(
    engine: Gear,
    task: Task,
    clock: Clock,
    progress: OnProgress | None,
    checkpoints: Checkpoints | None = None,
    resumed: TrainingState | None = None,
) -> tuple[Keeper, float, bool]:
    """Train, and return what was kept, the sweeps of the schedule, and whether Ctrl-C ended it.

    A time limit that leaves no room for the gear's sweeps makes it begin anew, once, with a shorter schedule.
    """
    if resumed is not None:
        take_up(engine, resumed, task.levels)
        keeper, sweeps = _keeper(engine, task), resumed.schedule or engine.sweeps
        keeper.restore(resumed)
        return keeper, sweeps, _sweeps(engine, keeper, clock, sweeps, progress, checkpoints, None)
    pace = Pace(engine, clock, task.held_out is not None)
    start = {name: array.copy() for name, array in engine.state().items()} if pace.looking else {}
    keeper = _begun(engine, task, clock)
    interrupted = _sweeps(engine, keeper, clock, engine.sweeps, progress, checkpoints, pace)
    if pace.chosen is None or interrupted:
        return keeper, engine.sweeps, interrupted
    _log.info("the time limit leaves room for %g of %g sweeps: beginning anew", pace.chosen, engine.sweeps)
    engine.restore(start)
    clock.begin_anew()
    keeper = _begun(engine, task, clock)
    return keeper, pace.chosen, _sweeps(engine, keeper, clock, pace.chosen, progress, checkpoints, None)


def _keeper(engine: Gear, task: Task) -> Keeper:
    return Keeper(task.held_out is not None, engine.decides_by_objective, task.start is not None, engine.priced)


def _begun(engine: Gear, task: Task, clock: Clock) -> Keeper:
    """Return what keeps the best; a network to start from is there at once: the result is never worse."""
    keeper = _keeper(engine, task)
    if task.start is not None:
        keeper.take(engine, 0, clock.seconds, engine.evaluate(held_out=False))
    return keeper


def _sweeps(
    engine: Gear,
    keeper: Keeper,
    clock: Clock,
    sweeps: float,
    progress: OnProgress | None,
    checkpoints: Checkpoints | None,
    pace: Pace | None,
) -> bool:
    """Train for a schedule of ``sweeps``, and say whether Ctrl-C ended it."""
    first, last = keeper.history[-1].sweep if keeper.history else 0, math.ceil(sweeps)
    try:
        for number in range(first, last):
            if engine.finished or clock.stops(number):
                break
            running = engine.sweep(number, sweeps, clock, _ticker(progress, sweeps, clock, keeper, pace))
            if (pace is not None and pace.chosen is not None) or clock.stopped == number:  # before its first step
                break
            record = keeper.take(engine, number + 1, clock.seconds, running)
            _tell(record, sweeps, keeper)
            if checkpoints is not None and not (pace is not None and pace.looking):
                ends = engine.finished or clock.stops(number + 1) or number + 1 == last
                checkpoints.save(lambda: keeper.state(engine, clock.seconds, sweeps), now=ends)
            if progress is not None:
                progress(_progress(record, sweeps, keeper))
    except KeyboardInterrupt:
        clock.stopped = keeper.history[-1].sweep if keeper.history else None
        _log.warning("interrupted after %s of %g sweeps: the best network so far is kept", clock.stopped or 0, sweeps)
        _ended(keeper, engine, clock)
        return True
    if pace is None or pace.chosen is None:
        _ended(keeper, engine, clock)
    return False


def _tell(record: Record, sweeps: float, keeper: Keeper) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    held = "" if record.validation_error is None else f", held-out error {record.validation_error:.4f}"
    best = "" if keeper.best_error is None else f", best {keeper.best_error:.4f}"
    errors = f"objective {record.objective:.4f}, training error {record.train_error:.4f}{held}{best}"
    _log.info("sweep %d of %g: %s, %.1f s", record.sweep, sweeps, errors, record.seconds)


def _ended(keeper: Keeper, engine: Gear, clock: Clock) -> None:
    if keeper.best is None:
        keeper.take(engine, 0, clock.seconds, engine.evaluate(held_out=False))


def _ticker(
    progress: OnProgress | None, sweeps: float, clock: Clock, keeper: Keeper, pace: Pace | None
) -> Callable[[float, Evaluation], None]:
    """Return what a gear calls at every step: it passes on no more than two calls a second."""
    last = clock.seconds

    def tick(done: float, running: Evaluation) -> None:
        nonlocal last
        if pace is not None:
            pace.look(done)
        if progress is None:
            return
        now = clock.seconds
        if now - last >= _TICK_S:
            last = now
            error = keeper.history[-1].validation_error if keeper.history else None
            record = Record(now, 0, running.objective, running.error, error)
            progress(dataclasses.replace(_progress(record, sweeps, keeper), sweep=done))

    return tick


def _progress(record: Record, sweeps: float, keeper: Keeper) -> Progress:
    return Progress(
        record.seconds,
        record.sweep,
        sweeps,
        record.objective,
        record.train_error,
        record.validation_error,
        keeper.best_error,
    )

"""How long a schedule fits a time limit: chosen once, at the first steps, from few lengths.

Trainings anneal along a schedule of so many sweeps. A time limit that leaves room for the schedule changes nothing. One
that does not makes the training begin anew with a shorter schedule: the longest of few that fits, by the speed of the
first steps. So the network is one that ``sweeps`` gives again, bit for bit, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from conntra_neuro.training.task import Clock, Gear

__all__ = ["Pace", "shorter"]

_LOOK = 0.02  # of the limit that a look at the speed takes
_STEPS = 5  # at least
_LATEST = 0.25  # of the limit: then fewer steps have to do
_MARGIN = 0.9  # of the limit that a shorter schedule may take by that speed
_QUARTERS = (7, 6, 5, 4)
_LEAST = 2.0**-10  # of a sweep


class Pace:
    """Looks at the first steps of a training under a time limit, and says once whether its schedule fits.

    looking  whether it still does
    chosen   the sweeps of a shorter schedule to begin anew with; None where the planned one is kept
    """

    def __init__(self, engine: Gear, clock: Clock, held_out: bool) -> None:
        self._engine, self._clock, self._held_out = engine, clock, held_out
        self.looking = clock.limit_s is not None and engine.anneals
        self.chosen: float | None = None
        self._first: tuple[float, float] | None = None
        self._steps = 0

    def look(self, done: float) -> None:
        """Take notice of a step, at ``done`` sweeps; where the schedule does not fit, stop the clock."""
        if not self.looking:
            return
        limit, now = self._clock.limit_s, self._clock.seconds
        assert limit is not None
        if self._first is None:  # the first step compiles: what comes after it counts
            self._first = now, done
            return
        self._steps += 1
        begin, first = self._first
        if now - begin < _LOOK * limit or (self._steps < _STEPS and now < _LATEST * limit):
            return
        self.looking = False
        a_sweep = (now - begin) / (done - first)
        self._engine.evaluate(self._held_out)  # compiled
        before = self._clock.seconds
        self._engine.evaluate(self._held_out)
        after = self._clock.seconds
        planned = self._engine.sweeps
        if after + _takes(planned - done, a_sweep, after - before) <= limit:
            return
        left = _MARGIN * limit - after
        fitting = (sweeps for sweeps in shorter(planned) if _takes(sweeps, a_sweep, after - before) <= left)
        self.chosen = next(fitting, _LEAST)
        self._clock.cut()


def shorter(planned: float) -> Iterator[float]:
    """Yield the lengths below ``planned``: four in each octave, whole from 1 on, halves of one another below."""
    exponent = math.floor(math.log2(planned)) if planned >= 1 else 0
    last = planned
    for power in range(exponent, -1, -1):
        for quarters in _QUARTERS:
            length = quarters * 2**power // 4
            if 1 <= length < last:
                last = length
                yield length
    part = 0.5
    while part >= _LEAST:
        if part < planned:
            yield part
        part /= 2


def _takes(sweeps: float, a_sweep_s: float, evaluation_s: float) -> float:
    return sweeps * a_sweep_s + math.ceil(sweeps) * evaluation_s

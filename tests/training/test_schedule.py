"""Time limits: one that is not reached changes nothing, one that binds gives a network that ``sweeps`` gives again."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_twins as twins

from conntra_hardware.base.errors import InputError
from conntra_neuro.training import Fit, Progress, fit_spikes
from conntra_neuro.training import task as task_module
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.schedule import shorter
from conntra_neuro.training.task import Clock
from conntra_neuro.training.threads import Threads

GEARS = ("blocks", "annealed", "exact")


def _fit(gear: str = "blocks", n: int = 400, **given: Any) -> Fit:
    task = twins.random_task(7, (), n=n, n_in=36, classes=4)
    own = {"batch": 20} if gear == "blocks" else {}
    return fit_spikes(task.spikes, task.y, n_classes=4, **({"layers": (12, 9), "gear": gear} | own | given))


def _same(one: Fit, other: Fit) -> bool:
    arrays = (fit.parameters.arrays().items() for fit in (one, other))
    return all(np.array_equal(a, b) for (_, a), (_, b) in zip(*arrays, strict=True))


def _errors(fit: Fit) -> list[Any]:
    return [(r.sweep, r.objective, r.train_error, r.validation_error) for r in fit.history]


class _Time:
    """A clock that runs so many seconds at every look at it."""

    def __init__(self, tick_s: float) -> None:
        self._looks = itertools.count()
        self._tick_s = tick_s

    def monotonic(self) -> float:
        return self._tick_s * next(self._looks)


@pytest.mark.parametrize("gear", GEARS)
@pytest.mark.parametrize("layers", [(12, 9), "conv4k3,8"])
def test_a_limit_that_is_not_reached_changes_nothing(gear: str, layers: Any) -> None:
    given = {"layers": layers, "sweeps": 4, "image": ImageShape(1, 6, 6)}
    free, limited = _fit(gear, **given), _fit(gear, **given, time_limit_s=1000.0)
    assert _same(free, limited)
    assert _errors(free) == _errors(limited)
    assert (limited.sweeps, limited.stop_after) == (4, None)


@pytest.mark.parametrize("gear", ["blocks", "annealed"])
@pytest.mark.parametrize("limit", [3.0, 0.8, 0.04])
def test_one_that_binds_chooses_sweeps_that_give_the_network_again(
    gear: str, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_module, "time", _Time(1e-3))  # any machine is as fast then
    limited = _fit(gear, sweeps=10_000, time_limit_s=limit)
    assert limited.sweeps in list(shorter(10_000))
    assert limited.stop_after is None
    assert len(limited.history) == int(np.ceil(limited.sweeps))
    monkeypatch.undo()
    again = _fit(gear, sweeps=limited.sweeps)
    assert _same(limited, again)
    assert _errors(limited) == _errors(again)


@pytest.mark.parametrize("gear", GEARS)
@pytest.mark.parametrize("layers", [(12, 9), "conv4k3,8"])
def test_one_that_cuts_says_where(gear: str, layers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slower(_Time):  # than its first steps: the schedule that they chose does not fit
        def monotonic(self) -> float:
            at = next(self._looks)
            return self._tick_s * (at if at < 40 else 40 + 4 * (at - 40))

    given = {"layers": layers, "image": ImageShape(1, 6, 6)}
    monkeypatch.setattr(task_module, "time", Slower(1e-3))
    limited = _fit(gear, **given, sweeps=60, time_limit_s=0.5)
    monkeypatch.undo()
    assert limited.stop_after is not None
    assert 0 < limited.stop_after < limited.sweeps
    again = _fit(gear, **given, sweeps=limited.sweeps, stop_after=limited.stop_after)
    assert again.stop_after == limited.stop_after
    assert _same(limited, again)
    assert _errors(limited) == _errors(again)


def test_ctrl_c_says_where_too() -> None:
    def stop(state: Progress) -> None:
        if state.sweep >= 3:
            raise KeyboardInterrupt

    stopped = _fit(sweeps=8, progress=stop)
    assert (stopped.interrupted, stopped.sweeps, stopped.stop_after) == (True, 8, 3)
    assert _same(stopped, _fit(sweeps=8, stop_after=3))


def test_what_is_resumed_keeps_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(state: Progress) -> None:
        if state.sweep >= 2 and state.sweeps < 10_000:
            raise KeyboardInterrupt

    given: dict[str, Any] = {"sweeps": 10_000, "time_limit_s": 3.0}
    monkeypatch.setattr(task_module, "time", _Time(1e-3))
    first = _fit(**given, checkpoint=tmp_path, progress=stop)
    assert first.interrupted
    assert 2 < first.sweeps < 10_000
    monkeypatch.undo()
    assert _same(_fit(sweeps=10_000, resume=tmp_path), _fit(sweeps=first.sweeps))


def test_a_part_of_a_sweep_is_a_schedule_of_its_own() -> None:
    part = _fit(sweeps=0.5)
    assert (part.sweeps, len(part.history)) == (0.5, 1)
    assert not _same(part, _fit(sweeps=1, stop_after=0.5))  # whose steps have not become smaller
    for wrong in (2.5, 0.0, float("nan"), -1, "1"):
        with pytest.raises(InputError, match="sweeps"):
            _fit(sweeps=wrong)


def test_a_sweep_that_is_cut_is_judged_by_the_samples_that_it_has_seen() -> None:
    task = twins.random_task(3, (), n=400, n_in=36, classes=4)
    found: list[float] = []
    with Threads(1) as threads:
        blocks = Blocks(task, BlocksOptions(batch=40, fraction=0, fraction_readout=0, fraction_bias=0), threads)
        clock = Clock(stop_after=0.3)
        cut = blocks.sweep(0, 4, clock, lambda done, running: found.append(running.error))
        assert clock.stopped == pytest.approx(0.3)
        assert (len(found), cut.error) == (3, found[-1])
        whole = blocks.sweep(0, 4, Clock(), lambda done, running: None)
        assert whole.error == blocks.evaluate(held_out=False).error  # nothing moves
        assert abs(cut.error - whole.error) < 0.15


def test_the_lengths_are_few_and_close() -> None:
    lengths = list(shorter(40))
    assert lengths[:12] == [32, 28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5]
    assert lengths[12:18] == [4, 3, 2, 1, 0.5, 0.25]
    assert next(iter(shorter(0.3))) == 0.25

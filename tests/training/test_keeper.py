from __future__ import annotations

from typing import Any, cast

import pytest

from conntra_neuro.training.best import Keeper
from conntra_neuro.training.task import Evaluation, Gear


class _Gear:
    """Evaluates to what it is told, and has that for its parameters."""

    def __init__(self, objective: float, error: float) -> None:
        self._found = Evaluation(objective, error)

    def evaluate(self, held_out: bool) -> Evaluation:
        return self._found

    def parameters(self) -> Any:
        return self._found


def _kept(keeper: Keeper, *pairs: tuple[float, float]) -> list[tuple[float, float]]:
    found = []
    for sweep, (error, objective) in enumerate(pairs):
        gear = _Gear(objective, error)
        keeper.take(cast(Gear, gear), sweep, 0.0, gear.evaluate(held_out=True))
        best = cast(Evaluation, keeper.best)
        found.append((best.error, best.objective))
    return found


_PAIRS = ((0.10, 0.5), (0.09, 0.6), (0.08, 0.4), (0.08, 0.4), (0.07, 0.45))


def test_the_lowest_held_out_error_is_kept() -> None:
    assert _kept(Keeper(held_out=True), *_PAIRS) == list(_PAIRS)
    assert _kept(Keeper(held_out=True), (0.1, 0.5), (0.11, 0.1), (0.1, 0.6)) == [(0.1, 0.5)] * 3


def test_a_network_that_was_given_is_not_left_for_a_higher_loss() -> None:
    kept = _kept(Keeper(held_out=True, started=True), *_PAIRS)
    assert kept == [(0.10, 0.5), (0.10, 0.5), (0.08, 0.4), (0.08, 0.4), (0.08, 0.4)]


@pytest.mark.parametrize("held_out", [False, True])
def test_where_the_objective_decides_the_error_may_rise(held_out: bool) -> None:
    keeper = Keeper(held_out=held_out, decides_by_objective=True, started=True, priced=held_out)
    kept = _kept(keeper, (0.1, 0.5), (0.2, 0.4))
    assert kept == [(0.1, 0.5), (0.2, 0.4)]


@pytest.mark.parametrize(("held_out", "by_objective"), [(False, False), (True, True)])
def test_a_network_that_was_given_is_not_left_for_more_errors(held_out: bool, by_objective: bool) -> None:
    keeper = Keeper(held_out=held_out, decides_by_objective=by_objective, started=True)
    assert _kept(keeper, (0.1, 0.5), (0.2, 0.4), (0.1, 0.3)) == [(0.1, 0.5), (0.1, 0.5), (0.1, 0.3)]

"""The front, the targets, and searches that go on where they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.cli.pareto import parse_energy
from conntra_neuro.datasets import load_dataset
from conntra_neuro.network.storage import load_network
from conntra_neuro.search import pareto as module
from conntra_neuro.search.pareto import Point, Target, front_of, pareto
from conntra_neuro.search.trials import tuning_split

DIGITS = load_dataset("digits")


def _point(energy: float | None, error: float, penalty: float = 0.0) -> Point:
    return Point("8", "ternary", penalty, error, None, energy, None, None if energy is None else 1, 0.0, "m")


@given(st.lists(st.tuples(st.none() | st.integers(1, 5), st.integers(0, 5)), max_size=8))
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int | None, int]]) -> None:
    points = [_point(energy, error) for energy, error in pairs]
    front = front_of(points)
    for point in points:
        if point.energy_j is None:
            assert point not in front
            continue
        beaten = any(
            other.energy_j is not None
            and (other.energy_j <= point.energy_j and other.error <= point.error)
            and (other.energy_j < point.energy_j or other.error < point.error)
            for other in points
        )
        assert (point in front) != beaten


def test_targets() -> None:
    points = [_point(1.0, 0.3), _point(2.0, 0.2), _point(3.0, 0.1), _point(None, 0.0)]
    assert Target(energy_j=2.5).best(points) is points[1]
    assert Target(error=0.25).best(points) is points[1]
    assert Target(energy_j=0.5).best(points) is None
    assert Target(energy_j=0.5).nearest(points) is points[0]
    assert Target(error=0.05).nearest(points) is points[2]
    for wrong in ({}, {"energy_j": 1.0, "error": 0.1}, {"error": -0.1}, {"energy_j": float("nan")}):
        with pytest.raises(InputError, match="target"):
            Target(**wrong)


@pytest.mark.parametrize("target", [Target(energy_j=0.3), Target(error=0.3)])
def test_penalties_close_in_on_a_target(target: Target) -> None:
    def truth(penalty: float) -> Point:  # energy falls and error rises with it; both reach 0.3 at 0.7
        return _point(0.3 * 1.7 / (1 + penalty), 0.3 * (1 + penalty) / 1.7, penalty)

    points = [truth(0.0)]
    for _ in range(14):
        penalty = module._between(points, target)
        assert penalty is not None
        points.append(truth(penalty))
    best = target.best(points)
    assert best is not None
    assert best.penalty == pytest.approx(0.7, rel=0.02)


def test_a_search_trains_once_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"layers": ["6"], "penalties": [0.0, 20.0], "recipe": {"sweeps": 2}}
    points = pareto(DIGITS, tmp_path, **given)
    tuning = tuning_split(DIGITS, 0)
    for point in points:
        network = load_network(point.model)
        assert network.error(tuning.x_test, tuning.y_test) == point.error
        assert network.error(DIGITS.x_test, DIGITS.y_test) == point.test_error
        assert (point.cores, 0 < (point.energy_j or 0) < 1e-6) == (1, True)
    assert (points[1].energy_j or 0) < (points[0].energy_j or 0)

    def never(*_: Any) -> None:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(module._Search, "_train", never)
        assert pareto(DIGITS, tmp_path, **given) == points
        with pytest.raises(AssertionError):  # other settings are another trial
            pareto(DIGITS, tmp_path, **given, seed=1)
    file = next(tmp_path.glob("*.json"))
    file.write_text("{")
    with pytest.raises(FileFormatError, match=r"damaged .*; remove it"):
        pareto(DIGITS, tmp_path, **given)


def test_the_tuning_split_is_of_the_training_samples_alone() -> None:
    tuning = tuning_split(DIGITS, 3)
    rows = {x.tobytes() for x in DIGITS.x_train}
    assert len(tuning.x_train) + len(tuning.x_test) == len(DIGITS.x_train)
    assert all(x.tobytes() in rows for x in tuning.x_test)
    shares = np.bincount(tuning.y_test) / np.bincount(DIGITS.y_train)
    assert np.abs(shares - 0.15).max() < 0.01


@pytest.mark.parametrize(
    ("text", "joules"), [("1uJ", 1e-6), ("0.5 µJ", 5e-7), ("800nJ", 8e-7), ("2mJ", 2e-3), ("1J", 1.0), ("3pJ", 3e-12)]
)
def test_energies_have_units(text: str, joules: float) -> None:
    assert parse_energy(text) == pytest.approx(joules)


@pytest.mark.parametrize("text", ["1", "uJ", "one uJ", "-1uJ", "1W", "1e", ""])
def test_energies_without_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="as in 1uJ"):
        parse_energy(text)

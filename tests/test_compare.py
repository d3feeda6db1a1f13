from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conntra_hardware.base.errors import InputError
from conntra_neuro import compare as module
from conntra_neuro.compare import METHODS, Comparison, Row, compare
from conntra_neuro.datasets import Dataset, load_dataset
from conntra_neuro.report.comparison import check_plot, comparison_document, comparison_plot, comparison_table

pytest.importorskip("jax")


@pytest.fixture(scope="module")
def small() -> Dataset:
    data = load_dataset("iris")
    return Dataset("small", data.x_train, data.y_train, data.x_test, data.y_test, data.labels, "as split")


@pytest.fixture(scope="module")
def found(small: Dataset) -> Comparison:
    return compare(small, architectures=((), (8,)), seeds=2, folds=0, sweeps=30)


def test_rows_have_the_four_figures(found: Comparison) -> None:
    rows = comparison_document(found)["rows"]
    assert [(row["method"], row["layers"]) for row in rows] == [(m, a) for a in ([], [8]) for m in METHODS]
    for row in rows:
        assert {"method", "levels", "dtype", "train_error", "test_error", "memory_bytes", "train_seconds"} <= set(row)
        assert 0 <= row["train_error"] < 0.4
        assert row["train_seconds"] > 0
        assert 0 <= row["test_error"] < 0.5
        assert row["runs"] == row["seeds"] == 2
        assert len(row["curve"]) >= 30
    json.dumps(rows, allow_nan=False)


def test_the_spread_is_that_of_the_runs(found: Comparison) -> None:
    for row in found.rows:
        one, other = row.test_errors
        assert row.to_dict()["test_error_spread"] == pytest.approx(abs(one - other) / 2**0.5)
    assert any(row.to_dict()["test_error_spread"] > 0 for row in found.rows)


def test_memory_is_what_is_stored(found: Comparison) -> None:
    real, ternary = found.rows[0], found.rows[2]
    assert (real.dtype, real.levels) == ("float64", "real")
    n_in = 4 * 15  # a thermometer of 15 channels
    assert real.memory_bytes == 8 * (n_in * 3 + 3)
    assert (ternary.dtype, ternary.levels) == ("1.6-bit", "ternary")
    assert ternary.memory_bytes == n_in * 3 // 5 + 4 * 3


def test_mean_and_spread_over_seeds() -> None:
    row = Row("conntra", "ternary", (), 1.6, (0.1, 0.2), (0.2, 0.4), (1.0, 3.0), 10, 4, ())
    assert row.to_dict()["test_error"] == pytest.approx(0.3)
    assert row.to_dict()["test_error_spread"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert Row("conntra", "t", (), 1.6, (0.1,), (0.2,), (1.0,), 10, 1, ()).to_dict()["test_error_spread"] is None


def test_folds_test_every_sample_once_and_keep_classes(small: Dataset) -> None:
    parts = list(module._parts(small, 5, seed=3))
    assert sum(len(part.x_test) for part in parts) == 150
    rows = np.concatenate([part.x_test for part in parts])
    whole = np.concatenate([small.x_train, small.x_test])
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(whole, axis=0))
    assert all(np.bincount(part.y_test).tolist() == [10, 10, 10] for part in parts)


def test_encoder_sees_the_training_samples_of_the_fold_only(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    fit = module.encoder_of

    def watched(data: Dataset, kind: str) -> object:
        seen.append(len(data.x_train))
        return fit(data, kind)

    monkeypatch.setattr(module, "encoder_of", watched)
    result = compare(small, architectures=((),), methods=["conntra"], seeds=1, folds=5, sweeps=2)
    assert seen == [120] * 5
    assert result.rows[0].runs == 5
    assert result.protocol.startswith("5-fold cross-validation")


def test_small_sets_are_cross_validated_by_default(small: Dataset) -> None:
    calls: list[tuple[int, int, str]] = []
    result = compare(
        small,
        architectures=((4,),),
        methods=["conntra"],
        seeds=1,
        sweeps=1,
        progress=lambda d, t, w, p: calls.append((d, t, w)),
    )
    assert result.protocol == "5-fold cross-validation, 1 seed"
    assert calls[0] == (0, 5, "conntra 4 seed 0 fold 1")
    assert calls[-1][0] == 4


def test_wrong_use(small: Dataset) -> None:
    for wrong, message in [
        ({"methods": ["sgd"]}, "method sgd: unknown; allowed: backprop-float64"),
        ({"methods": []}, "method .none.: unknown"),
        ({"seeds": 0}, "seeds 0: at least 1"),
        ({"folds": 80}, "folds 80: 2 to 50 allowed"),
        ({"levels": "4,4"}, "1 distinct value"),
    ]:
        with pytest.raises(InputError, match=message):
            compare(small, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"plot x.bmp: a name that ends in"):
        check_plot(Path("x.bmp"))


def test_table_and_plot(found: Comparison, tmp_path: Path) -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    console.print(comparison_table(found))
    text = console.export_text()
    heads = [line.split() for line in text.splitlines() if line.startswith(" method")]
    assert heads == 2 * [["method", "train", "error", "test", "error", "memory", "less", "by", "time"]]
    for word in ("logistic regression", "hidden 8", *METHODS, "±", "ternary weights"):
        assert word in text
    for name in ("x.png", "x.svg", "x.pdf"):
        comparison_plot(found, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    console.file.close()


def test_all_ways_take_moved_images() -> None:
    data = load_dataset("digits")
    small = Dataset("few", data.x_train[:90], data.y_train[:90], data.x_test[:20], data.y_test[:20], data.labels)
    errors = []
    for moved in ({"shift": 0}, {"shift": 1, "elastic": 0.5}):
        found = compare(small, architectures=((4,),), seeds=1, folds=0, sweeps=2, **moved)  # type: ignore[arg-type]
        errors.append([row.curve[-1][1] for row in found.rows])
    assert len(errors[1]) == len(METHODS)
    assert all(plain != bent for plain, bent in zip(*errors, strict=True))

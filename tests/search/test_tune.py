"""The search over recipes: what is drawn, who goes on, and that a search that was killed gives the same table."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conntra_hardware.base.errors import BackendError, FileFormatError, InputError
from conntra_neuro.datasets import Dataset, load_dataset
from conntra_neuro.search import tune as module
from conntra_neuro.search import work
from conntra_neuro.search.space import Span, default_space, draw, parse_vary
from conntra_neuro.search.tune import Tuning, tune
from conntra_neuro.search.work import Job, workers

IRIS = load_dataset("iris")
VARY = {"sparsity": (0.0, 0.05, 0.5), "decay": (1, 2)}
GIVEN: dict[str, Any] = {"layers": ["4"], "vary": VARY, "trials": 5, "sweeps": 9, "splits": 2}


def _found(tuning: Tuning) -> list[Any]:
    """Return all but the seconds."""
    return [(c.number, dict(c.recipe), c.errors) for c in tuning.candidates]


def _true(settings: dict[str, Any]) -> float:
    """Return an error that a longer training and a higher price on weights lower."""
    return (1 - settings["sparsity"]) / settings["sweeps"] if "sparsity" in settings else 0.9


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace trainings by ``_true``, on one core; return what was trained."""
    asked: list[dict[str, Any]] = []

    def answer(data: Dataset, settings: dict[str, Any], threads: int | None) -> dict[str, Any]:
        asked.append(settings)
        return {"error": _true(settings), "train_error": 0.0, "seconds": 1.0}

    monkeypatch.setattr(work, "answer", answer)
    monkeypatch.setattr(work, "_cores", lambda: 1)
    return asked


def test_a_third_goes_on_and_the_usual_recipe_beside_it(pretended: list[dict[str, Any]], tmp_path: Path) -> None:
    space = {"sparsity": Span(0.0, 1.0)}
    tuning = tune(IRIS, tmp_path, layers=["4"], vary=space, trials=27, sweeps=18, splits=1)
    assert tuning.rungs == (2, 6, 18)
    by_length = {n: [s for s in pretended if s["sweeps"] == n] for n in tuning.rungs}
    assert [len(found) for found in by_length.values()] == [27, 10, 5]
    others = [c for c in tuning.candidates if c.number]
    # The true order is that of the prices: the best of all drawn goes through to the end and wins.
    assert tuning.best.recipe["sparsity"] == max(c.recipe["sparsity"] for c in others)
    assert tuning.best.errors == tuple((1 - tuning.best.recipe["sparsity"]) / n for n in tuning.rungs)
    assert tuning.usual.errors == (0.9,) * 3
    assert "sparsity" not in tuning.usual.recipe
    assert [c.rank for c in tuning.candidates] == sorted(c.rank for c in tuning.candidates)
    assert sum(c.seconds for c in tuning.candidates) == len(pretended) == 42


def test_a_search_goes_on_where_it_was(pretended: list[dict[str, Any]], tmp_path: Path) -> None:
    whole = tune(IRIS, tmp_path / "a", **GIVEN)
    trained, stop = len(pretended), []

    def interrupt(done: int, total: int, words: str) -> None:
        assert total == trained
        stop.append(done)
        if len(stop) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(IRIS, tmp_path / "b", **GIVEN, progress=interrupt)
    pretended.clear()
    again = tune(IRIS, tmp_path / "b", **GIVEN)
    assert len(pretended) == trained - 6
    assert (_found(again), again.rungs) == (_found(whole), whole.rungs)
    pretended.clear()
    tune(IRIS, tmp_path / "b", **GIVEN)
    assert not pretended
    tune(IRIS, tmp_path / "b", **(GIVEN | {"seed": 7}))  # other splits are other trials
    assert pretended
    next((tmp_path / "b").glob("*.json")).write_text('{"settings": {}}')
    with pytest.raises(FileFormatError, match=r"damaged .*; remove it"):
        tune(IRIS, tmp_path / "b", **GIVEN)


def test_killed_in_the_middle_it_gives_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing: processes that train, killed without warning, leave whole files; here one goes on alone."""
    monkeypatch.setattr(work, "_cores", lambda: 1)
    whole = tune(IRIS, tmp_path / "whole", **GIVEN)
    script = (
        "import sys; sys.path[:0] = [sys.argv[2]]\nfrom test_tune import GIVEN, IRIS, tune\nfrom pathlib import Path\n"
        "tune(IRIS, Path(sys.argv[1]), **GIVEN)"
    )
    folder = tmp_path / "cut"
    paths = os.pathsep.join(filter(None, sys.path))
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), str(Path(__file__).parent)],
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,
    )
    begin = time.monotonic()
    while len(list(folder.glob("*.json"))) < 2:
        assert child.poll() is None
        assert time.monotonic() - begin < 60
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = sorted(folder.glob("*.json"))
    assert kept
    assert all(json.loads(path.read_text())["found"] for path in kept)
    again = tune(IRIS, folder, **GIVEN)
    assert _found(again) == _found(whole)


def test_on_dask_workers_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_cores", lambda: 1)
    pytest.importorskip("distributed")
    given = GIVEN | {"trials": 2, "splits": 1, "sweeps": 2}
    here = tune(IRIS, tmp_path / "here", **given)
    assert _found(tune(IRIS, tmp_path / "there", **given, cluster="local:1")) == _found(here)


def test_a_process_that_dies_and_a_recipe_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_cores", lambda: 2)
    refused = Job({"layers": "4", "levels": "ternary", "shift": 1}, 1, 0), Job({"layers": "x"}, 1, 0)
    with workers(IRIS, None) as spread, pytest.raises(InputError, match=r"recipe layers=x, sweeps=1, seed=0: .*'x'"):
        list(spread(refused))
    monkeypatch.setattr(work, "_WORKER", "no_such_module")
    with workers(IRIS, None) as spread, pytest.raises(BackendError, match="its process ended with status 1"):
        list(spread([Job({"layers": "4"}, 1, 0)]))


def test_what_is_drawn() -> None:
    space = {"fraction": Span(0.001, 0.016), "sigma": Span(0.3, 0.6), "batch": Span(100, 200), "decay": (1.0, 2.0)}
    drawn = draw(space, 200, 3)
    assert drawn == draw(space, 200, 3) != draw(space, 200, 4)
    assert all(0.001 <= r["fraction"] <= 0.016 and 0.3 <= r["sigma"] <= 0.6 for r in drawn)
    # On a logarithmic scale half of them lie below the geometric mean, on a linear one below the mean.
    assert 0.4 < sum(r["fraction"] < math.sqrt(0.001 * 0.016) for r in drawn) / 200 < 0.6
    assert 0.4 < sum(r["sigma"] < 0.45 for r in drawn) / 200 < 0.6
    assert all(type(r["batch"]) is int and 100 <= r["batch"] <= 200 for r in drawn)
    assert {r["decay"] for r in drawn} == {1.0, 2.0}
    assert len(draw({"decay": (1, 2), "sparsity": (0.0, 0.1)}, 50, 0)) == 4
    assert "shift" not in default_space(None)
    assert default_space((28, 28))["shift"] == (0, 1, 2)


def test_what_may_be_varied() -> None:
    assert parse_vary("decay=1,2.5") == ("decay", (1, 2.5))
    assert parse_vary("sparsity = 0:0.2") == ("sparsity", Span(0, 0.2))
    for wrong, said in {
        "decay": "NAME=VALUES expected",
        "decay=": "NAME=VALUES expected",
        "decya=1": r"did you mean decay\?",
        "sweeps=1,2": "unknown",
        "decay=1,x": "'x' is no number",
        "decay=3:1": "the lower one first",
        "decay=nan:1": "the lower one first",
    }.items():
        with pytest.raises(InputError, match=said):
            parse_vary(wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vary": {}}, "nothing is varied"),
        ({"vary": {"sparsity": (0.1,)}, "fixed": {"sparsity": 0.2}}, "fixed and varied"),
        ({"fixed": {"sparsitty": 0.2}}, "did you mean sparsity"),
        ({"vary": {"sparsity": (-1.0, 0.1)}}, "sparsity -1.0: 0 to 10 allowed"),
        ({"trials": 1}, "trials"),
        ({"splits": 0}, "splits"),
    ],
)
def test_what_cannot_be_searched(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        tune(IRIS, tmp_path, **({"layers": ["4"], "sweeps": 2} | given))


def test_the_sweeps_of_each_rung() -> None:
    assert module._rungs(20, 27) == (2, 7, 20)
    assert module._rungs(27, 27) == (1, 3, 9, 27)
    assert module._rungs(1, 27) == (1,)
    assert module._rungs(40, 2) == (40,)
    assert module._counts(3, 27) == [27, 10, 5]
    assert module._counts(2, 2) == [2, 2]

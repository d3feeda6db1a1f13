"""``conntra tune`` as a newcomer would run it: a table, a plot, and a run file that ``conntra train`` takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conntra_neuro.cli.app import main
from conntra_neuro.search import work


def test_a_search_is_printed_drawn_and_its_best_recipe_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_cores", lambda: 1)
    out, plot = tmp_path / "found", tmp_path / "tuned.png"
    asked = ["tune", "iris", "--layers", "4", "--layers", "6", "--vary", "sparsity=0:0.2", "--option", "decay=2"]
    asked += ["--trials", "4", "--sweeps", "6", "--splits", "1", "--seed", "3", "--out", str(out)]
    assert main([*asked, "--plot", str(plot), "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rungs"] == [2, 6]
    assert document["tuned_on"] == 18  # 15 in a hundred of 120, each class rounded
    assert len(document["candidates"]) == 4
    assert document["best"] == document["candidates"][0]
    assert document["usual"]["recipe"] == {"layers": "4", "levels": "ternary", "decay": 2}
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert main(asked) == 0
    printed = capsys.readouterr()
    assert "test samples were not used" in " ".join(printed.out.split())
    assert "7 of 7 trainings" in printed.err
    best = out / "best.toml"
    assert document["run_file"] == str(best)
    assert main(["train", "--config", str(best), "--out", str(tmp_path / "m.conntra"), "--json", "-q"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["layers"] == [int(document["best"]["recipe"]["layers"])]
    assert (trained["seed"], trained["sweeps"]) == (3, 6)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--vary", "decya=1,2"], "did you mean decay?"),
        (["--vary", "decay=1,2", "--vary", "decay=3"], "named twice"),
        (["--vary", "decay=1,2", "--option", "decay=2"], "fixed and varied"),
        (["--option", "layers=2"], "has an option of its own"),
        (["--layers", "conv"], "conv"),
        (["--trials", "1"], "trials 1"),
        (["--sweeps", "0"], "sweeps 0"),
        (["--plot", "a.gif"], "ends in .png"),
    ],
)
def test_wrong_use_is_one_line(asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "iris", "--out", str(tmp_path / "p"), *asked]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1

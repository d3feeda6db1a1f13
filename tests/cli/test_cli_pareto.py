"""``conntra pareto`` as a newcomer would run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conntra_neuro.cli.app import main


def test_a_front_is_printed_drawn_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot, out = tmp_path / "front.png", tmp_path / "found"
    asked = ["pareto", "digits", "--layers", "6", "--penalties", "0,20", "--sweeps", "2", "--out", str(out)]
    assert main([*asked, "--plot", str(plot), "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [point["penalty"] for point in document["points"]] == [0, 20]
    assert document["front"][0] in document["points"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert all(Path(point["model"]).exists() for point in document["front"])
    assert main(asked) == 0
    assert Path(document["front"][0]["model"]).stem in capsys.readouterr().out
    assert main([*asked, "--target-energy", "1uJ", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["energy_j"] < 1e-6
    assert main([*asked, "--target-error", "0.0001", "--more", "0", "-q"]) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--target-energy", "1"], "energy '1': a number and its unit expected"),
        (["--penalties", "a"], "--penalties a: numbers"),
        (["--penalties", "-1"], "penalties -1.0: numbers from 0 on"),
        (["--target-energy", "1uJ", "--target-error", "2"], "one of both"),
        (["--layers", "conv"], "conv"),
    ],
)
def test_wrong_use_is_one_line(asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pareto", "digits", "--out", str(tmp_path / "p"), *asked]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conntra_neuro.cli.app import main

pytest.importorskip("jax")


def test_compare_prints_one_json_object_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "iris.png"
    methods = "straight-through,conntra"
    arguments = [
        "compare",
        "iris",
        "--layers",
        "none",
        "--layers",
        "6",
        "--seeds",
        "1",
        "--folds",
        "0",
        "--sweeps",
        "3",
    ]
    assert main([*arguments, "--methods", methods, "--plot", str(plot), "--json"]) == 0
    out, _ = capsys.readouterr()
    document = json.loads(out)
    assert [(row["method"], row["layers"]) for row in document["rows"]] == [
        (method, layers) for layers in ([], [6]) for method in methods.split(",")
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "sgd"], "method sgd: unknown"),
        (["--plot", "x.bmp"], "plot x.bmp: a name that ends in .png, .svg or .pdf expected"),
        (["--layers", "wide"], "--layers 'wide'"),
        (
            ["--neuron", "if2", "--encoder", "rate:2"],
            "layers none: no neurons that integrate the encoder's 2 time steps",
        ),
        (["--neuron", "lif"], "neuron 'lif': unknown; allowed: threshold, relu, ifT"),
        (
            ["--layers", "4", "--neuron", "if3", "--encoder", "latency:3"],
            "encoder latency:3: backprop-float64 sees how",
        ),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "iris", *arguments]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert next(line for line in error.splitlines() if line.startswith("conntra: ")).startswith(f"conntra: {message}")


@pytest.mark.parametrize(("neuron", "encoder"), [("relu", "auto"), ("if2", "auto"), ("if3soft", "rate:3")])
def test_all_ways_train_every_kind_of_neuron(neuron: str, encoder: str, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["compare", "iris", "--layers", "5", "--seeds", "1", "--folds", "0", "--sweeps", "2", "--json"]
    assert main([*common, "--neuron", neuron, "--encoder", encoder]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["neuron"] == neuron
    assert [row["method"] for row in document["rows"]] == ["backprop-float64", "straight-through", "conntra", "warm"]
    assert len({row["memory_bytes"] for row in document["rows"][1:]}) == 1


def test_penalty_reaches_the_trainer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["train", "iris", "--layers", "16", "--sweeps", "60", "--json"]
    nonzero = []
    for extra in ([], ["--penalty", "nonzero=3"]):
        assert main([*common, "--out", str(tmp_path / "x.conntra"), *extra]) == 0
        nonzero.append(json.loads(capsys.readouterr().out)["nonzero_fraction"])
    assert nonzero[1] < 0.8 * nonzero[0]
    assert main([*common, "--penalty", "joules=3"]) == 2
    assert "energy=NUMBER expected" in capsys.readouterr().err

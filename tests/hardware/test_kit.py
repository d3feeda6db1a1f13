"""The deployment kit, step by step, with a stand-in for the chip; what it "measures" here is made up."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.backends.loihi import backend as loihi_backend
from conntra_neuro.cli.app import main

# The wiring's stand-ins run beside Lava, in this Python: behind the door to another one they are not found.
pytestmark = pytest.mark.skipif(find_spec("lava") is None, reason="needs Lava in this Python")

ROOT = Path(__file__).parents[2]
STEPS = ["1-doctor", "2-compile", "3-dry", "4-one-sample", "5-verify", "6-reference", "7-measured-1"]


@pytest.fixture
def kit(monkeypatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy", ROOT / "hardware" / "kit" / "deploy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "deploy", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stand_in(kit, monkeypatch) -> None:
    """The commands run in this process, where the chip is a stand-in: see ``wired_loihi``."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "support" / "loihi_extension"))
    monkeypatch.setattr(loihi_backend, "_MODULE", "wired_loihi")

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[:3] == [sys.executable, "-m", "conntra_neuro"]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = main(command[3:])
        return subprocess.CompletedProcess(command, status, said.getvalue())

    monkeypatch.setattr(kit, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))


@pytest.fixture
def model(tmp_path) -> str:
    data = cn.load_dataset("iris")
    rng = np.random.default_rng(0)
    encoder = cn.fit_encoder(data.x_train, "thermometer", channels=2)
    layers = [cn.Dense(rng.integers(-1, 2, (5, 8))), cn.Dense(rng.integers(-1, 2, (3, 5)), activation="readout")]
    path = tmp_path / "iris.conntra"
    cn.save(cn.DiscreteNetwork(layers, encoder, data.labels), path, info={"data": "iris", "seed": 0})
    return str(path)


def test_every_step_and_the_report(kit, stand_in, model, tmp_path, capsys):
    if not load_backend("loihi-dry").availability().ok:
        pytest.skip(load_backend("loihi-dry").availability().reason)
    folder = tmp_path / "results"
    asked = [model, "--results", str(folder), "--samples", "4", "--repeats", "1", "--board-chips", "2"]
    assert kit.main(asked) == 0, capsys.readouterr()
    assert sorted(path.stem for path in folder.glob("*.json")) == [*STEPS, "report"]
    report = json.loads((folder / "report.json").read_text())
    assert report["on_a_board"] is True
    assert report["verified_samples"] == 4
    assert report["measured"]["latency_steps"] == 1
    assert report["measured"]["step_time_s"] == pytest.approx(40e-6)
    assert report["modelled"][0]["coefficients"] == "loihi2-proxy"
    counters = report["counters"]
    assert counters["dendrite_updates"]["ours_a_step"] == 8
    assert counters["syn_ops"]["chip_a_step"] == pytest.approx(123 / report["measured"]["steps"])
    assert counters["spikes_in"]["chip_a_step"] is None  # the stand-in has no such counter


def test_the_first_step_that_fails_ends_it(kit, model, tmp_path, capsys):
    """In processes of its own, as a user runs it; this machine has no chip."""
    assert kit.main([model, "--results", str(tmp_path / "results")]) == 1
    assert "stopped at 1-doctor: loihi: " in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["1-doctor.json"]


def test_what_does_not_fit_is_told(kit, stand_in, tmp_path, capsys):
    if not load_backend("loihi-dry").availability().ok:
        pytest.skip(load_backend("loihi-dry").availability().reason)
    weights = np.tile([-(2**15), 1, 0, 0, 0], (3, 1))  # a bit more than two synapses hold
    heavy = cn.DiscreteNetwork([cn.Dense(weights), cn.Dense(np.eye(3), activation="readout")])
    path = tmp_path / "heavy.conntra"
    cn.save(heavy, path)
    assert kit.main([str(path), "--results", str(tmp_path / "results"), "--dry"]) == 1
    assert "stopped at 2-compile: " in capsys.readouterr().err

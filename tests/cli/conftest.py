import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.cli.app import main


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def conntra(capsys, monkeypatch, tmp_path):
    """Run the command line in an empty folder; return its status and what it printed."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    run.folder = folder
    return run


@pytest.fixture
def fails(conntra):
    """Run the command line and check that it fails as it should: one line, its status, nothing written."""

    def run(*arguments, status=2, says=()):
        before = sorted(conntra.folder.rglob("*"))
        ran = conntra(*arguments)
        assert ran.status == status, ran
        assert ran.out == ""
        assert ran.err.startswith("conntra: ")
        assert ran.err.count("\n") == 1, ran.err
        for words in says:
            assert words in ran.err
        assert sorted(conntra.folder.rglob("*")) == before
        as_json = conntra(*arguments, "--json")
        assert as_json.status == status
        assert as_json.document["exit_status"] == status
        assert as_json.document["error"] in ran.err
        return ran

    return run


@pytest.fixture
def network():
    """Fitted to nothing, but of the right shape for iris: 4 features, 8 inputs, 5 hidden units, 3 classes."""
    data = cn.load_dataset("iris")
    encoder = cn.fit_encoder(data.x_train, "thermometer", channels=2)
    rng = np.random.default_rng(0)
    hidden = cn.Dense(rng.integers(-1, 2, (5, 8)), rng.integers(-2, 3, 5))
    readout = cn.Dense(rng.integers(-1, 2, (3, 5)), rng.integers(-2, 3, 3), activation="readout")
    return cn.DiscreteNetwork([hidden, readout], encoder, data.labels)


@pytest.fixture
def model(network, tmp_path):
    path = tmp_path / "iris.conntra"
    cn.save(network, path, info={"data": "iris", "seed": 3})
    return path


@pytest.fixture
def program(network, tmp_path):
    path = tmp_path / "iris.loihi1.conntra"
    cn.save(cn.compile(network, "loihi1"), path, info={"data": "iris", "seed": 3})
    return path


@pytest.fixture
def too_large(tmp_path):
    """A network with a neuron of more inputs than a Loihi core has axons."""
    rng = np.random.default_rng(0)
    hidden = cn.Dense(rng.choice([-1, 1], (3, 5000)))
    path = tmp_path / "large.conntra"
    cn.save(cn.DiscreteNetwork([hidden, cn.Dense(np.eye(3), activation="readout")]), path)
    return path

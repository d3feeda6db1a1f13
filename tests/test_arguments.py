"""Arguments of the wrong type, shape or value end in one clear InputError, wherever they enter."""

from __future__ import annotations

import numpy as np
import pytest

import conntra_neuro as cn

DATA = cn.load_dataset("iris")


def network(steps: int = 1) -> cn.DiscreteNetwork:
    neuron = "threshold" if steps == 1 else cn.IntegrateAndFire(2, steps)
    return cn.DiscreteNetwork([cn.Dense(np.ones((3, 4), int), activation=neuron), cn.Dense(np.eye(3), None, "readout")])


def program(steps: int = 1) -> cn.Program:
    return cn.compile(network(steps), chip="loihi1")


X = np.eye(4, dtype=np.uint8)
WRONG = {
    "activation": (lambda: cn.Dense([[1]], activation=5), "activation 5"),
    "encoder by name": (lambda: cn.train(DATA, encoder="foo"), "encoder 'foo': unknown"),
    "encoder of another type": (lambda: cn.train(DATA, encoder=3), "encoder 3"),
    "time limit as text": (lambda: cn.train(DATA, time_limit_s="5"), "time limit '5' s"),
    "time limit that is none": (lambda: cn.train(DATA, time_limit_s=float("nan")), "time limit nan s"),
    "sweeps as text": (lambda: cn.train(DATA, sweeps="3"), "sweeps '3'"),
    "sweeps as a truth": (lambda: cn.train(DATA, sweeps=True), "sweeps True"),
    "seed as text": (lambda: cn.train(DATA, seed="3"), "seed '3'"),
    "threads as a fraction": (lambda: cn.train(DATA, threads=1.5), "threads 1.5"),
    "no threads": (lambda: cn.train(DATA, threads=0), "threads 0"),
    "validation fraction as text": (lambda: cn.train(DATA, validation_fraction="x"), "validation_fraction 'x'"),
    "time limit of a run": (lambda: cn.run(program(), X, time_limit_s="9"), "time limit '9' s"),
    "batch size of a run": (lambda: cn.run(program(), X, batch_size=1.5), "batch size 1.5"),
    "no batch": (lambda: cn.run(program(), X, batch_size=0), "batch size 0"),
    "time limit of a comparison": (
        lambda: cn.verify(program(), X, ["reference", "loop"], time_limit_s=None),
        "time limit None",
    ),
    "labels in a column": (
        lambda: network().error(X, np.zeros((4, 1), int)),
        r"labels: shape \(4, 1\); \(4,\) expected",
    ),
    "labels as text": (lambda: network().error(X, ["a"] * 4), "labels: type <U1"),
    "labels too few": (lambda: network().error(X, [0, 1]), r"labels: shape \(2,\)"),
    "labels out of range": (lambda: network().error(X, [0, 1, 2, 3]), "class indices 0 to 2 expected, got 0 to 3"),
    "labels as fractions": (lambda: network().error(X, [0.5] * 4), "class indices 0 to 2"),
    "no samples": (lambda: network().error(X[:0], []), "samples: none given"),
    "labels of a run in a column": (lambda: cn.run(program(), X, np.zeros((4, 1), int)), r"labels: shape \(4, 1\)"),
    "encoder of other steps": (
        lambda: cn.DiscreteNetwork(network(4).layers, cn.fit_encoder(DATA.x_train, "rate:3")),
        "3 time steps",
    ),
    "encoder of other steps on a chip": (
        lambda: cn.Program(**{**vars_of(program(4)), "encoder": cn.fit_encoder(DATA.x_train, "rate:3")}),
        "3 time steps",
    ),
}


def vars_of(value: cn.Program) -> dict:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_named(case: str) -> None:
    wrong, says = WRONG[case]
    with pytest.raises(cn.InputError, match=says) as found:
        wrong()
    assert "\n" not in str(found.value)


def test_an_encoder_may_be_named() -> None:
    trained = cn.train(DATA, layers=[4], encoder="thermometer:2", sweeps=1)
    assert trained.network.n_in == 8

"""Python's logging: silent until somebody listens, then each step in a line; and callbacks."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import wrong_backends

import conntra_neuro as cn


@pytest.fixture(scope="module")
def data():
    """Two classes of points, 40 to train on and 10 to test."""
    rng = np.random.default_rng(0)
    y = np.arange(50) % 2
    x = rng.normal(0, 1, (50, 6)) + y[:, None]
    from conntra_neuro.datasets import Dataset

    return Dataset("points", x[:40], y[:40], x[40:], y[40:], ("a", "b"))


def said(caplog, level=logging.INFO):
    return [(record.name, record.getMessage()) for record in caplog.records if record.levelno == level]


def test_each_step_says_what_it_did(data, caplog):
    caplog.set_level(logging.INFO)
    loaded = cn.load_dataset("iris")
    trained = cn.train(data, layers=[4], sweeps=2)
    program = cn.compile(trained.network, chip="loihi1")
    result = program.run(data.x_test, data.y_test)
    program.verify(data.x_test, backends=["reference", "loop"])
    lines = said(caplog)
    assert ("conntra_neuro.datasets.load", f"loaded {loaded!r}") in lines
    sweeps = [text for name, text in lines if name == "conntra_neuro.training.loop"]
    assert [text.partition(":")[0] for text in sweeps] == ["sweep 1 of 2", "sweep 2 of 2"]
    for text, record in zip(sweeps, trained.history, strict=True):
        assert f"training error {record.train_error:.4f}" in text
    assert any("training 90 -> 4 -> 2 on 40 samples, gear blocks, seed 0" in text for _, text in lines)
    assert ("conntra_neuro.compiler.program", f"compiled {program!r}") in lines
    assert ("conntra_hardware.runtime", f"ran {result!r}") in lines
    assert ("conntra_hardware.proof.verify", "loop equals reference on 10 samples") in lines
    assert said(caplog, logging.WARNING) == []


def test_checkpoints_are_for_those_who_ask(data, caplog, tmp_path):
    caplog.set_level(logging.DEBUG, "conntra_neuro")
    cn.train(data, layers=[4], sweeps=2, checkpoint=tmp_path)
    assert any(text.startswith("checkpoint after sweep 2 in") for _, text in said(caplog, logging.DEBUG))


def test_what_differs_is_a_warning(caplog):
    layers = [cn.Dense([[1, -1]]), cn.Dense([[1], [-1]], activation="readout")]
    program = cn.compile(cn.DiscreteNetwork(layers), chip="loihi1")
    wrong = wrong_backends.off_by_one("hidden0", 0)  # spikes without an input
    certificate = program.verify(np.zeros((2, 2), np.uint8), backends=["reference", wrong])
    assert said(caplog, logging.WARNING) == [
        ("conntra_hardware.proof.verify", f"off-by-one differs from reference: {certificate.first_divergence}")
    ]


def test_a_callback_is_told_of_every_sweep_and_may_end_the_training(data, caplog):
    seen = []

    def stop(progress):
        seen.append(progress)
        if progress.sweep == 2:
            raise KeyboardInterrupt

    trained = cn.train(data, layers=[4], sweeps=5, progress=stop)
    assert {1, 2} <= {progress.sweep for progress in seen}
    assert all(progress.sweeps == 5 for progress in seen)
    assert (trained.interrupted, len(trained.history)) == (True, 2)
    assert said(caplog, logging.WARNING) == [
        ("conntra_neuro.training.loop", "interrupted after 2 of 5 sweeps: the best network so far is kept")
    ]


def test_any_other_exception_of_a_callback_is_the_callers(data):
    def fail(progress):
        raise RuntimeError("of my own")

    with pytest.raises(RuntimeError, match="of my own"):
        cn.train(data, layers=[4], sweeps=5, progress=fail)


def test_nothing_is_printed_unless_asked_for():
    code = """if True:
        import conntra_neuro as cn
        def stop(progress):
            raise KeyboardInterrupt
        trained = cn.train(cn.load_dataset("iris"), layers=[4], sweeps=5, progress=stop)
        assert trained.interrupted
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""Spikes over time on the command line: train, compile, run and verify take the same npz file."""

import numpy as np


def test_train_run_verify_spikes_over_time(conntra):
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = (rng.random((80, 8, 20)) < np.where(y == 0, 0.15, 0.5)[:, None, None]).astype(np.uint8)
    np.savez(conntra.folder / "s.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    options = ("--neuron", "if8", "--encoder", "none", "--layers", "8", "--sweeps", "5", "--out", "s.conntra")
    trained = conntra("train", "npz:s.npz", *options, "--json")
    assert trained.status == 0, trained
    assert conntra("compile", "s.conntra", "--out", "s.program").status == 0
    ran = conntra("run", "s.program", "--data", "npz:s.npz", "--json")
    assert ran.status == 0, ran
    assert ran.document["samples"] == 20
    assert ran.document["accuracy"] == 1 - trained.document["test_error"]
    verified = conntra("verify", "s.program", "--data", "npz:s.npz", "--backends", "reference,loop", "--json")
    assert verified.status == 0, verified
    assert verified.document["equal"]


def test_another_shape_is_one_line(fails, conntra):
    x = np.zeros((10, 20), np.uint8)
    np.savez(conntra.folder / "s.npz", x_train=x, y_train=np.arange(10) % 2, x_test=x, y_test=np.arange(10) % 2)
    fails("train", "npz:s.npz", "--neuron", "if8", "--encoder", "none", says=["(8, ...) expected"])

from __future__ import annotations

import numpy as np
import pytest
import training_twins

from conntra_neuro.training.architecture.architecture import architecture_of
from conntra_neuro.training.architecture.words import Neurons
from conntra_neuro.training.task import Task

pytest.importorskip("jax")

from conntra_neuro.training.backprop.real import fit_real
from conntra_neuro.training.backprop.real_network import RealNetwork


def _task(layers: tuple[int, ...]) -> Task:
    rng = np.random.default_rng(0)
    spikes = (rng.random((400, 12)) < 0.5).astype(np.uint8)
    y = (spikes[:, 0] ^ spikes[:, 1]).astype(np.int64)
    return training_twins.dense_task(spikes, y, layers, 2)


def test_learns_what_a_linear_readout_cannot() -> None:
    deep, flat = (fit_real(_task(layers), sweeps=150, batch=16) for layers in ((24,), ()))
    task = _task(())
    assert deep.network.error(task.spikes, task.y) < 0.05 < 0.2 < flat.network.error(task.spikes, task.y)
    assert [record.sweep for record in deep.history] == list(range(1, 151))


def test_float64_at_eight_bytes_a_parameter() -> None:
    fit = fit_real(_task((24,)), sweeps=1)
    assert fit.network.memory_bytes == 8 * (12 * 24 + 24 + 24 * 2 + 2)
    assert {w.dtype for w in fit.network.weights} == {np.dtype(np.float64)}
    import jax.numpy as jnp

    assert jnp.ones(1).dtype == jnp.float32, "float64 must not leak out of the baseline"


def test_forward_by_hand() -> None:
    network = RealNetwork(
        (np.array([[1.0, -1.0]]), np.array([[2.0], [3.0]])),
        (np.array([-0.25, 0.5]), np.array([0.125])),
        architecture_of((2,), Neurons(), 1, None, 1, 1),
    )
    assert network.forward(np.array([[1], [0]], dtype=np.uint8)).tolist() == [[0.75 * 2 + 0.125], [1.5 + 0.125]]


def test_ctrl_c_keeps_what_there_is() -> None:
    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    fit = fit_real(_task((4,)), sweeps=50, progress=stop)
    assert fit.interrupted
    assert len(fit.history) == 1

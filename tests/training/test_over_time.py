"""0/1 spikes over time are data like any other: (n, T, ...), from Dataset or npz to a verified program."""

from __future__ import annotations

import numpy as np
import pytest

import conntra_neuro as cn

T, F = 8, 20


def spikes(n: int, seed: int, shape: tuple[int, ...] = (T, F)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    rate = np.where(y == 0, 0.15, 0.5).reshape(n, *(1 for _ in shape))
    return (rng.random((n, *shape)) < rate).astype(np.uint8), y


def dataset(shape: tuple[int, ...] = (T, F)) -> cn.Dataset:
    x, y = spikes(120, 0, shape)
    xt, yt = spikes(40, 1, shape)
    return cn.Dataset("spikes", x, y, xt, yt, (0, 1))


@pytest.mark.parametrize("neuron", ["if8", "if8soft"])
def test_a_network_takes_what_enters_at_a_step(neuron: str) -> None:
    data = dataset()
    trained = cn.train(data, layers=[12], neuron=neuron, encoder=None, sweeps=10)
    assert (trained.network.n_in, trained.network.steps) == (F, T)
    assert trained.test_error is not None
    assert trained.test_error < 0.2
    assert trained.test_error == trained.network.error(data.x_test, data.y_test)
    program = cn.compile(trained.network, chip="loihi1")
    result = program.run(data.x_test, data.y_test)
    assert result.accuracy == 1 - trained.test_error
    assert program.verify(data.x_test[:5], backends=["reference", "loop"]).equal


def test_images_over_time_go_through_convolutions() -> None:
    trained = cn.train(dataset((T, 1, 6, 6)), layers="conv4k3,8", neuron="if8", encoder=None, sweeps=1)
    assert trained.network.layers[0].input_shape == (1, 6, 6)


@pytest.mark.parametrize("shape", [(F,), (T + 1, F), (F, T)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(cn.InputError, match=r"neurons of 8 time steps; \(8, ...\) expected"):
        cn.train(dataset(shape), layers=[4], neuron="if8", encoder=None, sweeps=1)


def test_channels_last_is_refused_where_it_matters() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), np.arange(30) % 2
    data = cn.Dataset("last", x, y, x[:0], y[:0], (0, 1))
    with pytest.raises(cn.InputError, match=r"channels last; \(3, 8, 8\) expected: .*transpose\(0, 3, 1, 2\)"):
        cn.train(data, layers="conv4k3,8", sweeps=1)
    with pytest.raises(cn.InputError, match="channels last"):
        cn.train(data, layers=[8], sweeps=1, shift=1)
    cn.train(data, layers=[8], sweeps=1)  # which lie where does not matter to dense layers
    first = cn.Dataset("first", x.transpose(0, 3, 1, 2), y, x[:0].transpose(0, 3, 1, 2), y[:0], (0, 1))
    cn.train(first, layers="conv4k3,8", sweeps=1)

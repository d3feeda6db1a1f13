from __future__ import annotations

from typing import Any

import layered_twins as twins
import numpy as np
import pytest

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.network.layers import Conv2d, Dense
from conntra_neuro.training import fit_spikes

pytest.importorskip("jax")

from conntra_neuro.training.backprop.load import load_folded_steps, load_steps
from conntra_neuro.training.backprop.real import _first, fit_real
from conntra_neuro.training.backprop.real_network import RealNetwork


def test_its_layers_are_those_of_the_discrete_network() -> None:
    """With integer weights its potentials are the integer layers', rectified instead of thresholded."""
    task = twins.layered_task("conv4k3p1,conv4k3p1+1,sumpool2", 2)
    arch = task.architecture

    found = fit_spikes(
        task.spikes, task.y, n_classes=3, layers="conv4k3p1,conv4k3p1+1,sumpool2", image=task.image, sweeps=1
    )
    weights = tuple(w.astype(np.float64) for w in found.parameters.weights)
    network = RealNetwork(weights, tuple(b.astype(np.float64) for b in found.parameters.biases), arch)
    first, second, pool, last = found.network().layers
    assert isinstance(first, Conv2d)
    assert isinstance(last, Dense)
    x = task.spikes
    skipped = found.network().residuals[0].potentials(x)
    hidden = np.maximum(second.potentials(np.maximum(first.potentials(x), 0)) + skipped, 0)
    windows = pool.potentials(hidden) / 4
    np.testing.assert_allclose(network.forward(x), windows @ last.weight.T + last.bias, rtol=1e-12)
    assert network.memory_bytes == 8 * found.network().n_parameters


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 0)), ((2, 2), (1, 1))])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolutions_are_those_of_the_layer(
    dtype: Any, groups: int, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    rng = np.random.default_rng(groups)
    geometry = Geometry((4, 7, 6), 8, (3, 2), stride, padding, groups, dilation)
    kernel = rng.integers(-1, 2, geometry.kernel_shape)
    layer = Conv2d(kernel, **geometry.window)
    x = rng.integers(0, 2, (5, 4 * 7 * 6))
    weight = kernel.transpose(2, 3, 1, 0).reshape(-1, 8).astype(dtype)  # as in ``Architecture.weight_shapes``
    with load_steps().double_precision():
        images = x.reshape(5, 4, 7, 6).transpose(0, 2, 3, 1).astype(dtype)
        found = np.asarray(load_folded_steps().linear(images, weight, geometry))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.transpose(0, 3, 1, 2).reshape(5, -1), layer.potentials(x))


def test_it_learns() -> None:
    task = twins.layered_task("conv4k3p1,maxpool2", 1, n=200)
    found = fit_real(task, sweeps=120, batch=20)
    assert found.history[-1].objective < found.history[0].objective - 0.1
    assert isinstance(found.network, RealNetwork)
    assert found.network.error(task.spikes, task.y) < found.history[0].train_error


@pytest.mark.parametrize(("neuron", "steps"), [("relu", 1), ("if3", 1), ("if3soft", 3)])
def test_beside_neurons_over_time_it_sees_rates(neuron: str, steps: int) -> None:
    """Dense layers, by hand, of the share of the time steps in which an input spikes."""
    task = twins.layered_task("6", 0, neuron, shape=(1, 4, 3), n=60, steps=steps)
    first = _first(task)
    network = RealNetwork(*(tuple(layer[name] for layer in first) for name in ("weight", "bias")), task.architecture)
    rates = task.spikes.reshape(60, steps, 12).mean(axis=1)  # type: ignore[union-attr]
    np.testing.assert_allclose(
        network.forward(task.spikes), np.maximum(rates @ first[0]["weight"], 0) @ first[1]["weight"]
    )
    found = fit_real(task, sweeps=60, batch=20, shift=1)
    assert found.history[-1].objective < found.history[0].objective

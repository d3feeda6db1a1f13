"""Products on another device are the processor's, bit for bit: here on JAX's own processor backend."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.inputs.batches import inputs_of
from conntra_neuro.training.layers import maps
from conntra_neuro.training.layers.products import HostProducts
from conntra_neuro.training.threads import Threads

pytest.importorskip("jax")

from conntra_neuro.training.device import products_on

THREADS = Threads(1)
GEOMETRIES = {
    "plain": Geometry((2, 6, 5), 4, (3, 3)),
    "padded, in groups": Geometry((4, 7, 6), 6, (3, 2), padding=(1, 1), groups=2),
    "strided, the last rows unseen": Geometry((3, 8, 9), 5, (3, 3), stride=(2, 3)),
    "dilated": Geometry((2, 9, 8), 3, (3, 2), padding=(2, 1), dilation=(2, 3)),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, np.float32) for name in (*GEOMETRIES, "dense")),
        ("padded, in groups", np.float64),
        ("dense", np.float64),
    ],
)
def test_products_of_a_layer(name: str, dtype: type) -> None:
    """More rows than are added up at once; weights and terms as large as float32 holds the sums of."""
    geometry, rng = GEOMETRIES.get(name), np.random.default_rng(0)
    n, shape, inner, outputs = maps.TERMS + 77, (12,), 12, 7
    if geometry is not None:
        channels, *sides = geometry.input_shape
        n, shape = 300, (*sides, channels)
        inner, outputs = int(np.prod(geometry.kernel_shape[1:])), geometry.out_channels
    x = rng.integers(0, 2, (n, *shape)).astype(dtype)
    weights = rng.integers(-1, 2, (inner + 1, outputs)).astype(dtype)
    host, there = HostProducts(THREADS), products_on("jax")
    assert there is not None
    seen, away = host.seen(x, geometry), there.seen(x, geometry)
    if isinstance(seen, maps.Places):
        parts = [columns.copy() for _, columns in seen.tiles()]
        assert np.array_equal(np.concatenate(parts, axis=1), np.asarray(away))
    else:
        assert np.array_equal(seen, np.asarray(away))
    z = host.potentials(seen, weights)
    q = (rng.integers(-2048, 2049, z.shape) * 2.0**-20).astype(dtype)
    for ours, other in (
        (z, there.potentials(away, weights)),
        (host.score(seen, q), there.score(away, q)),
        (host.down(q, weights, geometry, n), there.down(q, weights, geometry, n)),
    ):
        assert ours.dtype == other.dtype
        assert np.array_equal(ours, other)
        assert np.any(ours)


@pytest.mark.parametrize("density", [0.1, 0.6])  # as lists of active inputs, as a matrix
def test_products_of_a_mini_batch(density: float) -> None:
    rng = np.random.default_rng(1)
    inputs = inputs_of((rng.random((40, 30)) < density).astype(np.uint8))
    host, there = HostProducts(THREADS), products_on("jax")
    assert there is not None
    for rows in (np.arange(9), np.arange(9, 40)):  # the second one is not taken for the first
        batch = inputs.batch(rows, np.float32)
        weights, q = (rng.integers(-1, 2, shape).astype(np.float32) for shape in ((31, 6), (len(rows), 6)))
        for name, given, shape in (("potentials", weights, (len(rows), 6)), ("scores", q, (31, 6))):
            found = [np.empty(shape, np.float32) for _ in range(2)]
            for products, out in zip((host, there), found, strict=True):
                getattr(products, f"batch_{name}")(batch, given, out)
            assert np.array_equal(*found)


@pytest.mark.parametrize(
    ("layers", "neuron"), [("24,12", "threshold"), ("conv4k3p1,sumpool2,conv4k3p1+1,12", "threshold"), ("12", "relu")]
)
def test_training_gives_the_same_network(layers: str, neuron: str) -> None:
    digits = cn.load_dataset("digits")
    data = dataclasses.replace(digits, x_train=digits.x_train[:400], y_train=digits.y_train[:400])
    here, there = (
        cn.train(data, layers=layers, neuron=neuron, sweeps=1, batch=100, shift=0, device=device)
        for device in ("cpu", "jax")
    )
    for ours, other in zip(here.network.layers, there.network.layers, strict=True):
        for name in {"weight", "bias"} & set(dir(ours)):
            assert np.array_equal(getattr(ours, name), getattr(other, name))
    assert here.history[-1].objective == there.history[-1].objective


def test_what_no_device_can_do_is_refused() -> None:
    data = cn.load_dataset("iris")
    for given, message in (
        ({"device": "gp"}, "did you mean gpu"),
        ({"device": "gpu", "gear": "exact"}, "gear exact runs on the processor"),
        ({"device": "gpu", "method": "backprop"}, "device that JAX takes"),
        ({"device": "gpu", "cluster": "local:2"}, "workers of cluster"),
    ):
        with pytest.raises(cn.InputError, match=message):
            cn.train(data, layers=[4], **given)


def test_without_a_gpu_one_line_says_so() -> None:
    import jax

    if jax.devices()[0].platform != "cpu":
        pytest.skip("there is a GPU here")
    with pytest.raises(cn.InputError, match="finds none here, only cpu; use device cpu"):
        cn.train(cn.load_dataset("iris"), layers=[4], device="gpu")

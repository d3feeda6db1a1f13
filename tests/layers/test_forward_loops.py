"""The vectorised forward pass against plain loops, for every kind of layer and neuron."""

from __future__ import annotations

import loops
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_strategies import inputs, networks
from scipy.signal import correlate2d

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.network import DiscreteNetwork


@settings(max_examples=150, deadline=None)
@given(networks(), st.integers(0, 2**32 - 1))
def test_forward_equals_loops(network: DiscreteNetwork, seed: int) -> None:
    spikes = inputs(network, 3, seed)
    outputs, logits = network.activity(spikes)
    assert logits.dtype == np.int64
    for sample, steps in enumerate(spikes):
        expected, expected_logits = loops.forward(network, steps.tolist())
        rows = slice(sample * network.steps, (sample + 1) * network.steps)
        assert [output[rows].tolist() for output in outputs] == expected
        assert logits[sample].tolist() == expected_logits


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_matrix_and_the_columns_of_a_convolution_equal_its_product(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    groups = data.draw(st.integers(1, 3))
    height, width = data.draw(st.integers(2, 6)), data.draw(st.integers(2, 6))
    geometry = Geometry(
        (groups * data.draw(st.integers(1, 2)), height, width),
        groups * data.draw(st.integers(1, 2)),
        (data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))),
        (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))),
        (data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))),
        groups,
        (data.draw(st.integers(1, height - 1)), data.draw(st.integers(1, width - 1))),
    )
    large = int(data.draw(st.sampled_from([2, 2**20, 2**40])))  # float32, float64, int64
    kernel = rng.integers(-large, large + 1, geometry.kernel_shape)
    x = rng.integers(0, 2**12, (4, geometry.n_in))
    expected = x @ geometry.matrix(kernel).toarray().T
    np.testing.assert_array_equal(geometry.apply(kernel, x), expected)
    columns = geometry.columns(x)
    products = columns @ kernel.reshape(groups, -1, columns.shape[2]).transpose(0, 2, 1)
    products = products.reshape(groups, len(x), geometry.positions, -1).transpose(1, 0, 3, 2)
    np.testing.assert_array_equal(products.reshape(len(x), -1), expected)


def test_a_dilated_kernel_by_hand() -> None:
    """A row of pixels 1 to 9 under a kernel (1, 10, 100), 3 pixels apart, with 2 zeros on either side."""
    geometry = Geometry((1, 1, 9), 1, (1, 3), padding=(0, 2), dilation=(1, 3))
    assert (geometry.span, geometry.output_shape) == ((1, 7), (1, 1, 7))
    out = geometry.apply(np.array([[[[1, 10, 100]]]]), np.arange(1, 10)[None])
    assert out.tolist() == [[520, 630, 741, 852, 963, 74, 85]]


@pytest.mark.parametrize("dilation", [(1, 2), (2, 1), (3, 2), (2, 3)])
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2)), ((2, 3), (3, 0))])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_it_is_what_others_call_a_dilated_convolution(
    groups: int, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    """Scipy's correlation with the kernel's weights set apart by zeros, and JAX's ``rhs_dilation``."""
    rng = np.random.default_rng(groups)
    geometry = Geometry((4, 9, 8), 8, (3, 2), stride, padding, groups, dilation)
    kernel, x = rng.integers(-3, 4, geometry.kernel_shape), rng.integers(0, 5, (3, geometry.n_in))
    found = geometry.apply(kernel, x)
    images = np.pad(x.reshape(3, 4, 9, 8), ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    spread = np.kron(kernel, np.eye(1, dilation[0] * dilation[1], dtype=int).reshape(dilation))
    spread = spread[:, :, : geometry.span[0], : geometry.span[1]]
    inner, outer = 4 // groups, 8 // groups
    expected = [
        [sum(correlate2d(image[o // outer * inner + i], spread[o, i], "valid") for i in range(inner)) for o in range(8)]
        for image in images
    ]
    sampled = np.array(expected)[:, :, :: stride[0], :: stride[1]]
    np.testing.assert_array_equal(found, sampled.reshape(3, -1))
    lax = pytest.importorskip("jax").lax
    padded = [(side, side) for side in padding]
    theirs = lax.conv_general_dilated(
        x.reshape(3, 4, 9, 8).astype(np.float32), kernel.astype(np.float32), stride, padded, rhs_dilation=dilation,
        feature_group_count=groups,
    )  # fmt: skip
    np.testing.assert_array_equal(found, np.asarray(theirs).reshape(3, -1).astype(int))

"""The vectorised forward pass against plain loops, for every kind of layer and neuron."""

from __future__ import annotations

import loops
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from network_strategies import inputs, networks

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
    geometry = Geometry(
        (groups * data.draw(st.integers(1, 2)), data.draw(st.integers(2, 6)), data.draw(st.integers(2, 6))),
        groups * data.draw(st.integers(1, 2)),
        (data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))),
        (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))),
        (data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))),
        groups,
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

"""Convolutions of spikes are the product with the sparse matrix that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.projection import ConvProjection
from conntra_hardware.program.spike_convolution import SpikeConvolution


@st.composite
def geometries(draw):
    groups = draw(st.integers(1, 3))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    shape = (groups * draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    try:
        return Geometry(shape, groups * draw(st.integers(1, 5)), draw(pair), draw(pair), padding, groups, draw(pair))
    except InputError:  # a kernel larger than the image
        return Geometry(shape, groups, (1, 1), draw(pair), padding, groups)


@settings(max_examples=150, deadline=None)
@given(geometry=geometries(), seed=st.integers(0, 2**16), density=st.sampled_from([0.0, 0.1, 0.29, 1.0]))
@pytest.mark.parametrize(("largest", "dtype"), [(1, np.int32), (127, np.int64), (2**20, np.int64)])
def test_it_is_the_matrix(largest, dtype, geometry, seed, density):
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-largest, largest + 1, geometry.kernel_shape)
    spikes = (rng.random((3, geometry.n_in)) < density).astype(np.uint8)
    found = SpikeConvolution(geometry, kernel)(spikes, dtype)
    assert found.dtype == dtype
    assert np.array_equal(found, spikes.astype(np.int64) @ geometry.matrix(kernel).toarray().T)


def test_sums_at_the_ends_of_their_types():
    """9 * 3640 = 32,760 is the last that 16 bits hold; 9 * 3641 is not."""
    geometry = Geometry((1, 3, 3), 1, (3, 3))
    spikes = np.ones((1, 9), np.uint8)
    for weight in (3640, 3641, -3641, (2**31 - 1) // 9):
        convolution = SpikeConvolution(geometry, np.full(geometry.kernel_shape, weight))
        assert convolution.pays(2**40)
        padded = np.repeat(spikes, 4, axis=0) * np.array([[0], [0], [0], [1]], np.uint8)  # few enough spikes
        assert convolution(padded)[:, 0].tolist() == [0, 0, 0, 9 * weight]
    assert not SpikeConvolution(geometry, np.full(geometry.kernel_shape, 2**31 // 9 + 1)).pays(2**40)


def test_projections_take_it_where_it_pays():
    rng = np.random.default_rng(0)
    geometry = Geometry((2, 20, 20), 6, (5, 5), (2, 2), (1, 1))
    projection = ConvProjection("input", "hidden", rng.integers(-1, 2, geometry.kernel_shape), geometry)
    spikes = (rng.random((300, geometry.n_in)) < 0.1).astype(np.uint8)
    matrix = projection.matrix().toarray().astype(np.int64)
    assert projection.spike_product(300) is not None
    assert projection.spike_product(1) is None
    assert np.array_equal(projection.apply(spikes), spikes.astype(np.int64) @ matrix.T)
    assert np.array_equal(projection.events(spikes), spikes.astype(np.int64) @ (matrix != 0).T)
    graded = spikes.astype(np.int32) * rng.integers(-5, 6, spikes.shape)
    assert np.array_equal(projection.apply(graded), graded @ matrix.T)
    assert np.array_equal(projection.events(graded), (graded != 0) @ (matrix != 0).T.astype(np.int64))

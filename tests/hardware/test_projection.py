"""Dense, convolution and sparse projections mean the same integer matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.files import read_container
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Readout
from conntra_hardware.program import (
    INPUT,
    ConvProjection,
    CoreSlice,
    Population,
    Program,
    Projection,
    SparseProjection,
)
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.fingerprint import program_sha256
from conntra_hardware.program.program_file import load_program, save_program
from conntra_hardware.program.projection import one_to_one

GEOMETRY = Geometry((2, 5, 4), 4, (3, 2), (2, 1), (1, 0), 2)
WIDE = replace(GEOMETRY, stride=(2, 2), padding=(1, 2), dilation=(1, 3))


def conv(seed: int = 0, geometry: Geometry = GEOMETRY, source: str = INPUT, target: str = "c") -> ConvProjection:
    return ConvProjection(source, target, np.random.default_rng(seed).integers(-2, 3, geometry.kernel_shape), geometry)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.booleans())
def test_all_three_are_the_same_matrix(seed: int, stride: int, pad: int, channels: int, depthwise: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (channels + 1, *rng.integers(3, 6, 2).tolist())
    outputs, groups = (shape[0] * 2, shape[0]) if depthwise else (3, 1)
    dilation = (int(rng.integers(1, 3)), 1)
    geometry = Geometry(shape, outputs, (2, 3), (stride, 1), (pad, 0), groups, dilation)
    same = conv(seed, geometry)
    dense = Projection(INPUT, "c", same.weights)
    sparse = SparseProjection(INPUT, "c", same.matrix())
    x = rng.integers(-5, 6, (4, geometry.n_in))
    for other in (dense, sparse):
        assert same.shape == other.shape
        assert same.n_synapses == other.n_synapses
        assert np.array_equal(same.weights, other.weights)
        assert np.array_equal(same.matrix().toarray(), other.matrix().toarray())
        assert np.array_equal(same.magnitudes(), other.magnitudes())
        assert np.array_equal(same.apply(x), other.apply(x))
    assert same.apply(x).dtype == dense.apply(x).dtype == sparse.apply(x).dtype == np.int64


def program() -> Program:
    relay = one_to_one(INPUT, "r", GEOMETRY.n_in, 3)
    n = GEOMETRY.n_out
    rng = np.random.default_rng(1)
    populations = (
        Population("c", IntegrateAndFire(3, 4, "soft"), rng.integers(-3, 3, n)),
        Population("r", GradedRelu(2), np.zeros(GEOMETRY.n_in, int)),
        Population("out", Readout(), [1, 2, 3]),
    )
    projections = (
        conv(),
        relay,
        Projection("c", "out", rng.integers(-1, 2, (3, n))),
        Projection("r", "out", rng.integers(-1, 2, (3, GEOMETRY.n_in))),
    )
    rows = GEOMETRY.output_shape[2]
    area = GEOMETRY.positions
    slices = [CoreSlice("c", rows * y, rows * (y + 1), y, GEOMETRY.out_channels, area) for y in range(3)]
    slices += [CoreSlice("r", 0, GEOMETRY.n_in, 7), CoreSlice("out", 0, 3, 8)]
    return Program(load_chip("loihi2"), GEOMETRY.n_in, populations, projections, tuple(slices))


def test_programs_of_every_kind_round_trip(tmp_path: Path) -> None:
    before = program()
    save_program(before, tmp_path / "a")
    after = load_program(tmp_path / "a")
    assert program_sha256(after) == program_sha256(before)
    assert after.slices == before.slices
    assert [p.neuron for p in after.populations] == [p.neuron for p in before.populations]
    for one, other in zip(before.projections, after.projections, strict=True):
        assert type(one) is type(other)
        assert np.array_equal(one.weights, other.weights)
    assert (after.steps, after.depth, after.depths["r"]) == (4, 2, 1)


def test_a_dilation_is_kept_and_no_dilation_is_not_written(tmp_path: Path) -> None:
    """Without dilation a file says what it did before there was any, so that its bytes are the same."""
    assert WIDE.output_shape == GEOMETRY.output_shape
    before = program()
    dilated = replace(before, projections=(conv(geometry=WIDE), *before.projections[1:]))
    keys = []
    for name, one in (("plain", before), ("dilated", dilated)):
        save_program(one, tmp_path / name)
        keys.append(set(read_container(tmp_path / name).body["projections"][0]["geometry"]))
        assert load_program(tmp_path / name).projections[0].geometry == one.projections[0].geometry  # type: ignore[union-attr]
    assert keys[0] == {"input_shape", "out_channels", "kernel", "stride", "padding", "groups"}
    assert keys[1] - keys[0] == {"dilation"}
    assert program_sha256(load_program(tmp_path / "dilated")) == program_sha256(dilated) != program_sha256(before)


def test_a_dilated_kernel_is_the_program_of_the_kernel_with_zeros_between() -> None:
    """The fingerprint is of the synapses, however they are written."""
    spread = np.zeros((4, 1, 3, 4), int)
    spread[..., ::3] = conv(geometry=WIDE).kernel
    same = ConvProjection(INPUT, "c", spread, replace(WIDE, kernel=(3, 4), dilation=(1, 1)))
    before = program()
    one, other = (
        replace(before, projections=(first, *before.projections[1:])) for first in (conv(geometry=WIDE), same)
    )
    assert program_sha256(one) == program_sha256(other)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dilation": 0}, r"dilation 0; an integer of at least 1, or two, expected"),
        ({"dilation": (1, 1.5)}, r"dilation \(1, 1.5\); an integer"),
        ({"dilation": (1, 2, 3)}, r"dilation \(1, 2, 3\); an integer"),
        ({"dilation": (3, 1)}, r"kernel \(3, 2\) with dilation \(3, 1\): larger than the input .*less dilation"),
    ],
)
def test_a_dilation_that_is_none_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Geometry((2, 5, 4), 4, (3, 2), **options)


def test_a_kernel_of_one_has_no_gaps() -> None:
    assert Geometry((2, 5, 4), 4, (1, 2), dilation=(7, 3)) == Geometry((2, 5, 4), 4, (1, 2), dilation=(1, 3))


def test_rows_of_several_channels_make_a_slice() -> None:
    part = program().slices[1]
    grid = np.arange(GEOMETRY.n_out).reshape(GEOMETRY.output_shape)
    assert part.size == grid[:, 1].size
    assert np.array_equal(part.index, grid[:, 1].ravel())


def test_a_program_says_what_is_wrong_with_its_hops() -> None:
    good = program()
    skipping = SparseProjection(INPUT, "out", np.zeros((3, GEOMETRY.n_in), int))
    with pytest.raises(InputError, match="leads from depth 0 to depth 2, but each hop takes one time step"):
        replace(good, projections=(*good.projections, skipping))
    with pytest.raises(InputError, match=r"kernel input -> c: shape .*; \(4, 1, 3, 2\) expected"):
        ConvProjection(INPUT, "c", np.ones((4, 2, 3, 2), int), GEOMETRY)
    with pytest.raises(InputError, match="neuron 0 stands on 2 cores"):
        replace(good, slices=(*good.slices, CoreSlice("c", 0, 1, 50, 2, 1)))

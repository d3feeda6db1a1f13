"""Projections and geometries, number for number against dense matrices made by loops. Mutants are tried on it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from conntra_hardware.base.errors import InputError
from conntra_hardware.program import ConvProjection, Projection, SparseProjection
from conntra_hardware.program import convolution as convolution_module
from conntra_hardware.program import projection as projection_module
from conntra_hardware.program.convolution import Geometry, as_pair, as_shape, exact_type
from conntra_hardware.program.projection import LONGEST_DELAY, by_target, one_to_one
from conntra_hardware.program.spike_convolution import SpikeConvolution

RNG = np.random.default_rng(11)
GEOMETRIES = {
    "plain": Geometry((1, 3, 4), 2, (2, 3)),
    "padded": Geometry((2, 3, 3), 3, (2, 2), (1, 1), (1, 2)),
    "strides": Geometry((1, 6, 7), 2, (2, 3), (3, 2), (0, 1)),
    "groups": Geometry((4, 3, 3), 6, (2, 1), groups=2),
    "depthwise": Geometry((3, 4, 4), 3, (2, 2), (2, 2), groups=3),
    "gaps": Geometry((2, 7, 6), 2, (2, 3), (1, 2), (1, 0), dilation=(3, 2)),
    "one pixel": Geometry((2, 1, 1), 3, (1, 1)),
}


def by_loops(g: Geometry, kernel: np.ndarray) -> np.ndarray:
    """Return the matrix (n_out, n_in) of a convolution, one weight at a time."""
    channels, height, width = g.input_shape
    rows = (height + 2 * g.padding[0] - ((g.kernel[0] - 1) * g.dilation[0] + 1)) // g.stride[0] + 1
    columns = (width + 2 * g.padding[1] - ((g.kernel[1] - 1) * g.dilation[1] + 1)) // g.stride[1] + 1
    out = np.zeros((g.out_channels, rows, columns, channels, height, width), int)
    inner, outer = channels // g.groups, g.out_channels // g.groups
    for o, y, x, i, a, b in product(*map(range, (g.out_channels, rows, columns, inner, *g.kernel))):
        row, column = (
            y * g.stride[0] + a * g.dilation[0] - g.padding[0],
            x * g.stride[1] + b * g.dilation[1] - g.padding[1],
        )
        if 0 <= row < height and 0 <= column < width:
            out[o, y, x, o // outer * inner + i, row, column] += kernel[o, i, a, b]
    return out.reshape(g.out_channels * rows * columns, -1)


def cases() -> dict[str, tuple[Any, np.ndarray]]:
    found: dict[str, tuple[Any, np.ndarray]] = {}
    for name, g in GEOMETRIES.items():
        kernel = RNG.integers(-2, 3, g.kernel_shape)
        found[name] = ConvProjection("s", "t", kernel, g, 3), by_loops(g, kernel)
    weights = RNG.integers(-2, 3, (4, 6))
    weights[1] = weights[:, 2] = 0
    found["dense"] = Projection("s", "t", weights, 3), weights
    found["sparse"] = SparseProjection("s", "t", sp.coo_array(weights), 3), weights
    twice = sp.coo_array(([3, 4, -4, 1], ([0, 1, 1, 0], [1, 2, 2, 1])), shape=(2, 5))
    found["twice"] = SparseProjection("s", "t", twice, 3), np.array([[0, 4, 0, 0, 0], [0] * 5])
    return found


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_it_is_its_matrix(name: str) -> None:
    found, weights = CASES[name]
    assert (found.source, found.target, found.delay, found.shape) == ("s", "t", 3, weights.shape)
    np.testing.assert_array_equal(found.weights, weights)
    assert found.n_synapses == np.count_nonzero(weights) == found.matrix().nnz
    np.testing.assert_array_equal(found.matrix().toarray(), weights)
    np.testing.assert_array_equal(found.magnitudes(), np.abs(weights).sum(axis=1))
    assert found.magnitudes().dtype == np.int64
    assert set(found.alphabet.tolist()) - {0} == set(weights.ravel().tolist()) - {0}
    assert found.alphabet.tolist() == sorted(found.alphabet.tolist())
    every = slice(0, len(weights))
    for index in (every, slice(0, 1), np.array([len(weights) - 1, 0])):
        rows = found.rows(index)
        np.testing.assert_array_equal(rows if isinstance(rows, np.ndarray) else rows.toarray(), weights[index])
        np.testing.assert_array_equal(found.degrees(index), np.count_nonzero(weights[index], axis=0))
    np.testing.assert_array_equal(found.degrees(), np.count_nonzero(weights, axis=0))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("largest", [1, 5, 2**13, 2**26, 2**55])
def test_sums_and_events_are_exact(name: str, largest: int) -> None:
    found, weights = CASES[name]
    n = weights.shape[1]
    x = RNG.integers(-largest if largest > 5 else 0, largest + 1, (5, n))
    x = x * RNG.integers(0, 2, (5, n))
    x[0] = largest
    rows = x.astype(np.uint8) if largest <= 5 else x
    expected = [[sum(int(w) * int(v) for w, v in zip(row, one, strict=True)) for row in weights] for one in x]
    assert found.apply(rows).tolist() == expected
    events = [[sum(int(w != 0 and v != 0) for w, v in zip(row, one, strict=True)) for row in weights] for one in x]
    assert found.events(rows).tolist() == events
    assert found.apply(rows).dtype == found.events(rows).dtype == np.int64
    assert found.apply(rows).flags.c_contiguous
    assert found.apply(rows[:0]).shape == found.events(rows[:0]).shape == (0, len(weights))


def test_spikes_go_through_the_compiler_where_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Product:
        takes = staticmethod(lambda weights: np.abs(weights).max() < 3)
        pays = staticmethod(lambda multiplications: asked.append(multiplications) or multiplications >= 40)

        def __init__(self, weights: np.ndarray) -> None:
            self.weights = weights.astype(int)

        def __call__(self, x: np.ndarray, dtype: Any) -> np.ndarray:
            return (1000 * (x @ self.weights.T)).astype(dtype)  # so that its answers are told apart

    monkeypatch.setattr(projection_module, "SpikeProduct", Product)
    dense = Projection("s", "t", [[1, -2, 0], [2, 1, 1]])
    few, many = np.ones((6, 3), np.uint8), np.ones((7, 3), np.uint8)
    assert dense.apply(few).tolist() == [[-1, 4]] * 6
    assert dense.apply(many).tolist() == [[-1000, 4000]] * 7
    assert asked == [36, 42]
    assert dense.apply(2 * many).tolist() == [[-2, 8]] * 7  # a graded spike
    assert dense.apply(many.astype(int)).tolist() == [[-1, 4]] * 7
    assert dense.spike_product(6) is None
    assert dense.spike_product(7) is dense.spike_product(8) is not None
    assert Projection("s", "t", [[3, 0, 0]] * 2).apply(many).tolist() == [[3, 3]] * 7


def test_convolutions_of_spikes_do_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    found, weights = CASES["padded"]
    ones = np.ones((4, found.shape[1]), np.uint8)

    def product(self: SpikeConvolution, x: np.ndarray, dtype: Any) -> np.ndarray:
        return (x.astype(np.int64) @ by_loops(self._geometry, self.kernel).T * 1000).astype(dtype)

    monkeypatch.setattr(SpikeConvolution, "pays", lambda self, rows: rows >= 4)
    monkeypatch.setattr(SpikeConvolution, "__call__", product)
    assert found.spike_product(3) is None
    assert found.spike_product(4) is found.spike_product(5) is not None
    np.testing.assert_array_equal(found.apply(ones), 1000 * (ones.astype(np.int64) @ weights.T))
    np.testing.assert_array_equal(found.apply(ones[:3]), ones[:3].astype(int) @ weights.T)
    np.testing.assert_array_equal(found.apply(2 * ones), 2 * ones.astype(int) @ weights.T)
    np.testing.assert_array_equal(found.apply(ones.astype(int)), ones.astype(int) @ weights.T)
    np.testing.assert_array_equal(found.events(3 * ones), 1000 * ones.astype(int) @ (weights != 0).T)
    np.testing.assert_array_equal(found.events(ones[:3]), ones[:3].astype(int) @ (weights != 0).T)


def test_weights_take_the_least_memory_and_stay_as_they_are() -> None:
    for low, high, dtype in (
        (-127, 127, np.int8),
        (-128, 0, np.int16),  # so that it can be negated
        (0, 128, np.int16),
        (1 - 2**15, 0, np.int16),
        (-(2**15), 1, np.int32),
        (0, 2**15, np.int32),
        (-(2**31), 2**31 - 1, np.int32),
    ):
        found = Projection("s", "t", [[low, high]])
        assert (found.weights.dtype, found.weights.tolist()) == (dtype, [[low, high]])
        assert not found.weights.flags.writeable
        geometry = Geometry((1, 1, 2), 1, (1, 2))
        assert ConvProjection("s", "t", [[[[low, high]]]], geometry).kernel.dtype == dtype
        assert SparseProjection("s", "t", sp.coo_array([[low, high]])).entries.dtype == dtype
    for wrong in (
        lambda: Projection("s", "t", [[2**31]]),
        lambda: SparseProjection("s", "t", sp.coo_array([[2**31]])),
        lambda: ConvProjection("s", "t", [[[[2**31]]]], Geometry((1, 1, 1), 1, (1, 1))),
    ):
        with pytest.raises(InputError, match="s -> t: values from 2147483648"):
            wrong()
    for wrong in (lambda: Projection("s", "t", [1, 2]), lambda: ConvProjection("s", "t", [[1]], GEOMETRIES["plain"])):
        with pytest.raises(InputError, match=r"s -> t: \d dimensions"):
            wrong()
    assert Projection("s", "t", np.zeros((2, 0), int)).weights.dtype == np.int8
    assert CASES["twice"][0].entries.data.tolist() == [4]


def test_a_delay_is_whole_and_at_most_63() -> None:
    assert LONGEST_DELAY == 63
    pixel = Geometry((1, 1, 1), 1, (1, 1))
    none = [Projection("s", "t", [[1]]), ConvProjection("s", "t", [[[[1]]]], pixel), one_to_one("s", "t", 1)]
    assert [p.delay for p in none] == [0, 0, 0]
    for make in (
        lambda delay: Projection("s", "t", [[1]], delay),
        lambda delay: SparseProjection("s", "t", sp.coo_array([[1]]), delay),
        lambda delay: ConvProjection("s", "t", [[[[1]]]], Geometry((1, 1, 1), 1, (1, 1)), delay),
    ):
        assert [make(delay).delay for delay in (0, 63)] == [0, 63]
        for delay in (-1, 64, 1.5):
            with pytest.raises(InputError, match="projection s -> t: delay"):
                make(delay)
    with pytest.raises(InputError, match=r"kernel s -> t: shape \(1, 1, 1, 2\); \(1, 1, 1, 1\) expected"):
        ConvProjection("s", "t", [[[[1, 2]]]], Geometry((1, 1, 1), 1, (1, 1)))


def test_projections_by_target_and_one_to_one() -> None:
    a, b, c = (Projection("s", name, [[1]]) for name in "xyx")
    assert by_target([a, b, c]) == {"x": [a, c], "y": [b]}
    same = one_to_one("s", "t", 3, -2)
    assert (same.source, same.target, same.delay) == ("s", "t", 0)
    assert same.weights.tolist() == [[-2, 0, 0], [0, -2, 0], [0, 0, -2]]
    assert one_to_one("s", "t", 2).weights.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_geometry_says_what_its_matrix_has(name: str) -> None:
    g = GEOMETRIES[name]
    kernel = RNG.integers(-2, 3, g.kernel_shape)
    expected = by_loops(g, kernel)
    assert (g.n_out, g.n_in) == expected.shape == g.matrix(kernel).shape
    np.testing.assert_array_equal(g.matrix(kernel).toarray(), expected)
    assert g.positions * g.out_channels == g.n_out
    assert g.output_shape[0] == g.out_channels
    assert g.depthwise is (name in ("depthwise", "plain", "strides"))
    assert Geometry(out_channels=g.out_channels, kernel=g.kernel, **g.window) == g
    x = RNG.integers(0, 9, (3, g.n_in))
    np.testing.assert_array_equal(g.apply(kernel, x), x @ expected.T)
    columns = g.columns(x, np.float32)
    assert columns.dtype == np.float32
    assert g.columns(x).dtype == x.dtype
    assert g.columns(x).shape == (g.groups, 3 * g.positions, g.kernel_shape[1] * g.kernel[0] * g.kernel[1])
    parts = [c @ k.reshape(len(k), -1).T for c, k in zip(g.columns(x), np.split(kernel, g.groups), strict=True)]
    joined = np.concatenate(parts, axis=1).reshape(3, g.positions, -1).transpose(0, 2, 1).reshape(3, -1)
    np.testing.assert_array_equal(joined, x @ expected.T)


def test_what_a_geometry_is_without_being_told() -> None:
    plain = GEOMETRIES["plain"]
    assert (plain.stride, plain.padding, plain.groups, plain.dilation) == ((1, 1), (0, 0), 1, (1, 1))


def test_products_are_exact_whatever_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    g = Geometry((1, 1, 3), 1, (1, 2))
    for kernel, row in (
        ([1, 1], [2**23, 2**23 + 1, 0]),  # 2^24 + 1 is no float32
        ([1, 1], [2**52, 2**52 + 1, 0]),  # 2^53 + 1 is no float64
        ([1, -1], [-(2**53) - 1, 2**53, 0]),
        ([1, 1], [-(2**23), -(2**23) - 1, 0]),
        ([1, 1], [-(2**52), -(2**52) - 1, 0]),
        ([0, 0], [1, 2, 3]),
    ):
        expected = [sum(k * v for k, v in zip(kernel, row[i : i + 2], strict=True)) for i in (0, 1)]
        assert g.apply(np.array([[[kernel]]]), np.array([row])).tolist() == [expected]
        assert ConvProjection("s", "t", [[[kernel]]], g).apply(np.array([row])).tolist() == [expected]
        dense = Projection("s", "t", [[*kernel, 0], [0, *kernel]])
        assert dense.apply(np.array([row])).tolist() == [expected]
    assert [exact_type(n) for n in (0, 2**24 - 1, 2**24, 2**53 - 1, 2**53)] == [
        np.float32, np.float32, np.float64, np.float64, np.int64,
    ]  # fmt: skip
    blocks: list[int] = []
    whole = Geometry._apply_columns
    monkeypatch.setattr(Geometry, "_apply_columns", lambda self, w, x: blocks.append(len(x)) or whole(self, w, x))
    monkeypatch.setattr(convolution_module, "_CHUNK_VALUES", 3 * 2 * 2 * 1)
    x = np.arange(21).reshape(7, 3)
    assert g.apply(np.array([[[[1, 10]]]]), x).tolist() == (x @ [[1, 0], [10, 1], [0, 10]]).tolist()
    assert blocks == [3, 3, 1]
    monkeypatch.setattr(convolution_module, "_CHUNK_VALUES", 1)
    blocks.clear()
    assert g.apply(np.array([[[[1, 10]]]]), x).tolist() == (x @ [[1, 0], [10, 1], [0, 10]]).tolist()
    assert blocks == [1] * 7


def test_shapes_that_are_none() -> None:
    assert as_shape([1, 2, 2**15], "s") == (1, 2, 2**15)
    for wrong in ((1, 2), (1, 2, 3, 4), (0, 1, 1), (1, 1, 2**15 + 1), 3, ("a", 1, 1), None):
        with pytest.raises(InputError, match=r"s .*; .channels, height, width. expected, each from 1 to 32768"):
            as_shape(wrong, "s")
    assert (as_pair(2, 1, "p"), as_pair((0, 3), 0, "p"), as_pair([np.int64(4), 5], 1, "p")) == ((2, 2), (0, 3), (4, 5))
    for wrong in (0, (1, 0), True, 1.5, (1,), (1, 2, 3), (1, True), "ab"):
        with pytest.raises(InputError, match=r"p .*; an integer of at least 1, or two, expected"):
            as_pair(wrong, 1, "p")
    for groups in (0, 2, 3, -1):
        with pytest.raises(InputError, match=f"groups {groups}: must divide 3 input channels and 2 output channels"):
            Geometry((3, 2, 2), 2, (1, 1), groups=groups)
    assert Geometry((2, 2, 2), 4, (1, 1), groups=2).kernel_shape == (4, 1, 1, 1)
    assert Geometry((1, 2, 2), 1, (2, 2)).output_shape == (1, 1, 1)
    for size, words in (
        ((3, 1), "use a smaller kernel or more padding"),
        ((1, 3), r"larger than the input \(1, 2"),
    ):
        with pytest.raises(InputError, match=words):
            Geometry((1, 2, 2), 1, size)
    with pytest.raises(InputError, match=r"kernel \(2, 1\) with dilation \(2, 1\).*smaller kernel, less dilation"):
        Geometry((1, 2, 2), 1, (2, 1), dilation=2)
    assert Geometry((1, 2, 2), 1, (1, 2), dilation=(5, 1)).dilation == (1, 1)
    assert Geometry((1, 9, 9), 1, (2, 3), dilation=(4, 3)).span == (5, 7)

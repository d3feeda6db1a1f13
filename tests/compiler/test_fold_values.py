"""Two maps as one: always their product, as one kernel exactly where there is one. Mutants are tried on it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp

from conntra_hardware.program import ConvProjection, Projection, SparseProjection
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.compiler.fold import add_up, compose

RNG = np.random.default_rng(5)
POOLS = [
    Geometry((2, height, width), 2, size, stride, padding, 2)
    for (height, width), size, stride, padding in product(
        [(5, 4), (6, 5)], [(1, 2), (2, 2), (3, 1)], [(1, 1), (2, 1), (2, 3)], [(0, 0), (1, 0), (1, 1)]
    )
]
AFTER = [
    {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    for kernel, stride, padding, dilation, groups in [
        ((1, 1), (1, 1), (0, 0), (1, 1), 1),
        ((2, 1), (1, 1), (0, 0), (1, 1), 2),
        ((2, 2), (1, 2), (1, 0), (1, 1), 1),
        ((1, 2), (2, 1), (0, 1), (1, 1), 1),
        ((2, 1), (1, 1), (1, 1), (2, 1), 2),
        ((1, 2), (1, 1), (0, 0), (1, 2), 1),
    ]
]


def kernel(geometry: Geometry) -> np.ndarray:
    """Return weights none of which is 0 and few of which are alike: sums that agree by chance are rare."""
    return RNG.integers(1, 2**9, geometry.kernel_shape)


def one_kernel(pool: Geometry, after: Geometry, both: np.ndarray) -> bool:
    """Return whether a kernel of the joined size, stride and padding is the matrix ``both``: looked for by trying."""
    size = [
        k1 + (d * (k2 - 1)) * s1
        for k1, s1, k2, d in zip(pool.kernel, pool.stride, after.kernel, after.dilation, strict=True)
    ]
    stride = [a * b for a, b in zip(pool.stride, after.stride, strict=True)]
    padding = [p1 + p2 * s1 for p1, s1, p2 in zip(pool.padding, pool.stride, after.padding, strict=True)]
    channels, height, width = pool.input_shape
    places = [(side + 2 * p - k) // s + 1 for side, p, k, s in zip((height, width), padding, size, stride, strict=True)]
    if tuple(places) != after.output_shape[1:]:
        return False
    known: dict[tuple[int, int, int, int], int] = {}
    explained = np.zeros(both.shape, bool)
    for o, i, y, x in product(range(after.out_channels), range(channels), *map(range, places)):
        for a, b in product(*map(range, size)):
            row, column = y * stride[0] + a - padding[0], x * stride[1] + b - padding[1]
            if 0 <= row < height and 0 <= column < width:
                target = (o * places[0] + y) * places[1] + x
                source = (i * height + row) * width + column
                explained[target, source] = True
                if known.setdefault((o, i, a, b), int(both[target, source])) != both[target, source]:
                    return False
    return not both[~explained].any()


@pytest.mark.parametrize("given", AFTER, ids=lambda given: f"{given['kernel']}")
def test_two_convolutions(given: dict) -> None:
    kinds = set()
    for pool in POOLS:
        try:
            after = Geometry(pool.output_shape, 4, **given)
        except ValueError:  # larger than what the pool leaves
            continue
        inner, outer = ConvProjection("a", "b", kernel(pool), pool), ConvProjection("b", "c", kernel(after), after)
        both = outer.weights.astype(np.int64) @ inner.weights.astype(np.int64)
        found = compose(inner, outer)
        assert (found.source, found.target, found.delay) == ("a", "c", 0)
        np.testing.assert_array_equal(found.weights, both)
        assert isinstance(found, ConvProjection) is one_kernel(pool, after, both)
        kinds.add(type(found))
        later = compose(inner, replace(outer, delay=3))
        assert (type(later), later.delay) == (type(found), 3)
        np.testing.assert_array_equal(later.weights, both)
    assert ConvProjection in kinds


def test_a_pool_with_gaps_and_one_that_mixes_channels() -> None:
    spread = Geometry((2, 7, 6), 2, (2, 2), (2, 1), groups=2, dilation=(2, 3))
    after = Geometry(spread.output_shape, 2, (2, 2))
    mixing = Geometry((2, 5, 5), 2, (2, 2))
    more = Geometry((2, 5, 5), 4, (2, 2), groups=2)
    for first, whole in ((spread, True), (mixing, False), (more, False)):
        second = after if first is spread else Geometry(first.output_shape, 2, (2, 2))
        inner, outer = ConvProjection("a", "b", kernel(first), first), ConvProjection("b", "c", kernel(second), second)
        found = compose(inner, outer)
        assert isinstance(found, ConvProjection if whole else SparseProjection)
        np.testing.assert_array_equal(found.weights, outer.weights.astype(int) @ inner.weights.astype(int))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_every_channel_has_its_own_window(groups: int) -> None:
    pool = Geometry((4, 4, 4), 4, (2, 2), (2, 2), groups=4)
    after = Geometry((4, 2, 2), 8, (2, 1), groups=groups)
    inner, outer = ConvProjection("a", "b", kernel(pool), pool), ConvProjection("b", "c", kernel(after), after)
    found = compose(inner, outer)
    assert isinstance(found, ConvProjection)
    np.testing.assert_array_equal(found.weights, outer.weights.astype(int) @ inner.weights.astype(int))


def test_other_maps_are_multiplied_exactly() -> None:
    assert compose(None, outer := Projection("b", "c", [[1, 2]])) is outer
    geometry = Geometry((1, 2, 3), 2, (1, 2))
    for inner in (
        ConvProjection("a", "b", kernel(geometry), geometry),
        SparseProjection("a", "b", sp.coo_array(RNG.integers(-9, 9, (8, 5)))),
        Projection("a", "b", RNG.integers(-(2**13), 2**13, (8, 5))),
    ):
        dense = Projection("b", "c", RNG.integers(-(2**14), 2**14, (3, 8)), 2)
        sparse = SparseProjection("b", "c", sp.coo_array(RNG.integers(-2, 3, (3, 8))), 1)
        for last, kind in ((dense, Projection), (sparse, SparseProjection)):
            found = compose(inner, last)
            assert (type(found), found.source, found.target, found.delay) == (kind, "a", "c", last.delay)
            expected = last.weights.astype(int) @ inner.weights.astype(int)
            np.testing.assert_array_equal(found.weights, expected)


def test_only_what_arrives_together_is_added_up() -> None:
    a, b = RNG.integers(-9, 9, (2, 3)), RNG.integers(-9, 9, (2, 3))
    dense = [Projection("s", "t", a), Projection("s", "t", b), Projection("s", "t", b, 2), Projection("u", "t", a)]
    found = add_up(dense)
    assert [(p.source, p.target, p.delay, type(p)) for p in found] == [
        ("s", "t", 0, Projection),
        ("s", "t", 2, Projection),
        ("u", "t", 0, Projection),
    ]
    np.testing.assert_array_equal(found[0].weights, a + b)
    assert found[1] is dense[2]
    assert found[2] is dense[3]
    thin = [SparseProjection("s", "t", sp.coo_array(m), 1) for m in (a, b, a)]
    (total,) = add_up(thin)
    assert (type(total), total.source, total.target, total.delay) == (SparseProjection, "s", "t", 1)
    np.testing.assert_array_equal(total.weights, 2 * a + b)
    (mixed,) = add_up([thin[0], Projection("s", "t", b, 1), thin[2]])
    assert (type(mixed), mixed.delay) == (Projection, 1)
    np.testing.assert_array_equal(mixed.weights, 2 * a + b)
    large = np.array([[2**7 - 1]])
    (wide,) = add_up([SparseProjection("s", "t", sp.coo_array(large))] * 3)
    assert wide.weights.tolist() == [[3 * 127]]

"""Images to columns, channel last, against the columns of the geometry, and back as their transpose."""

from __future__ import annotations

import numpy as np
import pytest

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.layers import maps
from conntra_neuro.training.layers.columns import Columns
from conntra_neuro.training.threads import Threads


@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2))])
def test_columns_are_those_of_the_geometry(
    groups: int, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    geometry = Geometry((4, 8, 7), 2, (3, 2), stride, padding, groups, dilation)
    x = rng.integers(-9, 10, (5, 8, 7, 4)).astype(np.float32)
    with Threads(2) as threads:
        columns_of = Columns(geometry, threads)
        found = columns_of.gather(x, columns_of.room(7, x.dtype))
        assert found.shape == (groups, 5, geometry.positions, 3 * 2 * 4 // groups)
        # There a column has its channels first, here last.
        theirs = geometry.columns(x.transpose(0, 3, 1, 2).reshape(5, -1)).reshape(groups, 5, -1, 4 // groups, 3, 2)
        np.testing.assert_array_equal(found, theirs.transpose(0, 1, 2, 4, 5, 3).reshape(found.shape))
        columns = rng.integers(-9, 10, found.shape).astype(np.float32)
        back = np.zeros_like(x)
        columns_of.scatter(columns, back)
    assert (back * x).sum() == (columns * found).sum()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("tile", [1, 60, 10**6])
def test_maps_are_the_same_in_tiles_of_any_size(groups: int, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_TILE", tile)
    monkeypatch.setattr(maps, "TERMS", 13)
    rng = np.random.default_rng(1)
    geometry = Geometry((4, 8, 7), 6, (3, 2), (2, 1), (1, 0), groups)
    x = rng.integers(0, 2, (9, 8, 7, 4)).astype(np.float32)
    weights = rng.integers(-2, 3, (3 * 2 * 4 // groups + 1, 6)).astype(np.float32)
    q = (rng.integers(-50, 50, (9 * geometry.positions, 6)) / 8).astype(np.float32)
    columns = geometry.columns(x.transpose(0, 3, 1, 2).reshape(9, -1)).reshape(groups, -1, 4 // groups, 3, 2)
    columns = columns.transpose(0, 1, 3, 4, 2).reshape(groups, len(q), -1)
    kernels, terms = np.split(weights[:-1], groups, axis=1), np.split(q, groups, axis=1)
    pairs = list(zip(columns, kernels, terms, strict=True))
    with Threads(2) as threads:
        seen = maps.seen(x, geometry, threads)
        potentials = np.hstack([c @ w for c, w, _ in pairs]) + weights[-1]
        np.testing.assert_array_equal(maps.potentials(seen, weights), potentials)
        scores = np.vstack([np.hstack([c.T @ t for c, _, t in pairs]), q.sum(axis=0)])
        np.testing.assert_array_equal(maps.score(seen, q), scores)
        below = maps.down(q, weights, geometry, len(x), threads)
    # Carried down is the transpose of potentials without their biases.
    assert (below * x).sum() == (q * (potentials - weights[-1])).sum()

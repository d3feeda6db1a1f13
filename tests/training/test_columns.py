"""Images to columns, channel last, against the columns of the geometry, and back as their transpose."""

from __future__ import annotations

import numpy as np
import pytest

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.layers.columns import gather, scatter
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
        found = gather(x, geometry, threads)
        assert found.shape == (groups, 5, geometry.positions, 3 * 2 * 4 // groups)
        # There a column has its channels first, here last.
        theirs = geometry.columns(x.transpose(0, 3, 1, 2).reshape(5, -1)).reshape(groups, 5, -1, 4 // groups, 3, 2)
        np.testing.assert_array_equal(found, theirs.transpose(0, 1, 2, 4, 5, 3).reshape(found.shape))
        columns = rng.integers(-9, 10, found.shape).astype(np.float32)
        back = scatter(columns, geometry, threads)
    assert (back * x).sum() == (columns * found).sum()
    assert back.shape == x.shape

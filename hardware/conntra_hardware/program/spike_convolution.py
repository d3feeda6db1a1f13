"""Convolutions of 0/1 spikes, exactly: for every spike the kernel's weights are added where it is seen.

Few inputs spike, and no image is turned into columns: below a share of ``_FEW`` that is faster than a matrix product.
numba is imported at the first large one, as by ``base.spike_product``.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.spike_product import over_rows
from conntra_hardware.program.convolution import Geometry

__all__ = ["SpikeConvolution"]

_WORTH, _WORTH_LOADED = 2**31, 2**22
"""Multiplications that are worth the start of numba, and of threads where it is there."""
_FEW = 0.3
"""Share of spikes up to which weights are added one spike after the other."""


class SpikeConvolution:
    """The convolution of 0/1 spikes with ``kernel`` (outputs, inputs of a group, height, width)."""

    def __init__(self, geometry: Geometry, kernel: IntArray) -> None:
        self._geometry, self.kernel = geometry, kernel
        self._largest = int(np.abs(kernel.reshape(len(kernel), -1).astype(np.int64)).sum(axis=1).max(initial=0))

    def pays(self, rows: int) -> bool:
        """Return whether so many rows are worth the start of numba, and all sums fit in 32 bits."""
        worth = _WORTH_LOADED if "numba" in sys.modules else _WORTH
        return self._largest < 2**31 and rows * self._geometry.positions * self.kernel.size >= worth

    def __call__(self, spikes: SpikeArray, dtype: Any = np.int32) -> npt.NDArray[Any]:
        """Return the convolution (n, n_out), integers of ``dtype``, of spikes (n, n_in), on all cores."""
        if np.count_nonzero(spikes) > _FEW * spikes.size:
            return self._geometry.apply(self.kernel, spikes).astype(dtype, copy=False)
        from conntra_hardware.program.spike_convolution_kernel import convolve  # loads the compiler

        out = np.empty((len(spikes), self._geometry.n_out), dtype)
        shape = (self._geometry.groups, self._geometry.positions, self.kernel.shape[0] // self._geometry.groups)
        narrow, across = self._weights.dtype, self._geometry.output_shape[2]

        def work(part: slice) -> None:
            convolve(spikes[part], self._weights, *self._places, across, np.empty(shape, narrow), out[part])

        over_rows(work, len(spikes))
        return out

    @cached_property
    def _weights(self) -> npt.NDArray[Any]:
        """The weights (input channels, height, width, outputs of a group), in the type of the sums."""
        g, narrow = self._geometry, np.int16 if self._largest < 2**15 else np.int32
        grouped = self.kernel.reshape(g.groups, -1, *self.kernel.shape[1:]).transpose(0, 2, 3, 4, 1)
        return np.ascontiguousarray(grouped.reshape(g.input_shape[0], *g.kernel, -1).astype(narrow))

    @cached_property
    def _places(self) -> tuple[IntArray, IntArray]:
        """For each row, and each column, of the input the weights that see it; see ``_seen``."""
        g = self._geometry
        axes = zip(g.input_shape[1:], g.output_shape[1:], g.kernel, g.stride, g.padding, g.dilation, strict=True)
        rows, columns = (_seen(*axis) for axis in axes)
        return rows, columns


def _seen(side: int, places: int, kernel: int, stride: int, padding: int, dilation: int) -> IntArray:
    """Return (side, kernel): the place of the output at which each weight sees each input, -1 where it does not."""
    at = np.arange(side)[:, None] + padding - np.arange(kernel) * dilation
    return np.where((at >= 0) & (at % stride == 0) & (at // stride < places), at // stride, -1).astype(np.int64)

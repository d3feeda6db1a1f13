"""Layers without weights of their own: pooling, and flattening."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Immutable
from conntra_hardware.neurons import Neuron, Threshold
from conntra_hardware.program.convolution import Geometry, as_pair, as_shape
from conntra_neuro.network.layers.layer import Shape

__all__ = ["Flatten", "MaxPool", "SumPool"]


class _Fixed(Immutable):
    """A layer without parameters."""

    n_weights = 0
    n_parameters = 0
    memory_bytes = 0


class _Pool(_Fixed):
    """Windows of ``size``, ``stride`` apart (None: side by side), over each channel; what does not fill one is left
    out.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        input_shape: Shape,
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        shape = as_shape(input_shape, "input shape")
        window = as_pair(size, 1, "pooling size")
        step = window if stride is None else as_pair(stride, 1, "stride")
        self.geometry = Geometry(shape, shape[0], window, step, as_pair(padding, 0, "padding"), shape[0])
        self._seal()

    @property
    def kernel(self) -> IntArray:
        """Ones: as a convolution of each channel on its own, shape (channels, 1, height, width)."""
        return np.ones(self.geometry.kernel_shape, np.int8)

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.geometry.n_in

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.geometry.n_out

    @property
    def input_shape(self) -> Shape:
        """(channels, height, width) of the input."""
        return self.geometry.input_shape

    @property
    def output_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        return self.geometry.output_shape

    def potentials(self, x: IntArray) -> IntArray:
        """Return the sum of each window, (n, n_out), int64, of integer rows ``x`` (n, n_in)."""
        return self.geometry.apply(self.kernel, x)

    def __repr__(self) -> str:
        g = self.geometry
        return f"{type(self).__name__}({g.input_shape} -> {g.output_shape}, size {g.kernel}, stride {g.stride})"


class SumPool(_Pool):
    """The sum of each window, without neurons of its own: it is folded into the weights of the next layer.

    size         of a window, one integer or (vertical, horizontal)
    input_shape  (channels, height, width)
    stride       distance between windows, alike; None puts them side by side
    padding      by zeros, alike

    What does not fill a window is left out. Raises InputError for windows that do not fit.
    """

    neuron: Neuron | None = None


class MaxPool(_Pool):
    """The largest of 0/1 spikes in each window: a population of neurons that spike when any input does (an OR).

    ``size``, ``input_shape``, ``stride`` and ``padding`` as in SumPool. Raises InputError for windows that do not fit;
    a network refuses it where inputs are sums or graded spikes.
    """

    neuron: Neuron | None = Threshold()


class Flatten(_Fixed):
    """(channels, height, width) to (features,): a change of shape alone, for rows are flat already.

    ``input_shape``: such as (channels, height, width), each at least 1; InputError for anything else.
    """

    neuron: Neuron | None = None

    def __init__(self, input_shape: Shape) -> None:
        try:
            sides = tuple(int(side) for side in input_shape)
        except (TypeError, ValueError):
            sides = ()
        if not sides or min(sides) < 1:
            raise InputError(f"Flatten: input shape {input_shape!r}; such as (channels, height, width) expected")
        self.input_shape: Shape = sides
        self._seal()

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(np.prod(self.input_shape))

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.n_in

    @property
    def output_shape(self) -> Shape:
        """(features,)."""
        return (self.n_in,)

    def potentials(self, x: IntArray) -> IntArray:
        """Return ``x``, as int64."""
        return x.astype(np.int64)

    def __repr__(self) -> str:
        return f"Flatten({self.input_shape} -> {self.output_shape})"

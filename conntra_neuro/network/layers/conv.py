"""A convolution: one small kernel, moved over an image."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.arrays import ArrayLike, IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron
from conntra_hardware.program.convolution import Geometry, as_pair, as_shape
from conntra_neuro.network.layers.layer import Shape, Weighted
from conntra_neuro.network.levels import Levels

__all__ = ["Conv2d"]


class Conv2d(Weighted):
    """A convolution of images (channels, height, width), flat in that order: ``conntra_hardware.program.convolution``.

    weight       integers (out, in / groups, kernel height, kernel width), each one of ``levels``; kept packed
    bias         integers (out,), one for each channel, in weight units
    input_shape  (in, height, width)
    stride       of the kernel, one integer or (vertical, horizontal);  ``padding`` by zeros alike
    dilation     distance between the kernel's weights, alike: with 2 a kernel of 3 covers 5 pixels and sees every other
    groups       groups of channels that do not see each other; as many as input channels: depthwise
    activation   as in Dense; parameters that differ are given a channel, or a neuron
    levels       as in Dense
    delay        time steps that spikes take longer, 0 to 63: a number, or one an input (n_in,)

    Raises InputError for weights that are not levels, and for shapes that do not belong together.
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        activation: str | Neuron = "threshold",
        levels: Levels | None = None,
        *,
        input_shape: Shape,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
        dilation: int | tuple[int, int] = 1,
        delay: int | ArrayLike = 0,
    ) -> None:
        super().__init__(weight, bias, activation, levels, ndim=4, delay=delay)
        out, inner, *kernel = self._weight_shape
        self.geometry = Geometry(
            as_shape(input_shape, "input shape"),
            out,
            (kernel[0], kernel[1]),
            as_pair(stride, 1, "stride"),
            as_pair(padding, 0, "padding"),
            groups,
            as_pair(dilation, 1, "dilation"),
        )
        if self.geometry.kernel_shape != self._weight_shape:
            raise InputError(
                f"weight: {inner} input channels in shape {self._weight_shape}; {self.geometry.kernel_shape[1]} "
                f"expected for input {self.geometry.input_shape} in {groups} group(s)"
            )
        if np.ndim(self.delay) and np.shape(self.delay) != (self.n_in,):
            raise InputError(f"Conv2d: delay of shape {np.shape(self.delay)}; one, or ({self.n_in},) expected")
        self.neuron = self.neuron.spread(out, self.geometry.n_out)
        self.neuron.check_size(self.geometry.n_out, "Conv2d")
        self._seal()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the weight."""
        return self.geometry.kernel_shape

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.geometry.n_in

    @property
    def n_out(self) -> int:
        """Number of neurons."""
        return self.geometry.n_out

    @property
    def input_shape(self) -> Shape:
        """(channels, height, width) of the input."""
        return self.geometry.input_shape

    @property
    def output_shape(self) -> Shape:
        """(channels, height, width) of the output."""
        return self.geometry.output_shape

    @property
    def neuron_bias(self) -> IntArray:
        """The bias of every neuron, shape (n_out,)."""
        return np.repeat(self.bias, self.geometry.positions)

    def sums(self, x: IntArray) -> IntArray:
        """Return the synaptic sums (n, n_out), int64, of integer rows ``x`` (n, n_in), exactly."""
        return self.geometry.apply(self.weight, x).astype(np.int64, copy=False)

    def __repr__(self) -> str:
        g = self.geometry
        kernel = "x".join(map(str, g.kernel))
        extras = [] if g.stride == (1, 1) else [f"stride {g.stride}"]
        extras += [] if g.padding == (0, 0) else [f"padding {g.padding}"]
        extras += [] if g.dilation == (1, 1) else [f"dilation {g.dilation}"]
        extras += [f"groups {g.groups}"] if g.groups > 1 else []
        listed = ", ".join([f"{g.input_shape} -> {g.output_shape}", f"kernel {kernel}", *extras, self.neuron.kind])
        return f"Conv2d({listed}, levels {self.levels.short})"

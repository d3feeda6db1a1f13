"""Two-dimensional convolution of flat integer rows: its geometry, the exact product, and its sparse matrix.

Rows are images (channels, height, width), flattened in that order. As everywhere in machine learning, the kernel is
not flipped: ``out[o, y, x] = sum kernel[o, i, a, b] * in[i, y * stride + a * dilation - padding, x * stride +
b * dilation - padding]``, with zeros outside the image and i over the channels of o's group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Geometry", "as_pair", "as_shape", "exact_type"]

_CHUNK_VALUES = 2**22
_LARGEST_SIDE = 2**15


@dataclass(frozen=True)
class Geometry:
    """Shapes of a convolution: ``input_shape`` (channels, height, width), ``kernel`` (height, width), and the rest.

    ``stride``, ``padding`` and ``dilation`` are (vertical, horizontal); channels are cut into ``groups`` that do not
    see each other. With a dilation of d the kernel's weights stand d pixels apart, and what lies between is not seen;
    it is 1 along an axis on which the kernel has but one weight, whatever is given.
    """

    input_shape: tuple[int, int, int]
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", as_shape(self.input_shape, "input shape"))
        object.__setattr__(self, "kernel", as_pair(self.kernel, 1, "kernel"))
        object.__setattr__(self, "stride", as_pair(self.stride, 1, "stride"))
        object.__setattr__(self, "padding", as_pair(self.padding, 0, "padding"))
        pairs = zip(as_pair(self.dilation, 1, "dilation"), self.kernel, strict=True)
        object.__setattr__(self, "dilation", tuple(1 if size == 1 else step for step, size in pairs))
        channels = self.input_shape[0]
        if self.groups < 1 or channels % self.groups or self.out_channels % self.groups:
            raise InputError(
                f"groups {self.groups}: must divide {channels} input channels and {self.out_channels} output channels"
            )
        if min(self.output_shape) < 1:
            dilated = self.dilation != (1, 1)
            raise InputError(
                f"kernel {self.kernel}{f' with dilation {self.dilation}' if dilated else ''}: larger than the input "
                f"{self.input_shape} with padding {self.padding}; use a smaller kernel"
                f"{', less dilation' if dilated else ''} or more padding"
            )

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the result."""
        height, width = (
            (side + 2 * pad - size) // step + 1
            for side, pad, size, step in zip(self.input_shape[1:], self.padding, self.span, self.stride, strict=True)
        )
        return self.out_channels, height, width

    @property
    def span(self) -> tuple[int, int]:
        """(height, width) of what the kernel covers, from its first weight to its last."""
        (height, width), (down, right) = self.kernel, self.dilation
        return (height - 1) * down + 1, (width - 1) * right + 1

    @property
    def window(self) -> dict[str, Any]:
        """All but the kernel's shape, by name: the keywords of a layer with this geometry."""
        names = ("input_shape", "stride", "padding", "groups", "dilation")
        return {name: getattr(self, name) for name in names}

    @property
    def n_in(self) -> int:
        """Values of a row of inputs."""
        return int(np.prod(self.input_shape))

    @property
    def n_out(self) -> int:
        """Values of a row of results."""
        return int(np.prod(self.output_shape))

    @property
    def positions(self) -> int:
        """Places of the kernel, each of which makes one value of every output channel."""
        return self.output_shape[1] * self.output_shape[2]

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(output channels, input channels of a group, height, width)."""
        return self.out_channels, self.input_shape[0] // self.groups, *self.kernel

    @property
    def depthwise(self) -> bool:
        """Whether every output channel sees one input channel."""
        return self.input_shape[0] == self.groups

    def patches(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of padded rows ``x`` (n, n_in): (n, channels, out height, out width, kernel h., kernel w.)."""
        images = x.reshape(-1, *self.input_shape)
        (top, left), (down, right) = self.padding, self.stride
        if top or left:
            images = np.pad(images, ((0, 0), (0, 0), (top, top), (left, left)))
        rows = np.lib.stride_tricks.sliding_window_view(images, self.span[0], axis=2)
        spans = np.lib.stride_tricks.sliding_window_view(rows, self.span[1], axis=3)
        return spans[:, :, ::down, ::right, :: self.dilation[0], :: self.dilation[1]]

    def columns(self, x: npt.NDArray[Any], dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """Return the inputs of each place of the kernel, (groups, n * positions, group's channels * kernel), copied.

        The image-to-column form: ``columns(x)[g] @ kernel[g].reshape(outputs, -1).T`` is the convolution of group g.
        """
        seen = self.patches(x)
        n, channels = seen.shape[:2]
        seen = seen.reshape(n, self.groups, channels // self.groups, *seen.shape[2:])
        seen = seen.transpose(1, 0, 3, 4, 2, 5, 6)
        return seen.astype(dtype or x.dtype, order="C").reshape(self.groups, n * self.positions, -1)

    def apply(self, kernel: IntArray, x: IntArray) -> IntArray:
        """Return the convolution (n, n_out) of rows ``x`` (n, n_in) with ``kernel``, int64, exactly."""
        per_output = np.abs(kernel.reshape(self.out_channels, -1).astype(np.int64)).sum(axis=1)
        dtype = exact_type(int(per_output.max(initial=0)) * max(int(np.abs(x).max(initial=0)), 1))
        out = np.empty((len(x), self.n_out), np.int64)
        weights = kernel.astype(dtype)
        rows = max(1, _CHUNK_VALUES // max(1, self.positions * int(np.prod(self.kernel)) * self.input_shape[0]))
        for start in range(0, len(x), rows):
            block = slice(start, start + rows)
            out[block] = self._apply_columns(weights, x[block])
        return out

    def _apply_columns(self, weights: npt.NDArray[Any], x: IntArray) -> npt.NDArray[Any]:
        n = len(x)
        # Rows of the output stay contiguous in this order of axes, so that the copy is quick.
        seen = self.patches(x.astype(weights.dtype)).transpose(0, 1, 4, 5, 2, 3)
        columns = np.ascontiguousarray(seen).reshape(n, self.groups, -1, self.positions)
        return (weights.reshape(self.groups, self.out_channels // self.groups, -1) @ columns).reshape(n, self.n_out)

    def matrix(self, kernel: IntArray) -> sp.csr_array:
        """Return the matrix (n_out, n_in) that the convolution is; its stored entries are the nonzero weights."""
        import scipy.sparse as sp

        channels, height, width = self.input_shape
        _, out_height, out_width = self.output_shape
        outputs, inputs = self.out_channels // self.groups, channels // self.groups
        o, i, a, b = np.nonzero(kernel)
        weight = kernel[o, i, a, b]
        channel = o // outputs * inputs + i
        y, x = (grid.ravel() for grid in np.indices((out_height, out_width)))
        row = y[:, None] * self.stride[0] + a * self.dilation[0] - self.padding[0]
        column = x[:, None] * self.stride[1] + b * self.dilation[1] - self.padding[1]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        target = o * self.positions + np.arange(self.positions)[:, None]
        source = (channel * height + row) * width + column
        values = np.broadcast_to(weight, inside.shape)[inside]
        index = (target[inside].astype(np.int32), source[inside].astype(np.int32))
        return sp.csr_array(sp.coo_array((values, index), shape=(self.n_out, self.n_in)))


def exact_type(largest: int) -> type[np.float32] | type[np.float64] | type[np.int64]:
    """Return the fastest type whose sums are exact while no partial sum exceeds ``largest``."""
    return np.float32 if largest < 2**24 else np.float64 if largest < 2**53 else np.int64


def as_shape(shape: Any, what: str) -> tuple[int, int, int]:
    """Return ``shape`` as (channels, height, width)."""
    try:
        sides = tuple(int(side) for side in shape)
    except (TypeError, ValueError):
        sides = ()
    if len(sides) != 3 or min(sides) < 1 or max(sides) > _LARGEST_SIDE:
        raise InputError(f"{what} {shape!r}; (channels, height, width) expected, each from 1 to {_LARGEST_SIDE}")
    return sides  # type: ignore[return-value]


def as_pair(value: Any, low: int, what: str) -> tuple[int, int]:
    """Return ``value``, an integer or two, as (vertical, horizontal), each at least ``low``."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= low for v in pair)
    if len(pair) != 2 or not whole:
        raise InputError(f"{what} {value!r}; an integer of at least {low}, or two, expected")
    return int(pair[0]), int(pair[1])

"""The weighted and the pooling nodes of NIR, checked and in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron
from conntra_neuro.exchange.exact_integers import finite, integers, threshold_bias
from conntra_neuro.exchange.metadata import levels_of
from conntra_neuro.network.layers import Conv2d, Dense
from conntra_neuro.network.levels import Levels

__all__ = ["Pool", "Weights", "conv_window", "fill", "pair_of", "pool_of", "weights_of"]


@dataclass(frozen=True, eq=False)
class Weights:
    """Integer weights, biases that need not be, and the window of a convolution (None: dense)."""

    name: str
    weight: IntArray
    bias: npt.NDArray[Any]
    levels: Levels | None
    window: dict[str, Any] | None

    @property
    def channels(self) -> int:
        """Number of biases."""
        return len(self.weight)

    def layer(self, neuron: Neuron, threshold: npt.NDArray[Any]) -> Dense | Conv2d:
        """Return the layer, its threshold (1,) or (channels,) taken up by the bias."""
        if neuron.facts.form != "threshold":  # a threshold of its own, or none
            bias = integers(self.bias, f"node {self.name}: bias")
        else:
            bias = threshold_bias(self.bias, np.broadcast_to(threshold, self.bias.shape))
        if self.window is None:
            return Dense(self.weight, bias, neuron, self.levels)
        return Conv2d(self.weight, bias, neuron, self.levels, **self.window)


@dataclass(frozen=True, eq=False)
class Pool:
    """The window of a pooling node, and its channels."""

    window: dict[str, Any]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.window["input_shape"][0]


def weights_of(name: str, node: Any, note: Mapping[str, Any], shape: tuple[int, ...]) -> Weights:
    """Return an Affine, Linear or Conv2d node over inputs of ``shape``."""
    what = f"node {name}: weight"
    weight = integers(node.weight, what)
    bias = finite(getattr(node, "bias", None) if hasattr(node, "bias") else np.zeros(len(weight)), f"node {name}: bias")
    levels = levels_of(note, f"node {name}")
    if not hasattr(node, "stride"):
        if weight.ndim != 2:
            raise InputError(f"{what}: shape {weight.shape}; (outputs, inputs) expected")
        return Weights(name, weight, _flat(bias, len(weight), name), levels, None)
    if weight.ndim != 4:
        raise InputError(f"{what}: shape {weight.shape}; (outputs, inputs, height, width) expected")
    window = conv_window(name, node, weight, shape)
    return Weights(name, weight, _flat(bias, len(weight), name), levels, window)


def conv_window(name: str, node: Any, weight: npt.NDArray[Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the window of a Conv2d node of ``weight`` (out, in / groups, height, width) over inputs of ``shape``."""
    if weight.ndim != 4:
        raise InputError(f"node {name}: weight of shape {weight.shape}; (outputs, inputs, height, width) expected")
    kernel = (weight.shape[2], weight.shape[3])
    stride, dilation = pair_of(node.stride, "stride", name), pair_of(node.dilation, "dilation", name)
    groups = int(integers(node.groups, f"node {name}: groups"))
    given = shape if len(shape) == 3 else (weight.shape[1] * groups, *pair_of(node.input_shape, "input shape", name))
    return {
        "input_shape": given,
        "stride": stride,
        "padding": _padding(node.padding, kernel, stride, dilation, name),
        "groups": groups,
        "dilation": dilation,
    }


def pool_of(name: str, node: Any, shape: tuple[int, ...]) -> Pool:
    """Return a SumPool2d node over images of ``shape``."""
    if len(shape) != 3:
        raise InputError(f"node {name}: pools inputs of shape {shape}; (channels, height, width) expected")
    window = {
        "input_shape": shape,
        "size": pair_of(node.kernel_size, "kernel size", name),
        "stride": pair_of(node.stride, "stride", name),
        "padding": pair_of(node.padding, "padding", name),
    }
    return Pool(window)


def fill(values: npt.NDArray[Any], channels: int, what: str) -> npt.NDArray[Any]:
    """Return one value for each channel of values that are one for all, one a channel, or one a neuron."""
    if values.size and values.size % channels == 0:
        rows = values.reshape(channels, -1)
        if (rows == rows[:, :1]).all():
            return rows[:, 0]
    if values.size == 1:
        return np.repeat(values.ravel(), channels)
    raise InputError(f"{what}: {values.size} values that differ within a channel; one for each of {channels} expected")


def _flat(bias: npt.NDArray[Any], channels: int, name: str) -> npt.NDArray[Any]:
    if bias.size not in (1, channels):
        raise InputError(f"node {name}: bias of shape {bias.shape}; ({channels},) expected")
    return np.broadcast_to(bias.ravel(), (channels,))


def pair_of(value: Any, what: str, name: str) -> tuple[int, int]:
    """Return one integer or two as a pair; InputError names the node."""
    found = integers(value, f"node {name}: {what}").ravel().tolist()
    if len(found) not in (1, 2):
        raise InputError(f"node {name}: {what} {value!r}; one integer or two expected")
    return found[0], found[-1]


def _padding(
    value: Any, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], name: str
) -> tuple[int, int]:
    text = value.decode() if isinstance(value, bytes) else value
    if isinstance(text, str) and text == "valid":
        return 0, 0
    if isinstance(text, str) and text == "same":
        down, right = ((size - 1) * step for size, step in zip(kernel, dilation, strict=True))
        if stride != (1, 1) or down % 2 or right % 2:
            raise InputError(
                f"node {name}: padding 'same' with kernel {kernel}, stride {stride}, dilation {dilation} is not the "
                "same on opposite sides; give it in numbers"
            )
        return down // 2, right // 2
    return pair_of(value, "padding", name)

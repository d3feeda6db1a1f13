"""Random ReLU networks in ONNX, in the notations of exporters: dense and convolutional, normalised, pooled, moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Builder", "random_graph", "residual_graph"]


class Builder:
    """Nodes one behind the other; ``at`` names the last tensor, ``shape`` is its shape without the batch."""

    def __init__(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.input_shape, self.shape, self.rng = shape, shape, rng
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.at = "x"

    def constant(self, array: Any, kind: Any = np.float32) -> str:
        """Return the name of a constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=kind), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> None:
        """Add a node; "" among the inputs is the tensor before it, and none at all is that alone."""
        made = f"t{len(self.nodes)}"
        named = [self.at if name == "" else name for name in (inputs or ("",))]
        self.nodes.append(helper.make_node(op, named, [made], name=f"{op}{len(self.nodes)}", **attributes))
        self.at = made

    def draw(self, *shape: int) -> np.ndarray:
        """Return random numbers."""
        return self.rng.normal(size=shape)

    def dense(self, width: int) -> None:
        """A Gemm, or MatMul and Add with the bias on either side."""
        n = self.shape[0]
        weight, bias = self.draw(n, width) / n**0.5, self.draw(width) * 0.3
        if self.rng.random() < 0.5:
            self.add("Gemm", "", self.constant(weight.T), self.constant(bias / 2), transB=1, beta=2.0)
        else:
            self.add("MatMul", "", self.constant(weight))
            first = (self.constant(bias), "") if self.rng.random() < 0.5 else ("", self.constant(bias))
            self.add("Add", *first)
        self.shape = (width,)

    def conv(self, channels: int) -> None:
        """A convolution with groups, stride and padding, by ``pads`` or a Pad node."""
        c, height, width = self.shape
        largest = min(4, height + 1, width + 1)
        size, stride, pad = (int(n) for n in self.rng.integers((1, 1, 0), (largest, 3, 2)))
        groups = c if self.rng.random() < 0.2 and channels % c == 0 else 1
        pads = {"pads": [pad] * 4}
        if pad and self.rng.random() < 0.3:
            self.add("Pad", "", self.constant([0, 0, pad, pad, 0, 0, pad, pad], np.int64))
            pads = {}
        weight = self.draw(channels, c // groups, size, size) / (size * (c // groups) ** 0.5)
        bias = [self.constant(self.draw(channels) * 0.3)] if self.rng.random() < 0.7 else []
        self.add("Conv", "", self.constant(weight), *bias, strides=[stride] * 2, group=groups, **pads)
        sides = ((side + 2 * pad - size) // stride + 1 for side in (height, width))
        self.shape = (channels, *sides)  # type: ignore[assignment]

    def normalised(self) -> None:
        """Batch normalisation, or the scale and shift that it comes to."""
        c = self.shape[0]
        scale, shift, mean, var = self.draw(c), self.draw(c), self.draw(c), self.rng.random(c) + 0.3
        if self.rng.random() < 0.5:
            self.add("BatchNormalization", "", *map(self.constant, (scale, shift, mean, var)))
            return
        tail = (c, *[1] * (len(self.shape) - 1))
        self.add("Mul", self.constant(scale.reshape(tail)), "")
        self.add("Sub", "", self.constant(shift.reshape(tail)))

    def pooled(self) -> None:
        """Maxima, averages, or the average of all."""
        kind = self.rng.choice(["MaxPool", "MaxPool", "AveragePool", "GlobalAveragePool"])
        if kind == "GlobalAveragePool" or min(self.shape[1:]) < 3:
            self.add("GlobalAveragePool")
            self.shape = (self.shape[0], 1, 1)
            return
        size, stride = int(self.rng.integers(2, 4)), int(self.rng.integers(1, 3))
        self.add(kind, kernel_shape=[size] * 2, strides=[stride] * 2)
        self.shape = (self.shape[0], *((side - size) // stride + 1 for side in self.shape[1:]))  # type: ignore[assignment]

    def flat(self) -> None:
        """Images as rows: as they are, or channels last, as TensorFlow has them."""
        if self.rng.random() < 0.4:
            self.add("Transpose", perm=[0, 2, 3, 1])
        if self.rng.random() < 0.5:
            self.add("Flatten")
        else:
            self.add("Reshape", "", self.constant([-1, int(np.prod(self.shape))], np.int64))
        self.shape = (int(np.prod(self.shape)),)

    def model(self) -> Any:
        """Return the graph as ``onnx.ModelProto``."""
        self.nodes[-1].output[0] = "y"
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.input_shape])]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *self.shape])]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def random_graph(seed: int, classes: int = 4) -> Any:
    """Return a random network of ``classes`` logits, of 1 to 4 weighted layers, convolutions first."""
    rng = np.random.default_rng(seed)
    images = rng.random() < 0.7
    b = Builder((int(rng.integers(1, 4)), 9, 8) if images else (int(rng.integers(3, 30)),), rng)
    if images and rng.random() < 0.3:
        b.add("Sub", "", b.constant(rng.random((b.shape[0], 1, 1))))
        b.add("Div", "", b.constant(0.5 + rng.random((b.shape[0], 1, 1))))
    for _ in range(int(rng.integers(1, 3)) if images else 0):
        b.conv(b.shape[0] * int(rng.integers(1, 4)))
        pool = rng.random()
        if rng.random() < 0.4:
            b.normalised()
        b.add("Relu")
        if pool < 0.5 and min(b.shape[1:]) > 1:
            b.pooled()
        elif rng.random() < 0.4:
            b.normalised()
    if images:
        b.flat()
    for _ in range(int(rng.integers(0, 3))):
        b.dense(int(rng.integers(2, 20)))
        b.add("Relu")
    b.dense(classes)
    if rng.random() < 0.5:
        b.add("Softmax", axis=-1)
    return b.model()


class Residual(Builder):
    """Blocks that what they take is added to, in the notations of torch, tf2onnx and skl2onnx."""

    def same(self, channels: int, size: int, stride: int) -> None:
        """A convolution whose output has as many pixels as its input has strides: padding of TensorFlow and PyTorch."""
        c, height, width = self.shape
        weight = self.draw(channels, c, size, size) / (size * c**0.5)
        bias = self.constant(self.draw(channels) * 0.3)
        kinds = {"strides": [stride] * 2, "kernel_shape": [size] * 2}
        if self.rng.random() < 0.5:
            self.add("Conv", "", self.constant(weight), bias, auto_pad="SAME_UPPER", **kinds)
        else:
            self.add("Conv", "", self.constant(weight), bias, pads=[size // 2] * 4, **kinds)
        self.shape = (channels, -(-height // stride), -(-width // stride))

    def block(self) -> None:
        """One or two weighted layers, and what skips them: itself, or a layer of its own."""
        before, shape = self.at, self.shape
        images, own = len(shape) == 3, self.rng.random() < 0.5
        width = int(self.rng.integers(2, 6)) if own else shape[0]
        stride = int(self.rng.integers(1, 3)) if own and images and min(shape[1:]) > 3 else 1
        deep = self.rng.random() < 0.7
        if images:
            self.same(width, 3, stride)
        else:
            self.dense(width)
        if deep:
            self.add("Relu")
            self.same(width, 3, 1) if images else self.dense(width)
        if self.rng.random() < 0.4:
            self.normalised()
        main, made = self.at, self.shape
        self.at, self.shape = before, shape
        if own:
            self.same(width, 1, stride) if images else self.dense(width)
            if self.rng.random() < 0.4:
                self.normalised()
        skip = self.at
        self.shape = made
        self.add(
            str(self.rng.choice(["Add", "Add", "Sub"])), *((main, skip) if self.rng.random() < 0.5 else (skip, main))
        )
        self.add("Relu")


def residual_graph(seed: int, classes: int = 4) -> Any:
    """Return a random residual network of ``classes`` logits, over images or features."""
    rng = np.random.default_rng(seed)
    images = rng.random() < 0.6
    b = Residual((int(rng.integers(1, 4)), 8, 7) if images else (int(rng.integers(3, 12)),), rng)
    if images and rng.random() < 0.7:
        b.same(int(rng.integers(2, 5)), 3, 1)
        b.add("Relu")
        if rng.random() < 0.5:
            b.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            b.shape = (b.shape[0], b.shape[1] // 2, b.shape[2] // 2)
    for _ in range(int(rng.integers(1, 3))):
        b.block()
    if images:
        if rng.random() < 0.5:
            b.add("GlobalAveragePool")
            b.shape = (b.shape[0], 1, 1)
        b.flat()
    b.dense(classes)
    return b.model()

"""Random quantised networks with branches, in the notations of Brevitas, FINN and QKeras: residual additions, zeros
around activations that are never 0, ``Trunc`` behind averages, a scale for each class.

``Quant`` and ``Trunc`` come along as functions of standard operators, so that onnxruntime runs them;
``scripts/measure_qonnx.py`` has the qonnx package run them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx_graphs import QONNX, Builder

_OPSET = 13
Shape = tuple[int, int, int]


class Branches(Builder):
    """Blocks of a residual network, one after the other; activations are whole multiples of powers of two."""

    def model(self, shape: tuple[int, ...], classes: int) -> onnx.ModelProto:
        made = super().model(shape, classes)
        made.functions.extend([_quant(), _trunc()])
        return made

    def quant(self, scale: float, bits: int, signed: int, x: str = "") -> str:
        constants = [self.constant(v) for v in (scale, 0.0, float(bits))]
        kinds = {"signed": signed, "narrow": int(self.rng.integers(2)), "rounding_mode": "ROUND"}
        return self.add("Quant", x or self.at, *constants, domain=QONNX, **kinds)

    def activation(self, kind: str) -> float:
        """Add one; return its scale."""
        scale = float(self.rng.choice([0.5, 1.0, 0.25]))
        if kind == "bipolar":
            self.add("BipolarQuant", "", self.constant(scale), domain=QONNX)
        elif kind == "signed":
            self.quant(scale, int(self.rng.integers(2, 4)), 1)
        else:
            self.add("Relu")
            self.quant(scale, int(self.rng.integers(1, 4)), 0)
        return scale

    def convolution(self, shape: Shape, out: int, kernel: int, stride: int, groups: int = 1) -> Shape:
        """A convolution that pads to the same size by zeros, in one of its notations."""
        weight = self.ternary(out, shape[0] // groups, kernel, kernel)
        weight *= float(self.rng.choice([0.5, 1.0, 0.25]))
        window: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "group": groups}
        notation = int(self.rng.integers(3))
        if notation == 0 and kernel > 1:
            self.add("Conv", "", self.constant(weight), auto_pad="SAME_UPPER", **window)
        elif notation == 1 and kernel > 1:
            self.add("Pad", "", self.constant([0, 0, 1, 1] * 2, np.int64), self.constant(0.0))
            self.add("Conv", "", self.constant(weight), **window)
        else:
            self.add("Conv", "", self.constant(weight), pads=[kernel // 2] * 4, **window)
        return out, *[-(-side // stride) for side in shape[1:]]  # type: ignore[return-value]

    def block(self, shape: Shape) -> Shape:
        """Two convolutions and what skips them: itself, or through a convolution of its own where the shape changes."""
        before, stride = self.at, int(self.rng.choice([1, 2])) if min(shape[1:]) > 3 else 1
        out = shape[0] if stride == 1 and self.rng.random() < 0.6 else int(self.rng.integers(2, 5))
        made = self.convolution(shape, out, 3, stride)
        self.normalise(out, 3.0)
        self.activation(self.kind())
        self.convolution(made, out, 3, 1)
        quantised = self.rng.random() < 0.5
        if quantised:
            self.normalise(out, 3.0)
            scale = self.activation("signed")
        main, self.at = self.at, before
        if out != shape[0] or stride > 1:
            self.convolution(shape, out, 1, stride)
            if quantised:  # by the same quantiser, as in Brevitas
                self.quant(scale, 3, 1)
        skip = self.at
        self.add("Add", *((main, skip) if self.rng.random() < 0.5 else (skip, main)))
        if self.rng.random() < 0.4:
            self.normalise(out, 3.0)
        self.activation(self.kind())
        return made

    def kind(self) -> str:
        return str(self.rng.choice(["bipolar", "signed", "relu"]))


def residual(seed: int, trunc: int = 1) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """A residual network over images of a few values, or of -1 and 1; ``trunc``: which version of Trunc it may have.

    onnxruntime has no function for the second one.
    """
    b = Branches(seed)
    side = int(b.rng.integers(4, 8))
    shape: Shape = (int(b.rng.integers(1, 3)), side, side)
    start = shape
    if b.rng.random() < 0.5:
        b.add("Mul", "", b.constant(2.0))
        b.add("Sub", "", b.constant(1.0))
        b.activation("bipolar")
    else:
        b.quant(0.25, 2, 0)
    if b.rng.random() < 0.7:
        out = int(b.rng.integers(2, 5))
        shape = b.convolution(shape, out, 3, 1)
        b.normalise(out, 3.0)
        b.activation(b.kind())
    for _ in range(int(b.rng.integers(1, 3))):
        shape = b.block(shape)
    if min(shape[1:]) > 1 and b.rng.random() < 0.6:
        b.add("Relu")
        scale, bits = 0.5, 3
        b.quant(scale, bits, 0)
        b.add("AveragePool", "", kernel_shape=[2, 2], strides=[2, 2])
        b.add("Mul", "", b.constant(4.0))
        values = (scale, 0.0, float(bits + 2), float(bits))
        kinds: dict[str, Any] = {"rounding_mode": "FLOOR"}
        if trunc == 2:
            values = (*values[:3], 4 * scale, values[3])
            kinds = {"rounding_mode": str(b.rng.choice(["FLOOR", "CEIL", "ROUND"])), "signed": 0, "narrow": 0}
        b.add("Trunc", "", *map(b.constant, values), domain=QONNX, **kinds)
        shape = (shape[0], shape[1] // 2, shape[2] // 2)
    b.add("Flatten", "", axis=1)
    _logits(b, int(np.prod(shape)))
    return b.model(start, 4), start


def dense(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """Dense layers with residual additions: of activations, of sums, of one layer's input and its output."""
    b = Branches(seed)
    size = int(b.rng.integers(3, 10))
    b.quant(0.25, 2, 0)
    for _ in range(int(b.rng.integers(1, 4))):
        before = b.at
        for depth in range(int(b.rng.integers(1, 3))):
            if depth:
                b.normalise(size, 2.0)
                b.activation(b.kind())
            b.add("MatMul", "", b.constant(b.ternary(size, size) * float(b.rng.choice([0.5, 1.0]))))
        b.add(str(b.rng.choice(["Add", "Sub"])), b.at, before)
        b.normalise(size, 2.0)
        b.activation(b.kind())
    _logits(b, size)
    return b.model((size,), 4), (size,)


def _logits(b: Branches, size: int) -> None:
    b.add("Gemm", "", b.constant(b.ternary(4, size)), b.constant(b.rng.normal(size=4)), transB=1)
    if b.rng.random() < 0.5:  # one scale a class, of a common measure
        b.add("Mul", "", b.constant(b.rng.choice([0.5, 0.75, 1.0, 1.25, 1.5], 4)))


def _constants(**values: float) -> list[Any]:
    made = {name: helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in values.items()}
    return [helper.make_node("Constant", [], [name], value=value) for name, value in made.items()]


def _attribute(name: str, to: str) -> list[Any]:
    """Nodes that make a whole-number attribute of a function a float tensor."""
    constant = helper.make_node("Constant", [], [f"{to}_int"])
    reference = onnx.AttributeProto(name="value_int", ref_attr_name=name, type=onnx.AttributeProto.INT)
    constant.attribute.append(reference)
    return [constant, helper.make_node("Cast", [f"{to}_int"], [to], to=TensorProto.FLOAT)]


def _quant() -> Any:
    make = helper.make_node
    nodes = [
        *_constants(one=1.0, two=2.0),
        *_attribute("signed", "s"),
        *_attribute("narrow", "n"),
        make("Sub", ["bits", "s"], ["width"]),
        make("Pow", ["two", "width"], ["power"]),
        make("Sub", ["one", "s"], ["unsigned"]),
        make("Mul", ["unsigned", "n"], ["less"]),
        make("Sub", ["power", "one"], ["most"]),
        make("Sub", ["most", "less"], ["high"]),
        make("Sub", ["n", "power"], ["least"]),
        make("Mul", ["least", "s"], ["low"]),
        make("Div", ["x", "scale"], ["a"]),
        make("Add", ["a", "zero"], ["b"]),
        make("Round", ["b"], ["c"]),
        make("Max", ["c", "low"], ["d"]),
        make("Min", ["d", "high"], ["e"]),
        make("Sub", ["e", "zero"], ["f"]),
        make("Mul", ["f", "scale"], ["y"]),
    ]
    inputs = ["x", "scale", "zero", "bits"]
    opset = [helper.make_opsetid("", _OPSET)]
    return helper.make_function(
        QONNX, "Quant", inputs, ["y"], nodes, opset, attributes=["signed", "narrow", "rounding_mode"]
    )


def _trunc() -> Any:
    """Of version 1, with FLOOR."""
    make = helper.make_node
    nodes = [
        *_constants(two=2.0),
        make("Div", ["x", "scale"], ["a"]),
        make("Add", ["a", "zero"], ["b"]),
        make("Round", ["b"], ["c"]),
        make("Sub", ["before", "after"], ["drop"]),
        make("Pow", ["two", "drop"], ["power"]),
        make("Div", ["c", "power"], ["d"]),
        make("Floor", ["d"], ["e"]),
        make("Sub", ["e", "zero"], ["f"]),
        make("Mul", ["f", "scale"], ["y"]),
    ]
    inputs = ["x", "scale", "zero", "before", "after"]
    opset = [helper.make_opsetid("", _OPSET)]
    return helper.make_function(QONNX, "Trunc", inputs, ["y"], nodes, opset, attributes=["rounding_mode"])

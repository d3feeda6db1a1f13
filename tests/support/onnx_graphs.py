"""Random binary and ternary networks in ONNX, in the notations of Brevitas, Larq and QKeras, for onnxruntime to run.

QONNX's operators have no kernels in onnxruntime: the models carry them as functions of standard operators.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
_OPSET = 13


class Builder:
    """Nodes one after the other; ``at`` is the tensor that the next one takes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.at = "x"

    def constant(self, array: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=kind), name))
        return name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node; without inputs, or with "" first, it takes the last tensor."""
        taken = [self.at if name == "" else name for name in (inputs or ("",))]
        made = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, taken, [made], name=f"n{len(self.nodes)}", domain=domain, **attributes))
        self.at = made
        return made

    def binary(self, *shape: int) -> np.ndarray:
        return self.rng.choice([-1.0, 1.0], shape)

    def ternary(self, *shape: int) -> np.ndarray:
        return self.rng.choice([-1.0, 0.0, 1.0], shape)

    def normalise(self, channels: int, spread: float, one_scale: bool = False) -> None:
        """Batch normalisation whose scales are of either sign."""
        gamma = self.rng.normal(size=channels) + 0.01
        if one_scale:
            gamma = np.full(channels, 0.7)
        mean = self.rng.normal(scale=spread / 2, size=channels)
        variance = np.full(channels, spread**2) if one_scale else self.rng.uniform(0.5, 2, channels) * spread**2
        parts = [gamma, self.rng.normal(size=channels) / 2, mean, variance]
        self.add("BatchNormalization", "", *map(self.constant, parts), epsilon=1e-4)

    def model(self, shape: tuple[int, ...], classes: int) -> onnx.ModelProto:
        self.nodes[-1].output[0] = "y"
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, functions=[_bipolar_quant()], ir_version=8)


def _bipolar_quant() -> Any:
    one, zero = (helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in (("one", 1.0), ("zero", 0.0)))
    minus = helper.make_tensor("minus", TensorProto.FLOAT, [], [-1.0])
    nodes = [
        helper.make_node("Constant", [], ["one"], value=one),
        helper.make_node("Constant", [], ["minus"], value=minus),
        helper.make_node("Constant", [], ["zero"], value=zero),
        helper.make_node("GreaterOrEqual", ["x", "zero"], ["up"]),
        helper.make_node("Where", ["up", "one", "minus"], ["sign"]),
        helper.make_node("Mul", ["sign", "scale"], ["y"]),
    ]
    return helper.make_function(QONNX, "BipolarQuant", ["x", "scale"], ["y"], nodes, [helper.make_opsetid("", _OPSET)])


def brevitas(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...], bool]:
    """A dense network as Brevitas exports it to QONNX: inputs 2x - 1, BipolarQuant on weights and activations."""
    b = Builder(seed)
    sizes = [int(b.rng.integers(3, 40)) for _ in range(int(b.rng.integers(2, 5)))]
    one = b.constant(np.float32(1.0))
    b.add("Flatten", "", axis=1)
    b.add("Mul", "", b.constant(2.0))
    b.add("Sub", "", b.constant(1.0))
    b.add("BipolarQuant", "", one, domain=QONNX)
    for before, after in pairwise(sizes):
        taken = b.at
        latent = b.constant(b.rng.normal(size=(after, before)))
        weight = b.add("BipolarQuant", latent, b.constant(b.rng.uniform(0.1, 2)), domain=QONNX)
        if b.rng.random() < 0.5:
            b.add("Gemm", taken, weight, b.constant(b.rng.normal(size=after)), transB=1)
        else:
            turned = b.add("Transpose", weight, perm=[1, 0])
            b.add("MatMul", taken, turned)
        b.normalise(after, np.sqrt(before))
        b.add("BipolarQuant", "", one, domain=QONNX)
    taken = b.at
    weight = b.add("BipolarQuant", b.constant(b.rng.normal(size=(4, sizes[-1]))), one, domain=QONNX)
    b.add("MatMul", taken, b.add("Transpose", weight, perm=[1, 0]))
    b.add("Mul", "", b.constant(b.rng.uniform(0.1, 1)))  # TensorNorm: one scale for all classes
    b.add("Add", "", b.constant(b.rng.normal()))
    return b.model((sizes[0],), 4), (sizes[0],), False


def larq(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...], bool]:
    """Convolutions as tf2onnx writes Larq's: images in rows of pixels, sign by Sign, Add 0.1, Sign, padding by ones."""
    b = Builder(seed)
    channels, side = int(b.rng.integers(1, 4)), int(b.rng.integers(6, 10))
    b.add("Transpose", "", perm=[0, 3, 1, 2])
    shape, pooled = (channels, side, side), False
    for depth in range(int(b.rng.integers(1, 3))):
        out = int(b.rng.integers(2, 6))
        pads = [0] * 4
        if depth and not pooled and b.rng.random() < 0.5:
            b.add("Pad", "", b.constant([0, 0, 1, 1] * 2, np.int64), b.constant(b.rng.choice([-1.0, 1.0])))
            shape = (shape[0], shape[1] + 2, shape[2] + 2)
        elif not depth:
            pads = [int(b.rng.integers(0, 2))] * 4  # of 0/1 pixels, by zeros
        b.add("Conv", "", b.constant(b.binary(out, shape[0], 3, 3)), kernel_shape=[3, 3], pads=pads)
        shape = (out, shape[1] + 2 * pads[0] - 2, shape[2] + 2 * pads[0] - 2)
        pooled = min(shape[1:]) >= 4 and b.rng.random() < 0.6
        if pooled:
            b.add("MaxPool", "", kernel_shape=[2, 2], strides=[2, 2])
            shape = (out, shape[1] // 2, shape[2] // 2)
        b.normalise(out, 3.0)
        b.add("Sign")
        b.add("Add", "", b.constant(0.1))
        b.add("Sign")
        if min(shape[1:]) < 3:
            break
    b.add("Transpose", "", perm=[0, 2, 3, 1])
    n = int(np.prod(shape))
    b.add("Reshape", "", b.constant([-1, n], np.int64))
    b.add("MatMul", "", b.constant(b.binary(n, 5)))
    b.normalise(5, np.sqrt(n), one_scale=True)
    b.add("Softmax", "", axis=-1)
    return b.model((side, side, channels), 5), (side, side, channels), True


def pytorch(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...], bool]:
    """Convolutions as torch.onnx writes them: zero padding of 0/1 activations, dilation, groups, averages, Gemm."""
    b = Builder(seed)
    channels, side = int(b.rng.choice([2, 4])), int(b.rng.integers(6, 9))
    shape = (channels, side, side)
    for depth in range(2):
        groups = int(b.rng.choice([1, 2]))
        out = groups * int(b.rng.integers(1, 3)) * 2
        weight = b.constant(
            b.ternary(out, shape[0] // groups, 3, 3) * b.rng.uniform(0.1, 1, (out, 1, 1, 1)).astype("f4")
        )
        stride, apart = (int(n) for n in b.rng.integers(1, 3, 2))
        window = {"pads": [apart] * 4, "strides": [stride] * 2, "dilations": [apart] * 2, "group": groups}
        b.add("Conv", "", weight, b.constant(b.rng.normal(size=out)), **window)
        b.normalise(out, 2.0)
        if b.rng.random() < 0.5:
            b.add("Greater", "", b.constant(0.0))
            b.add("Cast", "", to=1)
        else:
            b.add("Relu", b.add("Sign"))
        shape = (out, *[(size - 1) // stride + 1 for size in shape[1:]])
        if not depth and b.rng.random() < 0.5:
            b.add("MaxPool", "", kernel_shape=[2, 2], strides=[1, 1])
            shape = (out, shape[1] - 1, shape[2] - 1)
    if b.rng.random() < 0.5:
        b.add("GlobalAveragePool")
        shape = (shape[0], 1, 1)
    elif min(shape[1:]) > 1:
        b.add("AveragePool", "", kernel_shape=[2, 2])
        shape = (shape[0], shape[1] - 1, shape[2] - 1)
    b.add("Flatten", "", axis=1)
    b.add("Gemm", "", b.constant(b.ternary(3, int(np.prod(shape)))), b.constant(b.rng.normal(size=3)), transB=1)
    return b.model((channels, side, side), 3), (channels, side, side), False


def qkeras(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...], bool]:
    """Ternary weights with a scale for each unit, biases, sign(x) + (1 - |sign(x)|) or Where(x > 0) as activations."""
    b = Builder(seed)
    sizes = [int(b.rng.integers(3, 40)) for _ in range(int(b.rng.integers(2, 5)))]
    for before, after in pairwise(sizes):
        scale = b.rng.uniform(0.05, 1, after)
        b.add("MatMul", "", b.constant(b.ternary(before, after) * scale.astype(np.float32)))
        b.add("Add", "", b.constant(b.rng.normal(size=after)))
        z = b.at
        kind = int(b.rng.integers(3))
        if kind == 0:
            sign = b.add("Sign", z)
            rest = b.add("Sub", b.constant(1.0), b.add("Abs", sign))
            b.add("Add", sign, rest)
        elif kind == 1:
            up = b.add("Greater", z, b.constant(b.rng.normal(size=after)))
            b.add("Where", up, b.constant(1.0), b.constant(0.0))
        else:  # round(hard_sigmoid): quantized_bits of one bit
            b.add("Clip", "", b.constant(-1.0), b.constant(1.0))
            b.add("GreaterOrEqual", "", b.constant(0.0))
            b.add("Cast", "", to=1)
            b.add("Mul", "", b.constant(0.5))
    b.add("MatMul", "", b.constant(b.ternary(sizes[-1], 4)))
    b.add("Add", "", b.constant(b.rng.normal(size=4)))
    return b.model((sizes[0],), 4), (sizes[0],), False


def logits(model: onnx.ModelProto, x: np.ndarray, as_written: bool = False) -> np.ndarray:
    """Return what onnxruntime makes of ``x``; ``as_written``: without its optimisations, some of which round."""
    options = onnxruntime.SessionOptions()
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.astype(np.float32)})[0]

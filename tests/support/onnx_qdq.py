"""Random graphs with QuantizeLinear and DequantizeLinear: of a few values, and of 8 bits by onnxruntime's own tool."""

from __future__ import annotations

import logging
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx_graphs import Builder

from conntra_neuro.datasets import Dataset

__all__ = ["dataset", "eight", "few"]


def activation(b: Builder, most: int, unit: float) -> None:
    """QuantizeLinear and back, of uint8 or int8, clipped to ``most`` + 1 values around 0, or from 0 behind a Relu."""
    kind = np.uint8 if b.rng.random() < 0.5 else np.int8
    zero = 3 if kind is np.uint8 else -128
    if b.rng.random() < 0.4:
        b.add("Relu")
        b.add("Clip", "", b.constant(0.0), b.constant(unit * most))
    else:
        b.add("Clip", "", b.constant(-unit * (most // 2)), b.constant(unit * (most - most // 2)))
        if kind is np.int8:
            b.add("Add", "", b.constant(unit * (most // 2)))
    scale, point = b.constant(unit), b.constant(zero, kind)
    b.add("QuantizeLinear", "", scale, point)
    b.add("DequantizeLinear", "", scale, point)


def weight(b: Builder, *shape: int) -> str:
    """Return the name of int8 weights (out, ...), with a scale for all or one a channel, behind a DequantizeLinear."""
    at = b.at
    whole = b.constant(b.rng.integers(-7, 8, shape), np.int8)
    if b.rng.random() < 0.5:
        scale, zero = b.rng.choice([0.25, 0.5, 0.125], shape[0]), np.zeros(shape[0])
        made = b.add("DequantizeLinear", whole, b.constant(scale), b.constant(zero, np.int8), axis=0)
    else:
        made = b.add("DequantizeLinear", whole, b.constant(float(b.rng.choice([0.25, 0.5]))), b.constant(0, np.int8))
    b.at = at
    return made


def few(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """Return a dense or convolutional network whose inputs and activations take two to eight values, and its input."""
    b = Builder(seed)
    images = b.rng.random() < 0.4
    shape: tuple[int, ...] = (int(b.rng.integers(1, 3)), 5, 6) if images else (int(b.rng.integers(3, 10)),)
    start = shape
    b.add("Mul", "", b.constant(2.0))
    activation(b, int(b.rng.integers(1, 5)), 0.5)
    if images:
        out, stride = int(b.rng.integers(2, 4)), int(b.rng.integers(1, 3))
        bias = b.constant(b.rng.normal(size=out))
        b.add("Conv", "", weight(b, out, shape[0], 3, 3), bias, strides=[stride] * 2)
        activation(b, int(b.rng.integers(1, 5)), 0.5)
        shape = (out, (shape[1] - 3) // stride + 1, (shape[2] - 3) // stride + 1)
        if stride == 1 and b.rng.random() < 0.5:
            b.add("MaxPool", "", kernel_shape=[2, 2], strides=[1, 1])
            shape = (out, shape[1] - 1, shape[2] - 1)
        b.add("Flatten", "", axis=1)
    sizes = [int(np.prod(shape)), *(int(b.rng.integers(3, 10)) for _ in range(int(b.rng.integers(1, 3))))]
    for before, after in pairwise(sizes):
        if b.rng.random() < 0.5:
            b.add("Gemm", "", weight(b, after, before), b.constant(b.rng.normal(size=after)), transB=1)
        else:
            at, turned = b.at, b.add("Transpose", weight(b, after, before), perm=[1, 0])
            b.add("MatMul", at, turned)
            b.add("Add", "", b.constant(b.rng.normal(size=after)))
        activation(b, int(b.rng.integers(1, 8)), float(b.rng.choice([0.25, 0.5, 1.0])))
    b.add("MatMul", "", b.constant(b.rng.integers(-3, 4, (sizes[-1], 4)).astype(float)))
    return b.model(start, 4), start


def eight(model: onnx.ModelProto, shape: tuple[int, ...], seed: int) -> onnx.ModelProto:
    """Return a float graph as onnxruntime's static quantisation makes it, with ranges of 64 random samples."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Samples(CalibrationDataReader):
        left = iter([np.random.default_rng(seed).random((64, *shape)).astype(np.float32)])

        def get_next(self) -> Any:
            found = next(self.left, None)
            return None if found is None else {"x": found}

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "eight.onnx")
        onnx.save(model, source)
        by_channel = seed % 2 == 0
        quantize_static(source, target, Samples(), QuantFormat.QDQ, per_channel=by_channel, weight_type=QuantType.QInt8)
        return onnx.load(target)


def dataset(shape: tuple[int, ...], classes: int, samples: int) -> Dataset:
    """Return random samples of 256 steps, of some classes, for what is fitted on data."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (samples, int(np.prod(shape)))).astype(np.uint8)
    y = np.arange(samples) % classes
    return Dataset("random", x, y, x[:classes], y[:classes], labels=tuple(range(classes)))

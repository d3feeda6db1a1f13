"""Weights of ONNX nodes as rows of outputs and inputs, and what they add to a sum whatever spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.graph import Node
from conntra_neuro.exchange.onnx.values import Tensor

__all__ = ["as_rows", "constant_part", "signed"]

Array = npt.NDArray[Any]


def as_rows(node: Node, weight: Array, bias: Any, given: Tensor) -> tuple[Array, Any]:
    """Return the weight of a Gemm or MatMul as (outputs, inputs), and its bias."""
    if weight.ndim != 2 or len(given.shape) != 1:
        raise InputError(f"{node}: weight {weight.shape} over elements {given.shape}; one axis of features expected")
    attributes = node.attributes
    if node.op == "MatMul":
        rows = weight.T
    else:
        if attributes.get("transA", 0):
            raise InputError(f"{node}: transA; samples are rows here")
        rows = (weight if attributes.get("transB", 0) else weight.T) * np.float64(attributes.get("alpha", 1.0))
        bias = None if bias is None else bias * np.float64(attributes.get("beta", 1.0))
    if rows.shape[1] != given.shape[0]:
        raise InputError(f"{node}: {rows.shape[1]} inputs; {given.shape[0]} are there")
    return rows, bias


def constant_part(weight: Array, offset: Array, bias: Any, geometry: Geometry | None) -> Array:
    """Return what each row adds whatever the spikes: its bias, and its weights times the values without a spike."""
    constant = np.zeros(len(weight)) if bias is None else np.broadcast_to(bias.astype(np.float64).ravel(), len(weight))
    weight = weight.astype(np.float64)
    if geometry is None:
        return constant + weight @ offset
    sums = weight.sum(axis=(2, 3)).reshape(geometry.groups, -1, weight.shape[1])
    return constant + np.einsum("goi,gi->go", sums, offset).ravel()


def signed(whole: Array, sign: Array, geometry: Geometry | None) -> Array:
    """Return integer weights, those of inputs whose spike is the lower value with their sign changed."""
    sign = sign.astype(np.int64)
    if geometry is None:
        return whole * sign
    grouped = whole.reshape(geometry.groups, -1, *whole.shape[1:]) * sign[:, None, :, None, None]
    return grouped.reshape(whole.shape)

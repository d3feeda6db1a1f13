"""A reader of NIR graphs that knows nothing of conntra: NIR's own equations, node by node, in float64.

Euler steps of 1: I and v are as in the docstrings of nir's nodes. Edges into one node add up.
"""

from __future__ import annotations

import nir
import numpy as np
from scipy.signal import correlate2d


def run(graph: nir.NIRGraph, sample: np.ndarray) -> tuple[dict[str, list[np.ndarray]], np.ndarray]:
    """Return what every node puts out at each step of ``sample`` (steps, inputs), and the output summed over steps."""
    order = topological(graph)
    state: dict[str, np.ndarray] = {}
    seen: dict[str, list[np.ndarray]] = {name: [] for name in order}
    total: np.ndarray | float = 0.0
    for step in sample:
        values: dict[str, np.ndarray] = {}
        for name in order:
            node = graph.nodes[name]
            if isinstance(node, nir.Input):
                values[name] = step.reshape(node.input_type["input"]).astype(float)
            else:
                given = sum(values[source] for source, target in graph.edges if target == name)
                values[name] = evaluate(node, np.asarray(given), state, name)
            seen[name].append(values[name])
            if isinstance(node, nir.Output):
                total = total + values[name]
    return seen, np.asarray(total).ravel()


def topological(graph: nir.NIRGraph) -> list[str]:
    order: list[str] = []
    while len(order) < len(graph.nodes):
        for name in graph.nodes:
            if name not in order and all(s in order for s, t in graph.edges if t == name):
                order.append(name)
    return order


def evaluate(node: nir.NIRNode, x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    if isinstance(node, nir.Affine):
        return node.weight @ x + node.bias
    if isinstance(node, nir.Linear):
        return node.weight @ x
    if isinstance(node, nir.Scale):
        return x * node.scale
    if isinstance(node, nir.Flatten):
        return x.reshape(*x.shape[: node.start_dim], -1)
    if isinstance(node, nir.Threshold):
        assert node.threshold.shape == x.shape  # written in full
        return (x > node.threshold).astype(float)
    if isinstance(node, nir.IF):
        v = state.get(name, np.zeros(x.shape)) + node.r * x
        z = v > node.v_threshold
        state[name] = np.where(z, node.v_reset, v)
        return z.astype(float)
    if isinstance(node, nir.SumPool2d):
        kernel = np.ones((len(x), 1, *map(int, node.kernel_size)))
        return convolve(x, kernel, tuple(node.stride), tuple(node.padding), len(x))
    if isinstance(node, nir.Conv2d):
        assert tuple(node.input_shape) == x.shape[1:]
        down, right = (int(d) for d in node.dilation)
        height, width = node.weight.shape[2:]
        kernel = np.zeros((*node.weight.shape[:2], (height - 1) * down + 1, (width - 1) * right + 1))
        kernel[:, :, ::down, ::right] = node.weight
        out = convolve(x, kernel, tuple(node.stride), tuple(node.padding), int(node.groups))
        return out + node.bias[:, None, None]
    assert isinstance(node, nir.Output), type(node)
    return x


def convolve(x: np.ndarray, kernel: np.ndarray, stride: tuple, padding: tuple, groups: int) -> np.ndarray:
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    outer, inner = len(kernel) // groups, len(x) // groups
    images = [
        sum(correlate2d(x[o // outer * inner + c], kernel[o, c], "valid") for c in range(inner))
        for o in range(len(kernel))
    ]
    return np.stack(images)[:, :: stride[0], :: stride[1]]

"""A network as a graph in flat arrays, so that compiled kernels take any number of layers of any kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import Readout, row_for, values
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.parameters import BIAS_LIMIT

__all__ = [
    "DENSE",
    "EDGE",
    "FIRE_HARD",
    "FIRE_SOFT",
    "KERNEL",
    "READOUT",
    "RELU",
    "SAME",
    "SUM",
    "THRESHOLD",
    "VERTEX",
    "WINDOW",
    "Graph",
    "edges_of",
    "index_of",
    "types_of",
    "vertices_of",
]

# What a vertex does with its potentials, and what an edge is.
SUM, THRESHOLD, RELU, FIRE_HARD, FIRE_SOFT, READOUT = range(6)
DENSE, KERNEL, WINDOW, SAME = range(4)

_FIELDS = ("kind", "parameter", "places", "channels", "steps", "z_at", "out_at", "place_at")
VERTEX = np.dtype([(name, np.int64) for name in _FIELDS])
"""A layer, or the inputs (vertex 0).

kind, parameter   of its neurons; the parameter is a threshold or a shift
places, channels  of its image, or one place that all its units are channels of
steps             its potentials and outputs of a sample lie step by step; the readout's are summed: 1
z_at, out_at      where they begin in a row of ``z`` and of ``outputs``; ``place_at``: in scratch memory a place
"""

_ENDS = ("source", "target", "kind", "scale", "weight_at", "n_in")
_IMAGES = ("height", "width", "channels", "rows", "columns", "out")
_KERNEL = ("kernel_h", "kernel_w", "down", "right", "top", "left", "below", "beside", "inner", "outer")
EDGE = np.dtype([(name, np.int64) for name in _ENDS + _IMAGES + _KERNEL])
"""What one vertex (``target``) reads of another.

kind             dense, kernel (a convolution), window (pooling) or same (``scale`` times, unit by unit)
weight_at, n_in  its weights in ``Graph.weights``: (n_in, out) row-major
height .. left   the image read, the image put out, ``out`` channels or units; kernel, stride and padding
below, beside    how far a kernel's weights stand apart
inner, outer     channels read and put out by a group; groups do not see each other
"""


class Graph(NamedTuple):
    """A network on all samples, flat, so that kernels take any number of layers of any kind.

    z           (n, potentials), outputs (n, values), images channel last; the logits are the last potentials
    weights     flat int32, int64 beside graded spikes; losses (n,) int64 quanta; targets (n,) class indices
    vertices    of ``VERTEX``, bottom up; edges of ``EDGE`` in the order of their sources
    first_edge  the edges from vertex v are ``first_edge[v]`` up to ``first_edge[v + 1]``
    steps       time steps of a sample
    """

    z: npt.NDArray[Any]
    outputs: npt.NDArray[Any]
    weights: npt.NDArray[Any]
    losses: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    vertices: npt.NDArray[Any]
    edges: npt.NDArray[Any]
    first_edge: npt.NDArray[np.int64]
    steps: int


def index_of(arch: Architecture, edge: Any) -> int:
    """Return which of the weights are those of ``edge``; it has some."""
    node = arch.nodes[int(edge["target"]) - 1]
    if edge["source"] == edge["target"] - 1:
        return node.index
    assert node.skip is not None
    return node.skip.index


def vertices_of(arch: Architecture) -> npt.NDArray[Any]:
    """Return the inputs and all layers, as ``VERTEX``."""
    found = np.zeros(len(arch.nodes) + 1, VERTEX)
    found[0] = (SUM, 0, 1, math.prod(arch.inputs), arch.steps, 0, 0, 0)
    z_at, out_at, place_at = 0, math.prod(arch.inputs) * arch.steps, 0
    for number, node in enumerate(arch.nodes, start=1):
        places, channels = math.prod(node.shape[:-1]), node.shape[-1]
        steps = 1 if isinstance(node.neuron, Readout) else arch.steps
        found[number] = (*_neuron(node), places, channels, steps, z_at, out_at, place_at)
        size = steps * places * channels
        z_at, out_at, place_at = z_at + size, out_at + size, place_at + places
    return found


# What a vertex is, and its parameter, by the form of its neurons' facts.
_VERTICES: dict[str, Callable[[Any], tuple[int, int]]] = {
    "readout": lambda neuron: (READOUT, 0),
    "threshold": lambda neuron: (THRESHOLD, 0),
    "graded": lambda neuron: (RELU, values(neuron.shift)),
    "integrating": lambda neuron: (FIRE_HARD if neuron.reset == "hard" else FIRE_SOFT, values(neuron.threshold)),
}


def _neuron(node: Node) -> tuple[int, int]:
    if node.neuron is None:
        return SUM, 0
    return row_for(_VERTICES, node.neuron, node.name, "use gear blocks")(node.neuron)


def edges_of(arch: Architecture) -> npt.NDArray[Any]:
    """Return what reads what, as ``EDGE``; ``weight_at`` is 0 where there are weights, else -1."""
    found = []
    for number, node in enumerate(arch.nodes, start=1):
        has = node.index >= 0
        kind = DENSE if node.geometry is None else KERNEL if has else WINDOW
        found.append((number - 1, number, kind, 1, 0 if has else -1, *_sizes(node.geometry, node.fan_in, node.shape)))
        skip = node.skip
        if skip is not None:
            joined = skip.geometry
            fan_in = math.prod(node.shape) if joined is None else joined.input_shape[0]
            kind = SAME if joined is None else KERNEL
            at = -1 if joined is None else 0
            found.append((skip.source + 1, number, kind, skip.scale, at, *_sizes(joined, fan_in, node.shape)))
    return np.array(sorted(found), EDGE)


def _sizes(g: Geometry | None, fan_in: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return n_in, and the sizes of an edge from height to outer."""
    if g is None:
        return (fan_in, 1, 1, fan_in, 1, 1, shape[-1], 1, 1, 1, 1, 0, 0, 1, 1, fan_in, shape[-1])
    channels, height, width = g.input_shape
    sides = (height, width, channels, *g.output_shape[1:], g.out_channels)
    window = (*g.kernel, *g.stride, *g.padding, *g.dilation)
    return (fan_in, *sides, *window, channels // g.groups, g.out_channels // g.groups)


def types_of(arch: Architecture, largest: int) -> tuple[Any, Any]:
    """Return the types of potentials and outputs that hold whatever weights may become."""
    bounds = [node.bound for node in arch.nodes[:-1]]
    if not all(0 < bound < 256 for bound in bounds):
        return np.int64, np.int32
    most = [arch.nodes[-1].fan_in * largest * arch.nodes[-1].largest * arch.steps + arch.steps * BIAS_LIMIT]
    for node in arch.nodes[:-1]:
        reach = node.fan_in * node.largest * (largest if node.index >= 0 else 1)
        if node.skip is not None:
            bound = 1 if node.skip.source < 0 else bounds[node.skip.source]
            through = 0 if node.skip.geometry is None else node.skip.geometry.input_shape[0] * largest
            reach += bound * (through or node.skip.scale)
        most.append(reach + BIAS_LIMIT)
    return (np.int16 if max(most) < 2**15 else np.int32), np.uint8

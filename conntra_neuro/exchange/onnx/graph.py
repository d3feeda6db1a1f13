"""An ONNX file as plain nodes and arrays: parsed, put in order, and checked before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_neuro.exchange.metadata import KEY, read_note

if TYPE_CHECKING:
    import onnx

__all__ = ["Graph", "Node", "evaluate_by_onnx", "load_graph", "reading"]

Array = npt.NDArray[Any]

_LARGEST_FILE = 2**31
_MOST_NODES = 20_000
_MOST_ELEMENTS = 2**28
_DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")


@dataclass(frozen=True, eq=False)
class Node:
    """An operator: ``op`` as ONNX or QONNX calls it; an input that is left out is ""."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {self.name or self.outputs[0]} ({self.op})"


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, each after those it takes from; constants by name; one input, its shape without the batch; one output.

    ``note``: what an export of ours says beside the graph; empty in those of others.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    input: str
    input_shape: tuple[int, ...]
    output: str
    note: Mapping[str, Any] = field(default_factory=dict)


def load_graph(path: str | Path) -> Graph:
    """Return the graph of an ONNX file; FileFormatError where it is damaged, or asks for more than a network needs."""
    import onnx
    from google.protobuf.message import DecodeError

    if not os.path.isfile(path):
        raise FileFormatError(f"{path}: no such file; check the name")
    size = os.path.getsize(path)
    if size > _LARGEST_FILE:
        raise FileFormatError(f"{path}: {size:,} bytes; ONNX files hold 2 GiB at most")
    try:
        # Data outside the file is never followed: a file that comes from elsewhere must not name what is read here.
        model = onnx.load(os.fspath(path), load_external_data=False)
    except (DecodeError, OSError, ValueError, TypeError) as error:
        raise FileFormatError(f"{path}: not an ONNX file, or a damaged one ({error}); export it again") from None
    try:
        text = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
        return replace(_graph(model.graph, str(path)), note=read_note(text, str(path)))
    except (ValueError, TypeError, KeyError, IndexError, MemoryError, UnicodeError) as error:
        raise FileFormatError(f"{path}: not a sound ONNX graph ({error}); export it again") from None


def evaluate_by_onnx(node: Node, arrays: Sequence[Array | None]) -> Array:
    """Return the first output of a node on constants alone, by onnx's own evaluator; InputError where that fails."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    names = [f"x{index}" if array is not None else "" for index, array in enumerate(arrays)]
    outputs = [f"y{index}" for index in range(len(node.outputs))]
    try:
        arrays_too: dict[str, Any] = {
            key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            for key, value in node.attributes.items()
        }
        proto = helper.make_node(node.op, names, outputs, **arrays_too)
        given = {name: np.asarray(array) for name, array in zip(names, arrays, strict=True) if name}
        found: Any = ReferenceEvaluator(proto).run(None, given)
        return np.asarray(found[0])
    except Exception as error:  # the evaluator meets what it does not know with whatever its lines happen to raise
        what = " ".join(str(error).split())[:120]
        raise InputError(f"{node}: operator {node.op} on constants cannot be folded ({what})") from None


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Name the file ``path`` in what goes wrong inside: a FileFormatError of one line."""
    try:
        yield
    except FileFormatError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, ConntraError) as error:
        raise FileFormatError(f"{path}: {error}") from None


def _graph(graph: onnx.GraphProto, path: str) -> Graph:
    if not graph.node:
        raise FileFormatError(f"{path}: not an ONNX file, or one without a node")
    if len(graph.node) > _MOST_NODES:
        raise FileFormatError(f"{path}: {len(graph.node):,} nodes; {_MOST_NODES:,} allowed")
    if graph.sparse_initializer:
        raise FileFormatError(f"{path}: sparse initializers; write them in full")
    budget = _Budget(path)
    output = _output(graph, path)
    protos = graph.node if len(graph.output) == 1 else _before(graph.node, output)
    used = {name for proto in protos for name in proto.input} if len(graph.output) > 1 else None
    constants = {t.name: budget.array(t) for t in graph.initializer if used is None or t.name in used}
    initial = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initial]
    if len(inputs) != 1:
        raise FileFormatError(f"{path}: {len(inputs)} inputs; 1 expected")
    nodes = _in_order([_node(proto, budget) for proto in protos], {*constants, inputs[0].name}, path)
    return Graph(nodes, constants, inputs[0].name, _input_shape(inputs[0], path), output)


def _output(graph: onnx.GraphProto, path: str) -> str:
    """Return the output that is read: the only one, or of a classifier's class and probabilities the latter."""
    import onnx

    if len(graph.output) == 1:
        return graph.output[0].name
    # scikit-learn's classifiers: the class, and the probabilities as a tensor or, by ZipMap, as a list of mappings.
    maps = {proto.output[0]: proto.input[0] for proto in graph.node if proto.op_type == "ZipMap" and proto.input}
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    found = [v.name for v in graph.output if v.name in maps or v.type.tensor_type.elem_type in kinds]
    if len(found) != 1:
        raise FileFormatError(f"{path}: {len(graph.output)} outputs; 1, or a classifier's class and probabilities")
    return maps.get(found[0], found[0])


def _before(protos: Sequence[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """Return the nodes that ``output`` depends on."""
    wanted, kept = {output}, []
    for proto in reversed(protos):
        if wanted & set(proto.output):
            wanted |= set(proto.input)
            kept.append(proto)
    return kept[::-1]


class _Budget:
    """How many elements all the arrays of a file have so far."""

    def __init__(self, path: str) -> None:
        self.path, self.elements = path, 0

    def array(self, tensor: onnx.TensorProto) -> Array:
        import onnx
        from onnx import numpy_helper

        what = f"{self.path}: tensor {tensor.name!r}"
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise FileFormatError(f"{what}: its data are in another file, which is not followed; save it in one file")
        self.elements += int(np.prod([float(d) for d in tensor.dims]))
        if self.elements > _MOST_ELEMENTS or any(d < 0 for d in tensor.dims):
            raise FileFormatError(f"{what}: shape {tuple(tensor.dims)}; {_MOST_ELEMENTS:,} elements in all allowed")
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind not in "iufb":
            raise FileFormatError(f"{what}: type {array.dtype}; numbers expected")
        if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float64)).all():
            raise FileFormatError(f"{what}: NaN or infinite; finite numbers expected: export it from a sound network")
        return array


def _node(proto: onnx.NodeProto, budget: _Budget) -> Node:
    import onnx
    from onnx import helper

    if proto.domain not in _DOMAINS:
        raise FileFormatError(
            f"{budget.path}: node {proto.name or proto.op_type}: operator {proto.domain}.{proto.op_type}; "
            "operators of ONNX and QONNX are allowed"
        )
    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            raise FileFormatError(f"{budget.path}: node {proto.name or proto.op_type}: holds a graph; unroll it")
        if attribute.type == onnx.AttributeProto.TENSOR:
            attributes[attribute.name] = budget.array(attribute.t)
        else:
            attributes[attribute.name] = helper.get_attribute_value(attribute)
    if not proto.output:
        raise FileFormatError(f"{budget.path}: node {proto.name or proto.op_type}: no output")
    return Node(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output), attributes)


def _in_order(nodes: list[Node], known: set[str], path: str) -> tuple[Node, ...]:
    made: set[str] = set()
    for node in nodes:
        for output in filter(None, node.outputs):
            if output in known or output in made:
                raise FileFormatError(f"{path}: {node}: makes {output!r}, which is there already")
            made.add(output)
    for node in nodes:
        missing = [name for name in node.inputs if name and name not in known and name not in made]
        if missing:
            raise FileFormatError(f"{path}: {node}: takes {missing[0]!r}, which nothing makes")
    ordered: list[Node] = []
    waiting = nodes
    known = set(known)
    while waiting:
        later = []
        for node in waiting:
            if all(not name or name in known for name in node.inputs):
                known.update(node.outputs)
                ordered.append(node)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise FileFormatError(f"{path}: {later[0]}: part of a cycle, or behind one; ONNX graphs have none")
        waiting = later
    return tuple(ordered)


def _input_shape(value: onnx.ValueInfoProto, path: str) -> tuple[int, ...]:
    """Return the shape of the input, its first axis (the batch) left out."""
    dims = [d.dim_value if d.HasField("dim_value") else 0 for d in value.type.tensor_type.shape.dim]
    if len(dims) < 2 or min(dims[1:]) < 1 or np.prod([float(d) for d in dims[1:]]) > _MOST_ELEMENTS:
        raise FileFormatError(
            f"{path}: input {value.name!r} has shape {dims}; (batch, features) or (batch, channels, height, width) "
            "expected, all but the batch known and not huge"
        )
    return tuple(dims[1:])

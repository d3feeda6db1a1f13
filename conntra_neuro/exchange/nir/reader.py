"""A graph of NIR as a network: integers stay what they are, and what a network has no words for is named.

The graph is walked in topological order. A weighted node waits until the neurons behind it are known; then it becomes a
layer, or, where it skips layers, a residual connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_hardware.base.errors import MALFORMED, ConntraError, FileFormatError, InputError
from conntra_hardware.neurons import IntegrateAndFire, Neuron, Readout, Threshold, neuron_from_dict
from conntra_neuro.exchange.assume import steps_or_assumed
from conntra_neuro.exchange.exact_integers import finite, integers, threshold_bias
from conntra_neuro.exchange.hdf5 import check_hdf5
from conntra_neuro.exchange.metadata import KEY, encoder_of, labels_of, read_note, value_of
from conntra_neuro.exchange.nir.float_graph import is_spiking
from conntra_neuro.exchange.nir.nodes import Pool, Weights, fill, pool_of, weights_of
from conntra_neuro.exchange.nir.own import in_plain_words, is_own, is_unchanged, recurrent_of
from conntra_neuro.exchange.nir.spiking import SpikingImport, import_spiking
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Flatten, Layer, MaxPool, Residual, SumPool

if TYPE_CHECKING:
    import nir

__all__ = ["network_of_graph", "read_nir", "read_nir_with_report"]

_LARGEST_STEPS = 4096


def read_nir(path: str | Path, steps: int | None = None, **options: Any) -> DiscreteNetwork:
    """Return the network of a NIR file. ``steps``: time steps of a sample, where the file does not say.

    ``options`` are those of ``spiking.import_spiking``, for graphs of spiking neurons in floating point.
    """
    return read_nir_with_report(path, steps, **options)[0]


def read_nir_with_report(
    path: str | Path, steps: int | None = None, assumed: list[str] | None = None, **options: Any
) -> tuple[DiscreteNetwork, SpikingImport | None]:
    """Return the network of a NIR file and, where it was rounded, by what; errors as ``read_nir``.

    ``assumed`` gets a line for each of steps and source that is assumed; None: what is not said is refused.
    """
    import nir

    found = check_hdf5(path, "NIR")
    if "node" not in found:
        what = "a network of lava-dl (NetX, .net), not a NIR graph; save it as NIR"
        other = "an HDF5 file without a NIR graph in it; write one with nir.write"
        raise FileFormatError(f"{path}: {what if 'layer' in found else other}")
    try:
        graph = _read(path)
    except Exception as error:  # nir meets a malformed file with whatever its lines happen to raise
        raise FileFormatError(
            f"{path}: not a sound NIR graph ({type(error).__name__}: {error}); export it again"
        ) from None
    if not isinstance(graph, nir.NIRGraph):
        raise FileFormatError(f"{path}: a single {type(graph).__name__} node; a graph of nodes expected")
    try:
        own = _own(graph, steps)
        conventions = any(options.get(name) is not None for name in ("source", "dt", "reset", "spikes"))
        if own is None and is_spiking(graph, conventions):
            found = import_spiking(path, graph, steps, assumed=assumed, **options)
            return found.network, found
        given = [name for name, value in options.items() if value is not None and name not in ("bits", "data", "seed")]
        if given:
            raise InputError(f"--{given[0]} is of graphs with spiking neurons in floating point; this one is exact")
        if own is not None:
            return own, None
        return network_of_graph(graph, steps, assumed), None
    except (*MALFORMED, ConntraError) as error:
        raise FileFormatError(f"{path}: {error}") from None


def _read(path: str | Path) -> nir.NIRGraph:
    """Read a graph as nir does, with its edges mended where older exporters named a nested node by another name."""
    import h5py
    import nir
    from nir.serialization import hdf2dict

    with h5py.File(path, "r") as file:
        entries = hdf2dict(file["node"])
    _mend(entries)
    entries["type_check"] = False
    return nir.dict2NIRNode(entries)  # type: ignore[return-value]  # what else it may be, the caller asks


def _mend(entries: dict[str, Any]) -> None:
    """Give an edge's end that names no node the name of the one node that no edge names."""
    nodes = entries.get("nodes")
    if not isinstance(nodes, dict):
        return
    edges = [[_word(end) for end in edge] for edge in entries.get("edges", ())]
    missing = {end for edge in edges for end in edge} - set(nodes)
    unnamed = set(nodes) - {end for edge in edges for end in edge}
    if len(missing) == len(unnamed) == 1:
        (old,), (new,) = missing, unnamed
        entries["edges"] = [[new if end == old else end for end in edge] for edge in edges]
    for node in nodes.values():
        if isinstance(node, dict):
            _mend(node)


def _word(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def network_of_graph(
    graph: nir.NIRGraph, steps: int | None = None, assumed: list[str] | None = None
) -> DiscreteNetwork:
    """Return the network of a graph in memory; InputError names the node that stands in the way."""
    note = read_note(graph.metadata.get(KEY), "the graph")
    walk = _walked(graph, _steps(note, steps), assumed)
    found = (walk.layers, encoder_of(note, "the graph"), labels_of(note, "the graph"), walk.residuals)
    return DiscreteNetwork(*found, value=value_of(note, "the graph"))


def _own(graph: nir.NIRGraph, steps: int | None) -> DiscreteNetwork | None:
    """Return the network that a graph was exported from; None for one of others, or one that was changed since."""
    if not is_own(graph):
        return None
    note = read_note(graph.metadata.get(KEY), "the graph")
    try:
        plain, loops = in_plain_words(graph)
        walk = _walked(plain, _steps(note, steps), None)
        back = recurrent_of(loops, walk.neurons)
        found = (walk.layers, encoder_of(note, "the graph"), labels_of(note, "the graph"), walk.residuals)
        value = value_of(note, "the graph")
        network = DiscreteNetwork(*found, steps=walk.steps, recurrent=back, value=value)
        return network if is_unchanged(graph, network) else None
    except (ConntraError, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return None


def _walked(graph: nir.NIRGraph, steps: int | None, assumed: list[str] | None) -> _Walk:
    order = _in_order(graph)
    walk = _Walk(graph, steps, assumed)
    for name in order:
        walk.visit(name)
    return walk


def _noted(name: str, node: Any) -> Neuron | None:
    """Return the neuron that a node of ours says it is, beyond what NIR can say."""
    note = read_note(node.metadata.get(KEY), f"node {name}")
    return neuron_from_dict(note["neuron"]) if "neuron" in note else None


def _steps(note: Mapping[str, Any], steps: int | None) -> int | None:
    found = note.get("steps") if steps is None else steps
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= _LARGEST_STEPS:
        raise InputError(f"steps {found!r}: an integer from 1 to {_LARGEST_STEPS} expected")
    return found


def _in_order(graph: nir.NIRGraph) -> list[str]:
    """Return the names of the nodes, each after those it takes from; InputError where they run in a circle."""
    import nir

    for kind in (nir.Input, nir.Output):
        count = sum(isinstance(node, kind) for node in graph.nodes.values())
        if count != 1:
            raise InputError(f"{count} {kind.__name__} nodes; a network has 1")
    waiting = dict.fromkeys(graph.nodes, 0)
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        if source not in waiting or target not in waiting:
            raise InputError(f"edge {source} -> {target}: no such node")
        waiting[target] += 1
        following[source].append(target)
    ready = [name for name, count in waiting.items() if count == 0]
    strays = [name for name in ready if not isinstance(graph.nodes[name], nir.Input)]
    if strays:
        raise InputError(f"node {strays[0]}: nothing leads into it; connect it, or take it out")
    order: list[str] = []
    while ready:
        name = ready.pop()
        order.append(name)
        for target in following[name]:
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    if len(order) < len(waiting):
        circle = next(name for name, count in waiting.items() if count)
        raise InputError(f"node {circle}: part of a cycle, or behind one; only feed-forward networks are supported")
    return order


@dataclass(frozen=True)
class _Output:
    """What layer ``index`` puts out, ``scale`` times; -1 is the input."""

    index: int
    scale: int = 1


@dataclass(frozen=True)
class _Pending:
    """A node over what ``source`` puts out, whose neurons are not known yet."""

    name: str
    node: Weights | Pool
    source: _Output


class _Walk:
    """The layers so far, and what each visited node stands for."""

    def __init__(self, graph: nir.NIRGraph, steps: int | None, assumed: list[str] | None) -> None:
        self.graph, self.steps, self.assumed = graph, steps, assumed
        self.layers: list[Layer] = []
        self.residuals: list[Residual] = []
        self.shape: tuple[int, ...] = ()
        self.binary, self.noted = True, False
        self.values: dict[str, _Output | _Pending] = {}
        self.neurons: dict[str, int] = {}
        self.sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.sources[target].append(source)

    def visit(self, name: str) -> None:
        import nir

        node = self.graph.nodes[name]
        given = [self.values[source] for source in self.sources[name]]
        if isinstance(node, nir.Input):
            self.shape = tuple(integers(node.input_type["input"], f"node {name}: shape").tolist())
            self.values[name] = _Output(INPUT_LAYER)
        elif isinstance(node, nir.Output) and self.noted and not any(isinstance(v, _Pending) for v in given):
            self.values[name] = _Output(len(self.layers) - 1)  # its spikes are counted, or its potential leaks
        elif isinstance(node, (nir.Threshold, nir.IF, nir.Output)) or _noted(name, node) is not None:
            self.values[name] = self._neurons(name, node, given)
            self.neurons[name] = len(self.layers) - 1
        elif not isinstance(node, (nir.Flatten, nir.Scale, nir.Affine, nir.Linear, nir.Conv2d, nir.SumPool2d)):
            raise InputError(
                f"node {name}: {type(node).__name__} has no counterpart here; allowed: Affine, Linear, Conv2d, "
                "SumPool2d, Flatten, Scale before an addition, Threshold, IF"
            )
        elif len(given) != 1:
            raise InputError(f"node {name}: {len(given)} nodes lead into it; only Threshold, IF and Output add up here")
        else:
            self.values[name] = self._single(name, node, given[0])

    def _single(self, name: str, node: Any, given: _Output | _Pending) -> _Output | _Pending:
        import nir

        source = self._settled(given, name)
        note = read_note(node.metadata.get(KEY), f"node {name}")
        if isinstance(node, nir.Flatten):
            # Ours is a layer; those of others say what rows are here anyway: flat.
            if note.get("kind") == "Flatten" and source == _Output(len(self.layers) - 1):
                return self._append(Flatten(self._shape_of(source)))
            return source
        if isinstance(node, nir.Scale):
            scale = fill(integers(node.scale, f"node {name}: scale"), 1, f"node {name}: scale")
            return _Output(source.index, source.scale * int(scale[0]))
        if source.scale != 1:
            raise InputError(f"node {name}: behind a Scale; Scale may stand before an addition only")
        if isinstance(node, (nir.Affine, nir.Linear, nir.Conv2d)):
            return _Pending(name, weights_of(name, node, note, self._shape_of(source)), source)
        return _Pending(name, pool_of(name, node, self._shape_of(source)), source)

    def _shape_of(self, source: _Output) -> tuple[int, ...]:
        return self.shape if source.index < 0 else self.layers[source.index].output_shape

    def _settled(self, value: _Output | _Pending, name: str) -> _Output:
        if isinstance(value, _Output):
            return value
        if isinstance(value.node, Weights):
            raise InputError(f"node {name}: behind {value.name} without neurons between; put Threshold or IF there")
        self._must_be_last(value)
        self.binary = False
        output = self._append(SumPool(**value.node.window))
        self.values[value.name] = output  # for others that take from it
        return output

    def _must_be_last(self, value: _Pending) -> None:
        if value.source.index != len(self.layers) - 1:
            raise InputError(f"node {value.name}: a branch; networks are chains with additions that skip layers")

    def _append(self, layer: Layer) -> _Output:
        self.layers.append(layer)
        return _Output(len(self.layers) - 1)

    def _neurons(self, name: str, node: Any, given: list[_Output | _Pending]) -> _Output:
        import nir

        last = len(self.layers) - 1
        main = [v for v in given if isinstance(v, _Pending) and v.source.index == last]
        if isinstance(node, nir.Output) and given and not any(isinstance(v, _Pending) for v in given):
            raise InputError(
                f"node {name}: the neurons before it spike; the potentials of the last weights are the logits here: "
                "let these lead into the output, without neurons between"
            )
        if len(main) != 1:
            raise InputError(
                f"node {name}: {len(main)} weighted nodes from the layer before lead into it; exactly 1 expected"
            )
        joined = [value for value in given if value is not main[0]]
        neuron, threshold = (
            (Readout(), np.zeros(1)) if isinstance(node, nir.Output) else self._kind(name, node, main[0].node)
        )
        output = self._append(self._layer(main[0], neuron, threshold, plain=not joined))
        self.binary = True
        for value in joined:
            self.residuals.append(self._residual(name, value, output.index))
        return output

    def _kind(self, name: str, node: Any, weights: Weights | Pool) -> tuple[Neuron, np.ndarray]:
        """Return the neuron, and its threshold by channel where it is the bias that takes it up."""
        import nir

        what, noted = f"node {name}", _noted(name, node)
        if noted is not None and noted.facts.form != "threshold":
            self.noted = True
            return noted, np.zeros(weights.channels)
        if isinstance(node, nir.Threshold):
            return Threshold(), fill(finite(node.threshold, what), weights.channels, what)
        ones, resets = finite(node.r, what) == 1, finite(node.v_reset, what) == 0
        if not (ones.all() and resets.all()):
            raise InputError(f"{what}: IF with r other than 1 or v_reset other than 0; scale weights and thresholds")
        refusal = f"{what}: IF, but the graph does not say how many time steps a sample takes; give --steps"
        self.steps = steps_or_assumed(self.steps, self.assumed, refusal)
        level = fill(finite(node.v_threshold, what), 1, what)
        return IntegrateAndFire(int(np.floor(level[0])) + 1, self.steps, "hard"), np.zeros(weights.channels)

    def _layer(self, pending: _Pending, neuron: Neuron, threshold: np.ndarray, plain: bool) -> Layer:
        node = pending.node
        if isinstance(node, Weights):
            return node.layer(neuron, threshold)
        zero = bool((np.floor(threshold) == 0).all())
        if isinstance(neuron, Threshold) and zero and plain and self.binary:
            return MaxPool(**node.window)
        shape = node.window["input_shape"]
        bias = threshold_bias(np.zeros(node.channels), threshold)
        ones = np.ones((shape[0], 1, *node.window["size"]), int)
        window = {key: node.window[key] for key in ("input_shape", "stride", "padding")}
        return Conv2d(ones, bias, neuron, **window, groups=shape[0])

    def _residual(self, name: str, value: _Output | _Pending, target: int) -> Residual:
        if isinstance(value, _Output):
            return Residual(value.index, target, scale=value.scale)
        if not isinstance(value.node, Weights):
            raise InputError(f"node {name}: {value.name} is pooling that skips layers; use a Conv2d with stride")
        connection: Any = value.node.layer(Readout(), np.zeros(1))
        return Residual(value.source.index, target, connection)

"""Graphs of our own, whatever the dialect: back to the integers that they were made of, and in NIR's own words.

Notes in the metadata say what a package's words stood for. A graph that was changed since says something else than its
notes: it is held to a second export of what the notes give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_neuro.exchange.metadata import KEY, read_note
from conntra_neuro.exchange.nir.dialects import DIALECTS, PLAIN
from conntra_neuro.exchange.nir.writer import nir_graph
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Recurrent

if TYPE_CHECKING:
    import nir

__all__ = ["in_plain_words", "is_own", "is_unchanged", "recurrent_of"]

_ARRAYS = ("weight", "bias", "tau", "tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "threshold", "scale")
_ARRAYS += ("stride", "padding", "dilation", "groups", "kernel_size")


def is_own(graph: nir.NIRGraph) -> bool:
    """Return whether ``graph`` has the note of an export of ours that says whom it was written for."""
    reader = read_note(graph.metadata.get(KEY), "the graph").get("reader")
    return reader == PLAIN.name or reader in DIALECTS


def is_unchanged(graph: nir.NIRGraph, network: DiscreteNetwork) -> bool:
    """Return whether ``graph`` is what ``network`` is exported to, to the rounding of float32."""
    reader = read_note(graph.metadata.get(KEY), "the graph")["reader"]
    again = nir_graph(network, how=DIALECTS.get(reader, PLAIN))
    if set(again.nodes) != set(graph.nodes) or set(again.edges) != {(str(a), str(b)) for a, b in graph.edges}:
        return False
    return all(_same(node, graph.nodes[name]) for name, node in again.nodes.items())


def _same(node: Any, other: Any) -> bool:
    if type(node).__name__ != type(other).__name__:
        return False
    for name in _ARRAYS:
        first, second = (np.asarray(getattr(n, name, 0)) for n in (node, other))
        if first.shape != second.shape or not np.allclose(first, second, rtol=1e-6, atol=0):
            return False
    return True


def in_plain_words(graph: nir.NIRGraph) -> tuple[nir.NIRGraph, list[tuple[str, Any]]]:
    """Return a graph of ours with integer weights, sums over windows and thresholds as NIR has them, without ways back;
    and these, by the name of the neurons that they lead from and to.
    """
    import nir

    nodes: dict[str, Any] = {}
    loops: list[tuple[str, Any]] = []
    every: dict[str, Any] = dict(graph.nodes)
    for name, node in every.items():
        note = read_note(node.metadata.get(KEY), f"node {name}")
        if note.get("kind") == "Recurrent":
            target = next(b for a, b in graph.edges if a == name)
            loops.append((target, _integer(np.asarray(node.weight), note.get("unit"))))
            continue
        nodes[name] = _plain(node, note)
    edges = [(a, b) for a, b in graph.edges if a in nodes and b in nodes]
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata, type_check=False), loops


def _integer(values: Any, unit: Any) -> Any:
    if unit is None:
        return values
    return np.rint(values * np.asarray(unit, np.float64).reshape(-1, *[1] * (values.ndim - 1)))


def _plain(node: Any, note: dict[str, Any]) -> Any:
    import nir

    kind = note.get("kind")
    word = type(node).__name__
    if kind in ("SumPool", "MaxPool") and word == "Conv2d":
        size = np.array(np.asarray(node.weight).shape[2:])
        return nir.SumPool2d(size, np.array(node.stride), np.array(node.padding), metadata=node.metadata)
    if word == "Scale" and "scale" in note:
        return nir.Scale(np.full(np.shape(node.scale), note["scale"]), metadata=node.metadata)
    if note.get("neuron") == "threshold":
        shape = node.threshold.shape if word == "Threshold" else node.v_threshold.shape
        return nir.Threshold(np.zeros(shape), metadata=node.metadata)
    if kind not in ("Dense", "Conv2d"):
        return node
    weight = _integer(np.asarray(node.weight), note.get("unit"))
    bias = note.get("bias", _integer(np.asarray(node.bias), note.get("unit")))
    if kind == "Dense":
        return nir.Affine(weight, np.asarray(bias), metadata=node.metadata)
    groups = note.get("groups", node.groups)
    if groups != node.groups:
        inputs, outputs = weight.shape[1] // groups, len(weight) // groups
        rows = [weight[g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] for g in range(groups)]
        weight = np.concatenate(rows)
    window = (node.stride, node.padding, node.dilation, groups)
    return nir.Conv2d(node.input_shape, weight, *window, np.asarray(bias), metadata=node.metadata)


def recurrent_of(loops: list[tuple[str, Any]], layers: dict[str, int]) -> list[Recurrent]:
    """Return ways back as connections of a network; ``layers``: the layer of each node of neurons."""
    return [Recurrent(layers[name], np.asarray(weight, np.int64)) for name, weight in loops]

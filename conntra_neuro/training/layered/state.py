"""A network of any layers on all samples, and what moves of its weights change exactly: the exact gear's state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.convolution import Geometry
from conntra_hardware.errors import InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Readout
from conntra_neuro.training.bits import Spikes
from conntra_neuro.training.flips import Loss
from conntra_neuro.training.layered import deltas
from conntra_neuro.training.layered.architecture import Architecture, Node
from conntra_neuro.training.layered.forward import Activity, node_potentials, respond, rows_of
from conntra_neuro.training.layered.scorer import exact_float, rows_at_once
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters
from conntra_neuro.training.task import Evaluation, Task
from conntra_neuro.training.threads import Threads

__all__ = ["LayeredNetwork", "Moves"]

Moves = npt.NDArray[np.int64]
"""(k, 4): which weights (as ``Node.index``), row, column, and the step; the row after the last is the bias."""

_REFUSED = 2**62  # the change of a move that makes graded spikes too large


class LayeredNetwork:
    """Potentials, outputs and losses of all training samples.

    Memory of a sample: 3 bytes a unit and time step where all spikes are 0 or 1, or small sums of them (5 where
    potentials need 32 bits), 12 with graded spikes; inputs 1 byte (4 beside graded ones) a time step.
    """

    def __init__(self, task: Task, start: Parameters, objective: Objective, threads: Threads) -> None:
        assert task.layered is not None
        self._task, self._threads, self.objective, self.arch = task, threads, objective, task.layered
        self._loss, largest = Loss(*objective.args), int(np.abs(task.levels.array).max())
        self._dtype = exact_float(self.arch, largest)
        self.weights = [
            np.vstack([weight, bias]).astype(self._dtype)
            for weight, bias in zip(start.weights, start.biases, strict=True)
        ]
        self._graph = self._build(largest)
        self.total = int(self._graph.losses.sum())

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self._graph.losses)

    def evaluate(self) -> Evaluation:
        """Return the exact training objective and error."""
        logits = self._graph.z[:, self._graph.vertices[-1]["z_at"] :]
        wrong = int(np.count_nonzero(logits.argmax(axis=1) != self._task.y))
        return Evaluation(self.objective.nats(self.total, self.n), wrong / self.n)

    def evaluate_on(self, spikes: Spikes, y: npt.NDArray[np.int64]) -> Evaluation:
        """Return objective and error on other samples, by a forward pass."""
        total, wrong, at_once = 0, 0, rows_at_once(self.arch)
        for first in range(0, len(y), at_once):
            rows = slice(first, first + at_once)
            logits = self._run(spikes[rows])[1].outputs[-1].astype(np.int64)
            total += int(self.objective.losses(logits, y[rows]).sum())
            wrong += int(np.count_nonzero(logits.argmax(axis=1) != y[rows]))
        return Evaluation(self.objective.nats(total, len(y)), wrong / len(y))

    def parameters(self) -> Parameters:
        """Return a copy of the weights and biases."""
        integers = [weight.astype(np.int32) for weight in self.weights]
        return Parameters(tuple(w[:-1] for w in integers), tuple(w[-1] for w in integers))

    def changes(self, moves: Moves) -> npt.NDArray[np.int64]:
        """Return by how much each of ``moves`` on its own would change the total loss, in quanta (k,)."""
        parts = self._threads.run(deltas.try_moves, self.n, self._graph, self._loss, self._on_edges(moves))
        change, refused = np.sum(parts, axis=0)
        return np.where(refused > 0, _REFUSED, change)

    def together(self, moves: Moves, write: bool = False) -> int:
        """Return by how much all ``moves``, of one layer's weights, would change the total loss; ``write`` makes them.

        Raises InputError where moves that are to be made would make a graded spike of more than 24 bits.
        """
        args = (self._graph, self._loss, self._on_edges(moves), write)
        change, refused = np.sum(self._threads.run(deltas.move_together, self.n, *args), axis=0).tolist()
        if not write:
            return _REFUSED if refused else change
        if refused:
            raise InputError(f"moves of weights {moves[0, 0]}: graded spikes of more than 24 bits")
        index = int(moves[0, 0])
        np.add.at(self.weights[index], (moves[:, 1], moves[:, 2]), moves[:, 3].astype(self._dtype))
        at = self._graph.edges["weight_at"][self._edge_of[index]]
        flat = self.weights[index][:-1].ravel()
        self._graph.weights[at : at + flat.size] = flat
        self.total += change
        return change

    def _on_edges(self, moves: Moves) -> Moves:
        found = moves.copy()
        found[:, 0] = self._edge_of[moves[:, 0]]
        return found

    def _run(self, spikes: npt.NDArray[Any]) -> tuple[list[npt.NDArray[Any]], Activity]:
        """Return the potentials (rows, units) of every node, before integration, and the activity."""
        found, potentials = Activity(rows_of(self.arch, spikes, self._dtype)), []
        for node in self.arch.nodes:
            z, _, _ = node_potentials(node, found, self.weights, self._threads)
            potentials.append(z.reshape(len(z), -1))
            found.outputs.append(respond(node, z, self.arch.steps)[1])
        return potentials, found

    def _build(self, largest: int) -> deltas.Graph:
        task, y = self._task, self._task.y
        vertices, edges = _vertices(self.arch), _edges(self.arch)
        self._edge_of = np.full(len(self.weights), -1)
        for number, edge in enumerate(edges):
            if edge["weight_at"] >= 0:
                self._edge_of[_index_of(self.arch, edge)] = number
        sizes = [weight[:-1].size for weight in self.weights]
        at = np.concatenate([[0], np.cumsum(sizes)])
        edges["weight_at"][self._edge_of] = at[:-1]
        z_type, out_type = _types(self.arch, largest)
        weight_type = np.int64 if z_type == np.int64 else np.int32
        columns = vertices["steps"] * vertices["places"] * vertices["channels"]
        z = np.empty((len(y), int(columns[1:].sum())), z_type)
        outputs = np.empty((len(y), int(columns[:-1].sum())), out_type)
        losses, at_once = np.empty(len(y), np.int64), rows_at_once(self.arch)
        for first in range(0, len(y), at_once):
            rows = slice(first, first + at_once)
            count = len(y[rows])
            potentials, found = self._run(task.spikes[rows])
            logits = found.outputs.pop().astype(np.int64)
            potentials[-1] = logits
            np.concatenate([p.reshape(count, -1) for p in potentials], axis=1, out=z[rows], casting="unsafe")
            values = [found.inputs, *found.outputs]
            np.concatenate([v.reshape(count, -1) for v in values], axis=1, out=outputs[rows], casting="unsafe")
            losses[rows] = self.objective.losses(logits, y[rows])
        weights = np.concatenate([w[:-1].ravel() for w in self.weights]).astype(weight_type)
        first_edge = np.searchsorted(edges["source"], np.arange(len(vertices) + 1))
        return deltas.Graph(z, outputs, weights, losses, y, vertices, edges, first_edge, self.arch.steps)


def _index_of(arch: Architecture, edge: Any) -> int:
    """Return which of the weights are those of ``edge``; it has some."""
    node = arch.nodes[int(edge["target"]) - 1]
    if edge["source"] == edge["target"] - 1:
        return node.index
    assert node.skip is not None
    return node.skip.index


def _vertices(arch: Architecture) -> npt.NDArray[Any]:
    """Return the inputs and all layers, as ``deltas.VERTEX``."""
    found = np.zeros(len(arch.nodes) + 1, deltas.VERTEX)
    found[0] = (deltas.SUM, 0, 1, math.prod(arch.inputs), arch.steps, 0, 0, 0)
    z_at, out_at, place_at = 0, math.prod(arch.inputs) * arch.steps, 0
    for number, node in enumerate(arch.nodes, start=1):
        places, channels = math.prod(node.shape[:-1]), node.shape[-1]
        steps = 1 if isinstance(node.neuron, Readout) else arch.steps
        found[number] = (*_neuron(node), places, channels, steps, z_at, out_at, place_at)
        size = steps * places * channels
        z_at, out_at, place_at = z_at + size, out_at + size, place_at + places
    return found


def _neuron(node: Node) -> tuple[int, int]:
    neuron = node.neuron
    if neuron is None:
        return deltas.SUM, 0
    if isinstance(neuron, Readout):
        return deltas.READOUT, 0
    if isinstance(neuron, GradedRelu):
        return deltas.RELU, neuron.shift
    if isinstance(neuron, IntegrateAndFire):
        return deltas.FIRE_HARD if neuron.reset == "hard" else deltas.FIRE_SOFT, neuron.threshold
    return deltas.THRESHOLD, 0


def _edges(arch: Architecture) -> npt.NDArray[Any]:
    """Return what reads what, as ``deltas.EDGE``; ``weight_at`` is 0 where there are weights, else -1."""
    found = []
    for number, node in enumerate(arch.nodes, start=1):
        has = node.index >= 0
        kind = deltas.DENSE if node.geometry is None else deltas.KERNEL if has else deltas.WINDOW
        found.append((number - 1, number, kind, 1, 0 if has else -1, *_sizes(node.geometry, node.fan_in, node.shape)))
        skip = node.skip
        if skip is not None:
            joined = skip.geometry
            fan_in = math.prod(node.shape) if joined is None else joined.input_shape[0]
            kind = deltas.SAME if joined is None else deltas.KERNEL
            at = -1 if joined is None else 0
            found.append((skip.source + 1, number, kind, skip.scale, at, *_sizes(joined, fan_in, node.shape)))
    return np.array(sorted(found), deltas.EDGE)


def _sizes(g: Geometry | None, fan_in: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return n_in, and the sizes of an edge from height to outer."""
    if g is None:
        return (fan_in, 1, 1, fan_in, 1, 1, shape[-1], 1, 1, 1, 1, 0, 0, fan_in, shape[-1])
    channels, height, width = g.input_shape
    sides = (height, width, channels, *g.output_shape[1:], g.out_channels)
    return (fan_in, *sides, *g.kernel, *g.stride, *g.padding, channels // g.groups, g.out_channels // g.groups)


def _types(arch: Architecture, largest: int) -> tuple[Any, Any]:
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

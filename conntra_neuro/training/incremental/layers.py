"""A network of any layers on all samples, and what moves of its weights change exactly: the exact gear's state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.training.incremental import deltas
from conntra_neuro.training.incremental.flips import Loss
from conntra_neuro.training.incremental.graph import Graph, edges_of, index_of, types_of, vertices_of
from conntra_neuro.training.inputs.bits import Spikes
from conntra_neuro.training.layers.forward import Activity, node_potentials, respond, rows_of
from conntra_neuro.training.layers.products import HostProducts
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.scoring.layers import rows_at_once
from conntra_neuro.training.scoring.plan import exact_float
from conntra_neuro.training.task import Evaluation, Task
from conntra_neuro.training.threads import Threads

__all__ = ["IncrementalNetwork", "Moves"]

Moves = npt.NDArray[np.int64]
"""(k, 4): which weights (as ``Node.index``), row, column, and the step; the row after the last is the bias."""

_REFUSED = 2**62  # the change of a move that makes graded spikes too large


class IncrementalNetwork:
    """Potentials, outputs and losses of all training samples.

    Memory of a sample: 3 bytes a unit and time step where all spikes are 0 or 1, or small sums of them (5 where
    potentials need 32 bits), 12 with graded spikes; inputs 1 byte (4 beside graded ones) a time step.
    """

    def __init__(self, task: Task, start: Parameters, objective: Objective, threads: Threads) -> None:
        self._task, self._threads, self.objective, self.arch = task, threads, objective, task.architecture
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

    def changes(self, moves: Moves, rows: slice | None = None) -> npt.NDArray[np.int64]:
        """Return by how much each of ``moves`` on its own would change the loss of ``rows`` (all), in quanta (k,)."""
        graph = self._graph_of(rows)
        parts = self._threads.run(deltas.try_moves, len(graph.losses), graph, self._loss, self._on_edges(moves))
        change, refused = np.sum(parts, axis=0)
        return np.where(refused > 0, _REFUSED, change)

    def together(self, moves: Moves, write: bool = False, rows: slice | None = None) -> int:
        """Return by how much all ``moves``, of one layer's weights, would change the total loss; ``write`` makes them.

        The loss of the samples ``rows`` where these are given; moves are made on all. Raises InputError where moves
        that are to be made would make a graded spike of more than 24 bits.
        """
        graph = self._graph_of(None if write else rows)
        args = (graph, self._loss, self._on_edges(moves), write)
        found = self._threads.run(deltas.move_together, len(graph.losses), *args)
        change, refused = np.sum(found, axis=0).tolist()
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

    def _graph_of(self, rows: slice | None) -> Graph:
        if rows is None:
            return self._graph
        parts = {name: getattr(self._graph, name)[rows] for name in ("z", "outputs", "losses", "targets")}
        return self._graph._replace(**parts)

    def _on_edges(self, moves: Moves) -> Moves:
        found = moves.copy()
        found[:, 0] = self._edge_of[moves[:, 0]]
        return found

    def _run(self, spikes: npt.NDArray[Any]) -> tuple[list[npt.NDArray[Any]], Activity]:
        """Return the potentials (rows, units) of every node, before integration, and the activity."""
        found, potentials = Activity(rows_of(self.arch, spikes, self._dtype)), []
        for node in self.arch.nodes:
            z, _, _ = node_potentials(node, found, self.weights, HostProducts(self._threads), self.arch.steps)
            potentials.append(z.reshape(len(z), -1))
            found.outputs.append(respond(node, z, self.arch.steps, self.weights)[1])
        return potentials, found

    def _build(self, largest: int) -> Graph:
        task, y = self._task, self._task.y
        vertices, edges = vertices_of(self.arch), edges_of(self.arch)
        self._edge_of = np.full(len(self.weights), -1)
        for number, edge in enumerate(edges):
            if edge["weight_at"] >= 0:
                self._edge_of[index_of(self.arch, edge)] = number
        sizes = [weight[:-1].size for weight in self.weights]
        at = np.concatenate([[0], np.cumsum(sizes)])
        edges["weight_at"][self._edge_of] = at[:-1]
        z_type, out_type = types_of(self.arch, largest)
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
        return Graph(z, outputs, weights, losses, y, vertices, edges, first_edge, self.arch.steps)

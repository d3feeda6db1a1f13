"""The straight-through gear for networks with convolutions: as ``straight_through``, a kernel's weight being shared.

Potentials are normalised over samples and places, a mean and a variance a channel; folded exactly into the integer
bias of the channel at the end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_neuro.training.backprop.fold import Normalisation, fold
from conntra_neuro.training.backprop.load import load_layered_steps
from conntra_neuro.training.backprop.straight_through import Array, StraightThrough, StraightThroughOptions
from conntra_neuro.training.layered.architecture import Architecture, Node
from conntra_neuro.training.layered.forward import Activity, forward, node_potentials, respond, rows_of
from conntra_neuro.training.layered.scorer import bytes_of, exact_float, rows_at_once
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.task import Evaluation, Task
from conntra_neuro.training.threads import Threads

__all__ = ["LayeredStraightThrough"]

_STATISTICS = 2000  # samples, each with many places, that give the means and variances to fold


class LayeredStraightThrough(StraightThrough):
    """See the module. Threshold neurons; ``integer`` has the others, whose scale cannot be folded into a bias."""

    statistics = _STATISTICS
    sample_type: Any = np.float32

    def __init__(self, task: Task, options: StraightThroughOptions, threads: Threads) -> None:
        assert task.layered is not None
        self._arch: Architecture = task.layered
        self._threads = threads
        self._normalisations: list[Normalisation] = []
        largest = max(abs(task.levels.values[0]), abs(task.levels.values[-1]))
        self._dtype = exact_float(self._arch, largest)
        self._prepare(options)
        super().__init__(task, options)

    def _prepare(self, options: StraightThroughOptions) -> None:
        if options.normalise == 0:
            raise InputError("normalise 0: convolutions are trained with batch normalisation; leave the option out")
        self._layered_steps = load_layered_steps()

    def evaluate(self, held_out: bool) -> Evaluation:
        """Evaluate the integer network on all held-out or all training samples."""
        task = self._task
        spikes, y = (task.spikes, task.y) if task.held_out is None or not held_out else task.held_out
        parameters, _, scale = self._folded()
        weights = [
            np.vstack([w, b]).astype(self._dtype) for w, b in zip(parameters.weights, parameters.biases, strict=True)
        ]
        objective, at_once = Objective(scale), rows_at_once(self._arch)
        total, wrong = 0, 0
        for first in range(0, len(y), at_once):
            part = slice(first, first + at_once)
            x = rows_of(self._arch, spikes[part], self._dtype)
            logits = forward(self._arch, weights, x, self._threads, keep=False).outputs[-1].astype(np.int64)
            total += int(objective.losses(logits, y[part]).sum())
            wrong += int(np.count_nonzero(logits.argmax(axis=1) != y[part]))
        return Evaluation(objective.nats(total, len(y)), wrong / len(y))

    def _inputs_of(self, task: Task) -> Any:
        return bytes_of(task, task.spikes)

    def _gather(self, rows: Array, shifts: Array | None) -> Any:
        return rows_of(self._arch, super()._gather(rows, shifts), np.float32)

    def _train(self, x: Array, y: Array, decay: np.float32) -> tuple[Any, Any]:
        self._tree, self._moments, losses, errors = self._layered_steps.layered_step(
            self._tree,
            self._moments,
            x,
            y,
            decay * np.float32(self._rate_weight),
            decay * self._options.rate,
            np.float32(self._options.width),
            levels=self._task.levels.values,
            arch=self._arch,
        )
        return losses, errors

    def _first(self, rng: np.random.Generator) -> list[dict[str, Array]]:
        """Return latent weights, uniform over the levels' range, no biases, and the logit scale."""
        found = self._latent(rng)
        self._unit = 1.0
        _, spread = self._integers(found)
        found[self._arch.nodes[-1].index]["log_scale"] = np.array(math.log(1.75 / max(spread, 1.0)), np.float32)
        return found

    def _latent(self, rng: np.random.Generator) -> list[dict[str, Array]]:
        values = self._task.levels.array
        low, high = (float(end) for end in values[[0, -1]] / np.abs(values).max())
        return [
            {"weight": rng.uniform(low, high, shape).astype(np.float32), "bias": np.zeros(shape[1], np.float32)}
            for shape in self._arch.weight_shapes
        ]

    def _folded(self) -> tuple[Parameters, list[Normalisation], float]:
        if self._found is None:
            tree = [{k: np.asarray(v) for k, v in layer.items()} for layer in self._tree]
            parameters, _ = self._integers(tree)
            scale = float(np.clip(np.exp(tree[self._arch.nodes[-1].index]["log_scale"]), 1e-6, 100))
            self._found = parameters, self._normalisations, scale
        return self._found

    def _integers(self, tree: list[dict[str, Array]]) -> tuple[Parameters, float]:
        """Return integer parameters, and the spread of the logits.

        Layer by layer on the sample, for what a layer's biases depend on is the integer network below it.
        """
        weights = [np.vstack([self._nearest(t["weight"]), np.zeros(t["weight"].shape[1])]) for t in tree]
        parts, self._normalisations = self._parts(), []
        for node in self._arch.nodes:
            cast = [w.astype(self._dtype) for w in weights]
            zs = [node_potentials(node, part, cast, self._threads)[0] for part in parts]
            if node.index >= 0:
                flat = [z.reshape(-1, node.shape[-1]) for z in zs]
                if node is self._arch.nodes[-1]:
                    bias = np.rint(tree[node.index]["bias"])
                else:
                    bias = self._bias(node, tree[node.index]["bias"].astype(np.float64), flat, weights)
                weights[node.index][-1] = bias
                zs = [z + bias.astype(z.dtype) for z in zs]
            for part, z in zip(parts, zs, strict=True):
                part.outputs.append(respond(node, z, self._arch.steps)[1])
        _, variance = _moments_of([part.outputs[-1] for part in parts])
        integers = tuple(np.rint(w).astype(np.int32) for w in weights)
        parameters = Parameters(tuple(w[:-1] for w in integers), tuple(w[-1] for w in integers))
        return parameters, float(np.sqrt(variance).mean())

    def _bias(self, node: Node, beta: Array, z: list[Array], weights: list[Array]) -> Array:
        """Return the integer biases of a hidden layer of potentials ``z``, parts of (rows, outputs)."""
        mean, variance = _moments_of(z)
        self._normalisations.append(Normalisation(mean, variance, np.ones_like(beta), beta))
        kernel = np.rint(weights[node.index][:-1])
        args = (self._normalisations[-1], self._task.levels, max(node.largest, 1), self._added(node, weights))
        return fold(kernel, *args)[1]

    def _parts(self) -> list[Activity]:
        """Return the sample, in parts that a pass has room for."""
        given, steps = self._arch.input_steps, self._arch.steps
        rows = rows_at_once(self._arch) * given
        parts = [self._sample[i : i + rows].astype(self._dtype) for i in range(0, len(self._sample), rows)]
        return [Activity(part if given == steps else np.repeat(part, steps, axis=0)) for part in parts]

    def _added(self, node: Node, weights: list[Array]) -> int:
        """Return the largest magnitude that a skip connection adds to a potential."""
        if node.skip is None:
            return 0
        source = node.skip.source
        largest = 1 if source < 0 else max(self._arch.nodes[source].bound, 1)
        if node.skip.geometry is None:
            return node.skip.scale * largest
        return int(np.abs(weights[node.skip.index]).sum(axis=0).max()) * largest


def _moments_of(parts: list[Array]) -> tuple[Array, Array]:
    """Return the mean and the variance over the rows of all parts, in float64."""
    n = sum(len(part) for part in parts)
    mean = sum((part.sum(axis=0, dtype=np.float64) for part in parts), np.zeros(parts[0].shape[1])) / n
    squares = sum((np.square(part - mean).sum(axis=0) for part in parts), np.zeros(parts[0].shape[1]))
    return mean, squares / n

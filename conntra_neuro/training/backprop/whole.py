"""The straight-through gear for neurons whose scale matters: each mini-batch sees an integer network.

A graded unit's scale cannot be folded into an integer bias, nor can that of what a unit integrates over time: shifts
and thresholds are the network's own, and of batch normalisation the mean alone is left. That is a bias: the mean
potential over samples, places and time steps, rounded together with the learned part of the bias in every forward
pass. A mini-batch has biases by its own mean, the network that is evaluated and returned by that of a fixed sample;
all else is the same, integer by integer. Gradients are taken straight through.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from conntra_neuro.training.architecture.architecture import Node
from conntra_neuro.training.backprop.gear import Array, StraightThrough, StraightThroughOptions
from conntra_neuro.training.backprop.load import load_whole_steps
from conntra_neuro.training.layers.forward import Activity
from conntra_neuro.training.neurons import of_neuron
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters
from conntra_neuro.training.task import Task
from conntra_neuro.training.threads import Threads

__all__ = ["WholeStraightThrough"]

_ROWS = 2000  # samples times time steps whose mean potential is taken off
_FLOAT32 = 2.0**22  # largest sum, of that sample, for float32: it is exact to 2**24, all other samples need room


class WholeStraightThrough(StraightThrough):
    """See the module. ``normalise`` 0: no mean is taken off, a mini-batch sees the very network that is returned."""

    def __init__(self, task: Task, options: StraightThroughOptions, threads: Threads) -> None:
        self._passed: list[Activity] = []
        self._centred = True
        super().__init__(task, options, threads)
        if options.normalise == 0:
            self._keep_means()
        if options.rate_weight is None:
            self._rate_weight = 0.3 if self._centred else 0.03

    def _prepare(self) -> None:
        self._whole_steps = load_whole_steps()
        nodes = [node for node in self._arch.nodes[:-1] if node.index >= 0]
        units = {node.index: _unit(node) for node in nodes}
        self._units = tuple(units.get(index, 1.0) for index in range(len(self._arch.weight_shapes)))
        self._double = self._dtype == np.float64

    @property
    def _statistics(self) -> int:
        return max(1, _ROWS // self._arch.steps)

    @property
    def _usual_rate(self) -> float:
        return 0.3

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up a state."""
        super().restore(state)
        self._folded()  # says whether float32 will do, as it did at the end of the sweep

    def _train(self, x: Array, y: Array, decay: np.float32) -> tuple[Any, Any]:
        with self._steps.double_precision() if self._double else contextlib.nullcontext():
            self._tree, self._moments, losses, errors = self._whole_steps.whole_step(
                self._tree,
                self._moments,
                x.astype(np.float64) if self._double else x,
                y,
                decay * np.float32(self._rate_weight),
                decay * np.float32(self._options.rate),
                np.float32(self._width),
                levels=self._task.levels.values,
                arch=self._arch,
                units=self._units,
                centred=self._centred,
            )
        return losses, errors

    def _set_biases(self, tree: list[dict[str, Array]]) -> None:
        """Set biases from which units spike: those of ``start``, in the unit."""
        for node in self._arch.nodes[:-1]:
            if node.index >= 0:
                assert node.neuron is not None
                tree[node.index]["bias"] += np.float32(of_neuron(node.neuron).share_above(node.neuron))

    def _keep_means(self) -> None:
        """Make the means of the start part of the biases that are learned, and take none off from here on."""
        biases = self._folded()[0].biases
        tree = [dict(layer) for layer in self._tree]
        for node in self._arch.nodes[:-1]:
            if node.index >= 0:
                tree[node.index]["bias"] = (biases[node.index] / self._units[node.index]).astype(np.float32)
        self._tree, self._moments = self._steps.start(tree)
        self._centred, self._found = False, None

    def _integers(self, tree: list[dict[str, Array]]) -> tuple[Parameters, float]:
        found = super()._integers(tree)
        if any(node.bound == 0 for node in self._arch.nodes):  # graded spikes: how large they are is known by now
            self._double = self._largest_sum(found[0]) >= _FLOAT32
        self._passed = []
        return found

    def _parts(self) -> list[Activity]:
        self._passed = super()._parts()
        return self._passed

    def _largest_sum(self, parameters: Parameters) -> float:
        """Return a bound of every sum of the pass that was made last."""
        nodes = self._arch.nodes
        largest = [
            max(float(part.output(n).max(initial=0)) for part in self._passed) for n in range(-1, len(nodes) - 1)
        ]
        sums = [np.abs(weight).sum(axis=0).max() for weight in parameters.weights]
        found = 0.0
        for number, node in enumerate(nodes):
            if node.index >= 0:
                skip = node.skip
                added = 0.0 if skip is None else (skip.scale if skip.index < 0 else sums[skip.index])
                added *= 0.0 if skip is None else largest[skip.source + 1]
                found = max(found, sums[node.index] * largest[number] + added + BIAS_LIMIT)
        return found

    def _bias(self, node: Node, beta: Array, z: list[Array], weights: list[Array]) -> Array:
        bias = self._units[node.index] * beta
        if self._centred:
            count = sum(len(part) for part in z)
            bias = bias - np.sum([part.sum(axis=0, dtype=np.float64) for part in z], axis=0) / count
        return np.clip(np.rint(bias), -BIAS_LIMIT, BIAS_LIMIT)


def _unit(node: Node) -> float:
    assert node.neuron is not None
    return of_neuron(node.neuron).unit(node.neuron)

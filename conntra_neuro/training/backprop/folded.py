"""The straight-through gear for threshold neurons: the scale of their potentials is of no concern.

Potentials are normalised over samples and places, a mean and a variance a channel; that is folded exactly into the
integer bias of the channel at the end. Without normalisation real biases are learned, and folded in the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_neuro.training.architecture.architecture import Node
from conntra_neuro.training.backprop.fold import Normalisation, fold
from conntra_neuro.training.backprop.gear import Array, StraightThrough, moments_of
from conntra_neuro.training.backprop.load import load_folded_steps

__all__ = ["FoldedStraightThrough"]

_STATISTICS = 10_000  # samples that give the means and variances to fold
_STATISTICS_PLACES = 2000  # where each sample has many places
_EPSILON = 1e-3  # as in ``steps``


class FoldedStraightThrough(StraightThrough):
    """See the module."""

    def _prepare(self) -> None:
        self._folded_steps = load_folded_steps()
        self._normalisations: list[Normalisation] = []
        self._unit = 1.0  # of ``width``: the potentials' spread where they are not normalised

    @property
    def _statistics(self) -> int:
        return _STATISTICS if self._arch.is_chain else _STATISTICS_PLACES

    @property
    def _usual_rate(self) -> float:
        return 0.1 if self._normalise else 0.03

    @property
    def normalisations(self) -> list[Normalisation]:
        """The batch normalisation of each hidden layer, the float side of what ``parameters`` returns."""
        self._folded()
        return self._normalisations

    def _train(self, x: Array, y: Array, decay: np.float32) -> tuple[Any, Any]:
        self._tree, self._moments, losses, errors = self._folded_steps.folded_step(
            self._tree,
            self._moments,
            x,
            y,
            decay * np.float32(self._rate_weight),
            decay * self._options.rate,
            np.float32(self._width * self._unit),
            levels=self._task.levels.values,
            arch=self._arch,
            normalise=self._normalise,
        )
        return losses, errors

    def _set_biases(self, tree: list[dict[str, Array]]) -> None:
        """Put thresholds at the median potential where these are not normalised, layer by layer from below."""
        self._started: list[dict[str, Array]] | None = None if self._normalise else tree
        if not self._normalise:
            self._integers(tree)
            self._started = None

    def _integers(self, tree: list[dict[str, Array]]) -> Any:
        self._normalisations = []
        return super()._integers(tree)

    def _bias(self, node: Node, beta: Array, z: list[Array], weights: list[Array]) -> Array:
        if self._started is not None:
            flat = np.concatenate(z).astype(np.float64)
            self._started[node.index]["bias"] = -np.median(flat, axis=0).astype(np.float32)
            beta = self._started[node.index]["bias"].astype(np.float64)
            if node is next(found for found in self._arch.nodes if found.index >= 0):
                self._unit = max(float(flat.std(axis=0).mean()), 1.0)
        one = np.ones_like(beta)
        if self._normalise:
            normalisation = Normalisation(*moments_of(z), one, beta, _EPSILON)
        else:
            normalisation = Normalisation(np.zeros_like(beta), one, one, beta, epsilon=0.0)
        self._normalisations.append(normalisation)
        kernel = np.rint(weights[node.index][:-1])
        return fold(kernel, normalisation, self._task.levels, max(node.largest, 1), self._added(node, weights))[1]

    def _added(self, node: Node, weights: list[Array]) -> int:
        """Return the largest magnitude that a skip connection adds to a potential."""
        if node.skip is None:
            return 0
        source = node.skip.source
        largest = 1 if source < 0 else max(self._arch.nodes[source].bound, 1)
        if node.skip.geometry is None:
            return node.skip.scale * largest
        return int(np.abs(weights[node.skip.index]).sum(axis=0).max()) * largest

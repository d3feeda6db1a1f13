"""Moves of whole weights by one, chosen by averaged scores, within the registers that hold their sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.repair.stage import Stage

__all__ = ["Mover"]

Floats = npt.NDArray[Any]
_MEMORY, _MEMORY_SQUARE = 0.95, 0.99


class Mover:
    """What is known of the scores of a stage's weights, and the moves that follow from it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.average = np.zeros_like(stage.weight)
        self.square = np.zeros_like(stage.weight)
        self.seen = 0
        self._free = np.ones(stage.weight.shape[1], np.bool_)
        if stage.frozen:
            self._free[-stage.frozen :] = False

    def remember(self, scores: Floats, n: int) -> None:
        """Take scores, sums over ``n`` samples, into the averages."""
        mean = scores / n
        self.average += (1 - _MEMORY) * (mean - self.average)
        self.square += (1 - _MEMORY_SQUARE) * (mean**2 - self.square)
        self.seen += 1

    def move(self, fraction: float, fraction_bias: float, rng: np.random.Generator) -> None:
        """Move the best ``fraction`` of the weights by one, and of the biases by their step."""
        stage, weight = self.stage, self.stage.weight
        spread = np.sqrt(self.square / (1 - _MEMORY_SQUARE**self.seen)) + 1e-12
        ratio = self.average / (1 - _MEMORY**self.seen) / spread
        towards = -np.sign(ratio)
        good = np.abs(ratio) * self._free
        kept = good[:-1]
        kept[np.abs(weight[:-1] + towards[:-1]) > stage.most] = 0
        chosen = _best(kept.ravel(), fraction, rng)
        before = weight[:-1].copy() if len(chosen) else weight
        flat = np.unravel_index(chosen, kept.shape)
        weight[flat] += towards[flat]
        self.average[flat] = 0
        units = _best(good[-1], fraction_bias, rng)
        weight[-1, units] += (towards[-1] * stage.step)[units]
        np.clip(weight[-1], -stage.bias_limit, stage.bias_limit, out=weight[-1])
        self.average[-1, units] = 0
        if len(chosen):
            self._hold(before, np.unique(flat[1]))

    def _hold(self, before: Floats, units: npt.NDArray[np.int64]) -> None:
        """Take moves back that let a sum pass its register."""
        stage = self.stage
        own = stage.weight[:-1, units].astype(np.float64)
        reach = np.maximum(stage.largest @ np.maximum(own, 0), stage.largest @ np.maximum(-own, 0))
        beyond = units[reach + np.abs(stage.weight[-1, units]) > stage.limit]
        stage.weight[:-1, beyond] = before[:, beyond]


def _best(good: Floats, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return where the largest of ``good`` are, that share of them on average; none that is 0."""
    count = min(int(fraction * good.size + rng.random()), good.size)
    if not count:
        return np.empty(0, np.int64)
    chosen = np.argpartition(good, good.size - count)[good.size - count :]
    return chosen[good[chosen] > 0]

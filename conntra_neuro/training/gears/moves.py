"""The moves of one layer in the blocks gear: scores averaged, and the best of the weights moved a level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.gears import kernels
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.parameters import BIAS_LIMIT
from conntra_neuro.training.threads import Threads

__all__ = ["LayerMoves", "select_largest"]

_HELD = 0.9  # weight of the past in the means of inputs
_FINE = 2.0**20  # they are multiples of its inverse
_BINS = 4096  # of ``kernels.radix_histogram``


class LayerMoves:
    """Weights (n_in + 1, n_out) of a layer, biases in the last row, and what is known of their scores.

    Where scores are centred, a weight's is that of its input less the input's mean, and biases take back what moves
    of weights do to the mean potentials, so that a move changes what a unit tells samples apart by, and not how often
    it spikes. (Centred inputs: LeCun, Bottou, Orr and Müller, Efficient BackProp, section 4.3, 1998.)
    """

    def __init__(
        self,
        weight: IntArray,
        bias: IntArray,
        levels: Levels,
        sparsity: float,
        floor: float,
        dtype: Any,
        delays: int = 0,
        fixed: IntArray | None = None,
    ) -> None:
        """``delays``: weights have so many more rows of which one counts; see ``layers.delayed``.

        ``fixed`` (inputs, outputs): the delays that a synapse keeps; None: they move as weights do.
        """
        self._levels = levels.array.astype(dtype)
        self._moves, self._floor = _move_table(levels, sparsity), np.float32(floor)
        self.weights: Floats = np.vstack([weight, bias]).astype(dtype)
        self._index = levels.index(weight).astype(np.uint8)
        self._average = np.zeros(self.weights.shape, dtype=np.float32)
        self._square = np.zeros(weight.shape, dtype=np.float32)
        self._benefit = np.empty(weight.size, dtype=np.float32)
        self._slots = delays + 1
        self._fixed = np.empty(0, np.int64) if fixed is None else np.ascontiguousarray(fixed).ravel()
        self._means: npt.NDArray[np.float64] | None = None  # of the inputs; None where nothing is centred
        self._owed = np.zeros(weight.shape[1])  # what biases, being whole, have not taken back yet
        self.price = np.empty(0, dtype=np.float32)  # of a nonzero weight of each row, or row and
        # group of outputs, nats; none where it is free

    def remember(
        self,
        scores: Floats,
        n: int,
        memory: float,
        memory_square: float,
        threads: Threads,
        spikes: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Take ``scores`` (n_in + 1, n_out), sums over ``n`` samples, into the averages; find all benefits.

        ``spikes`` (n_in,): how often each input spiked, where scores are to be centred.
        """
        if spikes is not None:
            scores = self._centred(scores, spikes / n)
        keep, share = np.float32(memory), np.float32(1 / n)
        flat = (self._average[:-1].reshape(-1), self._square.reshape(-1), scores[:-1].reshape(-1))
        args = (keep, np.float32(memory_square), share, self._floor, self._index.reshape(-1), self._moves, self.price)
        threads.run(kernels.add_average, self._benefit.size, *flat, *args, self._benefit, grain=16)
        self._average[-1] = keep * self._average[-1] + (1 - keep) * share * scores[-1].astype(np.float32)

    def _centred(self, scores: Floats, means: npt.NDArray[np.float64]) -> Floats:
        """Return scores of inputs less their means, and follow the means: in multiples of 2^-20, summed exactly."""
        slow = means if self._means is None else _HELD * self._means + (1 - _HELD) * means
        self._means = np.rint(slow * _FINE) / _FINE
        centred = scores.copy()
        centred[:-1] -= (means[:, None] * scores[-1]).astype(scores.dtype)
        return centred

    def _take_back(self, moved: Floats) -> None:
        """Let biases undo what weights, by ``moved`` (n_in, n_out) lower now, did to the mean potentials."""
        assert self._means is not None
        owed = self._means @ moved.astype(np.float64) + self._owed
        whole = np.rint(owed)
        self._owed = owed - whole
        bias = self.weights[-1]
        bias[...] = np.clip(bias + whole, -BIAS_LIMIT, BIAS_LIMIT)

    def move(self, fraction: float, fraction_bias: float, rng: np.random.Generator, threads: Threads) -> None:
        """Move the best ``fraction`` of the weights one level, and of the biases by one."""
        before = None if self._means is None else self.weights[:-1].copy()
        count = _count(fraction * self._benefit.size / self._slots, rng)
        if count and self._slots > 1:
            by_slot = (self._index.reshape(self._slots, -1), np.searchsorted(self._levels, 0), self._slots)
            kernels.one_slot_each(*by_slot, self._fixed, self._benefit.reshape(self._slots, -1))
        if count:
            threshold, ties = select_largest(self._benefit, count, threads)
            flat = (self.weights[:-1].reshape(-1), self._average[:-1].reshape(-1), self._square.reshape(-1))
            args = (self._floor, self._index.reshape(-1), self._moves, self.price, self._benefit.view(np.int32))
            kernels.apply_moves(*flat, *args, self._levels, threshold, ties)
        average, bias = self._average[-1], self.weights[-1]
        count = _count(fraction_bias * bias.size, rng)
        if count:
            best = np.argsort(-np.abs(average), kind="stable")[:count]
            bias[best] = np.clip(bias[best] - np.sign(average[best]), -BIAS_LIMIT, BIAS_LIMIT)
            average[best] = 0
        if before is not None:
            self._take_back(before - self.weights[:-1])

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that the next step depends on."""
        found: dict[str, npt.NDArray[Any]] = {
            "weights": self.weights,
            "average": self._average,
            "square": self._square,
        }
        return found if self._means is None else found | {"means": self._means, "owed": self._owed}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state."""
        self.weights[...] = state["weights"]
        self._average[...] = state["average"]
        self._square[...] = state["square"]
        self._index[...] = np.searchsorted(self._levels, self.weights[:-1])
        if "means" in state:
            self._means, self._owed = np.array(state["means"]), np.array(state["owed"])


def select_largest(values: npt.NDArray[np.float32], count: int, threads: Threads) -> tuple[int, int]:
    """Return (threshold, ties): the ``count`` largest of the positive ``values`` are those whose bits (an int32 of
    the same order, its lowest 7 dropped) exceed ``threshold``, and the first ``ties`` of those that equal it.

    A radix selection in two passes over the bits; the same on any number of threads.
    """
    bits = values.view(np.int32)
    above, prefix = 0, 0
    for shift, prefix_shift in ((19, 32), (7, 19)):
        parts = threads.run(_histogram, bits.size, bits, shift, prefix_shift, prefix)
        counts = np.sum(parts, axis=0)
        larger = above + np.cumsum(counts[::-1])[::-1]  # how many are in this bin or above
        bin_ = int(np.flatnonzero(larger >= count)[-1]) if larger[0] >= count else 0
        above = int(larger[bin_] - counts[bin_])
        prefix = prefix * _BINS + bin_
    return prefix, count - above


def _histogram(bits: npt.NDArray[np.int32], *prefix_and_range: int) -> npt.NDArray[np.int64]:
    """Return the counts (4096,) of ``kernels.radix_histogram`` over a range of ``bits``."""
    *prefix, first, last = prefix_and_range
    counts = np.zeros(_BINS, dtype=np.int64)
    kernels.radix_histogram(bits, *prefix, counts, first, last)
    return counts


def _move_table(levels: Levels, sparsity: float) -> npt.NDArray[np.float32]:
    """Return ``kernels.add_average``'s (6, levels): a move from zero costs ``sparsity`` a unit, one back earns it."""
    array = levels.array
    gaps, prices = np.diff(array), sparsity * np.diff(np.abs(array))
    filled = np.diff((array != 0).astype(np.int64))
    never = 1e30
    rows = ([*gaps, 0], [0, *gaps], [*prices, never], [never, *-prices], [*filled, 0], [0, *-filled])
    return np.array(rows, dtype=np.float32)


def _count(expected: float, rng: np.random.Generator) -> int:
    """Round ``expected`` up or down at random, right on average."""
    return int(expected + rng.random())

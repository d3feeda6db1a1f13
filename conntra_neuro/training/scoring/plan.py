"""What scores of moves depend on besides weights and samples, and what comes of samples: sums that add up exactly.

Whatever scoring returns is a sum over samples of terms that add up exactly (multiples of one power of two in float32,
sums of these in float64, whole numbers elsewhere). So a mini-batch may be split in any way, over threads, buffers or
machines, and its parts added in any order: the sums are the same bits. Largest values alone are no sums: the grid of
terms follows the largest gain of the whole mini-batch. ``Scorer.rounds`` asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.inputs.batches import Batch, Floats, Inputs, StreamedInputs
from conntra_neuro.training.objective import QUANTA, AnyObjective
from conntra_neuro.training.parameters import BIAS_LIMIT
from conntra_neuro.training.penalty import Prices

_LEAKY = 2**17  # 64ths of a sum, and the 24 bits of a current, add up exactly in float32

__all__ = ["LocalSamples", "Plan", "Samples", "Scorer", "Sums", "exact_float"]


def exact_float(arch: Architecture, largest: int) -> Any:
    """Return float32 while all sums of a pass are exact in it, else float64; graded spikes have no bound beforehand.

    ``largest``: the largest magnitude of a level.
    """
    sums = [node.fan_in * largest * max(node.largest, 1) + _looped(node, largest) for node in arch.nodes]
    graded = any(node.bound == 0 for node in arch.nodes)
    leaky = any(node.neuron is not None and node.neuron.facts.form == "leaky" for node in arch.nodes)
    if graded or (leaky and max(sums) + BIAS_LIMIT >= _LEAKY):
        return np.float64
    return np.float64 if max(sums) * arch.steps + 4 * arch.steps * BIAS_LIMIT >= 2**24 else np.float32


def _looped(node: Node, largest: int) -> int:
    """Return the largest sum of what a node's units send each other."""
    return math.prod(node.shape) * largest if node.loop >= 0 else 0


@dataclass(frozen=True)
class Plan:
    """What scores depend on besides weights and samples; the same for the whole training.

    arch        the layers
    largest     the largest magnitude of a level; ``step`` the smallest distance between two
    batch       samples in a mini-batch, at most
    spreads     of each node's potentials at the start; sigma and sigma_end are in their units
    prices      None where cost is no part of the objective
    centred     whether moves of the layers above the first are scored for an input less its mean: see ``LayerMoves``
    """

    arch: Architecture
    largest: int
    step: int
    batch: int
    objective: AnyObjective
    spreads: tuple[float, ...]
    sigma: float
    sigma_end: float
    prices: Prices | None = None
    centred: bool = False

    @property
    def dtype(self) -> Any:
        """float32 while every potential is exact in it, else float64."""
        return exact_float(self.arch, self.largest)

    def prices_at(self, time: float) -> Prices | None:
        """Return the prices at ``time`` from 0 to 1 over the training. They rise from a tenth to the whole:

        what is cheap and useful has to be found before it can be kept.
        """
        return None if self.prices is None else self.prices.times(min(1.0, 0.1 + time))

    def sigma_at(self, number: int, time: float) -> float:
        """Return the noise of a node's thresholds, in units of potential; ``time`` from 0 to 1 over the training."""
        return max(self.spreads[number] * self.sigma * (self.sigma_end / self.sigma) ** time, 0.25)


@dataclass(frozen=True)
class Sums:
    """Sums over samples: exact, so that parts add up to the same bits in any order.

    scores   (inputs of a unit + 1, outputs) of all weights, the bias in the last row; none where the samples were only
             evaluated
    loss     in quanta of 2^-32 nats, and the number of ``wrong`` predictions
    spikes   of every unit of each node below the readout, flat; none where spikes are free and nothing is centred
    """

    scores: list[Floats]
    loss: int
    wrong: int
    spikes: list[npt.NDArray[np.float64]]

    @property
    def nats(self) -> float:
        """The loss in nats."""
        return self.loss / QUANTA

    def __add__(self, other: Sums) -> Sums:
        scores = [a + b for a, b in zip(self.scores, other.scores, strict=True)]
        spikes = [a + b for a, b in zip(self.spikes, other.spikes, strict=True)]
        return Sums(scores, self.loss + other.loss, self.wrong + other.wrong, spikes)


class Samples(Protocol):
    """The training samples, wherever they are."""

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes (n_in,), time step by time step."""
        ...

    def score(self, rows: IntArray, shifts: IntArray | None, time: float) -> Sums:
        """Score the samples ``rows``, images moved by ``shifts`` (rows, 2). The scores last until the next call."""
        ...

    def evaluate(self) -> Sums:
        """Return losses, errors and spikes of all samples, without scores."""
        ...


class Scorer(Protocol):
    """Scores all moves on mini-batches; it reads the weights anew at every call."""

    @property
    def input_type(self) -> Any:
        """The type of inputs that it takes as matrices."""
        ...

    def rounds(self, batch: Batch, y: npt.NDArray[np.int64], time: float) -> Generator[float, float, Sums]:
        """Score all moves on a mini-batch; ``time`` runs from 0 to 1 over the training.

        Yields largest values of ``batch`` and takes those of the whole mini-batch, of which it may be a part.
        """
        ...

    def evaluate(self, inputs: Inputs | StreamedInputs, y: npt.NDArray[np.int64]) -> Sums:
        """Return losses, errors and spikes of all samples."""
        ...


@dataclass(frozen=True, eq=False)
class LocalSamples:
    """Samples in this process, and the scorer that they are given to."""

    inputs: Inputs | StreamedInputs
    y: npt.NDArray[np.int64]
    scorer: Scorer

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes (n_in,), time step by time step."""
        return self.inputs.rates

    def score(self, rows: IntArray, shifts: IntArray | None, time: float) -> Sums:
        """Score the samples ``rows``."""
        rounds = self.rounds(rows, shifts, time)
        try:
            peak = next(rounds)
            while True:
                peak = rounds.send(peak)
        except StopIteration as ended:
            return ended.value

    def rounds(self, rows: IntArray, shifts: IntArray | None, time: float) -> Generator[float, float, Sums]:
        """As ``Scorer.rounds``, of the samples ``rows``."""
        return self.scorer.rounds(self.inputs.batch(rows, self.scorer.input_type, shifts), self.y[rows], time)

    def evaluate(self) -> Sums:
        """Return losses, errors and spikes of all samples."""
        return self.scorer.evaluate(self.inputs, self.y)

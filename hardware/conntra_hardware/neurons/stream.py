"""Streams: input that never ends, a few rows at a time, with all state kept from call to call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, IntArray, as_spikes
from conntra_hardware.neurons.base import Neuron, State

__all__ = ["Arrival", "Stage", "Stream"]


@dataclass(frozen=True, eq=False)
class Arrival:
    """A way into a stage: from stage ``source`` (-1: the input), ``lag`` rows later, as the sums (n, size) of rows."""

    source: int
    lag: int
    sums: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Stage:
    """Neurons, or None where sums are handed on, with their bias and what arrives; a stage may be its own source."""

    neuron: Neuron | None
    size: int
    bias: IntArray | int
    arrivals: tuple[Arrival, ...]


class Stream:
    """Stages that run on from one call of ``push`` to the next; see ``DiscreteNetwork.stream``.

    ``rows`` is how many it has run, ``sent`` what each stage sent at those of the last call, (rows, size).
    """

    def __init__(self, n_in: int, stages: Sequence[Stage]) -> None:
        self._n_in, self._stages = n_in, tuple(stages)
        lags = [(a.source, a.lag) for stage in stages for a in stage.arrivals]
        self._sizes = {-1: n_in} | {index: stage.size for index, stage in enumerate(stages)}
        self._keeps = {source: max([lag for s, lag in lags if s == source], default=0) for source in self._sizes}
        self.reset()

    def reset(self) -> None:
        """Begin anew: no state, and nothing on its way."""
        self.rows = 0
        self.sent: list[npt.NDArray[Any]] = []
        self._states: list[State | None] = [None] * len(self._stages)
        self._past = {source: np.zeros((self._keeps[source], size), np.int64) for source, size in self._sizes.items()}

    def push(self, spikes: ArrayLike) -> IntArray:
        """Run the next rows, 0/1 ``spikes`` (rows, n_in); return what the last stage sends at each, (rows, n_out).

        Of a readout its potential after each row, int64. InputError for anything else than spikes of that shape.
        """
        new = as_spikes(spikes, self._n_in)
        found: dict[int, npt.NDArray[Any]] = {-1: np.concatenate([self._past[-1], new.astype(np.int64)])}
        for index, stage in enumerate(self._stages):
            sent = self._run(index, stage, found, len(new))
            found[index] = np.concatenate([self._past[index], sent.astype(np.int64)])
        self._past = {source: values[len(values) - self._keeps[source] :] for source, values in found.items()}
        self.rows += len(new)
        self.sent = [found[index][self._keeps[index] :] for index in range(len(self._stages))]
        return found[len(self._stages) - 1][self._keeps[len(self._stages) - 1] :]

    def _run(self, index: int, stage: Stage, found: dict[int, npt.NDArray[Any]], rows: int) -> IntArray:
        sums = np.zeros((rows, stage.size), np.int64)
        for arrival in stage.arrivals:
            if arrival.source != index:
                first = self._keeps[arrival.source] - arrival.lag
                sums += arrival.sums(found[arrival.source][first : first + rows])
        own = [arrival for arrival in stage.arrivals if arrival.source == index]
        if stage.neuron is None:
            return sums
        if not own:
            return self._advance(index, stage.neuron, stage.bias, sums)
        # A row at a time, for what arrives at one was sent before it.
        sent = np.concatenate([self._past[index], np.zeros((rows, stage.size), np.int64)])
        for row in range(rows):
            at = self._keeps[index] + row
            total = sums[row : row + 1]
            for arrival in own:
                total = total + arrival.sums(sent[at - arrival.lag : at - arrival.lag + 1])
            sent[at] = self._advance(index, stage.neuron, stage.bias, total)[0]
        return sent[self._keeps[index] :]

    def _advance(self, index: int, neuron: Neuron, bias: IntArray | int, sums: IntArray) -> IntArray:
        after = neuron.advance(sums[None], bias, self._states[index])
        self._states[index] = after.state or None
        return after.sent[0]

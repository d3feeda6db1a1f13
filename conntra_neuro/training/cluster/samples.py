"""The training samples in parts that others hold: each scores its share of a mini-batch, and the sums are added up.

They add up exactly, so the network is the one that a single machine finds, bit for bit. What goes out is the moves
since the version of the weights that a part has. A part that was loaded anew, its holder lost, answers that it is
behind and is sent whole weights. Knows no transport: ``Holders`` is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training.cluster.shards import Answer, Ask, Packed, Versions, merged
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.inputs.bits import rates_of
from conntra_neuro.training.scoring.plan import Plan, Sums
from conntra_neuro.training.task import Task

__all__ = ["Holders", "PartedSamples"]


class Holders(Protocol):
    """Whoever holds the parts, one each or several, and loads a part anew where it is lost."""

    @property
    def count(self) -> int:
        """How many there are to begin with."""
        ...

    def load(self, part: int, packed: Packed, plan: Plan) -> None:
        """Have holder ``part`` hold a part, as a ``Shard``."""
        ...

    def answer(self, asks: Sequence[Ask]) -> Answer:
        """Return what the parts asked answer together."""
        ...


class PartedSamples:
    """The training samples of ``task``, as ``Samples``; ``weights`` change in place at every step."""

    def __init__(self, holders: Holders, plan: Plan, task: Task, weights: Sequence[Floats]) -> None:
        self._holders, self._task = holders, task
        self._versions, self._number = Versions(weights), 0
        count = min(holders.count, len(task.y))
        self._edges = np.linspace(0, len(task.y), count + 1).astype(np.int64)
        self._known: list[int | None] = [None] * count
        for part in range(count):
            rows = slice(self._edges[part], self._edges[part + 1])
            holders.load(part, Packed.of(task, rows), plan)

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes (n_in,)."""
        return self._rates

    @cached_property
    def _rates(self) -> npt.NDArray[np.float64]:
        return rates_of(self._task.spikes)

    def score(self, rows: IntArray, shifts: IntArray | None, time: float) -> Sums:
        """Score the samples ``rows``; see ``Samples``."""
        part_of = np.searchsorted(self._edges, rows, side="right") - 1
        mine = {int(part): np.flatnonzero(part_of == part) for part in np.unique(part_of)}
        peaks: tuple[float, ...] = ()

        def ask(part: int) -> Ask:
            at = mine[part]
            local = (rows[at] - self._edges[part]).astype(np.int32)
            moved = None if shifts is None else shifts[at].astype(np.int16)
            update = self._versions.update(self._known[part])
            return Ask(part, self._number, update, local, moved, time, peaks)

        self._begin()
        while True:
            answer = self._answer(list(mine), ask)
            if answer.sums is not None:
                return answer.sums
            assert answer.peak is not None
            peaks = (*peaks, answer.peak)

    def evaluate(self) -> Sums:
        """Return losses, errors and spikes of all samples."""
        self._begin()
        parts = list(range(len(self._known)))
        found = self._answer(parts, lambda part: Ask(part, self._number, self._versions.update(self._known[part])))
        assert found.sums is not None
        return found.sums

    def _begin(self) -> None:
        self._versions.look()
        self._number += 1

    def _answer(self, parts: list[int], ask: Callable[[int], Ask]) -> Answer:
        """Return what ``parts`` answer together; those that are behind are asked again, with whole weights."""
        found: list[Answer] = []
        while parts:
            answer = self._holders.answer([ask(part) for part in parts])
            for part in parts:
                self._known[part] = None if part in answer.behind else self._versions.number
            if set(parts) != set(answer.behind):
                found.append(answer)
            parts = list(answer.behind)
        return merged(found)

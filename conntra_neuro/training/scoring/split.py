"""Mini-batches in as many parts as there are threads: each thread takes its samples through the whole network.

That keeps every core busy in all of a step, where threads within each product would wait for what lies between them.
Sums are exact, so they have the same bits as those of one part.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.scoring.layers import LayerScorer
from conntra_neuro.training.scoring.plan import LocalSamples, Sums
from conntra_neuro.training.threads import Threads

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = ["SplitSamples", "is_worth_splitting"]

_LEAST = 5e7  # multiplications of a part of a mini-batch: below, handing it over takes longer than it saves


def is_worth_splitting(arch: Architecture, batch: int, count: int) -> bool:
    """Say whether ``count`` threads are better off with parts of a mini-batch than with parts of each product."""
    if count < 2 or not any(node.geometry for node in arch.nodes):
        return False
    return multiplications(arch) * batch / count >= _LEAST


def multiplications(arch: Architecture) -> int:
    """Return the multiplications of a forward pass of one sample."""
    shapes = dict(enumerate(arch.weight_shapes))
    places = {node.index: node.geometry.positions if node.geometry else 1 for node in arch.nodes if node.index >= 0}
    return arch.steps * sum(shapes[index][0] * shapes[index][1] * count for index, count in places.items())


@dataclass(frozen=True, eq=False)
class SplitSamples(LocalSamples):
    """Samples in this process, scored and evaluated in ``parts``, each by a scorer of one thread."""

    threads: Threads
    parts: tuple[LayerScorer, ...]
    blas: ThreadpoolController = field(default_factory=lambda: _controller())

    def score(self, rows: IntArray, shifts: IntArray | None, time: float) -> Sums:
        """Score the samples ``rows``."""
        if len(rows) < len(self.parts):
            return super().score(rows, shifts, time)
        waiting: list[Generator[float, float, Sums] | None] = [None] * len(self.parts)

        def advance(part: int, own: slice, peak: float | None) -> float | Sums:
            rounds = waiting[part]
            try:
                if rounds is not None:
                    return rounds.send(peak)  # type: ignore[arg-type]
                scorer, moved = self.parts[part], None if shifts is None else shifts[own]
                batch = self.inputs.batch(rows[own], scorer.input_type, moved)
                waiting[part] = rounds = scorer.rounds(batch, self.y[rows[own]], time)
                return next(rounds)
            except StopIteration as ended:
                return ended.value

        peak: float | None = None
        while True:
            found = self._each(len(rows), advance, peak)
            sums = [part for part in found if isinstance(part, Sums)]
            if sums:
                return reduce(add, sums)
            peak = max(found)

    def evaluate(self) -> Sums:
        """Return losses, errors and spikes of all samples."""
        if len(self.y) < len(self.parts):
            return super().evaluate()

        def evaluate(part: int, own: slice) -> Sums:
            return self.parts[part].evaluate_rows(self.inputs, self.y, own)

        return reduce(add, self._each(len(self.y), evaluate))

    def _each(self, n: int, do: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Return ``do(part, samples of the part out of n, *arguments)`` of each part, which has a thread of its own."""
        bounds = np.linspace(0, n, len(self.parts) + 1).astype(int).tolist()

        def some(first: int, last: int) -> list[Any]:
            return [do(part, slice(bounds[part], bounds[part + 1]), *arguments) for part in range(first, last)]

        with self.blas.limit(limits=1, user_api="blas"):
            return [found for each in self.threads.run(some, len(self.parts)) for found in each]


def _controller() -> ThreadpoolController:
    """Return what sets the threads of BLAS, whose own would get in the way of those here."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

"""Training samples in parts: what goes to a worker and back, and what a worker does. Knows no transport.

A worker holds a ``Shard``: samples, and the weights of the last version it has seen. Weights are a cache: an ``Ask``
says which version it is about and carries the moves that lead there; a shard that has just been loaded, on another
worker say, answers that it is behind, and is sent the whole weights. So an answer is a function of the shard's
samples and the ask, and a lost shard costs time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib.metadata import version
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training.architecture.architecture import architecture_of
from conntra_neuro.training.architecture.words import Neurons
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.inputs.bits import BitSpikes
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.scoring import samples_of, scorer_of
from conntra_neuro.training.scoring.plan import Plan, Sums
from conntra_neuro.training.task import Task
from conntra_neuro.training.threads import Threads

__all__ = ["Answer", "Ask", "Moves", "Packed", "Shard", "Update", "Versions", "fingerprint", "merged"]

_REMEMBERED = 8  # versions whose moves are kept, for parts that had no sample in some mini-batches
_SHARE = 6  # moves take six bytes, weights no more than two: more moves than a sixth are sent as weights

Weights = tuple[npt.NDArray[np.signedinteger[Any]], ...]


@dataclass(frozen=True)
class Moves:
    """What changed in a step: flat places in all weights (inputs of a unit + 1, outputs), and the values there."""

    places: tuple[npt.NDArray[np.uint32], ...]
    values: Weights


@dataclass(frozen=True)
class Update:
    """The way to ``version``: the ``moves`` of every version after ``since``, or ``whole`` weights."""

    version: int
    since: int = 0
    moves: tuple[Moves, ...] = ()
    whole: Weights | None = None


@dataclass(frozen=True)
class Ask:
    """Score ``rows`` of ``part`` (None: evaluate all of it) at a version; see ``Samples.score``.

    number   of the ask: an answer in several rounds is one ask's
    peaks    what ``Scorer.rounds`` has asked for so far
    """

    part: int
    number: int
    update: Update
    rows: IntArray | None = None
    shifts: IntArray | None = None
    time: float = 0.0
    peaks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What parts answer together: sums; or a ``peak``, which asks for another round. Not of those that are ``behind``:

    they need whole weights first. ``fingerprints`` of who computed; see ``fingerprint``.
    """

    fingerprints: frozenset[str]
    sums: Sums | None = None
    peak: float | None = None
    behind: tuple[int, ...] = ()


def merged(answers: Sequence[Answer]) -> Answer:
    """Return the answers of several parts as one. The sums are exact: the order does not matter."""
    sums = [answer.sums for answer in answers if answer.sums is not None]
    peaks = [answer.peak for answer in answers if answer.peak is not None]
    return Answer(
        frozenset().union(*(answer.fingerprints for answer in answers)),
        reduce(add, sums) if sums else None,
        max(peaks) if peaks else None,
        tuple(part for answer in answers for part in answer.behind),
    )


@dataclass(frozen=True)
class Packed:
    """Samples on their way to a worker: spikes (n, n_in) as bits, and class indices."""

    bits: npt.NDArray[np.uint8]
    n_in: int
    y: IntArray
    image: ImageShape | None

    @classmethod
    def of(cls, task: Task, rows: slice) -> Packed:
        """Pack ``rows`` of the training samples."""
        spikes = task.spikes
        bits = spikes.packed(rows) if isinstance(spikes, BitSpikes) else np.packbits(spikes[rows], axis=1)
        return cls(bits, spikes.shape[1], _narrow(task.y[rows]), task.stored_image)

    @property
    def nbytes(self) -> int:
        """Bytes to send."""
        return self.bits.nbytes + self.y.nbytes


class Shard:
    """Samples in the memory of a worker, and the weights that it has seen last."""

    def __init__(self, packed: Packed, plan: Plan, threads: int) -> None:
        self._packed, self._plan, self._threads = packed, plan, threads
        pool = Threads(threads)
        self._weights: list[Floats] = [np.zeros((rows + 1, n), plan.dtype) for rows, n in plan.arch.weight_shapes]
        self._version = -1
        y = packed.y.astype(np.int64)
        spikes = np.unpackbits(packed.bits, axis=1, count=packed.n_in)
        self._samples = samples_of(scorer_of(plan, self._weights, len(y), pool), spikes, y, packed.image)
        self._waiting: tuple[int, int, Generator[float, float, Sums]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as what it was made of, should a scheduler want to move it; weights follow with the next ask."""
        return Shard, (self._packed, self._plan, self._threads)

    def __sizeof__(self) -> int:
        """Bytes, roughly: schedulers weigh them against the time that moving a shard would save."""
        return self._packed.nbytes * 8 + sum(w.nbytes for w in self._weights) * 2

    def answer(self, ask: Ask) -> Answer:
        """Answer ``ask``."""
        here = frozenset([fingerprint()])
        if not self._follow(ask.update):
            return Answer(here, behind=(ask.part,))
        if ask.rows is None:
            return Answer(here, self._samples.evaluate())
        try:
            peak = self._round(ask)
        except StopIteration as ended:
            return Answer(here, ended.value)
        return Answer(here, peak=peak)

    def _round(self, ask: Ask) -> float:
        """Go on with the ask where it waits, else begin it and catch up with what has been agreed."""
        waiting, self._waiting = self._waiting, None
        if ask.peaks and waiting is not None and waiting[:2] == (ask.number, len(ask.peaks) - 1):
            rounds = waiting[2]
            peak = rounds.send(ask.peaks[-1])
        else:
            assert ask.rows is not None
            rounds = self._samples.rounds(ask.rows, ask.shifts, ask.time)
            peak = next(rounds)
            for agreed in ask.peaks:
                peak = rounds.send(agreed)
        self._waiting = (ask.number, len(ask.peaks), rounds)
        return peak

    def _follow(self, update: Update) -> bool:
        """Take the weights to the version of ``update``; False where it does not lead there from here."""
        if update.version == self._version:
            return True
        if update.whole is not None:
            for weights, whole in zip(self._weights, update.whole, strict=True):
                weights[...] = whole
        elif update.since <= self._version < update.version:
            for moves in update.moves[self._version - update.since :]:
                for weights, places, values in zip(self._weights, moves.places, moves.values, strict=True):
                    weights.reshape(-1)[places] = values
        else:
            return False
        self._version = update.version
        return True


class Versions:
    """The coordinator's side: weights that change in place, numbered, and what changed from one to the next."""

    def __init__(self, weights: Sequence[Floats]) -> None:
        self._weights, self._seen = weights, [w.copy() for w in weights]
        self._moves: deque[Moves] = deque(maxlen=_REMEMBERED)
        self.number = 0

    def look(self) -> None:
        """Number the weights as they are: a new version where any has changed since the last look."""
        places = [np.flatnonzero(new != old) for new, old in zip(self._weights, self._seen, strict=True)]
        changed = sum(place.size for place in places)
        if not changed:
            return
        self.number += 1
        for new, old in zip(self._weights, self._seen, strict=True):
            old[...] = new
        if changed * _SHARE > sum(w.size for w in self._weights):
            self._moves.clear()
            return
        values = tuple(_narrow(w.reshape(-1)[at]) for w, at in zip(self._weights, places, strict=True))
        self._moves.append(Moves(tuple(at.astype(np.uint32) for at in places), values))

    def update(self, known: int | None) -> Update:
        """Return what leads from version ``known`` to the last; None knows nothing."""
        since = self.number - len(self._moves)
        if known is None or known < since:
            return Update(self.number, whole=tuple(_narrow(w) for w in self._weights))
        return Update(self.number, known, tuple(self._moves)[known - since :])


def _narrow(values: npt.NDArray[Any]) -> npt.NDArray[np.signedinteger[Any]]:
    """Return whole numbers in the narrowest signed integers that hold them."""
    largest = int(np.abs(values).max()) if values.size else 0
    for kind in (np.int8, np.int16, np.int32):
        if largest <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.int64)


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return the version here, and what a small scoring comes out as. Machines whose exponentials or logarithms

    differ in the last bit (other processors, other versions of NumPy) cannot train one network together bit for bit.
    """
    rng = np.random.Generator(np.random.Philox(7))
    x, y = rng.integers(0, 2, (256, 48)).astype(np.uint8), rng.integers(0, 10, 256)
    arch = architecture_of((64,), Neurons(), 48, None, 10, 1)
    plan = Plan(arch, 1, 1, 256, Objective(0.173), (4.0, 4.0), 0.4, 0.19)
    weights = [rng.integers(-1, 2, (rows + 1, n)).astype(np.float32) for rows, n in arch.weight_shapes]
    digest = hashlib.sha256()
    with Threads(1) as threads:
        samples = samples_of(scorer_of(plan, weights, 256, threads), x, y)
        for time in (0.0, 0.3, 0.6, 0.9):
            for score in samples.score(np.arange(256), None, time).scores:
                digest.update(score.tobytes())
    return f"{version('conntra-neuro')} {digest.hexdigest()[:16]}"

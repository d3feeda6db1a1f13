"""The training samples on Dask workers: each scores its part of a mini-batch, and the sums are added up.

They add up exactly, so the network is the one that a single machine finds, bit for bit. What goes out is the moves
since the version of the weights that a worker has. Dask loads a lost worker's part on another one, which answers that
it is behind and is sent whole weights.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import distributed
import numpy as np
import numpy.typing as npt
from distributed.scheduler import KilledWorker

from conntra_hardware.arrays import IntArray
from conntra_hardware.errors import BackendError
from conntra_neuro.training.cluster.shards import Answer, Ask, Packed, Shard, Versions, fingerprint, merged
from conntra_neuro.training.inputs import Floats
from conntra_neuro.training.scoring import Plan, Sums
from conntra_neuro.training.task import Task

__all__ = ["ClusterSamples", "DaskCrew"]

_LOOK_S = 5.0  # between looks at who is there
_LOST_S = 60.0  # that a new worker may take to appear when all are lost
_FAN_IN = 4  # answers that are added up in one place; more go through workers first
_RESUME = "with --checkpoint a training can be resumed, on a cluster or without"


class DaskCrew:
    """Workers that can be given samples."""

    def __init__(self, client: distributed.Client, address: str) -> None:
        self._client, self._address = client, address
        self._given: list[ClusterSamples] = []

    def share(self, plan: Plan, task: Task, weights: Sequence[Floats]) -> ClusterSamples:
        """Give each worker a part of the samples of ``task``; ``weights`` change in place at every step."""
        self._given.append(ClusterSamples(self._client, self._address, plan, task, weights))
        return self._given[-1]

    def close(self) -> None:
        """Let go of what workers hold."""
        for samples in self._given:
            samples.release()


class ClusterSamples:
    """The training samples on workers, as ``Samples``; a part for each worker that is there at the start."""

    def __init__(
        self, client: distributed.Client, address: str, plan: Plan, task: Task, weights: Sequence[Floats]
    ) -> None:
        self._client: Any = client  # Dask's own annotations say that every answer may be a coroutine: never here
        self._address, self._plan, self._task = address, plan, task
        self._versions, self._number, self._looked = Versions(weights), 0, time.monotonic()
        workers = sorted(self._client.nthreads())[: len(task.y)]
        self._edges = np.linspace(0, len(task.y), len(workers) + 1).astype(np.int64)
        self._known: list[int | None] = [None] * len(workers)
        self._shards = [self._load(part, worker) for part, worker in enumerate(workers)]

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes (n_in,)."""
        return self._rates

    @cached_property
    def _rates(self) -> npt.NDArray[np.float64]:
        return self._task.spikes.mean(axis=0, dtype=np.float64)

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
        parts = list(range(len(self._shards)))
        found = self._answer(parts, lambda part: Ask(part, self._number, self._versions.update(self._known[part])))
        assert found.sums is not None
        return found.sums

    def release(self) -> None:
        """Let go of the parts; workers free them."""
        self._shards = []

    def _begin(self) -> None:
        self._versions.look()
        self._number += 1
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            self._guarded(self._spread)

    def _load(self, part: int, worker: str) -> distributed.Future:
        """Have ``worker`` load a part, or any other one where that is lost, now or later."""
        rows = slice(self._edges[part], self._edges[part + 1])
        packed = Packed.of(self._task.spikes[rows], self._task.y[rows], self._task.image)
        threads = self._client.nthreads().get(worker, 1)
        self._known[part] = None
        options: dict[str, Any] = {"workers": [worker], "allow_other_workers": True, "pure": False}
        return self._client.submit(Shard, packed, self._plan, threads, **options)

    def _spread(self) -> None:
        """Give a part of a worker that has several to one that has none: one that came back, or a new one."""
        parts_at: dict[str, list[int]] = {worker: [] for worker in self._client.nthreads()}
        holders = self._client.who_has(self._shards)
        for part, shard in enumerate(self._shards):
            for worker in list(holders.get(shard.key, ()))[:1]:
                parts_at.setdefault(worker, []).append(part)
        idle = sorted(worker for worker, parts in parts_at.items() if not parts)
        spare = [part for parts in parts_at.values() for part in parts[1:]]
        for worker, part in zip(idle, spare, strict=False):
            self._shards[part] = self._load(part, worker)

    def _answer(self, parts: list[int], ask: Callable[[int], Ask]) -> Answer:
        """Return what ``parts`` answer together; those that are behind are asked again, with whole weights."""
        found: list[Answer] = []
        while parts:
            asks, shards = [ask(part) for part in parts], [self._shards[part] for part in parts]
            answer = self._guarded(lambda shards=shards, asks=asks: self._gather(shards, asks))
            self._check(answer)
            for part in parts:
                self._known[part] = None if part in answer.behind else self._versions.number
            if set(parts) != set(answer.behind):
                found.append(answer)
            parts = list(answer.behind)
        return merged(found)

    def _gather(self, shards: list[distributed.Future], asks: list[Ask]) -> Answer:
        futures = self._client.map(Shard.answer, shards, asks, pure=False)
        while len(futures) > _FAN_IN:
            groups = [futures[first : first + _FAN_IN] for first in range(0, len(futures), _FAN_IN)]
            futures = [self._client.submit(merged, group, pure=False) for group in groups]
        lost_since: float | None = None
        while True:
            with suppress(TimeoutError, asyncio.TimeoutError), self._client.as_current():
                distributed.wait(futures, timeout=_LOOK_S)
                return merged(self._client.gather(futures))
            now = time.monotonic()
            lost_since = None if self._client.nthreads() else lost_since or now
            if lost_since is not None and now - lost_since > _LOST_S:
                raise BackendError(f"cluster {self._address}: all workers are lost; {_RESUME}")

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Call, and say in one line what went wrong with the cluster."""
        try:
            return call()
        except KilledWorker as error:
            raise BackendError(
                f"cluster {self._address}: workers died over one part of the samples, perhaps out of memory; "
                "use more workers"
            ) from error
        except ModuleNotFoundError as error:
            raise BackendError(
                f"cluster {self._address}: {error.name} is not installed on a worker; remedy there: "
                'pip install "conntra-neuro[cluster]", the version that is installed here'
            ) from error
        except (OSError, concurrent.futures.CancelledError, asyncio.CancelledError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise BackendError(f"cluster {self._address}: the scheduler is lost ({said}); {_RESUME}") from error

    def _check(self, answer: Answer) -> None:
        if answer.fingerprints != {fingerprint()}:
            raise BackendError(
                f"cluster {self._address}: a worker's exponentials or logarithms differ in the last bit from those "
                "here, so the result would depend on who computes; use the same processors and versions everywhere"
            )

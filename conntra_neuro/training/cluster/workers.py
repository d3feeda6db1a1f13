"""Dask workers as holders of the samples' parts.

Dask loads a lost worker's part on another one; a worker that comes back, or a new one, is given a part of one that
has several.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import distributed
from distributed.scheduler import KilledWorker

from conntra_hardware.base.errors import BackendError, ConntraError
from conntra_neuro.training.cluster.samples import PartedSamples
from conntra_neuro.training.cluster.shards import Answer, Ask, Packed, Shard, fingerprint, merged
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.scoring.plan import Plan
from conntra_neuro.training.task import Task

__all__ = ["DaskCrew", "DaskHolders"]

_LOOK_S = 5.0  # between looks at who is there
_LOST_S = 60.0  # that a new worker may take to appear when all are lost
_FAN_IN = 4  # answers that are added up in one place; more go through workers first
_RESUME = "with --checkpoint a training can be resumed, on a cluster or without"


class DaskCrew:
    """Workers that can be given samples."""

    def __init__(self, client: distributed.Client, address: str) -> None:
        self._client, self._address = client, address
        self._given: list[DaskHolders] = []

    def share(self, plan: Plan, task: Task, weights: Sequence[Floats]) -> PartedSamples:
        """Give each worker a part of the samples of ``task``; ``weights`` change in place at every step."""
        self._given.append(DaskHolders(self._client, self._address))
        return PartedSamples(self._given[-1], plan, task, weights)

    def close(self) -> None:
        """Let go of what workers hold."""
        for holders in self._given:
            holders.release()


class DaskHolders:
    """A part for each worker that is there at the start, as ``Holders``."""

    def __init__(self, client: distributed.Client, address: str) -> None:
        self._client: Any = client  # Dask's own annotations say that every answer may be a coroutine: never here
        self._address, self._looked = address, time.monotonic()
        self._workers = self._guarded(lambda: sorted(self._client.nthreads()))
        self._loaded: list[tuple[Packed, Plan]] = []
        self._shards: list[distributed.Future] = []

    @property
    def count(self) -> int:
        """Number of workers at the start."""
        return len(self._workers)

    def load(self, part: int, packed: Packed, plan: Plan) -> None:
        """Have a worker load a part."""
        assert part == len(self._shards)
        self._loaded.append((packed, plan))
        self._shards.append(self._guarded(lambda: self._place(part, self._workers[part])))

    def answer(self, asks: Sequence[Ask]) -> Answer:
        """Return what the parts asked answer together."""
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            self._guarded(self._spread)
        answer = self._guarded(lambda: self._gather(asks))
        self._check(answer)
        return answer

    def release(self) -> None:
        """Let go of the parts; workers free them."""
        self._shards, self._loaded = [], []

    def _place(self, part: int, worker: str) -> distributed.Future:
        """Have ``worker`` load a part, or any other one where that is lost, now or later."""
        threads = self._client.nthreads().get(worker, 1)
        options: dict[str, Any] = {"workers": [worker], "allow_other_workers": True, "pure": False}
        return self._client.submit(Shard, *self._loaded[part], threads, **options)

    def _spread(self) -> None:
        parts_at: dict[str, list[int]] = {worker: [] for worker in self._client.nthreads()}
        holders = self._client.who_has(self._shards)
        for part, shard in enumerate(self._shards):
            for worker in list(holders.get(shard.key, ()))[:1]:
                parts_at.setdefault(worker, []).append(part)
        idle = sorted(worker for worker, parts in parts_at.items() if not parts)
        spare = [part for parts in parts_at.values() for part in parts[1:]]
        for worker, part in zip(idle, spare, strict=False):
            self._shards[part] = self._place(part, worker)

    def _gather(self, asks: Sequence[Ask]) -> Answer:
        shards = [self._shards[ask.part] for ask in asks]
        futures = self._client.map(Shard.answer, shards, list(asks), pure=False)
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
        where = f"cluster {self._address}"
        try:
            return call()
        except ConntraError:
            raise
        except KilledWorker as error:
            raise BackendError(
                f"{where}: workers died over one part of the samples, perhaps out of memory; use more workers"
            ) from error
        except ModuleNotFoundError as error:
            raise BackendError(
                f"{where}: {error.name} is not installed on a worker; remedy there: "
                'pip install "conntra-neuro[cluster]", the version that is installed here'
            ) from error
        except (OSError, concurrent.futures.CancelledError, asyncio.CancelledError) as error:
            raise BackendError(f"{where}: the scheduler is lost ({_line(error)}); {_RESUME}") from error
        except Exception as error:
            raise BackendError(f"{where}: a worker failed ({_line(error)}); {_RESUME}") from error

    def _check(self, answer: Answer) -> None:
        for found in answer.fingerprints - {fingerprint()}:
            theirs, ours = found.split()[0], fingerprint().split()[0]
            if theirs != ours:
                raise BackendError(
                    f"cluster {self._address}: a worker has conntra-neuro {theirs}, here is {ours}; install the same"
                )
            raise BackendError(
                f"cluster {self._address}: a worker's exponentials or logarithms differ in the last bit from those "
                "here, so the result would depend on who computes; use the same processors and versions everywhere"
            )


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__

"""Trainings side by side: on the cores of this machine, a process each, or on Dask workers.

A network is the same on any number of threads, so it does not matter who trains it. A process is given the samples
once and then one recipe after the other; it ends when the search does.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from conntra_hardware.base.errors import BackendError, InputError
from conntra_neuro.datasets import Dataset
from conntra_neuro.search.trials import tuning_split

__all__ = ["Job", "Work", "answer", "workers"]

_WORKER = "conntra_neuro.search.worker"
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """A training on the tuning split of ``seed``, which is the training's seed, too."""

    recipe: Mapping[str, Any]
    sweeps: int
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """All that the result depends on, beside the data."""
        return {**self.recipe, "sweeps": self.sweeps, "seed": self.seed}


def answer(data: Dataset, settings: Mapping[str, Any], threads: int | None) -> dict[str, Any]:
    """Train on the tuning split of ``settings["seed"]``; return error, training error (fractions) and seconds."""
    from conntra_neuro.training import train

    trained = train(tuning_split(data, settings["seed"]), threads=threads, **settings)
    return {"error": trained.test_error, "train_error": trained.train_error, "seconds": trained.train_seconds}


Work = Callable[[Sequence[Job]], Iterator[tuple[int, dict[str, Any]]]]


@contextmanager
def workers(data: Dataset, cluster: str | None) -> Iterator[Work]:
    """Yield ``work(jobs)``, which yields (index, result) of each job as it is done; who works begins at the first one.

    ``work`` raises InputError for a recipe that cannot be trained, BackendError for a process or cluster that is lost.
    """
    from conntra_neuro.datasets.mapped import is_mapped

    # Samples that stay in their file are trained on one after the other.
    alone = cluster is None and (_cores() < 2 or is_mapped(data.x_train))
    with ExitStack() as stack:
        spread: list[Any] = []

        def work(jobs: Sequence[Job]) -> Iterator[tuple[int, dict[str, Any]]]:
            if alone:
                for at, job in enumerate(jobs):
                    yield at, answer(data, job.settings, None)
                return
            if not jobs:
                return
            if not spread and cluster is None:
                processes = stack.enter_context(_Processes(data, min(_cores(), len(jobs))))
                spread.append(lambda what, shared, parts: processes.results(parts))
            elif not spread:
                from conntra_neuro.training.cluster.load import dask_map

                spread.append(stack.enter_context(dask_map(str(cluster))))
            yield from spread[0](_on_cluster, data, [job.settings for job in jobs])

        yield work


def _on_cluster(data: Dataset, settings: dict[str, Any]) -> dict[str, Any]:
    return answer(data, settings, 1)


class _Processes:
    """Processes that train; each is followed by a thread of its own, which hands it one job after the other."""

    def __init__(self, data: Dataset, count: int) -> None:
        self._samples = pickle.dumps(data)  # to processes of our own, through a pipe; nothing that comes back is one
        self._children: list[subprocess.Popen[bytes]] = []
        self._count, self._told = count, set[int]()

    def __enter__(self) -> _Processes:
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            for _ in range(self._count):
                child = subprocess.Popen(
                    [sys.executable, "-m", _WORKER, str(os.getpid())],
                    env=os.environ | dict.fromkeys(_ONE_THREAD, "1") | paths,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the search, which then ends them
                )
                self._children.append(child)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for child in self._children:
            child.kill()  # it has nothing to save
            child.wait()
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                try:
                    pipe.close()
                except OSError:  # what was still to be written to it
                    continue

    def results(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (index, result) of each job; raise the error of the first that fails."""
        waiting: queue.SimpleQueue[tuple[int, dict[str, Any]] | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        for item in enumerate(jobs):
            waiting.put(item)
        for child in self._children:
            waiting.put(None)  # to each: no more
            threading.Thread(target=self._follow, args=(child, waiting, done), daemon=True).start()
        for _ in jobs:
            at, found = done.get()
            if "refused" in found:
                raise InputError(f"recipe {_shown(jobs[at])}: {found['refused']}")
            if "lost" in found:
                raise BackendError(f"recipe {_shown(jobs[at])}: {found['lost']}; the search goes on if started again")
            yield at, found

    def _follow(self, child: subprocess.Popen[bytes], waiting: Any, done: Any) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        while (item := waiting.get()) is not None:
            at, settings = item
            try:
                if child.pid not in self._told:
                    self._told.add(child.pid)
                    child.stdin.write(len(self._samples).to_bytes(8, "little") + self._samples)
                child.stdin.write(json.dumps(settings).encode() + b"\n")
                child.stdin.flush()
                line = child.stdout.readline()
            except (OSError, ValueError):  # it is gone, or the search has closed its pipes
                line = b""
            if not line:
                done.put((at, {"lost": f"its process ended with status {child.wait()}"}))
                return
            done.put((at, json.loads(line)))


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items() if value is not None)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

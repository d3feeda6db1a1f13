"""Watching the processes of a Lava graph: where one of them fails, Lava itself would wait for it for ever."""

from __future__ import annotations

import threading
from typing import Any

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import fail

__all__ = ["watch"]

_POLL_S = 0.1


def watch(runtime: Any, job: Job) -> threading.Event:
    """End this process, with the cause, as soon as a process of ``runtime``'s graph fails; until the event is set."""
    done = threading.Event()
    threading.Thread(target=_watch, args=(runtime, job, done), daemon=True).start()
    return done


def _watch(runtime: Any, job: Job, done: threading.Event) -> None:
    actors = list(runtime._messaging_infrastructure.actors)
    while not done.wait(_POLL_S):
        for actor in actors:
            cause = _failure(actor)
            if cause is not None:
                fail(job.folder, cause)


def _failure(actor: Any) -> str | None:
    raised = actor.exception
    if raised is not None:
        return f"{type(raised[0]).__name__}: {raised[0]} (in a Lava process)"
    status = actor.exitcode
    return None if status in (None, 0) else f"a Lava process ended with status {status}"

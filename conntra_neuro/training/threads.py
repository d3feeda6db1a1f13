"""Two cores without a threading layer: kernels that release the GIL, run on disjoint ranges.

Each kernel takes ``(..., start, stop)`` and writes only what belongs to that range, so results depend neither on the
number of threads nor on who is first. (numba's own ``parallel=True`` would bring an OpenMP runtime that does not
survive a fork, and the Lava backend forks.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from conntra_hardware.base.arguments import whole

__all__ = ["Threads"]


class Threads:
    """A pool of ``count`` threads, the calling one among them; a context manager. None takes every core."""

    def __init__(self, count: int | None = None) -> None:
        if count is not None:
            whole(count, "threads", 1)
        self.count: int = count or _cores()
        self._pool = ThreadPoolExecutor(self.count - 1, "conntra") if self.count > 1 else None

    def ranges(self, n: int, grain: int = 1) -> list[tuple[int, int]]:
        """Return at most ``count`` ranges that cover ``range(n)``, in multiples of ``grain``."""
        size = -(-n // self.count)
        size = -(-size // grain) * grain
        return [(start, min(start + size, n)) for start in range(0, n, size)] if n else []

    def run(self, kernel: Callable[..., Any], n: int, *args: Any, grain: int = 1) -> list[Any]:
        """Call ``kernel(*args, start, stop)`` over ``range(n)``; return what each returned, in order."""
        ranges = self.ranges(n, grain)
        if self._pool is None or len(ranges) < 2:
            return [kernel(*args, start, stop) for start, stop in ranges]
        futures = [self._pool.submit(kernel, *args, start, stop) for start, stop in ranges[1:]]
        try:
            first = kernel(*args, *ranges[0])
        finally:
            rest = [future.result() for future in futures]  # nobody may still be writing when an error leaves here
        return [first, *rest]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

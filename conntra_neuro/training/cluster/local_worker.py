"""A worker process of ``local:N``: Dask's worker, which ends within a second when the training that started it is gone.

Left to itself a worker looks for its scheduler for minutes. Arguments: the process id of the training, then Dask's.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time

__all__ = ["main"]

_POLL_S = 0.5
_TRIES = 10


def main() -> None:
    """Run the worker that the command line asks for."""
    parent = int(sys.argv.pop(1))
    folder = sys.argv[sys.argv.index("--local-directory") + 1]
    threading.Thread(target=_follow, args=(parent, folder), daemon=True).start()
    from distributed.cli.dask_worker import main as work

    try:
        work()
    finally:  # it may notice by itself that its scheduler is gone
        _leave(folder)


def _follow(parent: int, folder: str) -> None:
    """End this process, and remove its files, as soon as the parent is gone: nobody else would."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    _leave(folder)


def _leave(folder: str) -> None:
    """Remove the worker's files and end this process at once."""
    for _ in range(_TRIES):  # Dask's own threads may still write there
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.1)
    os._exit(0)


if __name__ == "__main__":
    main()

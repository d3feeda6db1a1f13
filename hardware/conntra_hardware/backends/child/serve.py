"""The child's side of ``backends.child``: run one job, report one line on failure, never outlive the parent."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from conntra_hardware.backends.child.job import Job, read_job, write_result
from conntra_hardware.backends.child.launch import ERROR_FILE

__all__ = ["fail", "serve"]

_POLL_S = 0.2
_TRIES = 20  # to remove files that others may still write, 0.05 s apart
_ORPHANED = threading.Event()


def serve(simulate: Callable[[Job], float]) -> None:
    """Run the job that the command line names; ``simulate`` fills the job's recordings and returns its seconds.

    Arguments: the job's folder, the parent's process id.
    """
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    threading.Thread(target=_follow, args=(folder, parent), daemon=True).start()
    try:
        write_result(folder, simulate(read_job(folder)))
    except Exception as error:
        traceback.print_exc()
        fail(folder, f"{type(error).__name__}: {error}")


def fail(folder: Path, line: str) -> None:
    """Leave ``line`` as the cause and end this process at once, without waiting for any thread or process of it."""
    if _ORPHANED.is_set():  # files that vanish are no cause, and whoever removes them ends this process, too
        time.sleep(2 * _TRIES)
    (folder / ERROR_FILE).write_text(" ".join(line.split()), encoding="utf-8")
    sys.stderr.flush()
    os._exit(1)


def _follow(folder: Path, parent: int) -> None:
    """End this process and its group, and remove its files, as soon as the parent is gone: nobody else would."""
    if os.getppid() == parent:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
    elif os.name == "posix":
        # Another Python may be named by a script that starts it and waits.
        while _lives(parent):
            time.sleep(_POLL_S)
    else:
        return  # a launcher stands between, and Windows has no signal that only asks
    _ORPHANED.set()
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.05)
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    os._exit(1)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

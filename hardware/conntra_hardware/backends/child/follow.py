"""A child that follows its parent: it ends, with its group and its files, as soon as that is gone.

Started before the simulator is imported, which takes seconds, so this imports nothing but Python's own.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time

__all__ = ["follow", "wait_if_orphaned"]

_POLL_S = 0.2
_TRIES = 20  # to remove files that others may still write, 0.05 s apart
_ORPHANED = threading.Event()
_started: list[int] = []


def follow() -> None:
    """Follow the parent from now on; the command line ends with the job's folder and the parent's process id."""
    if _started != [os.getpid()]:
        _started[:] = [os.getpid()]
        folder, parent = sys.argv[-2], int(sys.argv[-1])
        threading.Thread(target=_follow, args=(folder, parent), daemon=True).start()


def wait_if_orphaned() -> None:
    """Do not return where the parent is gone: files that vanish are no cause, and this process is ended soon."""
    if _ORPHANED.is_set():
        time.sleep(2 * _TRIES)


def _follow(folder: str, parent: int) -> None:
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
    folder = _moved(folder)
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.05)
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    os._exit(1)


def _moved(folder: str) -> str:
    """Give the folder another name, so that nothing new is written into it while it is removed; return that name."""
    try:
        os.rename(folder, away := f"{folder}-orphaned")
    except OSError:
        return folder
    return away


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

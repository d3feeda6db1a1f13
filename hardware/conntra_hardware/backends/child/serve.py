"""The child's side of ``backends.child``: run one job, report one line on failure, never outlive the parent."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from conntra_hardware.backends.child.follow import follow, wait_if_orphaned
from conntra_hardware.backends.child.job import Job, read_job, write_result
from conntra_hardware.backends.child.launch import ERROR_FILE

__all__ = ["fail", "serve"]


def serve(simulate: Callable[[Job], float]) -> None:
    """Run the job that the command line names; ``simulate`` fills the job's recordings and returns its seconds.

    Arguments: the job's folder, the parent's process id.
    """
    follow()
    folder = Path(sys.argv[1])
    try:
        write_result(folder, simulate(read_job(folder)))
    except Exception as error:
        traceback.print_exc()
        fail(folder, f"{type(error).__name__}: {error}")


def fail(folder: Path, line: str) -> None:
    """Leave ``line`` as the cause and end this process at once, without waiting for any thread or process of it."""
    wait_if_orphaned()
    (folder / ERROR_FILE).write_text(" ".join(line.split()), encoding="utf-8")
    sys.stderr.flush()
    os._exit(1)

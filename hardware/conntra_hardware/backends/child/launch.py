"""Simulators in a child process: a time limit, no process left behind, and an error that names the cause.

The child leads a process group of its own. Whatever ends the wait (success, failure, the time limit, Ctrl-C),
the whole group is ended before control returns. The child in turn ends its group when its parent is gone
(``serve``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from conntra_hardware.backends.child.interpreter import environment_of_other
from conntra_hardware.backends.child.job import read_measured, read_recordings, read_result, reading, write_job
from conntra_hardware.backends.protocol import Recording
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError
from conntra_hardware.program import Program

__all__ = ["child_command", "run_in_child", "supervise"]

ERROR_FILE = "error.txt"
"""Where a child writes the one line that says why it failed."""

_BOOTSTRAP = (
    "import sys, json, runpy; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
# Another Python must find its own packages and none of this one's, so it is given our package and no path.
_BOOTSTRAP_OTHER = (
    "import sys, os, runpy; from importlib import util; "
    "sys.path[:] = [entry for entry in sys.path if entry]; "
    "folder = sys.argv.pop(1); name = os.path.basename(folder); "
    "spec = util.spec_from_file_location("
    "name, os.path.join(folder, '__init__.py'), submodule_search_locations=[folder]); "
    "sys.modules[name] = module = util.module_from_spec(spec); spec.loader.exec_module(module); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_PACKAGE = str(Path(__file__).resolve().parents[2])
_POSIX = os.name == "posix"
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_GRACE_S = 2.0
_LOOK_S = 0.5  # between looks at how much a child has written
_LARGEST_LOG = 2**26  # bytes of error output
_END_OF_LOG = 2**16  # of it that are looked at for a cause
_LONGEST_LINE = 500
_LONGEST_CAUSE = 2000
_NOISE = ("resource_tracker", "warnings.warn(", "Exception ignored", "^")


def run_in_child(
    what: str,
    module: str,
    program: Program,
    inputs: SpikeArray,
    *,
    settings: Mapping[str, Any],
    time_limit_s: float,
    python: str = "",
) -> Recording:
    """Run ``inputs`` (n, n_inputs) through ``program`` in a child process that executes ``module``; see ``serve``.

    ``what`` names the simulator in errors; ``python`` is the program of another Python that runs it, empty for this
    one. BackendError where the child fails or runs past ``time_limit_s``.
    """
    start = time.perf_counter()
    with _job_folder(what) as folder:
        try:
            write_job(folder, program, inputs, settings)
        except OSError as error:
            raise _no_room(what, error) from None
        supervise(what, child_command(module, folder, python), folder, time_limit_s, other=bool(python))
        with reading(what):
            run_seconds = read_result(folder)
            if run_seconds is None:
                raise BackendError(f"{what}: ended without a result; run it again, and report it if that does not help")
            spikes, logits = read_recordings(folder, program)
            measured = read_measured(folder)
    seconds = time.perf_counter() - start
    return Recording(spikes, logits, run_seconds=run_seconds, start_seconds=seconds - run_seconds, measured=measured)


@contextmanager
def _job_folder(what: str) -> Iterator[Path]:
    """Yield a temporary folder that goes when the block ends."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="conntra-")
    except OSError as error:
        raise _no_room(what, error) from None
    with folder as name:
        yield Path(name)


def _no_room(what: str, error: OSError) -> BackendError:
    where = os.environ.get("TMPDIR") or tempfile.gettempdir()
    return BackendError(
        f"{what}: its temporary files cannot be written ({error.strerror}); free some space in {where}, or set TMPDIR"
    )


def child_command(module: str, folder: Path, python: str = "") -> list[str]:
    """Return the command that executes ``module`` on the job in ``folder``.

    This Python has the same modules in reach as here; another one, ``python``, its own and this package.
    """
    if python:
        return [python, "-c", _BOOTSTRAP_OTHER, _PACKAGE, module, str(folder), str(os.getpid())]
    path = json.dumps([os.path.abspath(entry) for entry in sys.path])
    return [sys.executable, "-c", _BOOTSTRAP, path, module, str(folder), str(os.getpid())]


def supervise(what: str, command: Sequence[str], folder: Path, time_limit_s: float, *, other: bool = False) -> None:
    """Run ``command`` in ``folder``; return when it has succeeded, with its whole process group gone.

    ``other`` says that the command is another Python, which is kept from this one's packages.

    BackendError: past ``time_limit_s``, or failed, with the line of ``ERROR_FILE``, else the last line of its
    error output.
    """
    if not time_limit_s > 0:
        raise BackendError(f"{what}: a time limit of {time_limit_s:g} s; a positive number of seconds expected")
    log = folder / "stderr.txt"
    with open(log, "wb") as stderr:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, other),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=_POSIX,
        )
    try:
        status = _waited(child, log, time_limit_s, what)
    except subprocess.TimeoutExpired:
        raise BackendError(
            f"{what}: still running at its time limit of {time_limit_s:g} s, so it was ended; "
            "raise the time limit or run fewer samples"
        ) from None
    finally:
        _end_group(child)
    if status != 0:
        raise BackendError(f"{what}: failed: {_cause(folder / ERROR_FILE, log, status)}")


def _waited(child: subprocess.Popen[bytes], log: Path, time_limit_s: float, what: str) -> int:
    """Return the child's exit status; BackendError where its error output would fill the disk."""
    deadline = time.monotonic() + min(time_limit_s, 10**8)
    while True:
        left = deadline - time.monotonic()
        try:
            return child.wait(timeout=min(max(left, 1e-3), _LOOK_S))
        except subprocess.TimeoutExpired:
            if log.stat().st_size > _LARGEST_LOG:
                raise BackendError(
                    f"{what}: wrote more than {_LARGEST_LOG // 2**20} MB of error output, so it was ended: "
                    f"{_last_line(log)}"
                ) from None
            if left <= _LOOK_S:
                raise


def _environment(folder: Path, other: bool) -> dict[str, str]:
    """One thread a process, as a simulator's processes share the cores already; temporary files go with the job."""
    kept = environment_of_other() if other else dict(os.environ)
    kept = {key: value for key, value in kept.items() if key not in ("PYTHONWARNINGS", "PYTHONSTARTUP")}
    return kept | dict.fromkeys(_THREADS, "1") | {"TMPDIR": str(folder)}


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End what is left of the child's process group.

    SIGTERM first: multiprocessing's resource tracker outlives it and frees the shared memory of the processes
    that died.
    """
    if not _POSIX:
        child.kill()
        child.wait()
        return
    if child.poll() is not None and _gone(child.pid, patience_s=0.2):
        return
    _signal_group(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=_GRACE_S)
    if child.poll() is None or not _gone(child.pid, patience_s=_GRACE_S):
        _signal_group(child.pid, signal.SIGKILL)
        child.wait()


def _gone(group: int, patience_s: float) -> bool:
    """Return whether a process group is empty after at most ``patience_s``."""
    deadline = time.perf_counter() + patience_s
    while True:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            return True
        if _only_zombies(group):
            return True
        if time.perf_counter() > deadline:
            return False
        time.sleep(0.005)


def _only_zombies(group: int) -> bool:
    """Return whether all processes of a group have ended and only wait for an idle init to collect them (Linux)."""
    states = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # "pid (name) state ppid pgrp ...", and the name may hold anything, blanks and brackets too.
            state, _, pgrp = status.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group:
                states.append(state)
    return bool(states) and set(states) <= {"Z", "X"}


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _cause(error: Path, log: Path, status: int) -> str:
    if error.exists() and (line := error.read_text(encoding="utf-8").strip()):
        return line[:_LONGEST_CAUSE]
    last = _last_line(log)
    said = f": {last}" if last else ""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"ended by {name}{hint}{said}"
    return f"exit status {status}{said}"


def _last_line(log: Path) -> str:
    """Return the last line of error output that says something, cut where it is long; empty where there is none."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _END_OF_LOG))
        lines = [line.strip() for line in file.read().decode("utf-8", errors="replace").splitlines()]
    meaningful = [line for line in lines if line and not any(noise in line for noise in _NOISE)]
    return meaningful[-1][:_LONGEST_LINE] if meaningful else ""

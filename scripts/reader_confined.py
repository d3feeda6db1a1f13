"""A command line on a mutated file, in a child of little memory and time, and what counts as a fault of it.

A command runs in a forked child with 1 GiB of address space beyond what its libraries take, and ten seconds of a
processor. What is allowed: success, or one clear line and exit status 2 (1 where the answer is no), nothing written
then, no control character on a terminal, and no text of a file as HTML.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CANARY", "MAP_SIZE", "Verdict", "confined", "fault_of"]

CANARY = "<script>canary</script>\x1b[31m"
MAP_SIZE = 2**16
_MEMORY = 2**30
_SECONDS = 10.0


@dataclass(frozen=True)
class Verdict:
    """What a confined command did: its exit status (negative: the signal), output, seconds, bytes, files it left."""

    status: int
    out: str
    err: str
    seconds: float
    peak_bytes: int
    left: tuple[str, ...]


def confined(arguments: Sequence[str], folder: Path, covered: mmap.mmap | None = None) -> Verdict:
    """Run a command line in ``folder`` and in a child of little memory and time; ``covered`` gets the lines it ran."""
    shutil.rmtree(folder.with_suffix(".cache"), ignore_errors=True)
    before, beginning = _files(folder), time.monotonic()
    out, err = folder.with_suffix(".out"), folder.with_suffix(".err")
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if child == 0:
        _child(arguments, folder, out, err, covered)
    status, seconds, peak = _wait(child, beginning + 6 * _SECONDS)
    left = tuple(sorted(_files(folder) - before))
    texts = [path.read_bytes().decode(errors="backslashreplace") for path in (out, err)]
    return Verdict(status, texts[0], texts[1], seconds, max(peak - base, 0) * 1024, left)


def _child(arguments: Sequence[str], folder: Path, out: Path, err: Path, covered: mmap.mmap | None) -> None:
    status = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["CONNTRA_CACHE"] = str(folder.with_suffix(".cache"))  # of the child alone
        for path, number in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        ctypes.CDLL(None).mallopt(-8, 1)  # one arena: each thread would reserve 64 MiB of addresses for its own
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, size + _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (int(_SECONDS), int(_SECONDS) + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        from conntra_neuro.cli.app import main

        if covered is not None:
            sys.settrace(_tracer(covered))
        status = main(arguments)
        sys.settrace(None)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:
        status = 98
        with contextlib.suppress(BaseException):
            print(f"escaped: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _tracer(covered: mmap.mmap) -> Any:
    """Return a trace function that marks each line of the packages, with the one before it, in ``covered``."""
    known: dict[str, int | None] = {}

    def enter(frame: Any, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in known:
            known[name] = hash_of(name) if "conntra_" in name else None
        start = known[name]
        if start is None:
            return None
        last = 0

        def line(frame: Any, event: str, _: Any) -> Any:
            nonlocal last
            here = (start + frame.f_lineno * 7919) % MAP_SIZE
            covered[(here ^ last) % MAP_SIZE] = 1
            last = here >> 1
            return line

        return line

    def hash_of(name: str) -> int:
        return int.from_bytes(name[-24:].encode(), "little") % MAP_SIZE

    return enter


def _wait(child: int, deadline: float) -> tuple[int, float, int]:
    """Return the exit status (negative: a signal), processor seconds, and the peak of memory in KiB."""
    ended, status, usage = os.wait4(child, os.WNOHANG)
    while not ended:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGALRM)
        time.sleep(0.002)
        ended, status, usage = os.wait4(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def fault_of(verdict: Verdict, folder: Path) -> str | None:
    """Return what is wrong with a verdict, in a few words; None where all is as it should be."""
    said = " ".join(verdict.err.split())
    if -verdict.status in (signal.SIGALRM, signal.SIGXCPU):
        return f"runs for more than {_SECONDS:g} s"
    if verdict.status < 0:
        return f"ended by {signal.Signals(-verdict.status).name}: {said[-200:]}"
    if verdict.status not in (0, 1, 2):
        return f"exit status {verdict.status}: {said[-200:]}"
    if "conntra: unexpected" in verdict.err or "out of memory" in verdict.err or "Traceback" in verdict.err:
        return said[-300:]
    if verdict.status == 2 and (verdict.err.count("\n") != 1 or not verdict.err.startswith("conntra: ")):
        return f"not one line: {said[:300]}"
    if verdict.status == 2 and verdict.left:
        return f"left {verdict.left[0]}"
    if len(verdict.err) > 5000:
        return f"a line of {len(verdict.err):,} characters: {said[:100]}"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", verdict.out + verdict.err):
        return f"control characters: {said[:200]}"
    if any(CANARY.encode() in (folder / name).read_bytes() for name in verdict.left if name.endswith(".html")):
        return "text of the file stands in HTML unescaped"
    if verdict.peak_bytes > _MEMORY:
        return f"takes {verdict.peak_bytes / 2**20:,.0f} MiB"
    return None

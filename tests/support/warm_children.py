"""Simulators' child processes, forked from one that has imported the simulator already: 1.2 s a run become 0.2.

The suite runs some 250 of them, and nearly all of their time went into importing Brian2 and Lava. A forked child is
given what a started one is: folder, environment, arguments, a session of its own, and the module runs as ``__main__``.
The start itself is the matter of test_child.py, and of tests that take the fixture ``cold_children``.
CONNTRA_COLD_CHILDREN=1 starts all of them as the product does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

# What they import when they start, and what only once they run.
_LAVA = ("scipy.sparse", "lava.magma.compiler.compiler", "lava.magma.runtime.runtime")
MODULES = {
    "conntra_hardware.backends.brian2.simulation": ("scipy.sparse",),
    "conntra_hardware.backends.lava.simulation": _LAVA,
    "conntra_hardware.backends.loihi.deployment": _LAVA,
    "wired_loihi": _LAVA,
}
_POLL_S = 0.002


class _Child:
    """As much of ``subprocess.Popen`` as ``launch.supervise`` asks for."""

    def __init__(self, server: _Server, pid: int) -> None:
        self._server, self.pid = server, pid
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None:
            self._server.listen(0)
            self._status = self._server.ended.pop(self.pid, None)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (10**6 if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._server.listen(min(0.1, max(deadline - time.monotonic(), 0)))
        return status


class _Server:
    """The process that has imported ``module`` from ``path``, a JSON list, and forks."""

    def __init__(self, module: str, path: str, environment: Mapping[str, str]) -> None:
        command = [sys.executable, __file__, module, path]
        pipe = subprocess.PIPE
        temporary = {"TMPDIR": tempfile.gettempdir()}
        self.process = subprocess.Popen(
            command, env={**environment, **temporary}, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        self.ended: dict[int, int] = {}
        self._started: list[int] = []
        self._rest = b""

    def start(self, **request: Any) -> _Child:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        while not self._started:
            self.listen(60)
        return _Child(self, self._started.pop())

    def listen(self, seconds: float) -> None:
        """Read what it has to say within ``seconds``."""
        assert self.process.stdout is not None
        file = self.process.stdout.fileno()
        if not select.select([file], [], [], seconds)[0]:
            return
        read = os.read(file, 2**16)
        assert read, "the process that forks has ended"
        *lines, self._rest = (self._rest + read).split(b"\n")
        for pid, status in map(json.loads, lines):
            if status is None:
                self.ended.pop(pid, None)  # of a child that nobody asked about: numbers come back after some 30,000
                self._started.append(pid)
            else:
                self.ended[pid] = status

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@contextmanager
def warm_children() -> Iterator[Any]:
    """Have ``launch`` fork; yields its own ``subprocess``, which starts."""
    from conntra_hardware.backends.child import launch

    servers: dict[tuple[str, str], _Server] = {}
    cold = launch.subprocess

    def popen(command: Sequence[str], **options: Any) -> Any:
        module = command[4] if len(command) == 7 and command[0] == sys.executable else ""
        if module not in MODULES:
            return cold.Popen(command, **options)
        made_for = (module, command[3])  # on another path other modules may be found
        if made_for not in servers:
            servers[made_for] = _Server(module, command[3], options["env"])
        request = {"folder": command[5], "cwd": str(options["cwd"]), "log": options["stderr"].name}
        return servers[made_for].start(**request, environment=options["env"])

    launch.subprocess = SimpleNamespace(  # type: ignore[assignment]
        Popen=popen, DEVNULL=cold.DEVNULL, TimeoutExpired=cold.TimeoutExpired
    )
    try:
        yield cold
    finally:
        launch.subprocess = cold
        for server in servers.values():
            server.end()


def _serve(module: str, path: str) -> None:
    """Fork at every line of standard input until that ends; say who was started, and who ended how."""
    sys.path[:] = json.loads(path)
    for name in (module, *MODULES[module]):
        import_module(name)
    gc.freeze()
    alive: set[int] = set()
    rest = b""
    while True:
        ready = select.select([0], [], [], _POLL_S if alive else None)[0]
        if ready:
            read = os.read(0, 2**16)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                server, pid = os.getpid(), os.fork()
                if pid == 0:
                    _become(server, module, **json.loads(line))
                alive.add(pid)
                _say(pid, None)
        for pid in sorted(alive):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                alive.remove(pid)
                _say(pid, os.waitstatus_to_exitcode(status))


def _say(pid: int, status: int | None) -> None:
    os.write(1, json.dumps([pid, status]).encode() + b"\n")


def _become(server: int, module: str, folder: str, cwd: str, environment: dict, log: str) -> None:
    """Be the child that ``launch.supervise`` would have started, and run to its end."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), 2)
    sys.argv[:] = ["-c", folder, str(server)]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    atexit._run_exitfuncs()
    os._exit(0)  # without taking the interpreter apart, which takes as long again


if __name__ == "__main__":
    _serve(*sys.argv[1:])

"""Simulators in child processes: time limits, named causes, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from program_strategies import build_case, random_case

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.brian2.backend import Brian2Backend
from conntra_hardware.backends.child.launch import supervise
from conntra_hardware.backends.lava import backend as lava_backend
from conntra_hardware.backends.lava.backend import LavaBackend
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import BackendError
from conntra_hardware.proof.fuzz import fuzz
from conntra_hardware.proof.fuzz_case import FuzzCase

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
SUPPORT = Path(__file__).parents[2] / "support"


def living(group: int) -> list[str]:
    """Return the processes of a group that still run (zombies wait for init and do not)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state not in "ZX":
            found.append(status.parent.name)
    return found


def wait_until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the process groups that are started."""
    started: list[int] = []
    popen = subprocess.Popen

    def start(*args, **kwargs):
        child = popen(*args, **kwargs)
        started.append(child.pid)
        return child

    monkeypatch.setattr("conntra_hardware.backends.child.launch.subprocess.Popen", start)
    return started


def test_a_hanging_backend_ends_at_its_time_limit(groups: list[int], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    backend = Brian2Backend()
    backend.module = "hanging_simulation"
    case = random_case(1, samples=2)
    start = time.monotonic()
    with pytest.raises(
        BackendError, match=r"brian2: still running at its time limit of 1\.5 s, so it was ended; raise"
    ):
        backend.execute(case.program, case.inputs, RunOptions(time_limit_s=1.5))
    assert time.monotonic() - start < 6
    assert len(groups) == 1
    assert living(groups[0]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_ignores_sigterm_is_killed(groups: list[int], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("conntra_hardware.backends.child.launch._GRACE_S", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w'); time.sleep(600)"
    with pytest.raises(BackendError, match="time limit"):
        supervise("stubborn", [sys.executable, "-c", code], tmp_path, 0.5)
    assert living(groups[0]) == []


def test_a_child_that_succeeds_leaves_no_process(groups: list[int], tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    supervise("parent", [sys.executable, "-c", code], tmp_path, 20)
    assert living(groups[0]) == []


@pytest.mark.parametrize(
    ("number", "module", "processes"),
    [
        (signal.SIGINT, "hanging_simulation", 2),
        (signal.SIGTERM, "hanging_simulation", 2),
        (signal.SIGKILL, "hanging_simulation", 2),
        (signal.SIGKILL, "writing_simulation", 1),
    ],
)
def test_when_the_parent_goes_the_child_goes(
    number: signal.Signals, module: str, processes: int, tmp_path: Path
) -> None:
    # Ctrl-C reaches the parent alone, as the child has a session of its own; SIGKILL leaves the parent no last word.
    code = (
        f"import sys, tempfile; sys.path.append({str(SUPPORT)!r}); tempfile.tempdir = {str(tmp_path)!r}\n"
        "from conntra_hardware.backends.brian2.backend import Brian2Backend\n"
        "from conntra_hardware.runtime import RunOptions\n"
        "from program_strategies import random_case\n"
        "backend, case = Brian2Backend(), random_case(1, samples=2)\n"
        f"backend.module = {module!r}\n"
        "backend.execute(case.program, case.inputs, RunOptions(60))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: any(_children(parent.pid)))
        (child,) = _children(parent.pid)
        wait_until(lambda: len(living(child)) == processes)
        if module == "writing_simulation":
            wait_until(lambda: any(tmp_path.glob("*/7")))
        parent.send_signal(number)
        parent.wait(10)
        wait_until(lambda: not living(child))
        wait_until(lambda: not list(tmp_path.iterdir()))
    finally:
        parent.kill()
        parent.wait()


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in path.read_text().split()]


@pytest.mark.parametrize(
    ("spikes", "cause"),
    [
        (0, "failed: ValueError: no spikes at all"),
        (1, r"failed: ended by SIGKILL \(out of memory\?\): the last thing it said"),
        (2, "failed: exit status 3: MemoryError: too much"),
        (3, "ended without a result"),
        (4, "wrote more than 64 MB of error output, so it was ended: .{0,9}and again"),
    ],
)
def test_a_crash_is_named(spikes: int, cause: str) -> None:
    backend = Brian2Backend()
    backend.module = "crashing_simulation"
    case = random_case(2, n_inputs=5, samples=1)
    inputs = np.zeros((1, 5), np.uint8)
    inputs[0, :spikes] = 1
    with pytest.raises(BackendError, match=f"^brian2: {cause}"):
        backend.execute(case.program, inputs, RunOptions(60))


NONSENSE = {
    "crash": r"failed: ended by SIGABRT",
    "hang": r"still running at its time limit of 2 s, so it was ended",
    "flood": r"wrote more than 64 MB of error output, so it was ended: .*and again",
    "seconds": r"its results are nonsense \(ValueError: a run of nan s\)",
    "cut": r"its results are nonsense \(ValueError: ",
    "shape": r"its results are nonsense \(ValueError: logits.npy: \(1, 0\) of int64; \(n, 3\) of int64 expected\)",
    "type": r"its results are nonsense \(ValueError: logits.npy: \(1, 3\) of float64; \(n, 3\) of int64 expected\)",
    "twos": r"its results are nonsense \(ValueError: spikes of h1 up to [23]; 0 and 1 expected\)",
    "pickle": r"its results are nonsense \(ValueError: Object arrays cannot be loaded",
}


def test_whatever_a_backend_ends_in_is_named_and_a_fuzz_run_goes_on(monkeypatch) -> None:
    backend = Brian2Backend()
    backend.module = "nonsense_simulation"
    sizes = {way: 9 + index for index, way in enumerate(NONSENSE)}
    cases = [build_case((4, size, 3), [(-1, 1), (-1, 1)], seed=1, samples=1) for size in sizes.values()]
    drawn = [FuzzCase(case.program, case.inputs, index) for index, case in enumerate(cases)]
    monkeypatch.setattr("conntra_hardware.proof.fuzz.random_case", lambda seed, index, *_: drawn[index])
    monkeypatch.setattr("conntra_hardware.proof.fuzz._GIVEN_UP_AFTER", len(drawn) + 1)
    hangs = list(NONSENSE).index("hang")
    drawn.insert(0, drawn.pop(hangs))
    report = fuzz(1, backends=[backend, "reference"], limits={"brian2": 1}, time_limit_s=2)
    assert (report.backends["brian2"].failed, report.backends["reference"].programs) == (1, 1)
    said = {failure["index"]: failure["diagnosis"] for failure in report.failures}
    del drawn[0]
    report = fuzz(len(drawn), backends=[backend, "reference"], limits={"brian2": len(drawn)})
    assert report.backends["brian2"].failed == len(drawn)
    assert report.backends["reference"].programs == len(drawn)
    said |= {failure["index"]: failure["diagnosis"] for failure in report.failures}
    for index, cause in enumerate(NONSENSE.values()):
        assert re.match(f"brian2: {cause}", said[index]), said[index]
        assert "\n" not in said[index]


@pytest.mark.skipif(find_spec("lava") is None, reason="needs Lava in this Python")
def test_a_broken_lava_process_is_named_before_the_time_limit(groups: list[int]) -> None:
    backend = LavaBackend()
    if not backend.availability().ok:
        pytest.skip(backend.availability().reason)
    backend.module = "crashing_lava"
    case = random_case(1, samples=20)
    shared = set(os.listdir("/dev/shm"))
    with pytest.raises(BackendError, match=r"lava: failed: ZeroDivisionError: a neuron broke \(in a Lava process\)"):
        backend.execute(case.program, case.inputs, RunOptions(40))
    assert living(groups[0]) == []
    # The resource tracker frees the shared memory of the processes that were ended.
    wait_until(lambda: not {name for name in set(os.listdir("/dev/shm")) - shared if name.startswith("psm_")})


@pytest.mark.parametrize(("name", "limit"), [("lava", 0), ("brian2", -1), ("brian2", float("nan"))])
def test_a_time_limit_is_positive(name: str, limit: float) -> None:
    if not load_backend(name).availability().ok:
        pytest.skip(f"{name} is not installed")
    case = random_case(1, samples=1)
    with pytest.raises(BackendError, match="a positive number of seconds expected"):
        load_backend(name).execute(case.program, case.inputs, RunOptions(time_limit_s=limit))


@pytest.mark.parametrize(
    ("version", "remedy"), [((3, 10, 1), "pip install lava-nc==0.10.0"), ((3, 12, 1), "conntra doctor --fix lava")]
)
def test_missing_lava_is_one_line_with_the_remedy(
    version: tuple[int, ...], remedy: str, monkeypatch, tmp_path: Path
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.delenv("CONNTRA_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path))
    monkeypatch.setattr(lava_backend, "sys", SimpleNamespace(version_info=version))
    found = LavaBackend().availability()
    assert not found.ok
    assert remedy in found.remedy
    case = random_case(1, samples=1)
    with pytest.raises(BackendError, match=r"^lava: .*not installed") as raised:
        LavaBackend().execute(case.program, case.inputs, RunOptions())
    assert remedy in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["reference", "lava", "lava-stock", "brian2", "loihi", "loihi-dry"])
def test_availability_imports_nothing_heavy(name: str) -> None:
    code = (
        "import sys\nfrom conntra_hardware.backends import load_backend\n"
        f"found = load_backend({name!r}).availability()\n"
        "assert found.ok or (found.reason and found.remedy)\nassert found.versions or not found.ok\n"
        "heavy = {'lava', 'brian2', 'scipy', 'matplotlib', 'multiprocessing'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

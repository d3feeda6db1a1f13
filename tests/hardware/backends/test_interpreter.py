"""A simulator on another Python: which one is taken, what it is given, and what is said of one that cannot serve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from program_strategies import random_case

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.child import interpreter
from conntra_hardware.backends.child.interpreter import find_simulator, mark_finished, private_environment
from conntra_hardware.backends.child.launch import child_command, environment_of_other, supervise
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import BackendError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CONNTRA_LAVA_PYTHON", raising=False)
    monkeypatch.delenv("CONNTRA_SANAFE_PYTHON", raising=False)
    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def without_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this Python go without Lava, as a later one does."""
    known = metadata.version

    def version(name: str) -> str:
        if name in ("lava-nc", "sanafe"):
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", version)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def answering(path: Path, python: list[int], **versions: str) -> Path:
    """Make a stand-in that answers as a Python with these distributions would."""
    answer = {"python": python, "versions": {name.replace("_", "-"): v for name, v in versions.items()}, "modules": []}
    return script(path, f"echo '{json.dumps(answer)}'")


def same_python(path: Path) -> Path:
    """Make another name of this Python."""
    return script(path, f'exec {sys.executable} "$@"')


def test_a_named_python_comes_first_then_this_one_then_the_private(monkeypatch, tmp_path, without_lava) -> None:
    assert load_backend("lava").availability().ok is False
    assert find_simulator("lava", ("lava-nc",)) == interpreter.Found()
    private = answering(private_environment("lava") / "bin" / "python", [3, 10, 4], lava_nc="0.10.0")
    assert not load_backend("lava").availability().ok, "an environment whose making was interrupted is not taken"
    mark_finished("lava")
    found = load_backend("lava").availability()
    assert found.ok
    assert found.python == str(private)
    assert found.versions == {"lava-nc": "0.10.0", "lava-python": "3.10.4"}
    named = answering(tmp_path / "named", [3, 10, 9], lava_nc="0.10.0")
    monkeypatch.setenv("CONNTRA_LAVA_PYTHON", str(named))
    assert load_backend("lava-stock").availability().python == str(named)
    monkeypatch.setattr(metadata, "version", lambda name: "0.10.0")
    assert load_backend("lava").availability().python == str(named)
    monkeypatch.delenv("CONNTRA_LAVA_PYTHON")
    assert load_backend("lava").availability().python == "", "this Python comes before the private environment"


def test_a_named_python_is_found_on_the_path(monkeypatch, tmp_path, without_lava) -> None:
    answering(tmp_path / "bin" / "python-for-lava", [3, 10, 1], lava_nc="0.10.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CONNTRA_LAVA_PYTHON", "python-for-lava")
    assert load_backend("lava").availability().python == str(tmp_path / "bin" / "python-for-lava")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 0", "is not a Python that runs (exit status 0)"),
        ("echo no such thing >&2; exit 3", "is not a Python that runs (exit status 3: no such thing)"),
        ("echo 17", "is not a Python that runs (exit status 0: 17)"),
        ("""echo '{"python": [3, 6, 1], "versions": {}, "modules": []}'""", "Python 3.6.1; 3.10 or later needed"),
        ("""echo '{"python": [3, 12, 1], "versions": {}, "modules": []}'""", "Python 3.12.1 without lava-nc"),
    ],
)
def test_a_python_that_cannot_serve_is_named(text: str, reason: str, monkeypatch, tmp_path) -> None:
    named = script(tmp_path / "python", text)
    monkeypatch.setenv("CONNTRA_LAVA_PYTHON", str(named))
    for name in ("lava", "lava-stock", "loihi-dry", "loihi"):
        found = load_backend(name).availability()
        assert not found.ok
        assert found.reason == f"CONNTRA_LAVA_PYTHON={named}: {reason}"
        assert "Python 3.10 with lava-nc 0.10" in found.remedy
        assert "unset CONNTRA_LAVA_PYTHON" in found.remedy
    case = random_case(1, samples=1)
    with pytest.raises(BackendError, match=r"^lava: CONNTRA_LAVA_PYTHON=.*; name a Python 3\.10") as raised:
        load_backend("lava").execute(case.program, case.inputs, RunOptions())
    assert "\n" not in str(raised.value)


def test_what_is_no_program_is_said(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    same_python(tmp_path / "environment" / "bin" / "python")
    for name, reason, remedy in (
        ("nowhere", "no such program", "name a Python 3.10"),
        ("file", "not executable", "name a Python 3.10"),
        ("environment", "a folder", f"name {tmp_path / 'environment' / 'bin' / 'python'}"),
    ):
        monkeypatch.setenv("CONNTRA_LAVA_PYTHON", str(tmp_path / name))
        found = load_backend("lava").availability()
        assert found.reason == f"CONNTRA_LAVA_PYTHON={tmp_path / name}: {reason}"
        assert found.remedy.startswith(remedy)
    monkeypatch.setattr(interpreter, "_ASK_S", 0.2)
    monkeypatch.setenv("CONNTRA_LAVA_PYTHON", str(script(tmp_path / "slow", "exec sleep 30")))
    assert "said nothing for" in load_backend("lava").availability().reason


def test_the_question_runs_on_a_real_python(monkeypatch) -> None:
    monkeypatch.setenv("CONNTRA_NUMPY_PYTHON", sys.executable)
    found = find_simulator("numpy", ("numpy", "no-such-thing"), ("numpy.linalg", "numpy.nothing"))
    assert found.python == sys.executable
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.versions == {"numpy": np.__version__}
    assert found.modules == {"numpy.linalg"}


def test_another_python_gets_this_package_and_no_other_of_ours(monkeypatch, tmp_path) -> None:
    (tmp_path / "only_here.py").write_text("raise SystemExit('found what belongs to another Python')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    python = same_python(tmp_path / "python")
    code = (
        "import conntra_hardware, json, sys\n"
        "try:\n    import only_here\nexcept ImportError:\n    pass\n"
        "from conntra_hardware.backends.child import job\n"
        "open('seen.json', 'w').write(json.dumps([conntra_hardware.__file__, sys.argv[1:], sys.path]))\n"
    )
    command = child_command("conntra_hardware.backends.child.job", tmp_path, str(python))
    assert command[0] == str(python)
    command[2] = command[2].replace("runpy.run_module(module, run_name='__main__', alter_sys=True)", code)
    command[2] = command[2].replace("; import conntra_hardware", "\nimport conntra_hardware")
    supervise("other", command, tmp_path, 60, other=True)
    file, arguments, path = json.loads((tmp_path / "seen.json").read_text())
    assert Path(file) == ROOT / "hardware" / "conntra_hardware" / "__init__.py"
    assert arguments == [str(tmp_path), str(os.getpid())]
    assert str(tmp_path) not in path
    assert "" not in path
    assert "PYTHONPATH" not in environment_of_other()


@pytest.mark.parametrize("waits", [False, True], ids=["exec", "a script that waits"])
@pytest.mark.parametrize("name", ["lava", "lava-stock", "loihi-dry"])
def test_lava_on_another_python_is_equal(name: str, waits: bool, monkeypatch, tmp_path, without_lava) -> None:
    monkeypatch.undo()
    there = load_backend("lava").availability()
    if not there.ok:
        pytest.skip(there.reason)
    program = there.python or sys.executable
    named = script(tmp_path / "python", f'{program} "$@"; exit $?' if waits else f'exec {program} "$@"')
    monkeypatch.setenv("CONNTRA_LAVA_PYTHON", str(named))
    backend = load_backend(name)
    assert backend.availability().python == str(named)
    case = random_case(5, samples=9)
    recording = backend.execute(case.program, case.inputs, RunOptions(120))
    for layer, expected in case.spikes.items():
        np.testing.assert_array_equal(recording.spikes[layer], expected)
    np.testing.assert_array_equal(recording.logits, case.logits)


def test_sanafe_on_another_python_is_equal(monkeypatch, tmp_path) -> None:
    if not load_backend("sanafe").availability().ok:
        pytest.skip("sanafe is not installed")
    named = same_python(tmp_path / "python")
    monkeypatch.setenv("CONNTRA_SANAFE_PYTHON", str(named))
    backend = load_backend("sanafe")
    assert backend.availability().python == str(named)
    case = random_case(5, samples=9)
    recording = backend.execute(case.program, case.inputs, RunOptions(120))
    np.testing.assert_array_equal(recording.logits, case.logits)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_child_behind_a_script_goes_with_its_parent(tmp_path) -> None:
    waiting = script(tmp_path / "python", f'{sys.executable} "$@"; exit $?')
    folder = tmp_path / "job"
    folder.mkdir()
    code = (
        "import os, subprocess, sys, time\n"
        f"child = {str(ROOT / 'hardware')!r}\n"
        "serve = ('import sys; sys.path.append(sys.argv.pop(1)); import threading, time; '\n"
        "         'from pathlib import Path; from conntra_hardware.backends.child import follow; '\n"
        "         'Path(sys.argv[3]).write_text(str(__import__(\"os\").getpid())); '\n"
        "         'follow._follow(sys.argv[1], int(sys.argv[2]))')\n"
        f"subprocess.Popen([{str(waiting)!r}, '-c', serve, child, {str(folder)!r}, str(os.getpid()),\n"
        f"                  {str(tmp_path / 'pid')!r}], start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pid = int((tmp_path / "pid").read_text())
        time.sleep(0.5)
        assert Path(f"/proc/{pid}").exists(), "it lives as long as the parent"
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < deadline, "it outlives the parent"
        time.sleep(0.05)
    assert not folder.exists()

"""Runs in one process leave nothing, and processes share empty caches; scripts/try_machines.py does more."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks into /proc")
_DECIDE = """
import sys
from conntra_hardware.base.jit import jit

@jit
def half(x):
    return x // 2

print(half(int(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def machines() -> ModuleType:
    path = Path(__file__).parents[1] / "scripts" / "try_machines.py"
    spec = importlib.util.spec_from_file_location("try_machines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_runs_in_one_process_leave_nothing(machines: ModuleType, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for n in (*range(8), 24):  # the 24th is one on Brian2
        machines.once(n)
    before = machines.held(str(tmp_path))
    for n in range(10, 25):
        machines.once(n)
    now = machines.held(str(tmp_path))
    assert now[1:] == before[1:]  # threads, descriptors, files
    assert now[0] - before[0] <= 20  # MiB


def test_four_processes_at_once_share_an_empty_cache(tmp_path: Path) -> None:
    script = tmp_path / "decide.py"
    script.write_text(_DECIDE)
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, str(script)]
    running = [
        subprocess.Popen([*command, str(n)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    said = [child.communicate(timeout=120) for child in running]
    assert [(out.strip(), err) for out, err in said] == [("0", ""), ("0", ""), ("1", ""), ("1", "")]
    assert list((tmp_path / "cache").rglob("*.nbi"))


def test_the_verbs_that_are_tried_are_all_there_are(machines: ModuleType) -> None:
    from typer.main import get_command

    from conntra_neuro.cli.verbs import app

    tried = {line.split()[0] for line in machines._VERBS.strip().splitlines()}
    slow = {"compare", "demo", "pareto", "decide", "search", "tune"}
    assert set(get_command(app).commands) - slow == tried  # type: ignore[attr-defined]

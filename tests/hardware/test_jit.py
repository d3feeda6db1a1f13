"""Compiled functions: kept between starts, and announced where they have to be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from conntra_hardware.base.jit import jit
from conntra_hardware.base.upward import upward


def double(x: int) -> int:
    return 2 * x


def test_what_is_compiled_is_announced_and_what_is_kept_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(upward, "compiling", lambda: told.append(True))
    first = jit(double)
    assert (first(4), first(5), len(told)) == (8, 10, 1)
    again = jit(double)  # as a new process has it
    assert (again(6), len(told)) == (12, 1)
    assert (again(0.5), len(told)) == (1.0, 2)


def test_the_command_line_says_it_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from conntra_neuro.cli.progress import tell_of_compiling

    monkeypatch.setitem(upward, "compiling", upward.get("compiling", lambda: None))
    tell_of_compiling(quiet=False)
    upward["compiling"]()
    upward["compiling"]()
    assert capsys.readouterr().err == "compiling kernels, once: this takes some seconds\n"
    tell_of_compiling(quiet=True)
    upward["compiling"]()
    assert capsys.readouterr().err == ""

"""What every verb writes goes through one door; and terminals that cannot show a character do not end a command."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

WRITERS = {
    "train": ("train", "iris", "--layers", "4", "--sweeps", "1", "--out"),
    "compile": ("compile", "MODEL", "--out"),
    "run": ("run", "PROGRAM", "--data", "iris", "--out"),
    "verify": ("verify", "PROGRAM", "--data", "iris", "--samples", "3", "--backends", "reference,loop", "--out"),
    "export": ("export", "MODEL", "--format", "c", "--out"),
    "report": ("report", "RESULT", "--out"),
}


@pytest.fixture
def arguments(model, program, conntra, tmp_path):
    result = tmp_path / "result.json"
    assert conntra("run", program, "--data", "iris", "--out", result).status == 0

    def of(verb):
        given = {"MODEL": model, "PROGRAM": program, "RESULT": result}
        return [given.get(word, word) for word in WRITERS[verb]]

    return of


@pytest.mark.parametrize("verb", WRITERS)
def test_every_verb_refuses_special_files_and_follows_links(conntra, fails, arguments, tmp_path, verb):
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target.out"
    os.mkfifo(pipe)
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    fails(*arguments(verb), "/dev/full", says=["/dev/full: not a regular file"])
    fails(*arguments(verb), pipe, says=["a pipe"])
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    ran = conntra(*arguments(verb), link)
    assert ran.status == 0, ran
    assert link.is_symlink()
    assert target.read_bytes() != b"old"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def run(*arguments, encoding, cwd):
    command = [sys.executable, "-m", "conntra_neuro", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True)


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "utf-8"])
def test_no_terminal_ends_a_command(program, tmp_path, encoding):
    named = tmp_path / "mod\u00e8le \u795e.program"
    named.write_bytes(program.read_bytes())
    done = run("run", named, "--data", "iris", encoding=encoding, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"accuracy" in done.stdout
    assert b"\x1b" not in done.stdout + done.stderr  # where there is no terminal, nothing moves or has a colour
    assert b"\r" not in done.stderr.replace(b"\r\n", b"")
    missing = run("run", tmp_path / "l\u00e0-bas", encoding=encoding, cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stderr.startswith(b"conntra: ")
    assert missing.stderr.count(b"\n") == 1
    as_json = run("run", tmp_path / "l\u00e0-bas", "--json", encoding=encoding, cwd=tmp_path)
    assert "l\u00e0-bas: no such file" in json.loads(as_json.stdout.decode(encoding))["error"]


def test_names_whose_bytes_are_no_text(program, tmp_path):
    name = os.fsdecode(b"caf\xe9.program")
    (tmp_path / name).write_bytes(program.read_bytes())
    result = tmp_path / "result.json"
    done = run("run", tmp_path / name, "--data", "iris", "--out", result, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(result.read_text())["samples"] == 30
    page = tmp_path / "report.html"
    done = run("report", result, "--out", page, "--title", name, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert r"caf\udce9.program" in page.read_text(encoding="utf-8")
    missing = run("run", os.fsdecode(b"\xff\xfe"), "--json", encoding="utf-8", cwd=tmp_path)
    assert missing.returncode == 2
    assert json.loads(missing.stdout)["error"].endswith("no such file; check the name")


def test_the_package_is_a_command():
    done = subprocess.run([sys.executable, "-m", "conntra_neuro", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("conntra ")

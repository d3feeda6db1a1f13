"""Full disks, folders that cannot be written, closed streams, signals: one line, and the old file or the new one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import BackendError
from conntra_hardware.base.jit import jit
from conntra_neuro.cli.terminal import printable

COMMAND = (sys.executable, "-m", "conntra_neuro")


_LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""


def run(*arguments, cwd, limit: int | None = None, **options):
    """Run the command line; with ``limit`` no file may have more bytes than that."""

    options.setdefault("capture_output", True)
    # By Python itself: a function before exec would fork a test process that may have loaded JAX.
    limits = [] if limit is None else [sys.executable, "-c", _LIMITED, str(limit)]
    return subprocess.run([*limits, *COMMAND, *map(str, arguments)], cwd=cwd, text=True, **options)


def one_line(done, status: int = 2) -> str:
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("conntra: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("verb", ["train", "compile", "run", "report"])
def test_a_full_disk_leaves_the_old_file(verb, model, program, tmp_path) -> None:
    result, out = tmp_path / "result.json", tmp_path / "out"
    assert run("run", program, "--data", "iris", "--out", result, "-q", cwd=tmp_path).returncode == 0
    arguments = {
        "train": ("train", "iris", "--layers", "4", "--sweeps", "1", "--quiet"),
        "compile": ("compile", model),
        "run": ("run", program, "--data", "iris"),
        "report": ("report", result),
    }[verb]
    out.write_bytes(b"old")
    said = one_line(run(*arguments, "--out", out, cwd=tmp_path, limit=1000))
    assert "cannot be written (File too large)" in said
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_simulator_without_room_for_its_files_says_so(program, tmp_path) -> None:
    said = one_line(run("run", program, "--data", "iris", "--backend", "brian2", cwd=tmp_path, limit=100))
    assert "brian2: its temporary files cannot be written (File too large); free some space in" in said


def test_a_missing_temporary_folder_is_named(network, monkeypatch) -> None:
    def none(**_):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", none)
    with pytest.raises(BackendError, match=r"brian2: its temporary files cannot be written .* or set TMPDIR"):
        cn.compile(network).run(np.zeros((1, 4)), backend="brian2")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(stream, tmp_path) -> None:
    number = {"stdout": 1, "stderr": 2}[stream]
    code = f"import os, sys; os.close({number}); os.execv(sys.executable, [*{COMMAND!r}, 'chips'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_standard_output_is_one_line(options, tmp_path) -> None:
    with open("/dev/full", "w") as full:
        done = run("chips", *options, cwd=tmp_path, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert "standard output: cannot be written (No space left on device)" in one_line(done)


def test_whoever_stops_reading_ends_nothing(tmp_path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m conntra_neuro chips loihi1 | head -1", shell=True, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


NOWHERE = "/proc/nowhere"  # cannot be made, by root either
BARE = {
    **dict.fromkeys(("LC_ALL", "LANG"), "C"),
    **dict.fromkeys(("PYTHONUTF8", "PYTHONCOERCECLOCALE"), "0"),
    **dict.fromkeys(("HOME", "XDG_CACHE_HOME", "CONNTRA_CACHE", "MPLCONFIGDIR"), NOWHERE),
}


def test_no_home_no_cache_a_plain_locale_and_names_that_are_no_text(program, tmp_path) -> None:
    plain = {**BARE, "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    folder = tmp_path / "two words é"
    folder.mkdir()
    names = ("net.conntra", "result.json", "report.html")
    model, result, page = (folder / os.fsdecode(b"caf\xe9 " + name.encode()) for name in names)
    for arguments in (
        ("train", "iris", "--layers", "4", "--sweeps", "1", "--out", model),
        ("run", program, "--data", "iris", "--out", result),
        ("report", result, "--out", page, "--title", os.fsdecode(b"caf\xe9")),
    ):
        done = run(*arguments, "-q", cwd=folder, env=plain)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), arguments
    assert isinstance(cn.load(model), cn.DiscreteNetwork)
    assert "caf\\udce9 result.json" in page.read_text(encoding="utf-8")


def test_a_run_file_is_text(conntra, fails, tmp_path) -> None:
    data = cn.load_dataset("iris")
    path = tmp_path / os.fsdecode(b"caf\xe9.npz")
    np.savez(path, **{part: getattr(data, part) for part in ("x_train", "y_train", "x_test", "y_test")})
    assert conntra("train", f"npz:{path}", "--layers", "4", "--sweeps", "1", "--out", "m.conntra").status == 0
    fails("show", "m.conntra", "--run-file", "again.toml", says=["not in UTF-8", "rename it"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_in_training_keeps_the_best_network(number, status, tmp_path) -> None:
    arguments = [
        "train",
        "digits",
        "--layers",
        "64",
        "--sweeps",
        "100000",
        "--checkpoint",
        "state",
        "--out",
        "d.conntra",
    ]
    child = subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "state" / "checkpoint.conntra").exists():
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == status, said
    assert said.splitlines()[-1] == "interrupted: the best network so far is in d.conntra"
    assert isinstance(cn.load(tmp_path / "d.conntra"), cn.DiscreteNetwork)


def test_sigterm_elsewhere_is_one_line(conntra, program, monkeypatch) -> None:
    def terminated(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("conntra_hardware.backends.brian2.backend.Brian2Backend.execute", terminated)
    ran = conntra("run", program, "--backend", "brian2", "--out", "r.json")
    assert ran.status == 143
    assert ran.err.strip() == "conntra: interrupted; nothing was written"
    assert not list(conntra.folder.iterdir())
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def add(x: int) -> int:
    return x + 1


def test_compiled_functions_need_no_cache(monkeypatch) -> None:
    from numba.core import caching

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    assert jit(add)(1) == 2

    def damaged(*_):
        raise EOFError("Ran out of input")

    monkeypatch.setattr(caching.IndexDataCacheFile, "load", damaged)
    assert jit(add)(2) == 3
    monkeypatch.setattr(caching.FunctionCache, "__init__", lambda *_: _raise(RuntimeError("no locator available")))
    assert jit(add)(3) == 4
    assert jit(boundscheck=True)(add)(4) == 5


def _raise(error: Exception) -> None:
    raise error


def test_every_compiled_function_forgives_its_cache() -> None:
    root = Path(cn.__file__).parents[1]
    files = [
        path for package in ("conntra_neuro", "hardware/conntra_hardware") for path in (root / package).rglob("*.py")
    ]
    strays = [path.name for path in files if re.search(r"njit\(|cache=True", path.read_text(encoding="utf-8"))]
    assert strays == ["jit.py"]


def test_control_characters_are_shown_and_not_sent() -> None:
    assert printable("a\x1b[31m\x07\tb\nc\x9b\u00e9") == "a\\x1b[31m\\x07\tb\nc\\x9b\u00e9"

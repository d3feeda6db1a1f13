"""Commands on a network folder that fails or is gone at one of its requests: one line, and the old file or the new."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from try_network_folders import VERBS, is_whole
from vanishing_folder import VanishingFolder, can_mount

from conntra_hardware.base import files as files_module
from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.base.files import read_container, write_atomically
from conntra_neuro.cli.app import main
from conntra_neuro.datasets import kept
from conntra_neuro.datasets.kept import keep_array, load_kept, new_array

GONE = 2**40


@pytest.fixture(scope="module")
def mounted() -> Iterator[VanishingFolder]:
    if not can_mount():
        pytest.skip("no folder can be mounted here: /dev/fuse and the right to mount are needed")
    with VanishingFolder() as folder:
        yield folder


def run(arguments: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = main([*arguments, "-q"])
    return status, said.getvalue()


# NumPy leaves an archive open that it cannot read.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("verb", ["compile", "run", "export-c", "report"])
@pytest.mark.parametrize(("error", "times"), [(errno.EIO, 1), (errno.ENOTCONN, GONE)], ids=["once", "gone"])
def test_every_request_may_fail(verb: str, error: int, times: int, sound: Path, mounted: VanishingFolder) -> None:
    words, out = VERBS[verb][0].split(), mounted.path / VERBS[verb][1]
    for name in ("model.conntra", "program.conntra", "data.npz", "result.json", "certificate.json"):
        (mounted.path / name).write_bytes((sound / name).read_bytes())
    arguments = [w if w.startswith("-") or "." not in w else str(mounted.path / w) for w in words]
    arguments = [f"npz:{mounted.path}/data.npz" if w.startswith(str(mounted.path / "npz:")) else w for w in arguments]
    mounted.behave()
    assert run(arguments) == (0, "")
    new, requests, refused = out.stat().st_size, mounted.requests, 0
    # Some of them, for a report takes a while; scripts/try_network_folders.py tries all.
    for at in range(1, requests + 1, max(1, requests // 8)):
        out.write_bytes(b"old")
        mounted.behave(at, times, error)
        status, said = run(arguments)
        mounted.behave()
        found = out.read_bytes()
        assert status in (0, 2), said
        assert found == b"old" or (abs(len(found) - new) < 200 and is_whole(out))
        if status == 2:
            refused += 1
            assert said.startswith("conntra: ")
            assert said.count("\n") == 1
            assert "unexpected" not in said
        else:
            assert said == ""
            assert found != b"old"
    assert refused > 0


def test_what_is_kept_is_read_whole_or_refused(mounted: VanishingFolder) -> None:
    """A mapped file of a folder that is gone ends the process with SIGBUS, so arrays are read and written."""
    mounted.behave()
    path, x = mounted.path / "x.npy", np.arange(40_000).reshape(-1, 5)
    for at in range(1, 60):
        for work in (lambda: keep_array(path, x), lambda: load_kept(path)):
            mounted.behave()
            keep_array(path, x)
            mounted.behave(at, GONE, errno.EIO)
            with contextlib.suppress(FileFormatError, OSError):
                found = work()
                assert found is None or np.array_equal(found, x)
    mounted.behave(1, GONE, errno.EIO)
    with pytest.raises(FileFormatError, match=r"x.npy: cannot be read \(Input/output error\); set CONNTRA_CACHE"):
        load_kept(path)


@pytest.mark.parametrize("array", [np.zeros((0, 3), np.uint8), np.array(["a", "bcd"]), np.asfortranarray(np.eye(3, 4))])
def test_what_is_kept_comes_back(array: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (2**30, 0):
        monkeypatch.setattr(kept, "_IN_MEMORY", limit)
        keep_array(tmp_path / "a.npy", array)
        found = load_kept(tmp_path / "a.npy")
        assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())
        assert isinstance(found, np.memmap) == (limit == 0 and array.size > 0)
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    monkeypatch.setattr(kept, "_IN_MEMORY", 2**30)
    if array.size:
        with pytest.raises(FileFormatError, match="cut off; delete its folder, it is made again"):
            load_kept(tmp_path / "a.npy")


@pytest.mark.parametrize("limit", [2**28, 0])
def test_arrays_are_made_in_memory_or_in_their_file(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_MADE_IN_MEMORY", limit)
    array = new_array(tmp_path / "a.npy", (3, 4))
    assert isinstance(array, np.memmap) == (limit == 0)
    array[1] = 7
    keep_array(tmp_path / "a.npy", array)
    assert load_kept(tmp_path / "a.npy").tolist() == [[0] * 4, [7] * 4, [0] * 4]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENOSPC])
@pytest.mark.parametrize("name", ["open", "fsync", "replace", "stat", "readlink", "fstat"])
def test_writing_is_whole_or_not_at_all(
    number: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same without a mounted folder: each call that writes a file fails, and taking the rest away fails, too."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "a").symlink_to("real")

    def fails(*given: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if name == "open":
            patch.setattr(files_module, "open", fails, raising=False)
        else:
            patch.setattr(os, name, fails)
        patch.setattr(Path, "unlink", fails)
        with pytest.raises(FileFormatError, match="cannot be written") as found:
            write_atomically(tmp_path / "a", b"new")
    assert "\n" not in str(found.value)
    assert (tmp_path / "a").read_bytes() == b"old"


def test_reading_says_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(Path, "read_bytes", fails)
    with pytest.raises(FileFormatError, match=r"m.conntra: cannot be read \(Stale file handle\)"):
        read_container(tmp_path / "m.conntra")


def test_a_folder_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))

    monkeypatch.setattr(Path, "is_dir", fails)
    status, said = run(["compile", "m.conntra", "--out", "p.conntra"])
    assert (status, said.count("\n")) == (2, 1)
    assert "Input/output error: its disk or network folder does not answer; see to it and try again" in said

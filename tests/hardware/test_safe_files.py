"""Files are written whole, wherever they go: links followed, modes kept, and only regular files replaced."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.base.files import check_writable, write_atomically

BOTH = pytest.mark.parametrize("write", [lambda path: write_atomically(path, b"new"), check_writable])


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert only(tmp_path) == ["a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_followed_and_stays(tmp_path: Path, dangling: bool) -> None:
    target, middle, link = tmp_path / "target", tmp_path / "folder" / "middle", tmp_path / "link"
    middle.parent.mkdir()
    middle.symlink_to("../target")
    link.symlink_to(middle)
    if not dangling:
        target.write_bytes(b"old")
    check_writable(link)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert middle.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert only(tmp_path) == ["folder", "link", "target"]
    assert only(middle.parent) == ["middle"]


@BOTH
def test_a_circle_of_links_is_refused(tmp_path: Path, write) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(FileFormatError, match="circle of symbolic links"):
        write(tmp_path / "a")


@BOTH
@pytest.mark.parametrize("path", ["/dev/full", "/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
def test_devices_are_refused_and_stay(path: str, write) -> None:
    before = os.stat(path).st_mode if path != "-" else None
    with pytest.raises(FileFormatError, match=r"not a regular file; .* --json"):
        write(path)
    assert path == "-" or os.stat(path).st_mode == before


@BOTH
def test_a_link_to_a_device_is_refused_and_stays(tmp_path: Path, write) -> None:
    (tmp_path / "a").symlink_to("/dev/null")
    with pytest.raises(FileFormatError, match="not a regular file"):
        write(tmp_path / "a")
    assert os.readlink(tmp_path / "a") == "/dev/null"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@BOTH
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_node_elsewhere_is_refused_and_stays(tmp_path: Path, write) -> None:
    try:
        os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    except PermissionError:
        pytest.skip("no device nodes may be made here")
    with pytest.raises(FileFormatError, match="a device"):
        write(tmp_path / "full")
    assert stat.S_ISCHR((tmp_path / "full").stat().st_mode)


@BOTH
def test_a_pipe_a_socket_and_a_folder_are_refused_and_stay(tmp_path: Path, write) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "s"))
        for name, says in (("pipe", "a pipe"), ("s", "a socket"), ("folder", "a folder; name a file in it")):
            with pytest.raises(FileFormatError, match=says):
                write(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert only(tmp_path) == ["folder", "pipe", "s"]


def test_a_read_only_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o444)
    if os.geteuid() == 0:  # who may write anything
        monkeypatch.setattr(os, "access", lambda where, mode: where != path)
    with pytest.raises(FileFormatError, match="read-only"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_folder_is_synchronised_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synchronised(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(old: Path, new: Path) -> None:
        done.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synchronised)
    monkeypatch.setattr(os, "replace", renamed)
    write_atomically(tmp_path / "a", b"new")
    assert done == ["file", "rename", "folder"]


def test_a_name_as_long_as_may_be_is_written(tmp_path: Path) -> None:
    name = "a" * 255
    write_atomically(tmp_path / name, b"new")
    assert only(tmp_path) == [name]

"""A folder that answers slowly, wrongly or not at all: a small file system in memory, served through FUSE.

It needs ``/dev/fuse`` and the right to mount (root, or a user namespace). Nothing is kept between the kernel and the
folder: each look at a name and each read and write is a request of its own, is counted, and may fail. Layout of the
messages: Linux, include/uapi/linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["VanishingFolder", "can_mount"]

_LOOKUP, _FORGET, _GETATTR, _SETATTR, _MKDIR, _UNLINK, _RMDIR, _RENAME = 1, 2, 3, 4, 9, 10, 11, 12
_OPEN, _READ, _WRITE, _STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT = 14, 15, 16, 17, 18, 20, 25, 26
_OPENDIR, _READDIR, _RELEASEDIR, _FSYNCDIR, _ACCESS, _CREATE = 27, 28, 29, 30, 34, 35
_INTERRUPT, _DESTROY, _BATCH_FORGET, _RENAME2 = 36, 38, 42, 45
_SILENT = (_FORGET, _INTERRUPT, _BATCH_FORGET)
_UNCOUNTED = (*_SILENT, _INIT, _DESTROY, _RELEASE, _RELEASEDIR)
_IN, _OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_CONTROL = struct.Struct("<qqqdq")  # the first request that fails, how many do, with what, seconds each, the count
_ROOT = 1


@dataclass
class _Node:
    mode: int
    data: bytearray = field(default_factory=bytearray)
    children: dict[bytes, int] = field(default_factory=dict)
    changed_s: float = field(default_factory=time.time)


def can_mount() -> bool:
    """Return whether a folder can be mounted here."""
    try:
        with VanishingFolder():
            return True
    except (OSError, RuntimeError):
        return False


class VanishingFolder:
    """A mounted folder at ``path``, empty at first; a context manager."""

    def __enter__(self) -> VanishingFolder:
        self._outside = tempfile.TemporaryDirectory()
        self.path = Path(self._outside.name) / "network"
        self.path.mkdir()
        control = Path(self._outside.name) / "control"
        control.write_bytes(bytes(_CONTROL.size))
        self._control = _mapped(control)
        try:
            descriptor = os.open("/dev/fuse", os.O_RDWR)
            options = f"fd={descriptor},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.mount(b"conntra", os.fsencode(self.path), b"fuse", 0, options):
                number = ctypes.get_errno()
                os.close(descriptor)
                raise OSError(number, os.strerror(number))
        except OSError:
            self._outside.cleanup()
            raise
        # A process of its own: whoever asks is stopped until it has an answer.
        command = [sys.executable, "-I", "-S", __file__, str(descriptor), str(control)]
        self._server = subprocess.Popen(command, pass_fds=[descriptor])
        os.close(descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        self.behave()
        ctypes.CDLL(None).umount2(os.fsencode(self.path), 2)  # MNT_DETACH: whoever still has a file open
        self._server.kill()
        self._server.wait()
        self._outside.cleanup()

    def behave(self, fail_at: int = 0, times: int = 0, error: int = errno.EIO, seconds: float = 0.0) -> None:
        """Count requests from 1 on: ``times`` fail with ``error`` from ``fail_at`` on, each takes ``seconds``."""
        self._control[:] = _CONTROL.pack(fail_at, times, error, seconds, 0)

    @property
    def requests(self) -> int:
        """Requests since ``behave`` was called."""
        return int(_CONTROL.unpack(self._control[:])[4])


def _mapped(path: Path) -> mmap.mmap:
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), _CONTROL.size)


def _serve(descriptor: int, control: mmap.mmap) -> None:
    files = _Files()
    while True:
        try:
            message = os.read(descriptor, 2**20 + 4096)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                continue
            return  # ENODEV: unmounted
        _, kind, unique, node, *_ = _IN.unpack_from(message)
        number, body = 0, b""
        if kind not in _UNCOUNTED:
            fail_at, times, error_number, seconds, count = _CONTROL.unpack(control[:])
            control[:] = _CONTROL.pack(fail_at, times, error_number, seconds, count + 1)
            time.sleep(seconds)
            number = error_number if times and fail_at <= count + 1 < fail_at + times else 0
        if not number:
            try:
                body = files.answer(kind, node, message[_IN.size :])
            except OSError as error:
                number = error.errno or errno.EIO
        if kind in _SILENT:
            continue
        try:
            os.write(descriptor, _OUT.pack(_OUT.size + len(body), -number, unique) + body)
        except OSError:  # whoever asked is gone
            continue


class _Files:
    """The folder in memory. Each request has its method; what is not here is refused."""

    def __init__(self) -> None:
        self._nodes = {_ROOT: _Node(stat.S_IFDIR | 0o755)}
        self._methods: dict[int, Callable[[int, bytes], bytes]] = {
            _INIT: self._init, _LOOKUP: self._lookup, _GETATTR: self._getattr, _SETATTR: self._setattr,
            _MKDIR: self._mkdir, _CREATE: self._create, _UNLINK: self._unlink, _RMDIR: self._unlink,
            _RENAME: lambda node, body: self._rename(node, body, 8),
            _RENAME2: lambda node, body: self._rename(node, body, 16),
            _OPEN: self._open, _OPENDIR: self._open, _READ: self._read, _WRITE: self._write, _READDIR: self._readdir,
            _STATFS: lambda node, body: struct.pack("<5Q10I", *[2**30] * 5, 4096, 255, 4096, *[0] * 7),
        }  # fmt: skip
        for kind in (_FLUSH, _FSYNC, _FSYNCDIR, _RELEASE, _RELEASEDIR, _ACCESS, _DESTROY, *_SILENT):
            self._methods[kind] = lambda node, body: b""

    def answer(self, kind: int, node: int, body: bytes) -> bytes:
        if kind not in self._methods:
            raise OSError(errno.ENOSYS, "not here")
        return self._methods[kind](node, body)

    def _init(self, node: int, body: bytes) -> bytes:
        _, _, read_ahead, _ = struct.unpack_from("<4I", body)
        return struct.pack("<4IHHIIHHI7I", 7, 31, read_ahead, 0, 8, 8, 2**17, 1, 0, 0, 0, *[0] * 7)

    def _attributes(self, node: int) -> bytes:
        found = self._nodes[node]
        when, size = int(found.changed_s), len(found.data)
        fraction = int(found.changed_s % 1 * 1e9)
        owner = (os.getuid(), os.getgid())
        return _ATTR.pack(node, size, -(-size // 512), *[when] * 3, *[fraction] * 3, found.mode, 1, *owner, 0, 4096, 0)

    def _entry(self, node: int) -> bytes:
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _child(self, node: int, name: bytes) -> int:
        if name not in self._nodes[node].children:
            raise OSError(errno.ENOENT, "no such file")
        return self._nodes[node].children[name]

    def _lookup(self, node: int, body: bytes) -> bytes:
        return self._entry(self._child(node, body.rstrip(b"\0")))

    def _getattr(self, node: int, body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _setattr(self, node: int, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        (mode,) = struct.unpack_from("<I", body, 68)
        found = self._nodes[node]
        if valid & 1:
            found.mode = stat.S_IFMT(found.mode) | stat.S_IMODE(mode)
        if valid & 8:
            found.data[size:] = bytes(max(size - len(found.data), 0))
        return self._getattr(node, body)

    def _added(self, node: int, name: bytes, mode: int) -> int:
        if name in self._nodes[node].children:
            raise OSError(errno.EEXIST, "there")
        new = max(self._nodes) + 1
        self._nodes[new] = _Node(mode)
        self._nodes[node].children[name] = new
        return new

    def _mkdir(self, node: int, body: bytes) -> bytes:
        (mode,) = struct.unpack_from("<I", body)
        return self._entry(self._added(node, body[8:].rstrip(b"\0"), stat.S_IFDIR | stat.S_IMODE(mode)))

    def _create(self, node: int, body: bytes) -> bytes:
        _, mode = struct.unpack_from("<2I", body)
        new = self._added(node, body[16:].rstrip(b"\0"), stat.S_IFREG | stat.S_IMODE(mode))
        return self._entry(new) + self._open(new, body)

    def _unlink(self, node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        if self._nodes[self._child(node, name)].children:
            raise OSError(errno.ENOTEMPTY, "not empty")
        del self._nodes[node].children[name]
        return b""

    def _rename(self, node: int, body: bytes, skip: int) -> bytes:
        (folder,) = struct.unpack_from("<Q", body)
        old, new = body[skip:].split(b"\0")[:2]
        self._nodes[folder].children[new] = self._child(node, old)
        del self._nodes[node].children[old]
        return b""

    def _open(self, node: int, body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self._nodes[node].data[offset : offset + size])

    def _write(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        found = self._nodes[node]
        found.data[len(found.data) :] = bytes(max(offset - len(found.data), 0))
        found.data[offset : offset + size] = body[40 : 40 + size]
        found.changed_s = time.time()
        return struct.pack("<II", size, 0)

    def _readdir(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for index, (name, child) in enumerate(self._nodes[node].children.items(), start=1):
            if index > offset:
                one = struct.pack("<QQII", child, index, len(name), self._nodes[child].mode >> 12) + name
                one += bytes(-len(one) % 8)
                if len(out) + len(one) > size:
                    break
                out += one
        return out


if __name__ == "__main__":
    _serve(int(sys.argv[1]), _mapped(Path(sys.argv[2])))

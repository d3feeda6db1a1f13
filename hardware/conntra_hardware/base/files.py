"""Files: safetensors with one header of ours, versioned and checksummed, written all at once or not at all.

The header is JSON under the metadata key ``conntra``: ``{"sha256", "format", "kind", "body"}``. The checksum
is the SHA-256 of the whole file with its own 64 digits written as zeros, so no byte of the file can change
unnoticed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError

__all__ = [
    "FORMAT",
    "Container",
    "check_writable",
    "container_bytes",
    "read_container",
    "remedies",
    "write_atomically",
    "write_container",
]

FORMAT = 1
"""Version of the format that is written; this and earlier versions are read."""

_KEY = "conntra"
_NO_DIGEST = "0" * 64
_DIGEST_FIELD = b'\\"sha256\\": \\"'
_MAX_HEADER = 100_000_000

remedies = {
    "model": "write one with `conntra train`",
    "program": "write one with `conntra compile MODEL --chip loihi1`",
}
"""What to do where a file of a kind is wanted and another one was given."""


@dataclass(frozen=True, eq=False)
class Container:
    """A file: ``kind`` ("model", "program"), JSON ``body``, arrays by name, checksum, bytes on disk, and format."""

    kind: str
    body: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]]
    sha256: str
    size: int
    format: int = FORMAT


def container_bytes(kind: str, body: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the file of ``kind`` as bytes; the same contents give the same bytes."""
    from safetensors.numpy import save

    # One metadata key, because safetensors writes several in no fixed order; the checksum comes first in it,
    # so that it is found first.
    header = {"sha256": _NO_DIGEST, "format": FORMAT, "kind": kind, "body": dict(body)}
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    blank = save(contiguous, metadata={_KEY: json.dumps(header)})
    start = _digest_start(blank)
    return blank[:start] + hashlib.sha256(blank).hexdigest().encode() + blank[start + 64 :]


def write_container(
    path: str | Path, kind: str, body: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]
) -> int:
    """Write a file of ``kind`` to ``path`` and return its size in bytes."""
    data = container_bytes(kind, body, tensors)
    write_atomically(path, data)
    return len(data)


def read_container(path: str | Path, kind: str | None = None) -> Container:
    """Read and verify a file; FileFormatError where it is not a sound one of ``kind`` (None: of any)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    data = _read(path)
    header = _header(path, data)
    version = header.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise FileFormatError(
            f"{path}: format {version}, newer than {FORMAT}, the latest known here; upgrade conntra-neuro"
        )
    start = _digest_start(data)
    digest = hashlib.sha256(data[:start] + _NO_DIGEST.encode() + data[start + 64 :]).hexdigest()
    if digest != header.get("sha256"):
        raise FileFormatError(f"{path}: damaged (its checksum does not match); {_AGAIN}")
    found = str(header.get("kind"))
    if kind is not None and found != kind:
        remedy = remedies.get(kind, "give another file")
        raise FileFormatError(f"{path}: a {found} file; a {kind} file is expected here: {remedy}")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise FileFormatError(f"{path}: damaged ({error}); {_AGAIN}") from None
    return Container(found, header["body"], tensors, digest, len(data), version)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, then rename: whoever looks sees the old file or the new one.

    A symbolic link is followed, and stays. A file that is there keeps its mode and, where that is allowed, its owner.
    Anything that is no regular file (a device, a pipe, a socket, a folder) is refused and stays as it is. File and
    folder are synchronised, so that a crash of the machine after the return leaves the new file.
    """
    target = _target(Path(path))
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        before = os.stat(target) if target.exists() else None
        with open(temporary, "xb") as file:
            if before is not None:
                _keep_owner_and_mode(file.fileno(), before)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _synchronise(target.parent)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    finally:
        with contextlib.suppress(OSError):  # where the folder is gone so is this
            temporary.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Raise FileFormatError where ``path`` cannot become a file; to be asked before the work is done."""
    target = _target(Path(path))
    if not target.parent.is_dir():
        raise FileFormatError(f"{path}: its folder {target.parent} does not exist; make it first")
    if not os.access(target.parent, os.W_OK):
        raise FileFormatError(f"{path}: its folder {target.parent} cannot be written to; choose another place")


_LINKS = 40  # more are a circle
_SPECIAL = ("/dev/", "/proc/", "/sys/")
_KINDS = {
    stat.S_IFDIR: "a folder; name a file in it",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_ELSEWHERE = "files are written whole and then renamed: name a regular file, or take the document with --json"


def _target(path: Path) -> Path:
    """Return the file that ``path`` means, links followed; FileFormatError where it is no regular file."""
    target = path
    for _ in range(_LINKS):
        where = os.path.abspath(target)
        # /dev/stdout may lead to a regular file, which would be replaced behind the shell's back.
        if str(path) == "-" or (where.startswith(_SPECIAL) and not where.startswith("/dev/shm/")):
            raise FileFormatError(f"{path}: not a regular file; {_ELSEWHERE}")
        try:
            if not target.is_symlink():
                break
            target = target.parent / os.readlink(target)
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    else:
        raise FileFormatError(f"{path}: a circle of symbolic links; choose another place")
    try:
        mode = os.stat(target).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return target
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be written ({error}); choose another place") from None
    if not stat.S_ISREG(mode):
        what = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        raise FileFormatError(f"{path}: {what}" + ("" if ";" in what else f"; {_ELSEWHERE}"))
    if not os.access(target, os.W_OK):
        raise FileFormatError(f"{path}: cannot be written (it is read-only); choose another place")
    return target


def _keep_owner_and_mode(descriptor: int, before: os.stat_result) -> None:
    if not hasattr(os, "fchmod"):  # Windows
        return
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(PermissionError):  # somebody else's file, in a folder that both may write to
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _synchronise(folder: Path) -> None:
    """Have the rename itself written: without it a crash may bring the old file back."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):  # some network folders cannot
            raise
    finally:
        os.close(descriptor)


_AGAIN = "restore it from a copy, or write it again"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file; check the name") from None
    except IsADirectoryError:
        raise FileFormatError(f"{path}: a folder; name a file in it") from None
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _header(path: Path, data: bytes) -> dict[str, Any]:
    """Return our header; FileFormatError where ``data`` is not one of our files, or is cut short."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= _MAX_HEADER or data[8:9] not in (b"{", b""):
        raise FileFormatError(f"{path}: not a model or program file of conntra; {remedies['model']}")
    if len(data) < 8 + size:
        raise FileFormatError(f"{path}: truncated, {len(data)} bytes of at least {8 + size}; {_AGAIN}")
    try:
        listed = json.loads(data[8 : 8 + size])
        header = json.loads(listed["__metadata__"][_KEY])
        end = max((entry["data_offsets"][1] for name, entry in listed.items() if name != "__metadata__"), default=0)
        sound = isinstance(header, dict) and isinstance(header["body"], dict) and isinstance(end, int)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        sound, header, end = False, {}, 0
    if not sound:
        raise FileFormatError(f"{path}: damaged, or not a model or program file of conntra; {_AGAIN}")
    if len(data) != 8 + size + end:
        what = "truncated" if len(data) < 8 + size + end else "longer than it says"
        raise FileFormatError(f"{path}: {what}, {len(data)} bytes of {8 + size + end}; {_AGAIN}")
    return header


def _digest_start(data: bytes) -> int:
    """Return where the 64 digits of the checksum stand; 0 where there are none, and then none matches."""
    found = data.find(_DIGEST_FIELD)
    return 0 if found < 0 else found + len(_DIGEST_FIELD)

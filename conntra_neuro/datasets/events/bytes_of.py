"""The bytes of an event file, whole; and what all binary readers refuse."""

from __future__ import annotations

from pathlib import Path

from conntra_hardware.base.errors import FileFormatError

__all__ = ["damaged", "read_bytes", "whole_records"]

_LARGEST = 2**34


def read_bytes(path: Path) -> bytes:
    """Return the file; FileFormatError where it is missing, cannot be read, or has more than 16 GiB."""
    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path}: more than 16 GiB; cut the recording into samples")
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from None


def damaged(path: Path, what: str) -> FileFormatError:
    """Return the error for a file that is not what its name says."""
    return FileFormatError(f"{path}: damaged or truncated, {what}; get the file anew")


def whole_records(path: Path, data: bytes, start: int, size: int) -> bytes:
    """Return the records of ``size`` bytes each from ``start`` on; FileFormatError where the last one is cut off."""
    left = (len(data) - start) % size
    if left:
        raise damaged(path, f"{len(data) - start} bytes of events, {size} each: the last one is cut off")
    return data[start:]

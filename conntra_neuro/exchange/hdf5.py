"""Looking at an HDF5 file before anything in it is read: what a hostile one may hold is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from conntra_hardware.base.errors import FileFormatError

if TYPE_CHECKING:
    import h5py

__all__ = ["check_hdf5"]

_DEPTH = 12
_OBJECTS = 100_000
_ELEMENTS = 2**28
_UNPACKED, _RATIO = 2**24, 4  # numbers that any file may unpack to, and how many a byte of it
_STRINGS = 2**20


def check_hdf5(path: str | Path, kind: str) -> frozenset[str]:
    """Return what an HDF5 file holds at its root; FileFormatError where ``path`` is none, or asks for too much.

    Refused are groups that hold themselves, links and storage outside the file, and numbers that are many more than the
    file has bytes: a dataset of zeros of any size takes no room in a file. ``kind`` names what the file should be.
    """
    import h5py

    if not os.path.isfile(path):
        raise FileFormatError(f"{path}: no such file; check the name")
    try:
        with h5py.File(path, "r") as file:
            _Survey(path).group(file, 0)
            return frozenset(file)
    except FileFormatError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # what h5py raises on damaged files
        raise FileFormatError(f"{path}: not a {kind} file, or a damaged one ({error}); export it again") from None


class _Survey:
    """What has been seen of a file so far."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.objects, self.elements = path, 0, 0
        self.most = min(max(_UNPACKED, _RATIO * os.path.getsize(path)), _ELEMENTS)

    def group(self, group: h5py.Group, depth: int) -> None:
        import h5py

        if depth > _DEPTH:
            raise self._refusal(f"its groups are nested more than {_DEPTH} deep, or hold themselves")
        for name in group:
            self.objects += 1
            if self.objects > _OBJECTS:
                raise self._refusal(f"more than {_OBJECTS:,} objects")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise self._refusal(f"{group.name}/{name} is a link")
            found = group[name]
            if isinstance(found, h5py.Group):
                self.group(found, depth + 1)
            else:
                self._dataset(found)

    def _dataset(self, found: h5py.Dataset | h5py.Datatype) -> None:
        import h5py

        if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
            raise self._refusal(f"{found.name} is no dataset with its data in the file")
        text = h5py.check_string_dtype(found.dtype) is not None
        if found.dtype.kind not in "iufb" and not text:
            raise self._refusal(f"{found.name} has type {found.dtype}; numbers and strings expected")
        if text and found.size is not None and found.size > _STRINGS:
            raise self._refusal(f"{found.name} holds {found.size:,} strings")
        self.elements += found.size or 0
        if self.elements > self.most:
            raise self._refusal(f"{found.name} has shape {found.shape}: more than {self.most:,} numbers in all")

    def _refusal(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: refused, {what}; no network is written like that")

"""Arrays that stay in their file: sets larger than memory are read as they are needed."""

from __future__ import annotations

import math
import mmap
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

__all__ = ["array_header", "is_mapped", "map_member"]

_LOCAL_HEADER = 30  # bytes before the name in a zip file's local header; see APPNOTE.TXT, 4.3.7


def is_mapped(array: Any) -> bool:
    """Say whether ``array`` is a view of a file."""
    while array is not None:
        if isinstance(array, np.memmap | mmap.mmap):
            return True
        array = getattr(array, "base", None)
    return False


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Return shape, column order and type of the .npy data that ``file`` is at; None for versions not known here.

    ValueError for what is no such data, and, as NumPy evaluates headers, whatever a Python expression may raise.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        return None
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def map_member(path: Path, name: str) -> npt.NDArray[Any] | None:
    """Return the array ``name`` of an .npz file, mapped; None where it is compressed, or is no array of numbers."""
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            return None
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER)
        lengths = np.frombuffer(header, "<u2", 2, 26)  # of the name and of the extra field
        file.seek(member.header_offset + _LOCAL_HEADER + int(lengths.sum()))
        found = array_header(file)
        if found is None:
            return None
        shape, fortran, dtype = found
        if fortran or dtype.hasobject or file.tell() + dtype.itemsize * math.prod(shape) > path.stat().st_size:
            return None
        return np.memmap(path, dtype, "r", file.tell(), shape)

"""What is decoded once and kept in the cache: folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.datasets.mapped import array_header

__all__ = ["keep_array", "kept_folder", "key_of", "load_kept", "new_array"]

_IN_MEMORY = 2**30  # bytes of an array up to which it is read whole
_MADE_IN_MEMORY = 2**28  # and up to which it is made there


def kept_folder(cache: Path, name: str, what: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of ``cache``; where it is not there, ``make`` fills one that becomes it.

    ``what`` names in messages what is kept. FileFormatError where the cache cannot be written.
    """
    kept = cache / name
    if kept.is_dir():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        making = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}.tmp")
        making.mkdir()
    except OSError as error:
        raise FileFormatError(
            f"{kept.parent}: {what} cannot be kept there ({error.strerror}); set CONNTRA_CACHE"
        ) from None
    try:
        make(making)
        os.rename(making, kept)  # all of it, or nothing
    except OSError as error:
        if not kept.is_dir():  # else another process has made the same
            raise FileFormatError(f"{kept}: cannot be written ({error.strerror or error}); set CONNTRA_CACHE") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return kept


def key_of(recipe: str, files: Sequence[Path]) -> str:
    """Return a name for what ``recipe`` makes of ``files``: another one where a name, size or time of them changes."""
    digest = hashlib.sha256(recipe.encode())
    for file in files:
        found = file.stat()
        digest.update(f"\n{file.resolve()} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def new_array(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return zeros of ``shape``, for ``keep_array`` to write to ``path``; mapped to it where they are many.

    Where a disk is full or a network folder is gone, writing is an error; touching a mapped file ends the process.
    """
    if math.prod(shape) <= _MADE_IN_MEMORY:
        return np.zeros(shape, np.uint8)
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def keep_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write ``array`` to ``path``, an .npy file; OSError where that fails. One that is mapped to it is synchronised."""
    if isinstance(array, np.memmap):
        array.flush()
        return
    with open(path, "wb") as file:
        array = np.ascontiguousarray(array)
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.tobytes())  # np.save does not say why it fails


def load_kept(path: Path) -> npt.NDArray[Any]:
    """Return an array of ``keep_array``, mapped from its file where it has more than 1 GiB.

    FileFormatError where it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            header = array_header(file)
            if header is None or math.prod(header[0]) * header[2].itemsize > _IN_MEMORY:
                return np.load(path, mmap_mode="r", allow_pickle=False)
            shape, fortran, dtype = header
            array = np.empty(shape[::-1] if fortran else shape, dtype)
            # np.load does not say why it fails.
            read = file.readinto(array.reshape(-1).view(np.uint8).data) if array.size else 0
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); set CONNTRA_CACHE") from None
    if read != array.nbytes:
        raise FileFormatError(f"{path}: cut off; delete its folder, it is made again")
    return array.T if fortran else array

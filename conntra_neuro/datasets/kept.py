"""What is decoded once and kept in the cache: folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError

__all__ = ["kept_folder", "key_of", "load_kept"]

_IN_MEMORY = 2**30  # bytes of an array up to which it is read whole


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
            raise FileFormatError(f"{kept}: cannot be written ({error.strerror}); set CONNTRA_CACHE") from None
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


def load_kept(path: Path) -> npt.NDArray[Any]:
    """Return an array, mapped from its file where it has more than 1 GiB."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.array(array) if array.nbytes <= _IN_MEMORY else array

"""Arrays from files: .npz and the IDX files of MNIST.

Damage of any kind is one FileFormatError; pickles are never loaded.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.datasets.mapped import map_member

__all__ = ["existing", "find_idx", "read_arrays", "read_idx", "read_npz"]

_AGAIN = "get the file anew"
_IDX_UNSIGNED_BYTES = 0x08
_MAPPED_FROM = 2**30  # bytes of an .npz file; smaller ones are read, which is quicker in all that follows


def existing(path: str | Path) -> Path:
    """Return ``path`` if it is there; FileFormatError otherwise."""
    path = Path(path).expanduser()
    try:
        path.stat()
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file or folder; check the name") from None
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return path


def read_npz(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays x_train, y_train and, where the file has them, x_test and y_test.

    In files from 1 GiB on, arrays that are not compressed (numpy.savez) are mapped, not read.
    """
    path = existing(path)
    arrays, found = _npz(path, ("x_train", "y_train", "x_test", "y_test"))
    return _complete(path, arrays, found)


def read_arrays(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays of an .npz file by name; FileFormatError for a file that is damaged."""
    return _npz(existing(path), None)[0]


def _npz(path: Path, wanted: Sequence[str] | None) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Return the arrays that are ``wanted``, where the file has them, and the names of all; None wants all."""
    try:
        if not zipfile.is_zipfile(path):
            raise FileFormatError(f"{path}: not an .npz file, or truncated; write one with numpy.savez, or {_AGAIN}")
        large = path.stat().st_size >= _MAPPED_FROM
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in wanted or file.files if name in file.files]
            return {name: _array(path, file, name, large) for name in names}, file.files
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"{path}: damaged or truncated ({_line(error)}); {_AGAIN}") from None


def _array(path: Path, file: Any, name: str, large: bool) -> npt.NDArray[Any]:
    try:
        mapped = map_member(path, name) if large else None
        return file[name] if mapped is None else mapped
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"{path}: {name} is an array of objects; save numbers (x) and integers or strings (y)"
        ) from None


def _complete(path: Path, arrays: dict[str, npt.NDArray[Any]], found: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    missing = [name for name in ("x_train", "y_train") if name not in arrays]
    if ("x_test" in arrays) != ("y_test" in arrays):
        missing += [name for name in ("x_test", "y_test") if name not in arrays]
    if missing:
        listed = ", ".join(found) or "nothing"
        raise FileFormatError(
            f"{path}: no {' and '.join(missing)}, it holds {listed}; "
            "x_train and y_train expected, x_test and y_test optional"
        )
    return arrays


def find_idx(folder: Path, stem: str) -> Path | None:
    """Return the IDX file of ``stem``, such as "train-images-idx3-ubyte": plain or .gz, "-idx" or ".idx"."""
    for name in (stem, stem.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            if (folder / f"{name}{suffix}").is_file():
                return folder / f"{name}{suffix}"
    return None


def read_idx(path: Path, ndim: int) -> npt.NDArray[np.uint8]:
    """Return the unsigned bytes of an IDX file (plain or .gz) as an array of ``ndim`` dimensions.

    IDX: two zero bytes, the type, the number of dimensions, each dimension as 32 bits with the most
    significant byte first, then the data.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path}: damaged or truncated ({_line(error)}); {_AGAIN}") from None
    start = 4 + 4 * ndim
    if len(data) < start or data[:4] != bytes((0, 0, _IDX_UNSIGNED_BYTES, ndim)):
        raise FileFormatError(f"{path}: not an IDX file of bytes in {ndim} dimension(s); {_AGAIN}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", ndim, 4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        what = "truncated" if len(data) < expected else "too long"
        raise FileFormatError(f"{path}: {what}, {len(data)} bytes of {expected} for shape {shape}; {_AGAIN}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

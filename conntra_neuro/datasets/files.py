"""Arrays from files: .npz and the IDX files of MNIST.

Damage of any kind is one FileFormatError; pickles are never loaded.
"""

from __future__ import annotations

import gzip
import lzma
import math
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import MALFORMED, FileFormatError, InputError
from conntra_neuro.datasets.mapped import array_header, map_member

__all__ = ["existing", "find_idx", "is_number", "read_arrays", "read_idx", "read_npz", "read_samples"]

_AGAIN = "get the file anew"
_IDX_UNSIGNED_BYTES = 0x08
_MEMBERS = ("x_train", "y_train", "x_test", "y_test")
_ODD = (*MALFORMED, NotImplementedError, tokenize.TokenError)  # NumPy evaluates the headers of arrays as Python
_UNPACKED, _RATIO = 2**28, 100  # bytes that any file may unpack to, and how many times its own size
_MAPPED_FROM = 2**30  # bytes of an .npz file; smaller ones are read, which is quicker in all that follows


def is_number(text: str) -> bool:
    """Say whether a cell of a text table is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


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
    arrays, found = _npz(path, _MEMBERS)
    return _complete(path, arrays, found)


def read_samples(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays x_train and, where the file has it, x_test, as ``read_npz``; classes are not asked for."""
    return _npz(existing(path), ("x_train", "x_test"))[0]


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
            _check_members(path, file, names)
            return {name: _array(path, file, name, large) for name in names}, file.files
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, SyntaxError, *_ODD) as error:
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
    start = 4 + 4 * ndim
    try:
        with open(path, "rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else open(path, "rb") as file:
            header = file.read(start)
            if len(header) < start or header[:4] != bytes((0, 0, _IDX_UNSIGNED_BYTES, ndim)):
                raise FileFormatError(f"{path}: not an IDX file of bytes in {ndim} dimension(s); {_AGAIN}")
            shape = tuple(int(n) for n in np.frombuffer(header, ">u4", ndim, 4))
            size = math.prod(shape)
            _refuse_bomb(path, size, path.stat().st_size)
            data = file.read(min(size, sys.maxsize - 1) + 1)  # one byte more than it should have
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path}: damaged or truncated ({_line(error)}); {_AGAIN}") from None
    if len(data) != size:
        found = f"truncated, {start + len(data)} bytes of" if len(data) < size else "too long, more than"
        raise FileFormatError(f"{path}: {found} {start + size} for shape {shape}; {_AGAIN}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _refuse_bomb(path: Path, size: int, packed: int) -> None:
    """Refuse what a small file would unpack to; an honest file that is so regular can be written unpacked."""
    if size > max(_UNPACKED, _RATIO * packed):
        raise FileFormatError(
            f"{path}: {packed:,} bytes that say they are {size:,}; no more than {_RATIO} times as many, or "
            f"{_UNPACKED:,}, are unpacked: write it uncompressed, or {_AGAIN}"
        )


def _check_members(path: Path, file: Any, names: Sequence[str]) -> None:
    """Refuse an .npz file whose arrays would be larger than what its members hold, before they are made."""
    sizes = {info.filename: info for info in file.zip.infolist()}
    for name in names:
        info = sizes.get(f"{name}.npy")
        if info is None:
            continue
        _refuse_bomb(path, info.file_size, info.compress_size)
        with file.zip.open(info) as member:
            found = array_header(member)
            if found is None:  # NumPy refuses it
                continue
            shape, _, dtype = found
            size = math.prod(shape) * dtype.itemsize
            if not dtype.hasobject and member.tell() + size != info.file_size:
                raise FileFormatError(
                    f"{path}: {name} has shape {shape}, its data {info.file_size:,} bytes of {size:,}; {_AGAIN}"
                )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""Spiking Heidelberg Digits, Spiking Speech Commands and what is laid out alike, in HDF5.

Layout (Cramer, Stradmann, Schemmel and Zenke, "The Heidelberg spiking data sets", 2020): ``spikes/times`` in seconds
and ``spikes/units``, an array of its own length for each sample; ``labels``; in ``extra`` more of each sample, as
``speaker``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.datasets.events.recording import Recording
from conntra_neuro.datasets.events.source import Source

__all__ = ["hdf5_source"]

_US = 1_000_000
_MOST = 10_000_000  # samples, and events of one


def hdf5_source(path: Path, sort: bool = False) -> Source:
    """Return the recordings of an HDF5 file; FileFormatError for one that is damaged or laid out in another way."""
    with _opened(path) as file:
        labels = _row(path, file, "labels")
        extra = file.get("extra") if hasattr(file.get("extra", 0), "items") else {}
        names = [name for name in extra if getattr(extra[name], "shape", None) == labels.shape]
        groups = {name: _row(path, file, f"extra/{name}") for name in names}
        for name in ("spikes/times", "spikes/units"):
            _check_ragged(path, file, name, len(labels))

    def read() -> Iterator[Recording]:
        with _opened(path) as file:
            times, units = file["spikes/times"], file["spikes/units"]
            for index in range(len(labels)):
                yield _recording(f"{path}, sample {index}", times[index], units[index], sort)

    return Source(str(path), labels, read, groups, (path,))


def _recording(name: str, seconds: Any, units: Any, sort: bool) -> Recording:
    t = np.asarray(seconds, np.float64)
    if not np.isfinite(t).all():
        raise InputError(f"{name}: times that are NaN or infinite; seconds expected")
    return Recording.of(name, np.rint(t * _US), units, sort=sort)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the file; whatever h5py raises on damaged ones is a FileFormatError."""
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: HDF5 is read by the package h5py; `pip install h5py`") from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        said = " ".join(str(error).split())
        raise FileFormatError(f"{path}: no HDF5 file, or a damaged one ({said}); get the file anew") from None


def _dataset(path: Path, file: Any, name: str) -> Any:
    """Return a dataset that is stored in the file itself: links and storage outside it are refused."""
    import h5py

    found: Any = file
    at = ""
    for part in name.split("/"):
        at = f"{at}/{part}"
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            raise FileFormatError(f"{path}: no {name} in it; spikes/times, spikes/units and labels expected")
        if not isinstance(link, h5py.HardLink):
            raise FileFormatError(f"{path}: {at} is a link; data in the file itself expected")
        found = found[part]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external or found.ndim != 1:
        raise FileFormatError(f"{path}: {name} is no row of values in the file itself; one entry a sample expected")
    if len(found) > _MOST:
        raise FileFormatError(f"{path}: {name} has {len(found):,} entries; up to {_MOST:,} allowed")
    return found


def _row(path: Path, file: Any, name: str) -> Any:
    import h5py

    found = _dataset(path, file, name)
    if h5py.check_string_dtype(found.dtype) is not None:
        return np.array([value.decode("utf-8", "replace") for value in found[()]])
    if found.dtype.kind not in "iub":
        raise FileFormatError(f"{path}: {name} has type {found.dtype}; integers or text expected")
    return np.asarray(found[()])


def _check_ragged(path: Path, file: Any, name: str, n: int) -> None:
    import h5py

    found = _dataset(path, file, name)
    inner = h5py.check_vlen_dtype(found.dtype)
    if inner is None or np.dtype(inner).kind not in "iuf":
        raise FileFormatError(f"{path}: {name} has type {found.dtype}; numbers of its own length a sample expected")
    if len(found) != n:
        raise FileFormatError(f"{path}: {len(found)} entries in {name}, {n} in labels; equal numbers expected")

"""What a folder or file of recordings is: which of the layouts, and its sources, train and test apart."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.datasets.events.aedat3 import read_aedat3
from conntra_neuro.datasets.events.aedat4 import read_aedat4
from conntra_neuro.datasets.events.atis_bin import read_atis_bin
from conntra_neuro.datasets.events.bytes_of import damaged
from conntra_neuro.datasets.events.hdf5 import hdf5_source
from conntra_neuro.datasets.events.prophesee import read_dat, read_raw
from conntra_neuro.datasets.events.recording import Recording
from conntra_neuro.datasets.events.source import Source
from conntra_neuro.datasets.events.tables import read_table, table_source
from conntra_neuro.datasets.folders import prefix_of, split_folders

__all__ = ["find_sources"]


def _read_aedat(path: Path, sort: bool = False) -> Recording:
    with open(path, "rb") as file:
        return (read_aedat4 if file.read(13) == b"#!AER-DAT4.0\r" else read_aedat3)(path, sort)


_READERS: dict[str, Callable[[Path, bool], Recording]] = {
    ".bin": read_atis_bin,
    ".aedat": _read_aedat,
    ".aedat4": read_aedat4,
    ".raw": read_raw,
    ".dat": read_dat,
    ".csv": read_table,
    ".npz": read_table,
}
_TABLES = (".csv", ".npz")
_HDF5 = (".h5", ".hdf5")
_ALLOWED = f"CLASS/* of {', '.join(_READERS)}; *.aedat with *_labels.csv; or {', '.join(_HDF5)}"


def find_sources(path: Path, sort: bool = False) -> tuple[Source, Source | None]:
    """Return the recordings of training and, where ``path`` says it, those of testing.

    FileFormatError where there is nothing to read.
    """
    if path.is_file():
        return _of_file(path, sort), None
    trials = [path / f"trials_to_{part}.txt" for part in ("train", "test")]
    if all(file.is_file() for file in trials):
        return _labelled(path, _listed(path, trials[0]), sort), _labelled(path, _listed(path, trials[1]), sort)
    files = sorted(file for file in path.iterdir() if file.suffix in (*_HDF5, *_TABLES))
    train = [file for file in files if "train" in file.stem.lower()]
    test = [file for file in files if "test" in file.stem.lower()]
    if len(train) == 1 and len(test) == 1:
        return _of_file(train[0], sort), _of_file(test[0], sort)
    parts = split_folders(path)
    if parts is None:
        return _of_folder(path, sort), None
    return _of_folder(parts[0], sort), None if parts[1] is None else _of_folder(parts[1], sort)


def _of_file(path: Path, sort: bool) -> Source:
    if path.suffix in _HDF5:
        return hdf5_source(path, sort)
    if path.suffix in _TABLES:
        return table_source(path, sort)
    raise FileFormatError(f"{path}: one recording has no class to tell it from; a folder of {_ALLOWED} expected")


def _of_folder(folder: Path, sort: bool) -> Source:
    labelled = sorted(file for file in folder.glob("*.aedat") if _labels_of(file).is_file())
    if labelled:
        return _labelled(folder, labelled, sort)
    files = [file for file in sorted(folder.glob("*/*")) if file.suffix.lower() in _READERS and file.is_file()]
    if not files:
        raise FileFormatError(f"{folder}: no recordings in it; {_ALLOWED} expected")

    def read() -> Iterator[Recording]:
        for file in files:
            yield _READERS[file.suffix.lower()](file, sort)

    labels = np.array([file.parent.name for file in files])
    return Source(str(folder), labels, read, {"prefix": np.array([prefix_of(file) for file in files])}, tuple(files))


def _labels_of(file: Path) -> Path:
    return file.with_name(f"{file.stem}_labels.csv")


def _listed(folder: Path, listing: Path) -> list[Path]:
    names = [line.strip() for line in listing.read_text(encoding="utf-8", errors="replace").splitlines()]
    files = [folder / name for name in names if name]
    for file in files:
        if not file.is_file():
            raise FileFormatError(f"{listing}: names {file.name}, which is not there; get the data set anew")
    return files


def _labelled(folder: Path, files: Sequence[Path], sort: bool) -> Source:
    """Return the pieces of AEDAT files that their label files name: DVS Gesture's layout."""
    pieces = {file: _pieces(_labels_of(file)) for file in files}

    def read() -> Iterator[Recording]:
        for file, found in pieces.items():
            whole = _read_aedat(file, sort)
            for label, start, end in found:
                inside = (whole.t >= start) & (whole.t <= end)
                name = f"{file}, class {label} from {start} to {end} us"
                assert whole.p is not None
                yield Recording(name, whole.t[inside], whole.x[inside], whole.y[inside], whole.p[inside], whole.sensor)

    labels = np.array([label for found in pieces.values() for label, _, _ in found])
    prefixes = np.array([prefix_of(file) for file, found in pieces.items() for _ in found])
    groups = {"prefix": prefixes}
    return Source(str(folder), labels, read, groups, (*files, *(_labels_of(file) for file in files)))


def _pieces(path: Path) -> list[tuple[int, int, int]]:
    """Return class, start and end (in microseconds) of each line of a label file."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damaged(path, str(error)) from None
    found = []
    for index, row in enumerate(rows):
        texts = [text.strip() for text in row]
        if index == 0 and not re.fullmatch(r"\d+", texts[0]):
            continue  # "class,startTime_usec,endTime_usec"
        if len(texts) != 3 or not all(re.fullmatch(r"\d+", text) for text in texts):
            raise damaged(path, f"row {index} is {','.join(texts)!r}; class, start and end in microseconds expected")
        label, start, end = map(int, texts)
        if end < start:
            raise InputError(f"{path}: row {index} ends at {end}, before its start at {start}; mend the file")
        found.append((label, start, end))
    if not found:
        raise FileFormatError(f"{path}: no pieces; lines of class, start and end in microseconds expected")
    return found

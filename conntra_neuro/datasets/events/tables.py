"""Events in CSV and .npz: columns t, x, y, p or t, unit; one recording a file, or many with their labels.

In a file of many, ``sample`` numbers the recording of each event from 0 on, and ``label`` is that of each recording in
an .npz, of each event's recording in a CSV. Times are whole microseconds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.datasets.events.bytes_of import damaged
from conntra_neuro.datasets.events.recording import Recording
from conntra_neuro.datasets.events.source import Source
from conntra_neuro.datasets.files import is_number, read_arrays

__all__ = ["read_table", "table_source"]

_EXPECTED = "columns t,x,y,p (a camera) or t,unit (a row of units) expected"
_NAMES = {"polarity": "p", "channel": "unit", "address": "unit", "time": "t", "timestamp": "t"}
_EVENT_COLUMNS = ("t", "x", "y", "p", "unit", "sample")

Columns = Mapping[str, npt.NDArray[Any]]


def read_table(path: Path, sort: bool = False) -> Recording:
    """Return the only recording of a CSV or .npz file; FileFormatError for a file that is damaged."""
    return _recording(str(path), path, _columns(path), None, sort)


def table_source(path: Path, sort: bool = False) -> Source:
    """Return the recordings of a CSV or .npz file with ``sample`` and ``label``.

    All other columns of one value a recording are groupings. FileFormatError for a file without labels.
    """
    columns = _columns(path)
    if "sample" not in columns or "label" not in columns:
        raise FileFormatError(
            f"{path}: holds {', '.join(columns)}; a file of many recordings has sample and label, too. A file of one "
            "belongs into a folder that is called as its class"
        )
    sample = columns["sample"]
    if sample.dtype.kind not in "iu" or (sample.size and sample.min() < 0):
        raise FileFormatError(f"{path}: sample has type {sample.dtype}; numbers of recordings, from 0, expected")
    for name in _EVENT_COLUMNS:
        if name in columns and len(columns[name]) != len(sample):
            raise FileFormatError(
                f"{path}: {name} has {len(columns[name])} events, sample {len(sample)}; mend the file"
            )
    order = np.argsort(sample, kind="stable")
    found, first = np.unique(sample[order], return_index=True)
    if path.suffix == ".csv":
        labels = {name: columns[name][order][first] for name in columns if name not in _EVENT_COLUMNS}
        _check_constant(path, columns, order, first)
    else:
        n = len(columns["label"])
        labels = {name: values for name, values in columns.items() if name not in _EVENT_COLUMNS and len(values) == n}
        if not np.array_equal(found, np.arange(n)):
            missing = np.setdiff1d(np.arange(n), found)
            what = f"recording {missing[0]} has no events" if len(missing) else f"sample goes up to {found[-1]}"
            raise InputError(f"{path}: {what}, label is that of {n} recordings; take out what is empty")
    bounds = [*first.tolist(), len(order)]

    def read() -> Iterator[Recording]:
        for index, number in enumerate(found.tolist()):
            rows = order[bounds[index] : bounds[index + 1]]
            yield _recording(f"{path}, sample {number}", path, columns, rows, sort)

    groups = {name: values for name, values in labels.items() if name != "label"}
    return Source(str(path), labels["label"], read, groups, (path,))


def _recording(name: str, path: Path, columns: Columns, rows: Any, sort: bool) -> Recording:
    given = [key for key in ("t", "x", "y", "p", "unit") if key in columns]
    chosen = {key: columns[key] if rows is None else columns[key][rows] for key in given}
    if set(given) == {"t", "unit"}:
        return Recording.of(name, chosen["t"], chosen["unit"], sort=sort)
    if set(given) == {"t", "x", "y", "p"}:
        return Recording.of(name, chosen["t"], chosen["x"], chosen["y"], chosen["p"], sort=sort)
    raise FileFormatError(f"{path}: holds {', '.join(columns) or 'nothing'}; {_EXPECTED}")


def _check_constant(path: Path, columns: Columns, order: npt.NDArray[Any], first: npt.NDArray[Any]) -> None:
    counts = np.diff([*first.tolist(), len(order)])
    labels = columns["label"][order]
    wrong = np.flatnonzero(labels != np.repeat(labels[first], counts))
    if len(wrong):
        number = columns["sample"][order][wrong[0]]
        raise InputError(f"{path}: sample {number} has several labels; one label a recording expected")


def _columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    return _csv_columns(path) if path.suffix == ".csv" else _npz_columns(path)


def _npz_columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    columns = {_NAMES.get(name, name): values for name, values in read_arrays(path).items()}
    wrong = [name for name, values in columns.items() if values.ndim != 1]
    if wrong:
        raise FileFormatError(f"{path}: {wrong[0]} has shape {columns[wrong[0]].shape}; one row of numbers expected")
    return columns


def _csv_columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a CSV; without a line of names they are t,x,y,p or t,unit."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damaged(path, f"no CSV of UTF-8 ({error})") from None
    if not rows:
        raise InputError(f"{path}: no events; take the recording out of the set")
    names = [_NAMES.get(name.strip().lower(), name.strip().lower()) for name in rows[0]]
    if any(is_number(name) for name in names):
        names = {4: ["t", "x", "y", "p"], 2: ["t", "unit"]}.get(len(names), [])
        if not names:
            raise FileFormatError(f"{path}: {len(rows[0])} columns and no line of names; {_EXPECTED}")
    else:
        rows = rows[1:]
    for index, row in enumerate(rows):
        if len(row) != len(names):
            raise damaged(path, f"row {index} has {len(row)} values of {len(names)}")
    return {name: _column(path, name, [row[i].strip() for row in rows]) for i, name in enumerate(names)}


def _column(path: Path, name: str, texts: list[str]) -> npt.NDArray[Any]:
    try:
        return np.array([int(text) for text in texts], np.int64)
    except (ValueError, OverflowError):
        if name not in _EVENT_COLUMNS:
            return np.array(texts)
    bad = next(i for i, text in enumerate(texts) if not text.lstrip("+-").isdecimal() or abs(int(text)) >= 2**63)
    raise InputError(f"{path}: {name} of event {bad} is {texts[bad]!r}; whole numbers expected, times in microseconds")

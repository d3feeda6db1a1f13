"""``csv:PATH``: a table, a sample a row, in columns of numbers and one of classes or of values to be predicted."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_neuro.datasets.files import existing, is_number
from conntra_neuro.datasets.options import check_known, split_options

__all__ = ["read_table"]

_USUAL = ("label", "class", "target", "y")
_WHOLE = re.compile(r"[+-]?\d{1,18}")

Array = npt.NDArray[Any]


def read_table(spec: str) -> tuple[dict[str, Array], bool, str]:
    """Read ``PATH?label=NAME&drop=NAME,NAME&target=value``; commas, semicolons or tabs between the values.

    The first row names the columns, unless it holds a number: then they are called 1, 2 and so on. The classes are in
    the column ``label``; without it, in the one that is called label, class, target or y, else in the last. Columns
    ``drop`` are left out; all others are features. With ``target=value`` the column holds numbers to be predicted.

    Returns x_train float64 (n, features) and y_train (n,), whether that is values, and a remark on the column. Raises
    FileFormatError for a file that is missing or no table, InputError for options and values that cannot be used.
    """
    text, options = (spec, {}) if Path(spec).exists() else split_options(spec)
    name = f"csv:{spec}"
    check_known(name, options, ("label", "drop", "target"))
    target = options.get("target", "class")
    if target not in ("class", "value"):
        raise InputError(f"{name}: target={target}: class or value expected")
    path = existing(text)
    rows = _rows(path)
    first = next(rows, (1, []))
    named = not any(map(is_number, first[1]))
    columns = [cell or f"{at}" for at, cell in enumerate(first[1], 1)] if named else _numbered(first[1])
    of, dropped = _label(name, columns, options.get("label")), options.get("drop", "")
    left_out = {of, *(_index(name, columns, each.strip()) for each in dropped.split(",") if dropped)}
    kept = [at for at in range(len(columns)) if at not in left_out]
    if not kept:
        raise FileFormatError(f"{path}: no columns of features; a row of names expected, then a sample a row")
    features, labels = array("d"), []
    for line, row in rows if named else _again(first, rows):
        if len(row) != len(columns):
            raise FileFormatError(f"{path}: line {line} has {len(row)} values of {len(columns)}; mend it")
        features.extend(_number(path, line, columns[at], row[at]) for at in kept)
        labels.append(_number(path, line, columns[of], row[of]) if target == "value" else row[of])
        if row[of] == "":
            raise InputError(f"{path}: line {line}: {columns[of]!r} is empty; take the row out")
    x = np.array(features, np.float64).reshape(-1, len(kept))
    y = np.array(labels) if target == "value" else _classes(labels)
    remark = f"; {columns[of]!r} is predicted from {len(kept)} other columns"
    return {"x_train": x, "y_train": y}, target == "value", remark


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells of every row that is not empty."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head = file.readline(2**20)
            file.seek(0)
            separator = max(",;\t", key=head.count)
            reader = csv.reader(file, delimiter=separator)
            for row in reader:
                if any(cells := [cell.strip() for cell in row]):
                    yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: no CSV of UTF-8 ({error}); get the file anew") from None


def _again(first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _numbered(row: Sequence[str]) -> list[str]:
    return [str(at) for at in range(1, len(row) + 1)]


def _label(name: str, columns: Sequence[str], wanted: str | None) -> int:
    if wanted is not None:
        return _index(name, columns, wanted)
    usual = [at for at, column in enumerate(columns) if column.lower() in _USUAL]
    return usual[0] if len(usual) == 1 else len(columns) - 1


def _index(name: str, columns: Sequence[str], wanted: str) -> int:
    if columns.count(wanted) == 1:
        return columns.index(wanted)
    there = ", ".join(columns if len(columns) <= 12 else [*columns[:10], "...", columns[-1]])
    if wanted in columns:
        raise InputError(f"{name}: several columns {wanted!r}; give each a name of its own")
    raise InputError(f"{name}: no column {wanted!r}{did_you_mean(wanted, list(columns))}; allowed: {there}")


def _number(path: Path, line: int, column: str, text: str) -> float:
    if is_number(text):
        return float(text)
    if text == "":
        raise InputError(f"{path}: line {line}: {column!r} is empty; fill it in, take the row out, or ?drop={column}")
    raise InputError(
        f"{path}: line {line}: {column!r} is {text!r}; a number expected (1.5, not 1,5): code it in numbers, leave the "
        f"column out with ?drop={column}, or if it has the classes: ?label={column}"
    )


def _classes(labels: list[str]) -> Array:
    """Return whole numbers where all are; real numbers where all are, of which others say why not; else the text."""
    if all(_WHOLE.fullmatch(text) for text in labels):
        return np.array([int(text) for text in labels], np.int64)
    if all(map(is_number, labels)):
        return np.array([float(text) for text in labels])
    return np.array(labels)

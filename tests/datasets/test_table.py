"""Tables in CSV: what is read is what scikit-learn and NumPy have, and each thing that is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine

import conntra_neuro as cn
from conntra_hardware.base.errors import FileFormatError, InputError

NAMES: list[str] = ["alcohol", "acid, malic", *"abcdefghijk"]


def written(path: Path, rows: list[list[Any]], head: list[str] | None = None, between: str = ",") -> Path:
    lines = [between.join(f'"{cell}"' if between in str(cell) else str(cell) for cell in row) for row in rows]
    first = [between.join(f'"{name}"' if between in name else name for name in head)] if head else []
    path.write_text("\n".join([*first, *lines, ""]), encoding="utf-8")
    return path


def wine() -> tuple[np.ndarray, list[str]]:
    found: Any = load_wine()
    return found.data, [("Barolo", "Grignolino", "Barbera")[i] for i in found.target]


def joined(data: cn.Dataset) -> list[tuple[tuple[float, ...], Any]]:
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    return sorted((tuple(row), data.labels[label]) for row, label in zip(x.tolist(), y, strict=True))


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_table_is_what_scikit_learn_has(between: str, tmp_path: Path) -> None:
    x, y = wine()
    rows = [[*row, label] for row, label in zip(x.tolist(), y, strict=True)]
    path = written(tmp_path / "wine.csv", rows, [*NAMES, "cultivar"], between)
    data = cn.load_dataset(f"csv:{path}", seed=3)
    assert joined(data) == sorted(zip(map(tuple, x.tolist()), y, strict=True))
    assert data.labels == ("Barbera", "Barolo", "Grignolino")
    assert data.note == (
        "no test split given: 36 of 178 samples held out, stratified, seed 3; 'cultivar' is predicted from 13 other "
        "columns"
    )
    assert cn.load_dataset(f"csv:{path}", seed=3).x_test.tolist() == data.x_test.tolist()
    trained = cn.train(data, layers=[8], seed=0, sweeps=5)
    program = cn.compile(trained.network, chip="loihi1")
    assert program.run(data.x_test, data.y_test).accuracy == 1 - trained.test_error
    assert program.verify(data.x_test[:5], backends=["reference", "loop"]).equal


def test_without_names_and_with_columns_left_out(tmp_path: Path) -> None:
    x, y = wine()
    rows = [[label, index, *row] for index, (row, label) in enumerate(zip(x.tolist(), y, strict=True))]
    bare = written(tmp_path / "bare.csv", rows)
    head = written(tmp_path / "head.csv", rows, ["class", "id", *NAMES])
    expected = sorted(zip(map(tuple, x.tolist()), y, strict=True))
    assert joined(cn.load_dataset(f"csv:{bare}?label=1&drop=2")) == expected
    assert joined(cn.load_dataset(f"csv:{head}?drop=id")) == expected  # by its name, which is a usual one
    numbers = np.genfromtxt(head, delimiter=",", skip_header=1, usecols=[1])
    first = cn.load_dataset(f"csv:{head}?label=class")
    assert sorted([*first.x_train[:, 0], *first.x_test[:, 0]]) == numbers.tolist()
    marked = tmp_path / "marked.csv"
    marked.write_bytes("\ufeff".encode() + head.read_bytes().replace(b"\n", b"\r\n\r\n"))  # as Excel writes
    assert joined(cn.load_dataset(f"csv:{marked}?drop=id")) == expected


def test_values_are_predicted_where_it_is_said(tmp_path: Path) -> None:
    found: Any = load_diabetes(scaled=False)
    rows = [[*row, y / 4] for row, y in zip(found.data.tolist(), found.target.tolist(), strict=True)]
    path = written(tmp_path / "d.csv", rows, [*"abcdefghij", "later"])
    data = cn.load_dataset(f"csv:{path}?target=value")
    assert data.target == "value"
    y = np.concatenate([data.y_train, data.y_test])
    assert sorted(y.tolist()) == sorted((found.target / 4).tolist())
    assert data.note.endswith("; 'later' is predicted from 10 other columns")
    with pytest.raises(InputError, match=r"values that are not whole; .* or \?target=value behind the path"):
        cn.load_dataset(f"csv:{path}")
    whole = written(tmp_path / "w.csv", [[row[0], i % 3] for i, row in enumerate(rows)])
    assert cn.load_dataset(f"csv:{whole}").labels == (0, 1, 2)


WRONG: dict[str, tuple[str, str, type[Exception], str]] = {
    "no file": ("", "", FileFormatError, "no such file or folder"),
    "nothing": ("\n\n", "", FileFormatError, "no columns of features; a row of names expected"),
    "names alone": ("a,b\n", "", InputError, "empty, x_train holds no samples"),
    "one column": ("a\n1\n2\n", "", FileFormatError, "no columns of features"),
    "too short a row": ("a,b\n1,x\n2\n", "", FileFormatError, "line 3 has 1 values of 2; mend it"),
    "text": (
        "city,a,b\nRome,1,x\n",
        "",
        InputError,
        r"line 2: 'city' is 'Rome'; a number expected.*\?drop=city, or if it has the classes: \?label=city",
    ),
    "an empty cell": ("a,b\n1,x\n,y\n", "", InputError, "line 3: 'a' is empty; fill it in, take the row out"),
    "an empty class": ("a,b\n1,x\n2,\n", "", InputError, "line 3: 'b' is empty; take the row out"),
    "not a number": ("a,b\n1,x\nnan,x\n2,y\n3,y\n", "", InputError, "NaN or infinite features"),
    "an unknown column": (
        "size,b\n1,x\n",
        "?label=siz",
        InputError,
        r"no column 'siz' \(did you mean size\?\)",
    ),
    "a column twice": ("a,a,b\n1,2,x\n", "?drop=a", InputError, "several columns 'a'"),
    "an unknown option": ("a,b\n1,x\n", "?labels=b", InputError, "option 'labels' is not known; allowed: label, drop"),
    "a target": ("a,b\n1,x\n", "?target=b", InputError, "target=b: class or value expected"),
    "no text": ("a,\x00\ud800", "", FileFormatError, "no CSV of UTF-8"),
    "values of text": ("a,b\n1,x\n", "?target=value", InputError, "'b' is 'x'; a number expected"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str, tmp_path: Path) -> None:
    text, options, kind, message = WRONG[name]
    if text:
        (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(kind, match=message) as found:
        cn.load_dataset(f"csv:{tmp_path / 't.csv'}{options}")
    assert "\n" not in str(found.value)


def test_its_kind_may_be_forgotten(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown \(did you mean csv:my.csv\?label=a\?\)"):
        cn.load_dataset("my.csv?label=a")

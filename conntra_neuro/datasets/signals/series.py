"""``series:PATH``: time series of one or more channels, as ECG, inertial sensors or touch, in an .npz or a CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.datasets.files import existing, read_arrays
from conntra_neuro.datasets.options import check_known, number, split_options
from conntra_neuro.datasets.signals.sampled import Sampled, code_options
from conntra_neuro.datasets.split import split_of

__all__ = ["read_series"]

_NAMES = ("steps", "step", "code", "levels", "scale", "group", "held")
_LARGEST = 2**15
_KNOWN = ("sample", "label")

Array = npt.NDArray[Any]


def read_series(spec: str, test_fraction: float, seed: int) -> Sampled:
    """Read ``PATH?step=4&code=delta``: whole numbers (n, channels * samples), channels one behind the other.

    An .npz holds x_train, y_train (and x_test, y_test), with x (n, samples) or (n, samples, channels), and for
    ``group`` an array (n,) of that name. A CSV has a line of names, then a line for each time: ``sample``, which
    numbers the recordings, ``label``, and the channels, all other columns but that of ``group``.

    ``step``: samples that become one step, 1 by default; ``steps``: as many as the longest recording has by default.
    Longer recordings are cut, shorter ones go on with their last value. Numbers are multiplied by ``scale`` and
    rounded to 16 bits; by default by what makes the largest of training 2^14, whole numbers of 16 bits by 1.

    FileFormatError for files that are missing or damaged, InputError for what cannot be used.
    """
    name = f"series:{spec}"
    text, options = split_options(spec)
    check_known(name, options, _NAMES)
    path = existing(text)
    series, labels, given, groups = (_of_csv if path.suffix == ".csv" else _of_npz)(path, options.get("group"))
    for index, found in enumerate(series):
        if not np.isfinite(found).all():
            raise InputError(f"{name}: sample {index} holds NaN or infinite values; drop or impute them")
    split = split_of(name, labels, given, groups, options.get("held"), test_fraction, seed)
    per_step = number(options.get("step", "1"), "step")
    if per_step < 1:
        raise InputError(f"{name}: step={per_step}; 1 or more samples expected")
    longest = max(len(series[i]) for i in split.train)
    steps = number(options["steps"], "steps") if "steps" in options else -(-longest // per_step)
    coding = SignalCoding(steps, per_step, channels=series[0].shape[1], **code_options(name, options))
    scale = _scale(name, options.get("scale"), [series[i] for i in split.train])
    x = np.stack([_fitted(found, scale, steps * per_step) for found in series])
    note = split.note + ("" if scale == 1 else f"; times {scale:g}, rounded")
    arrays = {"x_train": x[split.train], "y_train": labels[split.train]}
    return Sampled(arrays | {"x_test": x[split.test], "y_test": labels[split.test]}, coding, note)


def _scale(name: str, text: str | None, series: list[Array]) -> float:
    if text is not None:
        try:
            scale = float(text)
        except ValueError:
            scale = 0.0
        if not 0 < scale < 1e12:
            raise InputError(f"{name}: scale={text}; a number above 0 expected")
        return scale
    largest = max(float(np.abs(found).max()) for found in series)
    whole = all(np.all(found == np.rint(found)) for found in series)
    if largest == 0 or (whole and largest < _LARGEST):
        return 1.0
    return float(2.0 ** np.floor(np.log2(_LARGEST / 2 / largest)))  # a power of two: nothing is lost by it


def _fitted(found: Array, scale: float, samples: int) -> npt.NDArray[np.int16]:
    """Return a series (samples, channels) as whole numbers (channels * samples,), cut or gone on with."""
    numbers = np.clip(np.rint(found[:samples] * scale), -_LARGEST, _LARGEST - 1).astype(np.int16)
    return np.pad(numbers, ((0, samples - len(numbers)), (0, 0)), mode="edge").T.reshape(-1)


Found = tuple[list[Array], Array, int | None, Array | None]


def _of_npz(path: Path, group: str | None) -> Found:
    arrays = read_arrays(path)
    series: list[Array] = []
    labels = []
    for part in ("train", "test"):
        if f"x_{part}" not in arrays or f"y_{part}" not in arrays:
            if part == "train" or f"x_{part}" in arrays:
                raise FileFormatError(f"{path}: no x_{part} and y_{part}, it holds {', '.join(arrays)}; add them")
            continue
        x = arrays[f"x_{part}"]
        if x.ndim not in (2, 3) or x.dtype.kind not in "iufb" or 0 in x.shape:
            raise InputError(
                f"{path}: x_{part} is {x.dtype} {x.shape}; numbers (n, samples) or (n, samples, channels) expected"
            )
        if len(x) != len(arrays[f"y_{part}"]):
            raise InputError(f"{path}: {len(x)} samples in x_{part}, {len(arrays[f'y_{part}'])} in y_{part}")
        series += list(x[:, :, None] if x.ndim == 2 else x)
        labels.append(arrays[f"y_{part}"])
    given = len(labels[1]) if len(labels) > 1 else None
    if len({found.shape[1] for found in series}) > 1:
        raise InputError(f"{path}: x_train and x_test differ in their channels; equal numbers expected")
    return series, np.concatenate(labels), given, _npz_groups(path, arrays, group, len(series))


def _npz_groups(path: Path, arrays: dict[str, Array], group: str | None, n: int) -> Array | None:
    if group is None:
        return None
    found = [arrays[name] for name in (group, f"{group}_train", f"{group}_test") if name in arrays]
    if not found or sum(len(part) for part in found) != n:
        raise InputError(f"{path}: group={group}: no array of that name (or with _train, _test) for {n} samples")
    return np.concatenate(found).astype(str)


def _of_csv(path: Path, group: str | None) -> Found:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: no CSV of UTF-8 ({error}); get the file anew") from None
    names = [name.strip() for name in rows[0]] if rows else []
    wanted = [*_KNOWN, *([group] if group else [])]
    missing = [name for name in wanted if name not in names]
    channels = [i for i, name in enumerate(names) if name not in wanted]
    if missing or not channels:
        what = f"no column {missing[0]}" if missing else "no channels"
        raise FileFormatError(f"{path}: {what}; a line of names expected: sample, label, and the channels")
    recordings: dict[str, list[list[float]]] = {}
    said: dict[str, tuple[str, str]] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise FileFormatError(f"{path}: line {line} has {len(row)} values of {len(names)}; mend it")
        entry = dict(zip(names, (text.strip() for text in row), strict=True))
        key, about = entry["sample"], (entry["label"], entry[group] if group else "")
        if said.setdefault(key, about) != about:
            raise InputError(f"{path}: line {line}: sample {key} has several labels or groups; one expected")
        recordings.setdefault(key, []).append([_real(path, line, row[i]) for i in channels])
    if not recordings:
        raise InputError(f"{path}: no samples; at least one of each class expected")
    labels = np.array([label for label, _ in said.values()])
    groups = np.array([of for _, of in said.values()]) if group else None
    return [np.array(found) for found in recordings.values()], labels, None, groups


def _real(path: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{path}: line {line}: {text!r}; a number expected") from None

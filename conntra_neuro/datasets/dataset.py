"""A dataset: features and class indices, split into training and test samples, checked at construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import target_values
from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.datasets.mapped import is_mapped

__all__ = ["Dataset", "Input", "index_classes", "refuse_values"]

Input: TypeAlias = Literal["features", "spikes"] | SignalCoding

Array = npt.NDArray[Any]
_ROWS = 1024  # checked at a time


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples of at least two classes; all arrays are write-locked.

    name             of the dataset, for messages and tables
    x_train, x_test  numbers (n, *feature_shape), finite; x_test may hold no samples. Arrays that are mapped from a
                     file (numpy.memmap) stay there
    y_train, y_test  class indices (n,), int64, 0 .. len(labels) - 1; or values (n,), float64
    labels           what the classes are called, in index order; () where the targets are values
    note             where the split comes from, for people
    input            what samples are: "features", numbers that are encoded as spikes; "spikes" over time, 0/1,
                     (n, steps, ...); or a ``SignalCoding``: a sensor's samples, whole numbers (n, channels * samples)
    binning          how events became these spikes, JSON values; None where they do not come from events
    target           "class", or "value": a number to be predicted (regression)

    Raises InputError for values that are not finite, class indices out of range, shapes that do not belong together,
    one class or one value only, and labels that are not all different.
    """

    name: str
    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    labels: tuple[Any, ...] = ()
    note: str = ""
    input: Input = "features"
    binning: Mapping[str, Any] | None = None
    target: Literal["class", "value"] = "class"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if self.target not in ("class", "value") or (self.target == "value" and self.labels):
            raise InputError(f"{self.name}: target {self.target!r} with labels {self.labels}; class, or value without")
        if len(set(self.labels)) < len(self.labels):
            raise InputError(f"{self.name}: labels {self.labels}; each class needs one of its own")
        for part in ("train", "test"):
            x = _features(self.name, f"x_{part}", getattr(self, f"x_{part}"))
            given = getattr(self, f"y_{part}")
            if self.target == "value":
                y = _locked(target_values(given, len(given), f"{self.name}: y_{part}"))
            else:
                y = _indices(self.name, f"y_{part}", given, len(self.labels))
            if len(x) != len(y):
                raise InputError(
                    f"{self.name}: {len(x)} samples in x_{part}, {len(y)} in y_{part}; equal numbers expected"
                )
            object.__setattr__(self, f"x_{part}", x)
            object.__setattr__(self, f"y_{part}", y)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            train, test = self.x_train.shape[1:], self.x_test.shape[1:]
            raise InputError(f"{self.name}: samples of shape {train} in x_train, {test} in x_test; one shape expected")
        if len(self.x_train) == 0 or self.x_train[0].size == 0:
            raise InputError(
                f"{self.name}: empty, x_train has shape {self.x_train.shape}; samples with features expected"
            )
        if len(np.unique(self.y_train)) < 2:
            raise InputError(
                f"{self.name}: one {self.target} only in y_train; at least 2 expected, there is nothing to tell apart"
            )

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.x_train.shape[1:]

    @property
    def n_features(self) -> int:
        """Numbers in one sample."""
        return int(np.prod(self.feature_shape))

    @property
    def n_classes(self) -> int:
        """Number of classes; of values 1, the number of logits."""
        return 1 if self.target == "value" else len(self.labels)

    def __repr__(self) -> str:
        sizes = f"{len(self.x_train)} training and {len(self.x_test)} test samples"
        told = "a value" if self.target == "value" else f"{self.n_classes} classes"
        return f"Dataset({self.name}: {sizes} of shape {self.feature_shape}, {told})"


def refuse_values(data: Dataset, what: str) -> None:
    """Raise InputError where the targets of ``data`` are values, and ``what`` is made for classes."""
    if data.target == "value":
        raise InputError(f"{what}: {data.name} has values to be predicted; classes expected")


def index_classes(name: str, y_train: ArrayLike, y_test: ArrayLike | None) -> tuple[Array, Array, tuple[Any, ...]]:
    """Return training and test labels as indices into the classes found in training, and these classes.

    Labels are integers, whole floats or strings; a test label that training has never seen is an InputError.
    """
    train = _labels(name, "y_train", y_train)
    test = train[:0] if y_test is None else _labels(name, "y_test", y_test)
    classes = np.unique(train)
    unseen = np.setdiff1d(test, classes)
    if len(unseen):
        shown = ", ".join(map(str, unseen[:3].tolist()))
        raise InputError(f"{name}: labels out of range: y_test has {shown}, y_train only {_shown(classes)}")
    return np.searchsorted(classes, train), np.searchsorted(classes, test), tuple(classes.tolist())


def _shown(classes: Array) -> str:
    listed = [str(c) for c in classes.tolist()]
    return ", ".join(listed if len(listed) <= 12 else [*listed[:5], "...", listed[-1]])


def _labels(name: str, part: str, values: ArrayLike) -> Array:
    labels = np.asarray(values)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(f"{name}: {part} has shape {labels.shape}; (n,) expected, one class a sample")
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and np.all(labels == np.rint(labels)):
        return labels.astype(np.int64)
    what = "values that are not whole" if labels.dtype.kind == "f" else f"type {labels.dtype}"
    raise InputError(
        f"{name}: {part} holds {what}; integers or strings that name classes expected, or ?target=value behind the "
        "path (npz:PATH?target=value) for numbers to be predicted"
    )


def _features(name: str, part: str, values: ArrayLike) -> Array:
    x = np.asarray(values)
    if x.ndim < 2:
        raise InputError(f"{name}: {part} has shape {x.shape}; (n, features) expected")
    if x.dtype == bool:
        x = x.astype(np.uint8)
    if x.dtype.kind not in "iuf":
        raise InputError(f"{name}: {part} has type {x.dtype}; numbers expected")
    rows = _not_finite(x)
    if len(rows):
        where = f"{len(rows)} samples of {part}, the first is sample {rows[0]}"
        raise InputError(f"{name}: NaN or infinite features in {where}; drop or impute them")
    return _locked(x)


def _indices(name: str, part: str, values: ArrayLike, classes: int) -> npt.NDArray[np.int64]:
    y = np.asarray(values)
    if y.ndim != 1 or (y.size and y.dtype.kind not in "iu"):
        raise InputError(f"{name}: {part} has shape {y.shape} and type {y.dtype}; integers (n,) expected")
    if y.size and (y.min() < 0 or y.max() >= classes):
        raise InputError(f"{name}: labels out of range: {part} has {y.min()} to {y.max()}; 0 to {classes - 1} allowed")
    return _locked(y.astype(np.int64))


def _not_finite(x: Array) -> npt.NDArray[np.int64]:
    """Return the samples that hold NaN or infinity."""
    if x.dtype.kind != "f":
        return np.empty(0, dtype=np.int64)
    found = [
        ~np.isfinite(x[i : i + _ROWS].reshape(len(x[i : i + _ROWS]), -1)).all(axis=1) for i in range(0, len(x), _ROWS)
    ]
    return np.flatnonzero(np.concatenate([np.zeros(0, dtype=bool), *found]))


def _locked(array: Array) -> Array:
    """Return a write-locked copy; the array itself where it is locked already, for images are large.

    Arrays that are mapped from files are never copied.
    """
    if is_mapped(array) and array.flags.c_contiguous:
        array = array.view()
        array.flags.writeable = False
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, order="C", copy=True)
        array.flags.writeable = False
    return array

"""Samples without classes: what a float network, whose answers stand in for them, is imported and repaired on."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets.dataset import Dataset
from conntra_neuro.datasets.files import read_samples
from conntra_neuro.datasets.mapped import is_mapped
from conntra_neuro.datasets.split import random_split

__all__ = ["Unlabelled", "unlabelled"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Samples (n, *feature_shape) of nobody knows which class: ``x_train``, and ``x_test`` for the report."""

    name: str
    x_train: Array
    x_test: Array
    note: str = ""

    def told(self, classes_of: Callable[[Array], Array], classes: int) -> Dataset:
        """Return them as a data set of so many classes, each sample's the index that ``classes_of`` it gives.

        InputError where all samples fall into one class, and as ``Dataset``.
        """
        train = np.asarray(classes_of(self.x_train), np.int64)
        if len(np.unique(train)) < 2:
            raise InputError(
                f"{self.name}: the float network puts all samples of x_train into class {train[0]}; give --scale, and "
                "the samples that it was trained for"
            )
        test = np.asarray(classes_of(self.x_test), np.int64) if len(self.x_test) else np.empty(0, np.int64)
        return Dataset(self.name, self.x_train, train, self.x_test, test, tuple(range(classes)), self.note)


def unlabelled(spec: str, *, seed: int = 0, test_fraction: float = 0.2) -> Unlabelled | None:
    """Return the samples of ``npz:PATH``, where the file has x_train (and x_test) and no y_train; None of other specs.

    Without x_test, ``test_fraction`` of them are split off by ``seed``. InputError for samples that cannot be used,
    FileFormatError for a file that is damaged.
    """
    kind, _, path = spec.partition(":")
    if kind != "npz" or not _has_no_classes(Path(path).expanduser()):
        return None
    arrays = read_samples(path)
    x = arrays["x_train"]
    if x.ndim < 2 or len(x) < 2 or x[0].size == 0:
        raise InputError(f"{spec}: x_train has shape {x.shape}; (n, features) of two samples or more expected")
    if "x_test" in arrays:
        found = Unlabelled(spec, x, arrays["x_test"], "split as given")
    else:
        if is_mapped(x):
            raise InputError(f"{spec}: too large to be split here; add x_test to the file")
        train, test = random_split(len(x), test_fraction, seed)
        note = f"no test split given: {len(test)} of {len(x)} samples held out, seed {seed}"
        found = Unlabelled(spec, x[train], x[test], note)
    # What a data set asks of its features is asked here, too: classes that nobody looks at stand in.
    sizes = (len(found.x_train), len(found.x_test))
    checked = Dataset(spec, found.x_train, np.arange(sizes[0]) % 2, found.x_test, np.zeros(sizes[1], np.int64), (0, 1))
    return Unlabelled(spec, checked.x_train, checked.x_test, found.note)


def _has_no_classes(path: Path) -> bool:
    """Whether it is an .npz file with x_train and no y_train; what is damaged is told by who reads it."""
    try:
        with zipfile.ZipFile(path) as file:
            names = set(file.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return "x_train.npy" in names and not {"y_train.npy", "y_test.npy"} & names

"""Seeded stratified splits: every class keeps its share on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["stratified_split"]

Indices = npt.NDArray[np.int64]


def stratified_split(name: str, y: npt.NDArray[Any], test_fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Return ascending indices of training and of test samples.

    Of each class, ``test_fraction`` (rounded, at least one sample) is test.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"test fraction {test_fraction}: a number between 0 and 1 expected")
    rng = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        if len(members) < 2:
            raise InputError(
                f"{name}: class {label} has a single sample; 2 at least are needed to split off a test set"
            )
        n_test = min(max(round(test_fraction * len(members)), 1), len(members) - 1)
        test.append(members[:n_test])
        train.append(members[n_test:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))

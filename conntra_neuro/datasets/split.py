"""Splits: as the data come, seeded and stratified (every class keeps its share), or by group (no group in both)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["Split", "random_split", "split_of", "stratified_split"]

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


def random_split(n: int, test_fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Return ascending indices of training and of test samples, of ``n`` 2 at least; none is left without one."""
    if not 0 < test_fraction < 1:
        raise InputError(f"test fraction {test_fraction}: a number between 0 and 1 expected")
    order = np.random.default_rng(seed).permutation(n)
    n_test = min(max(round(test_fraction * n), 1), n - 1)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


@dataclass(frozen=True, eq=False)
class Split:
    """Ascending indices of training and of test samples, those given for training before those given for testing.

    note  where the split comes from, for people
    """

    train: Indices
    test: Indices
    note: str


def split_of(
    name: str,
    y: npt.NDArray[Any],
    given_for_test: int | None,
    groups: npt.NDArray[Any] | None,
    held: str | None,
    test_fraction: float,
    seed: int,
) -> Split:
    """Return which samples, of labels ``y`` (n,), are for training and which for testing.

    given_for_test  how many of them, at the end, came as test samples; None: the data come without a split
    groups          of each sample (n,), text: no group is on both sides, whatever the data say; None: no groups
    held            the groups to test on, with commas; None draws them by ``seed``, about ``test_fraction`` of the
                    samples

    InputError for groups that are not there, and where nothing is left on one side.
    """
    everything = np.arange(len(y))
    if groups is not None:
        chosen = _drawn(name, groups, test_fraction, seed) if held is None else _named(name, groups, held)
        test = np.isin(groups, chosen)
        shown = ", ".join(chosen[:5]) + (", ..." if len(chosen) > 5 else "")
        how = f"seed {seed}" if held is None else "as asked for"
        note = f"split by group: {int(test.sum())} of {len(y)} samples held out, those of {shown}; {how}"
        return Split(everything[~test], everything[test], note)
    if held is not None:
        raise InputError(f"{name}: held={held} without groups; say group=, too")
    if given_for_test is not None:
        return Split(everything[: len(y) - given_for_test], everything[len(y) - given_for_test :], "split as given")
    train, test = stratified_split(name, y, test_fraction, seed)
    note = f"no test split given: {len(test)} of {len(y)} samples held out, stratified, seed {seed}"
    return Split(train, test, note)


def _named(name: str, groups: npt.NDArray[Any], held: str) -> list[str]:
    known = np.unique(groups).tolist()
    chosen = held.split(",")
    for group in chosen:
        if group not in known:
            listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise InputError(f"{name}: held={group}: no such group; there are {listed}")
    if len(set(chosen)) == len(known):
        raise InputError(f"{name}: held={held}: all groups; one at least is needed for training")
    return chosen


def _drawn(name: str, groups: npt.NDArray[Any], test_fraction: float, seed: int) -> list[str]:
    if not 0 < test_fraction < 1:
        raise InputError(f"test fraction {test_fraction}: a number between 0 and 1 expected")
    known, sizes = np.unique(groups, return_counts=True)
    if len(known) < 2:
        raise InputError(
            f"{name}: all samples are of group {known[0]}; two groups at least are needed to split by them"
        )
    order = np.random.default_rng(seed).permutation(len(known))
    share = np.cumsum(sizes[order]) / len(groups)
    count = min(max(int(np.searchsorted(share, test_fraction)) + 1, 1), len(known) - 1)
    return sorted(known[order[:count]].tolist())

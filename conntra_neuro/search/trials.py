"""Trials of a search: each in a file of its own, so that a search that is cut short goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.base.files import write_atomically
from conntra_neuro.datasets import Dataset
from conntra_neuro.datasets.split import stratified_split

__all__ = ["Trials", "tuning_split"]

_SHARE = 0.15  # of the training samples that tune
_MOST = 10_000


def tuning_split(data: Dataset, seed: int) -> Dataset:
    """Return ``data`` with a part of its training samples, stratified, in the place of its test samples.

    Raises InputError for a class of a single sample.
    """
    share = min(_SHARE, _MOST / max(len(data.y_train), 1))
    train, tune = stratified_split(data.name, data.y_train, share, seed)
    x, y = data.x_train, data.y_train
    note = f"{len(tune)} of {len(y)} training samples tune, stratified, seed {seed}"
    return replace(data, x_train=x[train], y_train=y[train], x_test=x[tune], y_test=y[tune], note=note)


class Trials:
    """A folder with a file for each trial, NAME.json, and beside it what the trial writes under the same name."""

    def __init__(self, folder: Path, data: Dataset) -> None:
        """Make the folder. Raises FileFormatError where that cannot be."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileFormatError(f"{folder}: cannot be made ({error.strerror}); name another folder") from None
        digest = hashlib.sha256(data.y_train.tobytes())
        digest.update(np.ascontiguousarray(data.x_train[:: max(1, len(data.x_train) // 1000)]).tobytes())
        self._data = digest.hexdigest()

    def get(self, settings: Mapping[str, Any], make: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """Return what the trial with ``settings`` found: from its file, or by ``make(name)``, which is then kept.

        Raises FileFormatError for a file that is damaged, and whatever ``make`` raises.
        """
        found = self.find(settings)
        if found is None:
            found = make(self._name(settings))
            self.keep(settings, found)
        return found

    def find(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the trial with ``settings`` found; None where its file is not there yet.

        Raises FileFormatError for a file that is damaged.
        """
        file = self._file(settings)
        if not file.exists():
            return None
        try:
            return dict(json.loads(file.read_text(encoding="utf-8"))["found"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"{file}: damaged ({type(error).__name__}); remove it") from None

    def keep(self, settings: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Write what the trial with ``settings`` found, whole or not at all. Raises FileFormatError where it cannot."""
        document = {"settings": dict(settings), "found": dict(found)}
        write_atomically(self._file(settings), json.dumps(document, indent=2, default=str).encode() + b"\n")

    def _file(self, settings: Mapping[str, Any]) -> Path:
        return self.folder / f"{self._name(settings)}.json"

    def _name(self, settings: Mapping[str, Any]) -> str:
        key = json.dumps([self._data, dict(settings)], sort_keys=True, default=str)
        return hashlib.sha256(key.encode()).hexdigest()[:8]

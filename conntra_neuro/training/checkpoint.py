"""Checkpoints: all that the rest of a training depends on, at the end of a sweep, in one file.

A training that is killed at any moment and resumed ends bit for bit where an uninterrupted one ends: the random
numbers of a sweep follow from the seed and the sweep's number, everything else is in ``TrainingState``. (A time
limit that cuts a training short depends on the clock, and so does the end then.)
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import MALFORMED, FileFormatError, InputError, in_short
from conntra_hardware.base.files import read_container, write_container
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters
from conntra_neuro.training.result import Record
from conntra_neuro.training.task import Gear, Task

__all__ = [
    "Checkpoints",
    "TrainingState",
    "checkpoint_file",
    "load_checkpoint",
    "read_settings",
    "settings_of",
    "take_up",
]

_log = logging.getLogger(__name__)

_KIND = "checkpoint"
_NAME = "checkpoint.conntra"
_EVERY_S = 2.0
_ROWS = 4096


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Where a training stands after ``sweep`` sweeps.

    gear      the gear's own arrays, as ``Gear.state`` returns them
    best      the best parameters so far, with the key that they won by and their error on what decides
    history   every record so far; seconds: spent so far
    schedule  the sweeps that it anneals over; None in files of earlier versions: those of the settings
    """

    sweep: int
    seconds: float
    gear: Mapping[str, npt.NDArray[Any]]
    best: Parameters
    key: tuple[float, float]
    best_error: float
    history: tuple[Record, ...]
    schedule: float | None = None


class Checkpoints:
    """A folder that holds the latest state; written at most every two seconds, whole or not at all."""

    def __init__(self, folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        self._file, self._settings = checkpoint_file(folder), settings
        self._saved = -_EVERY_S
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"checkpoint folder {folder}: cannot be made ({error.strerror}); name another") from None

    def save(self, state: Callable[[], TrainingState], now: bool = False) -> None:
        """Write the state, unless one was written just before and ``now`` is False."""
        if not now and time.monotonic() - self._saved < _EVERY_S:
            return
        found = state()
        body = {
            "settings": dict(self._settings),
            "sweep": found.sweep,
            "schedule": found.schedule,
            "seconds": found.seconds,
            "key": list(found.key),
            "best_error": found.best_error,
            "history": [dataclasses.astuple(record) for record in found.history],
        }
        tensors = {f"gear.{name}": array for name, array in found.gear.items()}
        tensors |= {f"best.{name}": array for name, array in found.best.arrays().items()}
        write_container(self._file, _KIND, body, tensors)
        self._saved = time.monotonic()
        _log.debug("checkpoint after sweep %d in %s", found.sweep, self._file)


def checkpoint_file(folder: str | os.PathLike[str]) -> Path:
    """Return the file in ``folder`` that holds the state."""
    return Path(folder) / _NAME


def settings_of(task: Task, gear: str, options: Any, sweeps: float, validation_fraction: float) -> dict[str, Any]:
    """Return, as JSON, what a resumed training must have in common with the one that it goes on with."""
    digest = hashlib.sha256()
    start = () if task.start is None else task.start.arrays().values()
    for array in (task.spikes, task.y, *(task.held_out or ()), *start):
        for first in range(0, len(array), _ROWS):  # of large sets a part at a time: they may lie in a file
            digest.update(np.ascontiguousarray(array[first : first + _ROWS]).data)
    return {
        "gear": gear,
        "layers": task.architecture.names,
        # Checkpoints of chains have never named their neurons, and go on being read.
        **({} if task.architecture.is_chain else {"neuron": str(task.architecture.neurons)}),
        "levels": list(task.levels.values),
        "seed": task.seed,
        "sweeps": sweeps,
        "validation_fraction": validation_fraction,
        "options": dataclasses.asdict(options),
        "samples": len(task.y),
        "data_sha256": digest.hexdigest(),
    }


def read_settings(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the settings of the training that ``folder`` holds; FileFormatError where it holds none."""
    path = checkpoint_file(folder)
    settings = read_container(path, _KIND).body.get("settings")
    if not isinstance(settings, dict):
        raise FileFormatError(f"{path}: a checkpoint without settings; start anew")
    return settings


def load_checkpoint(folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> TrainingState:
    """Return the state in ``folder``. InputError where it belongs to a training with other settings."""
    path = checkpoint_file(folder)
    found = read_container(path, _KIND)
    try:
        before = found.body["settings"]
        _check_same(path, before, settings)
        first, second = found.body["key"]
        return TrainingState(
            sweep=whole(found.body["sweep"], "sweep", 0),
            seconds=_number(found.body["seconds"]),
            gear=_part(found.tensors, "gear."),
            best=Parameters.from_arrays(_part(found.tensors, "best.")),
            key=(_number(first), _number(second)),
            best_error=_number(found.body["best_error"]),
            history=tuple(_record(entry) for entry in found.body["history"]),
            schedule=_schedule(found.body.get("schedule")),
        )
    except InputError:  # other settings, or other data
        raise
    except MALFORMED as error:
        raise FileFormatError(
            f"{path}: a checkpoint with parts missing ({in_short(repr(error))}); start anew"
        ) from None


def take_up(gear: Gear, state: TrainingState, levels: Levels) -> None:
    """Have ``gear`` take up ``state``; FileFormatError where its arrays are not those of this gear and network."""
    stored = {f"gear.{name}": array for name, array in state.gear.items()}
    stored |= {f"best.{name}": array for name, array in state.best.arrays().items()}
    expected = {f"gear.{name}": array for name, array in gear.state().items()}
    expected |= {f"best.{name}": array for name, array in gear.parameters().arrays().items()}
    for name, array in expected.items():
        found, array = stored.get(name), np.atleast_1d(array)  # files know no arrays without dimensions
        if found is None or (found.shape, found.dtype) != (array.shape, array.dtype):
            what = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise FileFormatError(
                f"checkpoint: array {name} is {what}; {array.dtype} {array.shape} expected: start anew"
            )
    gear.restore(state.gear)
    for parameters in (gear.parameters(), state.best):
        if any(not np.isin(weight, levels.array).all() for weight in parameters.weights):
            raise FileFormatError(f"checkpoint: weights that are none of the levels {levels}; start anew")
        if any(np.abs(bias.astype(np.int64)).max(initial=0) > BIAS_LIMIT for bias in parameters.biases):
            raise FileFormatError(f"checkpoint: biases beyond {BIAS_LIMIT}; start anew")


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{value!r}: a number expected")
    return value


def _schedule(value: Any) -> float | None:
    return None if value is None else _number(value)


def _record(entry: Sequence[Any]) -> Record:
    seconds, sweep, objective, error, validation = entry
    held_out = None if validation is None else _number(validation)
    return Record(_number(seconds), whole(sweep, "sweep", 0), _number(objective), _number(error), held_out)


def _check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name, value in now.items():
        if before[name] == value:
            continue
        if name == "data_sha256":
            raise InputError(f"{path}: made with other training samples; resume with the same data and encoder")
        if name == "options":
            name, value = next((n, v) for n, v in value.items() if before["options"].get(n) != v)
            before = before["options"]
        raise InputError(f"{path}: made with {name}={before[name]}, now {name}={value}; resume with the same settings")


def _part(tensors: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)}

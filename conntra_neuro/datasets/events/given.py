"""Data sets of others in memory: sequences of (events, label), as tonic's are, without tonic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets.dataset import Dataset, index_classes
from conntra_neuro.datasets.events.load import bin_sources, split_sources
from conntra_neuro.datasets.events.recipe import Recipe
from conntra_neuro.datasets.events.recording import Recording, Sensor
from conntra_neuro.datasets.events.source import Source

__all__ = ["from_events"]


def from_events(
    train: Any,
    test: Any = None,
    *,
    name: str = "events",
    seed: int = 0,
    test_fraction: float = 0.2,
    **recipe: Any,
) -> Dataset:
    """Return recordings in memory as a data set of spikes over time, x 0/1 (n, steps, ...).

    train, test  sequences of (events, label), as the data sets of tonic: events are a structured array with the fields
                 t (microseconds), x, y and p, or t and x of a row of units; where the sequence has a ``sensor_size``
                 (width, height, polarities), that is the size of the sensor. Without ``test``, a seeded, stratified
                 part of ``train`` is held out
    name         of the data set, for messages and tables
    seed, test_fraction  which part that is, and how large a share of each class
    recipe       how they become spikes: the fields of ``Recipe``, such as ``steps=20, step_us=10_000, down=2``

    InputError for anything else, and for recordings that are empty, go back in time, or leave the sensor.
    """
    try:
        chosen = Recipe(**recipe)
    except TypeError:
        known = ", ".join(Recipe.__dataclass_fields__)
        raise InputError(f"{name}: options {', '.join(recipe)}; allowed: {known}") from None
    sources = [
        _source(f"{name}, {part}", given, chosen.sort)
        for part, given in (("train", train), ("test", test))
        if given is not None
    ]
    labels, split = split_sources(name, sources, None, None, test_fraction, seed)
    x, binning = bin_sources(sources, chosen, split, lambda _, shape: np.zeros(shape, np.uint8))
    y_train, y_test, classes = index_classes(name, labels[split.train], labels[split.test])
    return Dataset(name, x["train"], y_train, x["test"], y_test, classes, split.note, "spikes", binning.to_dict())


def _source(name: str, given: Any, sort: bool) -> Source:
    try:
        n = len(given)
    except TypeError:
        raise InputError(f"{name}: {type(given).__name__}; a sequence of (events, label) expected") from None
    size = _sensor(name, getattr(given, "sensor_size", None))

    def read() -> Iterator[Recording]:
        for index in range(n):
            yield _recording(f"{name}, sample {index}", _pair(name, given, index)[0], size, sort)

    if n == 0:
        raise InputError(f"{name}: no samples; at least one of each class expected")
    # tonic's data sets keep their labels as ``targets``: events need not be read for them.
    targets = getattr(given, "targets", None)
    labels = targets if targets is not None and len(targets) == n else [_pair(name, given, i)[1] for i in range(n)]
    return Source(name, np.asarray(labels), read, {})


def _pair(name: str, given: Any, index: int) -> tuple[Any, Any]:
    pair = given[index]
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"{name}: sample {index} is {type(pair).__name__}; a pair of events and label expected")
    return pair[0], pair[1]


def _sensor(name: str, size: Any) -> tuple[int, int, int] | None:
    if size is None:
        return None
    numbers = tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(numbers) != 3 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in numbers):
        raise InputError(f"{name}: sensor_size is {size!r}; (width, height, polarities) expected")
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _recording(name: str, events: Any, size: tuple[int, int, int] | None, sort: bool) -> Recording:
    array: npt.NDArray[Any] = np.asarray(events)
    fields = array.dtype.names or ()
    if not {"t", "x"} <= set(fields):
        what = f"fields {', '.join(fields)}" if fields else f"an array of type {array.dtype} without fields"
        raise InputError(f"{name}: {what}; a structured array with t, x, y and p, or t and x, expected")
    camera = "y" in fields and "p" in fields
    sensor = None if size is None else Sensor(size[0], size[1] if camera else 1, 2 if camera else 1)
    columns = (array["y"], array["p"]) if camera else (None, None)
    return Recording.of(name, array["t"], array["x"], *columns, sensor, sort)

"""``events:PATH`` and data sets of (events, label): split, binned into spikes, and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets.events.binning import Binning
from conntra_neuro.datasets.events.folder import find_sources
from conntra_neuro.datasets.events.recipe import NAMES, Recipe, parse_options
from conntra_neuro.datasets.events.recording import Sensor
from conntra_neuro.datasets.events.source import Source
from conntra_neuro.datasets.files import existing
from conntra_neuro.datasets.kept import keep_array, kept_folder, key_of, load_kept, new_array
from conntra_neuro.datasets.options import check_known, split_options
from conntra_neuro.datasets.split import Split, split_of

__all__ = ["Binned", "bin_sources", "read_events", "split_sources"]

_BINNING = "binning.json"
_RULES = 2  # of reading and binning; what was made by other rules is made again

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Binned:
    """Arrays x_train, y_train, x_test, y_test, with x 0/1 (n, steps, ...), how they were made, and the split."""

    arrays: dict[str, Array]
    binning: Binning
    note: str


def read_events(spec: str, cache: Callable[[], Path], test_fraction: float, seed: int) -> Binned:
    """Read ``PATH?steps=20&down=2``: every recording as spikes; see ``Recipe`` and ``split_of``.

    ``cache`` says in which folder spikes are kept. FileFormatError for files that are missing or damaged, InputError
    for options that are not known and recordings that cannot be used.
    """
    text, options = split_options(spec)
    check_known(f"events:{spec}", options, (*NAMES, "group", "held"))
    recipe = parse_options(options)
    found = find_sources(existing(text), recipe.sort)
    sources = [source for source in found if source is not None]
    how = (options.get("group"), options.get("held"), test_fraction, seed)
    labels, split = split_sources(f"events:{spec}", sources, *how)
    files = [file for source in sources for file in source.files]
    name = f"events-{key_of(f'{_RULES} {recipe.words} {split.test.tolist()}', files)}"

    def make(folder: Path) -> None:
        def array(part: str, shape: tuple[int, ...]) -> Array:
            return new_array(folder / f"x_{part}.npy", shape)

        made, binning = bin_sources(sources, recipe, split, array)
        for part, spikes in made.items():
            keep_array(folder / f"x_{part}.npy", spikes)
        (folder / _BINNING).write_text(json.dumps(binning.to_dict()), encoding="utf-8")

    kept = kept_folder(cache(), name, "spikes", make)
    arrays = {"y_train": labels[split.train], "y_test": labels[split.test]}
    arrays |= {f"x_{part}": load_kept(kept / f"x_{part}.npy") for part in ("train", "test")}
    binning = Binning.from_dict(json.loads((kept / _BINNING).read_text(encoding="utf-8")))
    return Binned(arrays, binning, split.note)


def split_sources(
    name: str, sources: Sequence[Source], group: str | None, held: str | None, test_fraction: float, seed: int
) -> tuple[Array, Split]:
    """Return the labels (n,) of all recordings, and which of them are for training and which for testing."""
    labels = np.concatenate([source.labels for source in sources])
    groups = None if group is None else np.concatenate([source.group(group) for source in sources])
    given = len(sources[1].labels) if len(sources) > 1 else None
    return labels, split_of(name, labels, given, groups, held, test_fraction, seed)


def bin_sources(
    sources: Sequence[Source], recipe: Recipe, split: Split, array: Callable[[str, tuple[int, ...]], Array]
) -> tuple[dict[str, Array], Binning]:
    """Return the spikes of all recordings, uint8 (n, steps, ...), by part, "train" and "test", and how they were made.

    ``array`` makes the array, of zeros, of a part and a shape. InputError for recordings that cannot be used.
    """
    binning = _binning(sources, recipe)
    parts = {"train": split.train, "test": split.test}
    out = {part: array(part, (len(rows), *binning.shape)) for part, rows in parts.items()}
    place = {int(index): (part, row) for part, rows in parts.items() for row, index in enumerate(rows)}
    index = 0
    for source in sources:
        for recording in source.read():
            part, row = place[index]
            binning.spikes(recording, out[part][row])
            index += 1
    return out, binning


def _binning(sources: Sequence[Source], recipe: Recipe) -> Binning:
    """Return the recipe for the sensor; files are read where nobody says its size and the steps."""
    width, height, polarities, longest = 0, 0, 0, 0
    for source in sources:
        for recording in source.read():
            if recipe.size is not None and recipe.steps is not None:
                return Binning(recipe, Sensor(*recipe.size, 1 if recording.p is None else 2), 0)
            sensor = recording.extent()
            width, height = max(width, sensor.width), max(height, sensor.height)
            polarities = max(polarities, sensor.polarities)
            longest = max(longest, recording.duration_us)
    if recipe.size is not None:
        width, height = recipe.size
    if width * height > _LARGEST_SENSOR:
        raise InputError(
            f"{sources[0].name}: a sensor of {width} x {height}; up to {_LARGEST_SENSOR:,} pixels allowed: say ?size="
        )
    return Binning(recipe, Sensor(width, height, polarities), longest)


_LARGEST_SENSOR = 2**24

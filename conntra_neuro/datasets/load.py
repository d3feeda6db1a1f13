"""``load_dataset``: from a specification such as "digits" or "mnist:PATH" to a Dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean, nearest
from conntra_neuro.datasets.dataset import Dataset, Input, index_classes
from conntra_neuro.datasets.mapped import is_mapped
from conntra_neuro.datasets.options import check_known, split_options
from conntra_neuro.datasets.split import random_split, stratified_split

__all__ = ["SPECS", "DatasetSpec", "load_dataset"]

if TYPE_CHECKING:
    from conntra_neuro.datasets.events.load import Binned
    from conntra_neuro.datasets.images import ImageFolder
    from conntra_neuro.datasets.signals.sampled import Sampled

_log = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class DatasetSpec:
    """One form that a specification can take, for people."""

    spec: str
    description: str
    split: str


SPECS = (
    DatasetSpec("iris", "150 flowers, 4 measurements, 3 species; comes with scikit-learn", "seeded, stratified"),
    DatasetSpec(
        "digits",
        "1,797 handwritten digits, 8 x 8 pixels of 0 to 16; comes with scikit-learn",
        "seeded, stratified",
    ),
    DatasetSpec(
        "diabetes",
        "442 patients, 10 measurements, and how far the disease went a year later: a value; comes with scikit-learn",
        "seeded",
    ),
    DatasetSpec(
        "mnist",
        "70,000 handwritten digits, 28 x 28 bytes; from the cache, else from OpenML",
        "60,000 / 10,000",
    ),
    DatasetSpec("mnist:PATH", "MNIST in a folder of IDX files (plain or .gz), or in an .npz", "the file's"),
    DatasetSpec(
        "npz:PATH",
        "any x_train, y_train (and x_test, y_test) in an .npz; from 1 GiB on, uncompressed, it may exceed memory; "
        "PATH?target=value: y are numbers to be predicted",
        "the file's, else seeded, stratified",
    ),
    DatasetSpec(
        "csv:PATH",
        "a table, a sample a row, features and a column of classes (the last, or PATH?label=NAME); &drop=NAME,NAME "
        "leaves columns out; &target=value: numbers to be predicted",
        "seeded, stratified",
    ),
    DatasetSpec(
        "images:DIR",
        "images in train/CLASS, and test/CLASS or val/CLASS; DIR?size=64 resizes and crops them to 64 x 64",
        "the folder's",
    ),
    DatasetSpec(
        "moving-edge",
        "800 recordings, made from the seed, of an edge that crosses an event camera of 12 x 12 pixels: which way?",
        "600 / 200",
    ),
    DatasetSpec(
        "events:PATH",
        "recordings of event cameras and cochleas: N-MNIST and N-Caltech101 (.bin), DVS Gesture (.aedat), AEDAT 4, "
        "Prophesee (.raw, .dat), SHD and SSC (.h5), .csv, .npz; PATH?steps=20&step=10ms&down=2",
        "the folder's, else seeded, stratified; ?group= by recording or speaker",
    ),
    DatasetSpec(
        "audio:DIR",
        "WAV files in CLASS folders, also under train and val; DIR?steps=40&step=20ms&bands=40&levels=3: a filter bank",
        "the folder's, else seeded, stratified; ?group=prefix by speaker",
    ),
    DatasetSpec(
        "series:PATH",
        "time series of several channels, (n, samples, channels) in an .npz, or a .csv; PATH?step=4&code=delta",
        "the file's, else seeded, stratified; ?group=",
    ),
)
"""What ``load_dataset`` takes."""


def load_dataset(spec: str, *, seed: int = 0, test_fraction: float = 0.2) -> Dataset:
    """Return the dataset that ``spec`` names (see ``SPECS``).

    ``seed`` and ``test_fraction`` apply where a dataset comes without a test split. Raises FileFormatError
    for files that are missing or damaged, InputError for an unknown specification and for data that cannot
    be used.
    """
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed {seed!r}: an integer from 0 expected")
    kind, colon, path = spec.partition(":")
    known = (kind, bool(colon)) in {*_READERS, *_OTHERS}
    if not known or (colon and not path):
        allowed = ", ".join(s.spec for s in SPECS)
        raise InputError(f"dataset {spec!r}: unknown{_meant(spec, kind, path)}; allowed: {allowed}")
    if kind == "images":
        found = _images(path)
        return _dataset(spec, found.arrays, int(seed), test_fraction, f"; {found.note}" if found.note else "")
    if kind == "events":
        found = _events(path, test_fraction, int(seed))
        how: dict[str, Any] = {"note": found.note, "samples": "spikes", "binning": found.binning.to_dict()}
        return _dataset(spec, found.arrays, int(seed), test_fraction, **how)
    if kind in ("audio", "series"):
        sampled = (_audio if kind == "audio" else _series)(path, test_fraction, int(seed))
        return _dataset(spec, sampled.arrays, int(seed), test_fraction, note=sampled.note, samples=sampled.coding)
    if kind == "csv":
        table, value, remark = _table(path)
        return (_values if value else _dataset)(spec, table, int(seed), test_fraction, remark)
    if kind == "moving-edge":
        arrays, binning = _moving_edge(int(seed))
        how = {"note": f"made from seed {seed}", "samples": "spikes", "binning": binning}
        return _dataset(spec, arrays, int(seed), test_fraction, **how)
    path, value = _target(spec, path) if kind == "npz" else (path, kind == "diabetes")
    arrays = _READERS[kind, bool(colon)](path)
    if value:
        return _values(spec, arrays, int(seed), test_fraction)
    return _dataset(spec, arrays, int(seed), test_fraction)


def _target(spec: str, path: str) -> tuple[str, bool]:
    """Return the path of an .npz, and whether its targets are values."""
    if "?" not in path or Path(path).exists():
        return path, False
    path, options = split_options(path)
    check_known(spec, options, ("target",))
    if options.get("target", "class") not in ("class", "value"):
        raise InputError(f"{spec}: target={options['target']}: class or value expected")
    return path, options.get("target") == "value"


def _values(name: str, arrays: Arrays, seed: int, test_fraction: float, remark: str = "") -> Dataset:
    """Return a data set whose targets are values; split by ``seed`` where it comes without a split."""
    columns = {part: y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for part, y in arrays.items() if part[0] == "y"}
    x, y = arrays["x_train"], columns["y_train"]
    if "x_test" in arrays:
        return Dataset(name, x, y, arrays["x_test"], columns["y_test"], note="split as given", target="value")
    if len(x) != len(y) or len(y) < 3:
        raise InputError(f"{name}: {len(x)} samples in x_train, {len(y)} in y_train; equal numbers, 3 or more expected")
    if is_mapped(x):
        raise InputError(f"{name}: too large to be split here; add x_test and y_test to the file")
    train, test = random_split(len(y), test_fraction, seed)
    note = f"no test split given: {len(test)} of {len(y)} samples held out, seed {seed}{remark}"
    return Dataset(name, x[train], y[train], x[test], y[test], note=note, target="value")


def _dataset(
    name: str,
    arrays: Arrays,
    seed: int,
    test_fraction: float,
    remark: str = "",
    note: str = "split as given",
    samples: Input = "features",
    binning: Mapping[str, Any] | None = None,
) -> Dataset:
    for part, array in arrays.items():
        if array.shape[:1] in ((), (0,)):
            raise InputError(f"{name}: empty, {part} holds no samples; at least one of each class expected")
    y_train, y_test, labels = index_classes(name, arrays["y_train"], arrays.get("y_test"))
    x_train = arrays["x_train"]
    if "x_test" in arrays:
        parts = x_train, y_train, arrays["x_test"], y_test
        return _told(Dataset(name, *parts, labels, f"{note}{remark}", samples, binning))
    if len(x_train) != len(y_train):
        raise InputError(
            f"{name}: {len(x_train)} samples in x_train, {len(y_train)} in y_train; equal numbers expected"
        )
    if is_mapped(x_train):
        raise InputError(f"{name}: too large to be split here; add x_test and y_test to the file")
    train, test = stratified_split(name, y_train, test_fraction, seed)
    note = f"no test split given: {len(test)} of {len(y_train)} samples held out, stratified, seed {seed}{remark}"
    return _told(Dataset(name, x_train[train], y_train[train], x_train[test], y_train[test], labels, note))


def _told(found: Dataset) -> Dataset:
    _log.info("loaded %r", found)
    return found


def _iris(_: str) -> Arrays:
    from sklearn.datasets import load_iris

    iris: Any = load_iris()
    return {"x_train": iris.data, "y_train": np.asarray(iris.target_names)[iris.target].astype(str)}


def _digits(_: str) -> Arrays:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return {"x_train": digits.images.astype(np.uint8), "y_train": digits.target}


def _diabetes(_: str) -> Arrays:
    from sklearn.datasets import load_diabetes

    diabetes: Any = load_diabetes(scaled=False)
    return {"x_train": diabetes.data, "y_train": diabetes.target}


def _mnist(_: str) -> Arrays:
    from conntra_neuro.datasets.mnist import mnist_cached

    return mnist_cached()


def _mnist_path(path: str) -> Arrays:
    from conntra_neuro.datasets.mnist import mnist_from

    return mnist_from(path)


def _npz(path: str) -> Arrays:
    from conntra_neuro.datasets.files import read_npz

    return read_npz(path)


def _table(path: str) -> tuple[Arrays, bool, str]:
    from conntra_neuro.datasets.table import read_table

    return read_table(path)


def _images(path: str) -> ImageFolder:
    from conntra_hardware.base.cache import cache_folder
    from conntra_neuro.datasets.images import read_images

    return read_images(path, cache_folder)


def _events(path: str, test_fraction: float, seed: int) -> Binned:
    from conntra_neuro.datasets.events.load import read_events
    from conntra_neuro.datasets.mnist import cache_folder

    return read_events(path, cache_folder, test_fraction, seed)


def _audio(path: str, test_fraction: float, seed: int) -> Sampled:
    from conntra_neuro.datasets.signals.audio import read_audio

    return read_audio(path, test_fraction, seed)


def _series(path: str, test_fraction: float, seed: int) -> Sampled:
    from conntra_neuro.datasets.signals.series import read_series

    return read_series(path, test_fraction, seed)


def _moving_edge(seed: int) -> tuple[Arrays, Mapping[str, Any]]:
    from conntra_neuro.datasets.events.moving_edge import edge_binning, moving_edge

    return moving_edge(seed), edge_binning().to_dict()


_OTHERS = (
    *(("csv", True), ("images", True), ("events", True), ("moving-edge", False)),
    *(("audio", True), ("series", True)),
)
_READERS: dict[tuple[str, bool], Callable[[str], Arrays]] = {
    ("iris", False): _iris,
    ("digits", False): _digits,
    ("diabetes", False): _diabetes,
    ("mnist", False): _mnist,
    ("mnist", True): _mnist_path,
    ("npz", True): _npz,
}


def _meant(spec: str, kind: str, path: str) -> str:
    """Return what was probably meant: a path whose kind was left out, or a word that is nearly one of ours."""
    if Path(spec.partition("?")[0]).suffix in (".npz", ".csv") and not path:
        return f" (did you mean {Path(spec.partition('?')[0]).suffix[1:]}:{spec}?)"
    if spec and Path(spec).is_dir():
        return f" (did you mean {'images' if (Path(spec) / 'train').is_dir() else 'mnist'}:{spec}?)"
    if path and kind not in {s.spec for s in SPECS}:
        word = nearest(kind, [s.spec.partition(":")[0] for s in SPECS if ":" in s.spec])
        return f" (did you mean {word}:{path}?)" if word else ""
    return did_you_mean(kind, [s.spec for s in SPECS if ":" not in s.spec])

"""MNIST: from a folder of IDX files, an .npz, the cache, or OpenML."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.cache import cache_folder
from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_hardware.base.files import write_atomically
from conntra_neuro.datasets.files import existing, find_idx, read_idx, read_npz

__all__ = ["mnist_cached", "mnist_from"]

Arrays = dict[str, npt.NDArray[Any]]

_N_TRAIN, _N_TEST = 60_000, 10_000
_OPENML_NAME, _OPENML_VERSION = "mnist_784", 1


def mnist_from(path: str | Path) -> Arrays:
    """Return the arrays of a folder of IDX files or of an .npz: images uint8 (n, 28, 28), labels 0 to 9."""
    path = existing(path)
    arrays = _idx_folder(path) if path.is_dir() else read_npz(path)
    for part in [name[2:] for name in arrays if name.startswith("x_")]:
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
            got = f"{images.dtype} {images.shape}"
            raise InputError(f"{path}: x_{part} is {got}; uint8 (n, 28, 28) expected; use npz:{path} for other data")
        if labels.dtype.kind not in "iu" or (labels.size and (labels.min() < 0 or labels.max() > 9)):
            raise InputError(f"{path}: labels out of range in y_{part}; integers 0 to 9 expected")
    return arrays


def mnist_cached() -> Arrays:
    """Return MNIST from the cache; where it is not there, from OpenML, and put it there."""
    path = cache_folder() / "mnist.npz"
    if not path.exists():
        _cache(path, _openml(path))
    return mnist_from(path)


def _idx_folder(folder: Path) -> Arrays:
    arrays: Arrays = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = (
            find_idx(folder, f"{prefix}-images-idx3-ubyte"),
            find_idx(folder, f"{prefix}-labels-idx1-ubyte"),
        )
        if images is None and labels is None and part == "test":
            continue
        if images is None or labels is None:
            missing = f"{prefix}-{'images-idx3' if images is None else 'labels-idx1'}-ubyte"
            raise FileFormatError(f"{folder}: no {missing} (plain or .gz) in it; the IDX files of MNIST expected")
        arrays[f"x_{part}"], arrays[f"y_{part}"] = read_idx(images, 3), read_idx(labels, 1)
    return arrays


def _openml(path: Path) -> Arrays:
    """Fetch MNIST from OpenML; its 70,000 images stand in the usual order, training first."""
    from sklearn.datasets import fetch_openml

    try:
        # Its own cache would keep the 130 MB of text as well.
        with tempfile.TemporaryDirectory() as folder:
            fetched: Any = fetch_openml(
                _OPENML_NAME,
                version=_OPENML_VERSION,
                as_frame=False,
                parser="liac-arff",  # the other parser needs pandas
                data_home=folder,
                n_retries=1,
            )
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"mnist: not in the cache ({path}) and OpenML cannot be reached ({reason}); "
            "give a copy of yours with mnist:PATH"
        ) from None
    return _openml_arrays(fetched)


def _openml_arrays(fetched: Any) -> Arrays:
    pixels, labels = np.asarray(fetched.data), np.asarray(fetched.target)
    if pixels.shape != (_N_TRAIN + _N_TEST, 784) or labels.shape != (len(pixels),):
        raise InputError(
            f"mnist: OpenML gave samples {pixels.shape}; (70000, 784) expected; give a copy with mnist:PATH"
        )
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    digits = labels.astype(np.uint8)
    train, test = slice(0, _N_TRAIN), slice(_N_TRAIN, None)
    return {
        "x_train": images[train],
        "y_train": digits[train],
        "x_test": images[test],
        "y_test": digits[test],
    }


def _cache(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except (OSError, ConntraError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(
            f"mnist: the cache cannot be written ({reason}); set CONNTRA_CACHE to another folder"
        ) from None

"""Folders of images as ImageNet is laid out: ``train/CLASS/*`` and ``val/CLASS/*``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.errors import FileFormatError, InputError
from conntra_neuro.datasets.files import existing

__all__ = ["read_images"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


def read_images(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Return x_train, y_train and, where there is a ``val``, x_test, y_test.

    Images are uint8 (n, height, width, 3), labels the names of the folders. All images must be of one size:
    they are never resized in silence.
    """
    path = existing(path)
    if not (path / "train").is_dir():
        raise FileFormatError(f"{path}: no folder train in it; train/CLASS/*.jpg and val/CLASS/*.jpg expected")
    arrays: dict[str, npt.NDArray[Any]] = {}
    shape: tuple[int, ...] | None = None
    for part, folder in (("train", path / "train"), ("test", path / "val")):
        if not folder.is_dir():
            continue
        files = [file for file in sorted(folder.glob("*/*")) if file.suffix.lower() in _SUFFIXES]
        if not files:
            raise FileFormatError(f"{folder}: no images in it; CLASS/*.jpg (or .png, .bmp) expected")
        shape = shape or _read(files[0]).shape
        images = np.empty((len(files), *shape), np.uint8)
        for row, file in enumerate(files):
            image = _read(file)
            if image.shape != shape:
                sizes = f"{image.shape[1]}x{image.shape[0]}; {shape[1]}x{shape[0]} expected, as {files[0].name}"
                raise InputError(f"{file}: {sizes}; bring all images to one size first")
            images[row] = image
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = np.array([file.parent.name for file in files])
    return arrays


def _read(file: Path) -> npt.NDArray[np.uint8]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise InputError("images: Pillow is not installed; `pip install pillow`") from None
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{file}: not an image, or damaged ({reason}); replace or remove it") from None

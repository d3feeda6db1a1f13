"""Folders of images as ImageNet is laid out: ``train/CLASS/*``, and ``test/CLASS/*`` or ``val/CLASS/*``.

Decoded once, in parallel, and kept as one array in the cache. The cache's name follows from the files' names, sizes and
times and from what is made of them, so it is made anew where any of these changes. Sets beyond a gigabyte stay in their
file and are read as they are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import MALFORMED, FileFormatError, InputError
from conntra_neuro.datasets.files import existing
from conntra_neuro.datasets.kept import keep_array, kept_folder, load_kept, new_array
from conntra_neuro.datasets.pixels import as_rgb

__all__ = ["ImageFolder", "parse_spec", "read_images"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
_LARGEST_SIDE = 4096
_LARGEST_IMAGE = 2**25  # pixels that are decoded: what is made of them takes up to 20 bytes each
_RULES = 2  # of what pixels mean, in ``pixels``; what was decoded by other rules is decoded again
_AT_ONCE = 256  # images decoded before they are written

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageFolder:
    """What was read: arrays x_train, y_train (and x_test, y_test), and the files that could not be.

    ``unread`` is a folder that was left unread, empty where there is none.
    """

    arrays: dict[str, Array]
    skipped: tuple[str, ...]
    unread: str = ""

    @property
    def note(self) -> str:
        """What was skipped or left unread, in words; empty where nothing was."""
        said = [f"{self.unread} not used"] if self.unread else []
        if self.skipped:
            said.append(f"{len(self.skipped)} unreadable image(s) skipped, the first: {self.skipped[0]}")
        return "; ".join(said)


def parse_spec(text: str) -> tuple[Path, int | None]:
    """Return the folder and the size that ``DIR`` or ``DIR?size=64`` name."""
    path, mark, options = text.partition("?")
    if not mark:
        return Path(path), None
    name, _, value = options.partition("=")
    if name != "size" or not value.isdecimal() or not 1 <= int(value) <= _LARGEST_SIDE:
        raise InputError(f"images:{text}: ?{options} is not known; ?size=N with N from 1 to {_LARGEST_SIDE} expected")
    return Path(path), int(value)


def read_images(spec: str, cache: Callable[[], Path]) -> ImageFolder:
    """Read ``DIR`` or ``DIR?size=N``: images uint8 (n, 3, height, width), labels the names of the folders.

    The test samples are those of ``test``, or of ``val`` where ``test`` is not there or holds no folders of classes (as
    ImageNet's, which has no labels). Where both have labels ``val`` is left unread.

    With a size, the shorter side is resized to it and the middle cut out; without one, all images must be of one size
    (they are never resized in silence). ``pixels`` says what each kind of pixel means. Files that are no images, or
    damaged, are skipped and counted; InputError where nothing is left, and for images that mean nothing in 8 bits a
    colour. ``cache`` says in which folder decoded images are kept.
    """
    folder, size = parse_spec(spec)
    folder = existing(folder)
    if not (folder / "train").is_dir():
        raise FileFormatError(
            f"{folder}: no folder train in it; train/CLASS/*.jpg, and test/CLASS/*.jpg or val/CLASS/*.jpg, expected"
        )
    arrays: dict[str, Array] = {}
    skipped: list[str] = []
    tested, unread = _tested(folder)
    for part, inner in (("train", folder / "train"), ("test", tested)):
        if inner is not None:
            kept = _cached(inner, size, cache)
            arrays[f"x_{part}"] = load_kept(kept / "x.npy")
            arrays[f"y_{part}"] = load_kept(kept / "y.npy")
            skipped += load_kept(kept / "skipped.npy").tolist()
    shapes = [arrays[name].shape[1:] for name in ("x_train", "x_test") if name in arrays]
    if len(set(shapes)) > 1:
        where = "" if tested is None else tested.name
        raise InputError(f"{folder}: images of {_by(shapes[0])} in train, {_by(shapes[1])} in {where}; add ?size=N")
    return ImageFolder(arrays, tuple(skipped), unread)


def _tested(folder: Path) -> tuple[Path | None, str]:
    """Return the folder with the test samples, None where there is none, and the name of one that is left unread."""
    there = [name for name in ("test", "val") if (folder / name).is_dir()]
    labelled = [name for name in there if any(_files(folder / name))]
    if not there:
        return None, ""
    chosen = (labelled or there)[0]
    return folder / chosen, ", ".join(name for name in labelled if name != chosen)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the image files of ``folder``'s classes."""
    return (file for file in folder.glob("*/*") if file.suffix.lower() in _SUFFIXES)


def _cached(folder: Path, size: int | None, cache: Callable[[], Path]) -> Path:
    """Return the folder that holds x.npy, y.npy and skipped.npy of ``folder``; make it where it is not there."""
    files = sorted(_files(folder))
    if not files:
        raise FileFormatError(f"{folder}: no images in it; CLASS/*.jpg (or .png, .bmp) expected")
    name = f"images-{_key(folder, files, size)}"
    return kept_folder(cache(), name, "images", lambda making: _decode(folder, files, size, making))


def _key(folder: Path, files: Sequence[Path], size: int | None) -> str:
    digest = hashlib.sha256(f"{folder.resolve()} {size} {_RULES}".encode())
    for file in files:
        found = file.stat()
        digest.update(f"{file.relative_to(folder)} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def _decode(folder: Path, files: Sequence[Path], size: int | None, into: Path) -> None:
    """Decode ``files`` into x.npy, (n, 3, height, width), labels y.npy, and the names that were skipped."""
    labels: list[str] = []
    skipped: list[str] = []
    out: Any = None  # made where the first image says how large it is
    first = ""
    for file, image in _decoded(files, size):
        if image is None:
            skipped.append(str(file.relative_to(folder)))
            continue
        if out is None:
            first, shape = file.name, (len(files), *image.shape)
            out = new_array(into / "all.npy", shape)
        if image.shape != out.shape[1:]:
            sizes = f"{_by(image.shape)}; {_by(out.shape[1:])} expected, as {first}"
            raise InputError(f"{file}: {sizes}; bring all images to one size with ?size=N, as in images:DIR?size=64")
        out[len(labels)] = image
        labels.append(file.parent.name)
    if out is None:
        raise InputError(f"{folder}: none of its {len(files)} images can be read, {skipped[0]} for one; replace them")
    if not isinstance(out, np.memmap):
        keep_array(into / "x.npy", out[: len(labels)])
    elif skipped:
        whole = new_array(into / "x.npy", (len(labels), *out.shape[1:]))
        for begin in range(0, len(labels), _AT_ONCE):
            whole[begin : begin + _AT_ONCE] = out[begin : min(begin + _AT_ONCE, len(labels))]
        keep_array(into / "x.npy", whole)
        (into / "all.npy").unlink()
    else:
        keep_array(into / "all.npy", out)
        (into / "all.npy").rename(into / "x.npy")
    keep_array(into / "y.npy", np.array(labels))
    keep_array(into / "skipped.npy", np.array(skipped, dtype="U1" if not skipped else None))


def _decoded(files: Sequence[Path], size: int | None) -> Iterator[tuple[Path, Array | None]]:
    """Yield every file, in order, with its image (3, height, width), None where it cannot be read."""
    with ThreadPoolExecutor(thread_name_prefix="images") as pool:  # Pillow decodes without the interpreter's lock
        for begin in range(0, len(files), _AT_ONCE):
            part = files[begin : begin + _AT_ONCE]
            yield from zip(part, pool.map(lambda file: _read(file, size), part), strict=True)


def _read(file: Path, size: int | None) -> Array | None:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise InputError("images: Pillow is not installed; `pip install pillow`") from None
    try:
        with Image.open(file) as image:
            if size is not None:
                image.draft("RGB", (size, size))  # JPEG decodes to a half, a quarter or an eighth for nothing
            if image.width * image.height > _LARGEST_IMAGE:
                return None
            image.load()
    except (OSError, EOFError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError, *MALFORMED):
        return None
    found = as_rgb(image, file)
    if size is not None:
        found = _cropped(found, size)
    return np.ascontiguousarray(np.asarray(found).transpose(2, 0, 1))


def _cropped(image: Any, size: int) -> Any:
    """Return the middle of ``image``, its shorter side resized to ``size`` (bilinear, antialiased)."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), 2, (left, top, left + side, top + side))


def _by(shape: Sequence[int]) -> str:
    return f"{shape[-1]}x{shape[-2]}"

"""Folders of data sets: train/CLASS/* and test/CLASS/*, and what a file's name says."""

from __future__ import annotations

from pathlib import Path

__all__ = ["prefix_of", "split_folders"]

_PARTS = (("train",), ("test",), ("val", "valid", "validation"))


def split_folders(path: Path) -> tuple[Path, Path | None] | None:
    """Return the folders of training and of testing in ``path``; None where there is no ``train``.

    Testing is ``test``, where there is none ``val``; capital letters make no difference.
    """
    folders = {folder.name.lower(): folder for folder in sorted(path.iterdir()) if folder.is_dir()}
    found = [next((folders[name] for name in names if name in folders), None) for names in _PARTS]
    return None if found[0] is None else (found[0], found[1] or found[2])


def prefix_of(file: Path) -> str:
    """Return a file's name up to the first underscore: who speaks, or moves, in many data sets."""
    return file.stem.split("_")[0]

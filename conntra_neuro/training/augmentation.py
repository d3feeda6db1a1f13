"""Training images that are moved, and samples that are moved in time, anew in every sweep: how much, unless said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.training.inputs.augment import GRID, UNIT
from conntra_neuro.training.inputs.image import looks_like_images
from conntra_neuro.training.options import Allowed
from conntra_neuro.training.task import Task

__all__ = ["MOVES_ALLOWED", "Augmentation"]

MOVES_ALLOWED = {"shift": Allowed(0, 1000), "elastic": Allowed(0, 100)}
"""In pixels; far more than makes sense, and int16 holds any draw of it."""

_LARGE = 20  # pixels along the shorter side of an image, from which on it is shifted unasked
_WIDE = 512  # hidden units
_FEW = 1000  # samples a class: below, images are moved whatever the network
_BENT = 0.06  # of the shorter side: how far images of small sets are bent


@dataclass(frozen=True)
class Augmentation:
    """By how many pixels images are moved: shifted by up to ``shift``, bent by about ``elastic``.

    in_time  samples over time that are no images are moved and bent by so many time steps, all inputs alike
    usual    nobody asked for it, or for a part of it
    few      there are few images
    """

    shift: int = 0
    elastic: float = 0.0
    in_time: bool = False
    usual: bool = False
    few: bool = False

    @classmethod
    def of(cls, shift: int | None, elastic: float | None, task: Task) -> Augmentation:
        """Return what is asked for, and what suits the images where nothing is: docs/training.md has the evidence.

        Moved unasked are images of which there are few, and large ones in wide dense networks; inputs of several time
        steps and tables are left alone, and ``shift`` 0 leaves images alone. InputError for a shift that leaves
        nothing of an image, or of a sample over time.
        """
        image, steps = task.image, task.architecture.input_steps
        if image is None and steps > 1:
            if (shift or 0) >= steps:
                raise InputError(f"shift {shift}: samples have {steps} time steps; 0 to {steps - 1} allowed")
            return cls(shift or 0, elastic or 0.0, in_time=True)
        if image is not None and (shift or 0) >= min(image.rows, image.columns):
            raise InputError(
                f"shift {shift}: images are {image.rows} x {image.columns} pixels; "
                f"0 to {min(image.rows, image.columns) - 1} allowed"
            )
        usual = cls() if shift == 0 else _usual(task)
        found = (usual.shift if shift is None else shift, usual.elastic if elastic is None else elastic)
        unasked = bool(usual) and (shift is None or elastic is None)
        return cls(*found, usual=unasked, few=image is not None and any(found) and _are_few(task))

    def __bool__(self) -> bool:
        return bool(self.shift or self.elastic)

    def draw(self, rng: np.random.Generator, n: int) -> IntArray | None:
        """Return how each of ``n`` images is moved; None where none is.

        (n, 2): whole pixels down and to the right; with ``elastic`` (n, 32): displacements of the control points,
        normal with a standard deviation of ``elastic`` pixels, and the image's shift. Down is later.
        """
        shifts = rng.integers(-self.shift, self.shift + 1, size=(n, 2)) if self.shift else None
        if shifts is not None and self.in_time:
            shifts[:, 1] = 0
        if not self.elastic:
            return shifts
        bent = np.rint(rng.standard_normal((n, 2, GRID**2), dtype=np.float32) * np.float32(self.elastic * UNIT))
        if self.in_time:
            bent[:, 0] = bent[:, 0, ::GRID].repeat(GRID, axis=1)  # row by row of the grid: all inputs alike
            bent[:, 1] = 0
        if shifts is not None:
            bent -= UNIT * shifts[:, :, None]  # a pixel comes from where the image was
        return np.clip(bent, -(2**15), 2**15 - 1).astype(np.int16).reshape(n, -1)


def _usual(task: Task) -> Augmentation:
    """Return how images are moved unasked."""
    image, sizes = task.image, task.sizes
    if image is None or not task.movable or not looks_like_images((image.rows, image.columns), 0):
        return Augmentation()
    if image.n_in != sizes[0] or len(sizes) < 3:  # several time steps; no hidden layer
        return Augmentation()
    side = min(image.rows, image.columns)
    if _are_few(task):
        return Augmentation(1 if side >= _LARGE else 0, round(_BENT * side, 1))
    wide = task.architecture.is_chain and sum(sizes[1:-1]) >= _WIDE
    return Augmentation(1, 1.0) if wide and side >= _LARGE else Augmentation()


def _are_few(task: Task) -> bool:
    return len(task.y) < _FEW * task.sizes[-1]

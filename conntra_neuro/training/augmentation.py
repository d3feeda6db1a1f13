"""Training images that are moved, and samples that are moved in time, anew in every sweep: how much, unless said."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.training.inputs.image import GRID, UNIT, looks_like_images
from conntra_neuro.training.options import Allowed
from conntra_neuro.training.task import Task

__all__ = ["MOVES_ALLOWED", "Augmentation", "are_few"]

MOVES_ALLOWED = {"shift": Allowed(0, 1000), "elastic": Allowed(0, 100)}
MOVES_ALLOWED |= dict.fromkeys(("shift_steps", "shift_units", "jitter"), Allowed(0, 1000))
MOVES_ALLOWED["drop"] = Allowed(0, 1, open=True)
"""In pixels, steps and units; far more than makes sense, and int16 holds any draw of it. ``drop`` is a share."""

_LARGE = 20  # pixels along the shorter side of an image, from which on it is shifted unasked
_WIDE = 512  # hidden units
_FEW = 1000  # samples a class: below, images are moved in dense networks of any width
_BENT = 0.06  # of the shorter side: how far images of small sets are bent


@dataclass(frozen=True)
class Augmentation:
    """By how many pixels images are moved: shifted by up to ``shift``, bent by about ``elastic``.

    in_time  samples over time that are no images are moved and bent by so many time steps, all inputs alike
    usual    nobody asked for it, or for a part of it
    few      there are few images, and the network is dense: what the recipe of few was chosen on
    shift_steps, shift_units, jitter, drop
             samples over time, images or not: each is later or earlier by up to ``shift_steps``, each event by up to
             ``jitter`` on its own; events move by up to ``shift_units`` inputs; a share ``drop`` of them is left out
    """

    shift: int = 0
    elastic: float = 0.0
    in_time: bool = False
    usual: bool = False
    few: bool = False
    shift_steps: int = 0
    shift_units: int = 0
    jitter: int = 0
    drop: float = 0.0

    @classmethod
    def asked(cls, options: Any, task: Task) -> Augmentation:
        """Return what a gear's ``options`` ask for, of the names in ``MOVES_ALLOWED``; as ``of``."""
        moves = cls.of(options.shift, options.elastic, task)
        named = {name: getattr(options, name) for name in ("shift_steps", "shift_units", "jitter", "drop")}
        asked = [name for name, value in named.items() if value]
        steps = task.architecture.input_steps
        if asked and steps == 1:
            raise InputError(f"{asked[0]} {named[asked[0]]}: samples have no time steps; leave it out, or give some")
        for name in ("shift_steps", "jitter"):
            if named[name] >= steps > 1:
                raise InputError(f"{name} {named[name]}: samples have {steps} time steps; 0 to {steps - 1} allowed")
        if named["shift_units"] and task.image is not None:
            raise InputError(f"shift_units {named['shift_units']}: samples are images over time; shift moves these")
        return dataclasses.replace(moves, **named)

    @classmethod
    def of(cls, shift: int | None, elastic: float | None, task: Task) -> Augmentation:
        """Return what is asked for, and what suits the images where nothing is.

        Moved unasked are, in dense networks, images of which there are few, and large ones where the network is wide
        (docs/records/training.md has the evidence); inputs of several time steps and tables are left alone, and
        ``shift`` 0 leaves images alone. InputError for a shift that leaves nothing of an image, or of a sample over
        time.
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
        return bool(self.shift or self.elastic or self._by_event)

    @property
    def _by_event(self) -> bool:
        return bool(self.shift_steps or self.shift_units or self.jitter or self.drop)

    def draw(self, rng: np.random.Generator, n: int) -> IntArray | None:
        """Return how each of ``n`` samples is moved; None where none is.

        As ``_moved``, followed by what ``inputs.events`` takes where events are moved or dropped.
        """
        moved = self._moved(rng, n)
        if not self._by_event:
            return moved
        from conntra_neuro.training.inputs.events import drawn  # loads the compiler

        by_event = drawn(rng, n, self.shift_steps, self.shift_units, self.drop, self.jitter)
        return by_event if moved is None else np.hstack([moved.astype(np.int16), by_event])

    def _moved(self, rng: np.random.Generator, n: int) -> IntArray | None:
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
    if image.n_in != sizes[0] or len(sizes) < 3 or not task.architecture.is_chain:  # time steps; no hidden layer
        return Augmentation()
    side = min(image.rows, image.columns)
    if _are_few(task):
        return Augmentation(1 if side >= _LARGE else 0, round(_BENT * side, 1))
    return Augmentation(1, 1.0) if sum(sizes[1:-1]) >= _WIDE and side >= _LARGE else Augmentation()


def _are_few(task: Task) -> bool:
    return task.architecture.is_chain and are_few(len(task.y), task.sizes[-1])


def are_few(n: int, classes: int) -> bool:
    """Say whether ``n`` images of so many classes are few: fewer than 1,000 a class."""
    return n < _FEW * classes

"""Finite weight sets: the values a weight may take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["BINARY", "TERNARY", "Levels", "parse_levels"]

_MAX_LEVELS = 256  # that training takes; other weights may be of more
_MOST = 2**16
_MAX_MAGNITUDE = 2**15
_LISTED = 17


@dataclass(frozen=True)
class Levels:
    """A finite set of integer weights: ``values``, kept sorted and without repeats.

    InputError for less than 2 or more than 2^16 of them, for values that are not integers or beyond 2^15.
    """

    values: tuple[int, ...]

    def __post_init__(self) -> None:
        fractions = [v for v in self.values if v != int(v)]
        if fractions:
            raise InputError(f"levels: {fractions[0]} is not an integer; scale the levels, weights are integers")
        values = tuple(sorted({int(v) for v in self.values}))
        if not 2 <= len(values) <= _MOST:
            raise _wrong_number(values, _MOST)
        if max(-values[0], values[-1]) > _MAX_MAGNITUDE:
            raise InputError(f"levels {values[0]} to {values[-1]}: magnitudes up to {_MAX_MAGNITUDE} allowed")
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        names = {BINARY.values: "binary", TERNARY.values: "ternary"}
        return names.get(self.values, ",".join(map(str, self.values)))

    @property
    def short(self) -> str:
        """The same on a line: where they are many, how many from where to where."""
        if len(self) <= _LISTED:
            return str(self)
        return f"{len(self)} from {self.values[0]} to {self.values[-1]}"

    @property
    def array(self) -> npt.NDArray[np.int64]:
        """The values, ascending, shape (len,)."""
        return np.array(self.values, dtype=np.int64)

    @property
    def bits(self) -> float:
        """Information in one weight, in bits."""
        return float(np.log2(len(self.values)))

    def index(self, weights: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the index of each weight in ``values``; InputError names a weight that is not a level."""
        array = np.asarray(weights)
        index = np.clip(np.searchsorted(self.values, array), 0, len(self.values) - 1)
        wrong = self.array[index] != array
        if wrong.any():
            raise InputError(f"weight {array[wrong][0]}: not one of the levels {self}")
        return index

    @classmethod
    def of(cls, weights: npt.ArrayLike) -> Levels:
        """Return the smallest usual set that holds all of ``weights``: binary, ternary, else the values themselves."""
        present = {int(v) for v in np.unique(np.asarray(weights))}
        for usual in (BINARY, TERNARY):
            if present <= set(usual.values):
                return usual
        return cls(tuple(present | {0}))


def _wrong_number(values: tuple[int, ...], most: int) -> InputError:
    listed = ", ".join(map(str, values[:5])) + (" ..." if len(values) > 5 else "")
    return InputError(f"levels {listed}: {len(values)} distinct value(s); 2 to {most} allowed")


BINARY = Levels((-1, 1))
TERNARY = Levels((-1, 0, 1))


def parse_levels(spec: str | int | Iterable[int] | Levels) -> Levels:
    """Return the level set that ``spec`` names.

    "binary", "ternary", an odd or even N (N levels around 0, e.g. 5 is -2 .. 2, 4 is -2 .. 1), "a,b,c", or the values.
    InputError for anything else, and for more than 256 of them.
    """
    found = _parsed(spec)
    if len(found) > _MAX_LEVELS:
        raise _wrong_number(found.values, _MAX_LEVELS)
    return found


def _parsed(spec: str | int | Iterable[int] | Levels) -> Levels:
    if isinstance(spec, Levels):
        return spec
    if isinstance(spec, str):
        named = {"binary": BINARY, "ternary": TERNARY}
        if spec in named:
            return named[spec]
        parts = [part.strip() for part in spec.split(",") if part.strip()]
        try:
            numbers = [int(part) for part in parts]
        except ValueError:
            numbers = []
        if not numbers:
            raise InputError(f"levels {spec!r}: binary, ternary, a number N, or integers a,b,c expected")
        if len(numbers) == 1 and "," not in spec:
            return _parsed(numbers[0])
        return Levels(tuple(numbers))
    if isinstance(spec, (int, np.integer)):
        if not 2 <= spec <= _MAX_LEVELS:
            raise InputError(f"levels {spec}: 2 to {_MAX_LEVELS} allowed")
        return BINARY if spec == 2 else Levels(tuple(range(-(int(spec) // 2), int(spec) - int(spec) // 2)))
    return Levels(tuple(spec))

"""What the logit of a network stands for that answers with a number instead of a class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError

__all__ = ["ValueScale", "answers_from_file", "answers_to_file", "check_answers"]


@dataclass(frozen=True)
class ValueScale:
    """The value of a logit, in the unit of the targets: ``offset + scale * logit``.

    ``scale`` is not 0, and both are finite numbers; InputError for anything else.
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, (int, float, np.number)) or not math.isfinite(number):
                raise InputError(f"value scale: {name} {number!r}; a finite number expected")
            object.__setattr__(self, name, float(number))
        if self.scale == 0:
            raise InputError("value scale: scale 0; all logits would stand for one value")

    def values(self, logits: IntArray) -> npt.NDArray[np.float64]:
        """Return the values (n,) of logits (n, 1)."""
        return self.offset + self.scale * logits[:, 0].astype(np.float64)


def check_answers(labels: Sequence[Any] | None, value: ValueScale | None, outputs: int, what: str) -> None:
    """Raise InputError where ``labels`` of classes, or a ``value``, do not go with so many ``outputs``."""
    if value is not None and not isinstance(value, ValueScale):
        raise InputError(f"{what}: value {value!r}; a ValueScale(scale, offset) expected")
    if value is not None and (labels is not None or outputs != 1):
        named = "" if labels is None else f" and labels {tuple(labels)}"
        raise InputError(f"{what}: {outputs} outputs{named}, and a value; one output without labels expected")
    if labels is not None and len(set(labels)) < len(labels):
        raise InputError(f"{what}: labels {tuple(labels)}; each class needs one of its own")


def answers_to_file(labels: list[Any] | None, value: ValueScale | None) -> Any:
    """Return what files hold in the place of labels; versions that do not know of values refuse an object there."""
    return labels if value is None else {"scale": value.scale, "offset": value.offset}


def answers_from_file(entry: Any) -> tuple[tuple[Any, ...] | None, ValueScale | None]:
    """Return labels and value of an entry of ``answers_to_file``."""
    if isinstance(entry, Mapping):
        return None, ValueScale(entry["scale"], entry["offset"])
    return None if entry is None else tuple(entry), None

"""Options that a user gives by name: known to the gear, of the right type and in range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean

__all__ = ["COUNT", "SHARE", "SIGMA", "SWEEPS", "Allowed", "check_options", "parse_options"]


@dataclass(frozen=True)
class Allowed:
    """The values that an option may have: from ``least`` to ``most``, or up to it where that is ``open``."""

    least: float
    most: float = math.inf
    open: bool = False

    def __contains__(self, value: float) -> bool:
        return self.least <= value < self.most if self.open else self.least <= value <= self.most

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"{self.least:g} or more"
        return f"{self.least:g} {'up ' if self.open else ''}to {self.most:,.10g}"


COUNT = Allowed(1)
SWEEPS = Allowed(2**-20)
SHARE = Allowed(0, 1, open=True)
SIGMA = Allowed(1e-3, 1e3)
"""Noise of the thresholds, in units of the potentials' spread."""


def check_options(options: Any, allowed: Mapping[str, Allowed]) -> None:
    """Raise InputError for the first of the options that is not ``allowed``; None lets the data decide."""
    for name, values in allowed.items():
        value = getattr(options, name)
        if value is not None and value not in values:
            raise InputError(f"{name} {value}: {values} allowed")


def parse_options(kind: type[Any], options: Mapping[str, Any], gear: str) -> Any:
    """Return ``kind(**options)``; InputError where an option is unknown or of the wrong type."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in options.items():
        if name not in fields:
            meant = did_you_mean(name, fields)
            raise InputError(f"option {name!r}: unknown to gear {gear}{meant}; allowed: {', '.join(fields)}")
        whole = "int" in str(fields[name].type)
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        missing = value is None and "None" in str(fields[name].type)
        if not missing and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"option {name}={value!r}: {'an integer' if whole else 'a number'} expected")
    return kind(**options)

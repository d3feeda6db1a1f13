"""Options that a user gives by name: known to the gear, and of the right type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError

__all__ = ["parse_options"]


def parse_options(kind: type[Any], options: Mapping[str, Any], gear: str) -> Any:
    """Return ``kind(**options)``; InputError where an option is unknown or of the wrong type."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in options.items():
        if name not in fields:
            raise InputError(f"option {name!r}: unknown to gear {gear}; allowed: {', '.join(fields)}")
        whole = "int" in str(fields[name].type)
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        missing = value is None and "None" in str(fields[name].type)
        if not missing and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"option {name}={value!r}: {'an integer' if whole else 'a number'} expected")
    return kind(**options)

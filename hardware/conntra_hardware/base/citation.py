"""Numbers with a source: every figure of a chip or of a coefficient set is read through here, and none without one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conntra_hardware.base.errors import FileFormatError, InputError, in_short

__all__ = ["Cited", "cited_from_table", "read_toml"]

Value = float | int | str | tuple[int | str, ...]


@dataclass(frozen=True)
class Cited:
    """A number with its unit and where it comes from; ``second_hand`` marks what was not read at the source.

    ``node`` is the silicon process a figure holds for, ``scope`` what it includes.
    """

    value: Value
    unit: str
    source: str
    second_hand: bool = False
    note: str = ""
    node: str = ""
    scope: str = ""


def cited_from_table(entry: Any, what: str) -> Cited:
    """Return a TOML table of value, unit, source and perhaps second_hand, note, node, scope; InputError without a
    source.
    """
    if not isinstance(entry, Mapping):
        raise InputError(f"{what}: {entry!r}; a table of value, unit and source expected")
    unknown = sorted(set(entry) - set(Cited.__dataclass_fields__))
    if unknown:
        raise InputError(f"{what}: unknown keys {', '.join(unknown)}; allowed: {', '.join(Cited.__dataclass_fields__)}")
    for key in ("unit", "source"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise InputError(f"{what}: no {key}; a figure without a {key} is refused, say where it comes from")
    value = entry.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float, str, list)):
        raise InputError(f"{what}: value {value!r}; a number or a list expected")
    return Cited(**{**entry, "value": tuple(value) if isinstance(value, list) else value})


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return a TOML file as a dictionary; FileFormatError, in one line, where it cannot be read."""
    # Here, because a simulator's Python reads no such file and may be a bare 3.10, which has neither.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileFormatError(f"{what}: cannot be read ({error.strerror or error}); check the path {path}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        reason = in_short(error)
        raise FileFormatError(
            f"{what}: not TOML ({reason}); compare it with the files that come with the package"
        ) from None

"""Options of a specification: ``KIND:PATH?name=value&name=value``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from conntra_hardware.base.errors import InputError

__all__ = ["check_known", "duration_us", "number", "split_options"]

_UNITS = {"us": 1, "ms": 1000, "s": 1_000_000}


def split_options(spec: str) -> tuple[str, dict[str, str]]:
    """Return the path and the options of ``PATH?name=value&name=value``; InputError for anything else."""
    path, _, text = spec.partition("?")
    options: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, equals, value = pair.partition("=")
        if not equals or not value or name in options:
            raise InputError(f"{spec}: option {pair!r}; NAME=VALUE expected, each name once, with & between them")
        options[name] = value
    return path, options


def check_known(spec: str, options: dict[str, str], known: Sequence[str]) -> None:
    """Raise InputError where ``options`` has a name that is not ``known``."""
    for name in options:
        if name not in known:
            raise InputError(f"{spec}: option {name!r} is not known; allowed: {', '.join(known)}")


def duration_us(text: str, what: str) -> int:
    """Return the microseconds of "10ms", "500us" or "2s"; InputError for anything else."""
    found = re.fullmatch(r"(\d+)(us|ms|s)", text)
    if found is None or int(found[1]) == 0:
        raise InputError(f"{what}={text}: a duration expected, as 10ms, 500us or 2s")
    return int(found[1]) * _UNITS[found[2]]


def number(text: str, what: str) -> int:
    """Return a whole number of digits; InputError for anything else."""
    if not text.isdecimal():
        raise InputError(f"{what}={text}: a whole number expected")
    return int(text)

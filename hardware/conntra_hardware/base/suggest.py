"""Errors that name what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]

_ALIKE = 0.6


def nearest(given: object, allowed: Iterable[str]) -> str | None:
    """Return the name of ``allowed`` that is most like ``given``; None where none is alike, or two are equally so."""
    word = str(given).lower()
    ratios = {name: difflib.SequenceMatcher(None, name.lower(), word).ratio() for name in allowed}
    ranked = sorted(ratios, key=lambda name: -ratios[name])
    if not ranked or ratios[ranked[0]] < _ALIKE:
        return None
    return None if len(ranked) > 1 and ratios[ranked[1]] == ratios[ranked[0]] else ranked[0]


def did_you_mean(given: object, allowed: Iterable[str]) -> str:
    """Return " (did you mean NAME?)" with the name of ``allowed`` that is most like ``given``, else nothing.

    It follows "unknown" in errors: ``backend 'lvaa': unknown (did you mean lava?); allowed: ...``.
    """
    found = nearest(given, allowed)
    return f" (did you mean {found}?)" if found else ""

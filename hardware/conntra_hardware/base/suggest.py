"""Errors that name what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]

_ALIKE = 0.6


def did_you_mean(given: object, allowed: Iterable[str]) -> str:
    """Return " (did you mean NAME?)" with the name of ``allowed`` that is most like ``given``, else nothing.

    It follows "unknown" in errors: ``backend 'lvaa': unknown (did you mean lava?); allowed: ...``.
    """
    names = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(str(given).lower(), names, n=1, cutoff=_ALIKE)
    return f" (did you mean {names[found[0]]}?)" if found else ""

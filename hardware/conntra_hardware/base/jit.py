"""numba's ``njit`` as the project uses it: without the interpreter's lock, kept in a cache where there can be one.

numba keeps compiled functions beside their source, else in the user's cache folder. Where neither can be written it
raises, and so it does where the disk is full or a file of the cache is damaged. None of that is a reason not to run:
the function is compiled again then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb

from conntra_hardware.base.upward import upward

__all__ = ["jit"]


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Return ``function`` compiled at its first call, or with ``options`` of numba a decorator that does so."""
    if function is None:
        return lambda later: jit(later, **options)
    try:
        compiled: Any = nb.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # "no locator available": no folder for the cache
        return nb.njit(nogil=True, **options)(function)
    compiled._cache = _Forgiving(compiled._cache)
    return compiled


class _Forgiving:
    """A cache of numba's that fails as if it held nothing."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        """Return the compiled code, or None where it is not there or cannot be read."""
        try:
            found = self._cache.load_overload(*arguments)
        except Exception:  # a damaged file is met with whatever unpickling it raises
            found = None
        if found is None and "compiling" in upward:
            upward["compiling"]()
        return found

    def save_overload(self, *arguments: Any) -> None:
        """Keep the compiled code, unless it cannot be written or what is there cannot be read."""
        try:
            self._cache.save_overload(*arguments)
        except Exception:
            return

"""The version of this distribution."""

from __future__ import annotations

from functools import cache

__all__ = ["package_version"]


@cache  # its file is read and parsed each time otherwise: 4 ms for every certificate
def package_version(otherwise: str = "unknown") -> str:
    """Return the installed version, or ``otherwise`` where the packages run from their folder."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("conntra-neuro")
    except PackageNotFoundError:
        return otherwise

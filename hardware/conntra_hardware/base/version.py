"""The version of this distribution."""

from __future__ import annotations

__all__ = ["package_version"]


def package_version(otherwise: str = "unknown") -> str:
    """Return the installed version, or ``otherwise`` where the packages run from their folder."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("conntra-neuro")
    except PackageNotFoundError:
        return otherwise

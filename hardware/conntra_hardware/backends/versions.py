"""What ran: versions that belong beside every result and every certificate."""

from __future__ import annotations

import platform
from collections.abc import Iterable

import numpy as np

from conntra_hardware.backends.protocol import Backend
from conntra_hardware.base.errors import BackendError
from conntra_hardware.base.version import package_version

__all__ = ["versions_of"]


def versions_of(simulators: Iterable[Backend]) -> dict[str, str]:
    """Return the versions of this package, Python, NumPy and the simulators; BackendError where one cannot run here."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions["conntra-neuro"] = package_version("not installed")
    for simulator in simulators:
        found = simulator.availability()
        if not found.ok:
            raise BackendError(f"{simulator.name}: {found.reason}; {found.remedy}")
        versions |= found.versions
    return versions

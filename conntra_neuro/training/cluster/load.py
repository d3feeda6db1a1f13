"""Import Dask where it is needed, with a remedy where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from conntra_hardware.base.errors import InputError

if TYPE_CHECKING:
    from conntra_neuro.training.cluster.workers import DaskCrew

__all__ = ["dask_crew", "dask_map"]


def dask_crew(address: str) -> AbstractContextManager[DaskCrew]:
    """Return ``connect.dask_crew(address)``. InputError where Dask is not installed."""
    return _connect(address).dask_crew(address)


def dask_map(address: str) -> AbstractContextManager[Callable[..., Any]]:
    """Return ``connect.dask_map(address)``. InputError where Dask is not installed."""
    return _connect(address).dask_map(address)


def _connect(address: str) -> Any:
    try:
        from conntra_neuro.training.cluster import connect
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("dask", "distributed"):
            raise
        raise InputError(
            f"cluster {address}: needs Dask, {error.name} is not installed here; "
            'remedy: pip install "conntra-neuro[cluster]"'
        ) from None
    return connect

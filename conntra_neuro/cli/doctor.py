"""``conntra doctor``: what can run here, what cannot, why, and the remedy."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["doctor", "examine"]

_PACKAGES = ("conntra-neuro", "numpy", "numba", "scipy", "scikit-learn", "safetensors", "typer", "rich")
_EXTRAS = {
    "backprop": ("training by backpropagation, warm starts", ("jax", "optax")),
    "cluster": ("training on several machines", ("dask", "distributed")),
    "sanafe": ("a third cross-check of spikes and energy", ("sanafe",)),
    "nir": ("NIR and NetX files", ("nir", "h5py")),
    "onnx": ("import of ONNX and QONNX", ("onnx",)),
}


def doctor(seed: Seed = 0, json: Json = False, quiet: Quiet = False, debug: Debug = False) -> Outcome:
    """Say what can run here: Python, simulators, optional extras, threads and memory, and what to do about the rest."""
    from conntra_neuro.report.tables import doctor_view

    document = examine()
    return Outcome(document, (doctor_view(document),))


doctor.__doc__ = f"{doctor.__doc__}\n\n" + example("conntra doctor")


def examine() -> dict[str, Any]:
    """Return what ``conntra doctor`` shows."""
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "threads": _threads(),
        "memory_bytes": _memory_bytes(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "backends": _backends(),
        "extras": [_extra(name, purpose, needs) for name, (purpose, needs) in _EXTRAS.items()],
    }


def _backends() -> list[dict[str, Any]]:
    from conntra_hardware.backends import BACKENDS

    return [{"name": name, **_availability(name)} for name in BACKENDS]


def _availability(name: str) -> dict[str, Any]:
    from conntra_hardware.backends import load_backend

    try:
        there = load_backend(name).availability()
    except Exception as error:  # doctor is for installations that are broken: it must not break with them
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        remedy = "reinstall it: pip install --force-reinstall conntra-neuro"
        return {"ok": False, "reason": reason, "remedy": remedy, "versions": {}}
    return {"ok": there.ok, "reason": there.reason, "remedy": there.remedy, "versions": dict(there.versions)}


def _extra(name: str, purpose: str, needs: tuple[str, ...]) -> dict[str, Any]:
    versions = {need: _version(need) for need in needs}
    there = all(versions.values())
    remedy = "" if there else f"pip install 'conntra-neuro[{name}]'"
    return {"name": name, "purpose": purpose, "ok": there, "remedy": remedy, "versions": versions}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _threads() -> int:
    """Return the threads that this process may use, which containers limit."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None

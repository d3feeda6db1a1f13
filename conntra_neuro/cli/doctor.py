"""``conntra doctor``: what can run here, what cannot, why, and the remedy."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from conntra_hardware.base.errors import ConntraError
from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["doctor", "examine"]

_PACKAGES = ("conntra-neuro", "numpy", "numba", "scipy", "scikit-learn", "safetensors", "typer", "rich")
_TRIAL_S = 120.0
_EXTRAS = {
    "backprop": ("training by backpropagation, warm starts", ("jax", "optax")),
    "cluster": ("training on several machines", ("dask", "distributed")),
    "sanafe": ("a third cross-check of spikes and energy", ("sanafe",)),
    "nir": ("NIR and NetX files", ("nir", "h5py")),
    "onnx": ("ONNX and QONNX files", ("onnx",)),
}


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Look for packages only; run no simulator.")] = False,
    fix: Annotated[
        str | None,
        typer.Option(
            "--fix",
            metavar="lava",
            show_default=False,
            help="Make a private environment with Python 3.10, in which Lava runs from any Python.",
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Show what can run here: Python, simulators, extras, threads and memory, and what to do about the rest.

    Each simulator that seems to be there runs a program of two neurons, which takes some ten seconds in all.
    """
    from conntra_neuro.report.tables import doctor_view

    if fix is not None:
        from conntra_neuro.cli.doctor_fix import fix as make

        make(fix, quiet)
    document = examine(quick, quiet)
    return Outcome(document, (doctor_view(document),))


doctor.__doc__ = f"{doctor.__doc__}\n\n" + example(
    "conntra doctor", "conntra doctor --quick", "conntra doctor --fix lava"
)


def examine(quick: bool = True, quiet: bool = True) -> dict[str, Any]:
    """Return what ``conntra doctor`` shows; unless ``quick`` every backend that seems to be there is tried."""
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "threads": _threads(),
        "memory_bytes": _memory_bytes(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "backends": _backends(quick, quiet),
        "extras": [_extra(name, purpose, needs) for name, (purpose, needs) in _EXTRAS.items()],
    }


def _backends(quick: bool, quiet: bool) -> list[dict[str, Any]]:
    from conntra_hardware.backends import BACKENDS

    found = []
    for name in BACKENDS:
        there = _availability(name)
        if there["ok"] and not quick:
            with step(f"trying {name}", quiet):
                there |= _trial(name)
        found.append({"name": name, **there})
    return found


def _trial(name: str) -> dict[str, Any]:
    """Run a program of one neuron and a readout: a package may be installed and still not work."""
    import numpy as np

    from conntra_neuro.compiler import compile
    from conntra_neuro.network import Dense, DiscreteNetwork

    network = DiscreteNetwork([Dense([[1]]), Dense([[1], [-1]], activation="readout")])
    spikes = np.array([[1], [0], [1]], np.uint8)
    try:
        logits = compile(network, "loihi1").run(spikes, backend=name, time_limit_s=_TRIAL_S).logits
    except Exception as error:  # whatever is broken, its name and what it says are the answer
        kind = "" if isinstance(error, ConntraError) else f"{type(error).__name__}: "
        return _failed(f"a trial with one neuron failed: {kind}{' '.join(str(error).split())}")
    if not np.array_equal(logits, network.forward(spikes)):
        return _failed(f"a trial with one neuron gave {logits.tolist()}; {network.forward(spikes).tolist()} expected")
    return {"tried": True}


def _failed(reason: str) -> dict[str, Any]:
    remedy = "install the versions of constraints.txt, or leave this backend out"
    return {"ok": False, "tried": True, "reason": reason, "remedy": remedy}


def _availability(name: str) -> dict[str, Any]:
    from conntra_hardware.backends import load_backend

    try:
        there = load_backend(name).availability()
    except Exception as error:  # doctor is for installations that are broken: it must not break with them
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        remedy = "reinstall it: pip install --force-reinstall conntra-neuro"
        return {"ok": False, "tried": False, "reason": reason, "remedy": remedy, "versions": {}, "executable": ""}
    versions = dict(there.versions)
    return {
        "ok": there.ok,
        "tried": False,
        "reason": there.reason,
        "remedy": there.remedy,
        "versions": versions,
        "executable": there.python or (sys.executable if there.ok else ""),
    }


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

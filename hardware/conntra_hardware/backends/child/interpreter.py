"""Which Python runs a simulator: this one, one that the user names, or an environment of the simulator's own.

Lava's last release exists for Python 3.10 only. A simulator runs in a child process anyway, and a job is JSON and
plain .npy files, so the child may be another Python with another NumPy. Three places are looked at, in this order:

1. ``CONNTRA_LAVA_PYTHON`` (``CONNTRA_SANAFE_PYTHON``): a Python that the user names, and then no other is tried;
2. this Python, where the simulator is installed beside this package;
3. the private environment of ``conntra doctor --fix lava``, in the user's cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import machinery, metadata
from pathlib import Path

from conntra_hardware.base.cache import cache_folder

__all__ = [
    "OLDEST",
    "Found",
    "environment_of_other",
    "find_simulator",
    "mark_finished",
    "private_environment",
    "private_python",
]

OLDEST = (3, 10)
"""The oldest Python that runs this package's side of the child."""

_STAMP = "conntra-ready"
_ASK_S = 30.0
# Runs on any Python, Python 2 included, so that the version can be said where it is the wrong one.
_QUESTION = """
import json, os, sys
asked = json.loads(sys.argv[1])
answer = {"python": list(sys.version_info[:3]), "versions": {}, "modules": []}
if sys.version_info >= (3, 8):
    from importlib import machinery, metadata
    for name in asked["distributions"]:
        try:
            answer["versions"][name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    for name in asked["modules"]:
        parts = name.split(".")
        folders = [os.path.join(entry, *parts[:-1]) for entry in sys.path]
        if machinery.PathFinder.find_spec(parts[-1], folders) is not None:
            answer["modules"].append(name)
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Found:
    """Where a simulator was found, or why it was not.

    ``python`` is the program of another interpreter, empty where it is this one. ``version`` is that interpreter's.
    ``versions`` are those of the distributions that were asked for and are there, ``modules`` likewise. ``reason`` and
    ``remedy`` are set where a Python was named or made that cannot serve; all is empty where nothing was found.
    """

    python: str = ""
    version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    reason: str = ""
    remedy: str = ""


def find_simulator(
    simulator: str, distributions: tuple[str, ...], modules: tuple[str, ...] = (), remedy: str = ""
) -> Found:
    """Return where the first of ``distributions`` is installed, which the child of ``simulator`` needs.

    ``simulator`` ("lava") decides on the variable and the private environment. ``modules`` are looked for and not
    imported. ``remedy`` ends the reasons why a named Python cannot serve.
    """
    variable = f"CONNTRA_{simulator.upper()}_PYTHON"
    named = os.environ.get(variable)
    if named:
        found = _program(named, f"{variable}={named}")
        return _checked(found, f"{variable}={named}", distributions, modules, f"{remedy}, or unset {variable}")
    versions = {name: version for name in distributions if (version := _own_version(name))}
    if distributions[0] in versions:
        here = frozenset(name for name in modules if _is_here(name))
        return Found(version=".".join(map(str, sys.version_info[:3])), versions=versions, modules=here)
    private = private_python(simulator)
    if private is None:
        return Found()
    again = f"make it anew: conntra doctor --fix {simulator}"
    return _checked(str(private), f"the private environment {private}", distributions, modules, again)


def private_environment(simulator: str) -> Path:
    """Return the folder of the simulator's private environment, whether it is there or not."""
    return cache_folder() / "environments" / simulator


def private_python(simulator: str, *, unfinished: bool = False) -> Path | None:
    """Return the Python of the simulator's private environment, None where there is none that was finished."""
    folder = private_environment(simulator)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return python if python.exists() and (unfinished or (folder / _STAMP).exists()) else None


def mark_finished(simulator: str) -> None:
    """Mark the private environment as whole: one whose making was interrupted is not taken."""
    (private_environment(simulator) / _STAMP).write_text("", encoding="utf-8")


def environment_of_other() -> dict[str, str]:
    """Return the environment variables for another Python: without those that would lead it to this one's packages."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _program(named: str, what: str) -> str | Found:
    """Return the program that ``named`` means; a Found with the reason where it is none."""
    path = Path(named).expanduser()
    if path.is_dir():
        inside = path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return Found(reason=f"{what}: a folder", remedy=f"name {inside}" if inside.exists() else "")
    program = shutil.which(str(path))
    if program is None:
        reason = "not executable" if path.exists() else "no such program"
        return Found(reason=f"{what}: {reason}")
    return program if os.path.isabs(program) else os.path.abspath(program)


def _checked(
    program: str | Found, what: str, distributions: tuple[str, ...], modules: tuple[str, ...], remedy: str
) -> Found:
    """Return what the Python ``program`` has; with a reason where it cannot serve."""
    if isinstance(program, Found):
        return Found(reason=program.reason, remedy=program.remedy or remedy)
    answer = _ask(program, distributions, modules)
    if isinstance(answer, str):
        return Found(reason=f"{what}: {answer}", remedy=remedy)
    python, versions, there = answer
    version = ".".join(map(str, python))
    if python[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Found(reason=f"{what}: Python {version}; {oldest} or later needed", remedy=remedy)
    if distributions[0] not in versions:
        return Found(reason=f"{what}: Python {version} without {distributions[0]}", remedy=remedy)
    return Found(program, version, versions, there)


Answer = tuple[tuple[int, ...], dict[str, str], frozenset[str]]
_answers: dict[tuple[object, ...], Answer] = {}


def _ask(program: str, distributions: tuple[str, ...], modules: tuple[str, ...]) -> Answer | str:
    """Return version, distributions and modules of a Python; a string that says what it did instead of answering.

    Asked once a process, for it takes some 50 ms; what is missing is asked for again, as it may have been installed.
    """
    key = (program, distributions, modules)
    if key in _answers:
        return _answers[key]
    asked = json.dumps({"distributions": distributions, "modules": modules})
    try:
        ran = subprocess.run(
            [program, "-c", _QUESTION, asked],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_S,
            env=environment_of_other(),
        )
    except subprocess.TimeoutExpired:
        return f"said nothing for {_ASK_S:.0f} s; a Python expected"
    except OSError as error:
        return f"does not start ({error.strerror}); a Python expected"
    try:
        answer = json.loads(ran.stdout)
        found = (tuple(answer["python"]), dict(answer["versions"]), frozenset(answer["modules"]))
    except (ValueError, KeyError, TypeError):
        said = [line.strip() for line in (ran.stderr or ran.stdout).splitlines() if line.strip()]
        return f"is not a Python that runs (exit status {ran.returncode}{': ' + said[-1] if said else ''})"
    if set(distributions) <= found[1].keys() and set(modules) <= found[2]:
        _answers[key] = found
    return found


def _own_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _is_here(module: str) -> bool:
    """Return whether a module is there, without importing its packages as ``find_spec`` would."""
    *packages, name = module.split(".")
    folders = [os.path.join(entry, *packages) for entry in sys.path]
    return machinery.PathFinder.find_spec(name, folders) is not None

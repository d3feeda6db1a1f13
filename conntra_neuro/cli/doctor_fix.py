"""``conntra doctor --fix lava``: a private environment with a Python 3.10 for Lava, in the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from conntra_hardware.base.errors import ConntraError, InputError
from conntra_neuro.cli.progress import say, step

__all__ = ["fix"]

# Lava's last release and the NumPy that it is tested with here; the rest follows from these.
_PACKAGES = ("lava-nc==0.10.0", "numpy==1.26.4")
_PYTHON = (3, 10)
_ASK_S = 30
_INSTALL_S = 1800
_REMEDY = "install one ('uv python install 3.10', 'pyenv install 3.10') or name one in CONNTRA_LAVA_PYTHON"


def fix(simulator: str, quiet: bool) -> None:
    """Make the private environment of ``simulator``, which is "lava", unless it can run already.

    InputError for another simulator, and where a Python is named in the environment, which would be taken instead;
    ConntraError where no Python 3.10 is found, or the packages cannot be installed.
    """
    from conntra_hardware.backends import load_backend
    from conntra_hardware.backends.child.interpreter import mark_finished, private_environment

    if simulator != "lava":
        raise InputError(f"--fix {simulator!r}: unknown; allowed: lava")
    if named := os.environ.get("CONNTRA_LAVA_PYTHON"):
        raise InputError(f"--fix lava: CONNTRA_LAVA_PYTHON names {named}, which is taken before all others; unset it")
    found = load_backend("lava").availability()
    if found.ok:
        say(f"lava: there already, on {found.python or sys.executable}", quiet)
        return
    folder = private_environment("lava")
    with step("looking for a Python 3.10", quiet):
        python = _find_python()
    say(f"lava: making {folder} with {python}", quiet)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with step("making the environment", quiet):
        installer = _make(python, folder)
    with step(f"installing {', '.join(_PACKAGES)}; a minute where nothing is cached", quiet):
        _call([*installer, *_PACKAGES], f"{' '.join(_PACKAGES)} cannot be installed")
    mark_finished("lava")


def _make(python: str, folder: Path) -> list[str]:
    """Make the environment; return the command that installs into it.

    Debian's python3 comes without ensurepip, where uv helps if it is there.
    """
    from conntra_hardware.backends.child.interpreter import private_python

    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        _call([uv, "venv", "-q", "--python", python, str(folder)], "uv cannot make an environment")
    else:
        _call(
            [python, "-m", "venv", str(folder)],
            f"{python} cannot make an environment (Debian: apt install python3.10-venv)",
        )
    inside = private_python("lava", unfinished=True)
    if inside is None:
        raise ConntraError(f"--fix lava: {folder} has no Python after it was made; {_REMEDY}")
    if uv:
        return [uv, "pip", "install", "-q", "--python", str(inside)]
    return [str(inside), "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]


def _find_python() -> str:
    """Return a Python 3.10 that runs: a version manager's shim may only print an error."""
    for candidate in _candidates():
        if _is_wanted(candidate):
            return candidate
    if uv := shutil.which("uv"):
        for command in (["python", "install", "3.10"], ["python", "find", "--no-project", "3.10"]):
            ran = subprocess.run([uv, *command], capture_output=True, text=True, timeout=_INSTALL_S)
            if ran.returncode == 0 and _is_wanted(ran.stdout.strip()):
                return ran.stdout.strip()
    raise ConntraError(f"--fix lava: no Python 3.10 on the PATH, in pyenv or in uv, and Lava needs one; {_REMEDY}")


def _candidates() -> Iterator[str]:
    for name in ("python3.10", "python3", "python"):
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            if found := shutil.which(name, path=folder or os.curdir):
                yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    yield from (str(path) for path in sorted(pyenv.glob("3.10*/bin/python"), reverse=True))
    for path in ("/opt/homebrew/bin/python3.10", "/usr/local/bin/python3.10", "~/.local/bin/python3.10"):
        yield str(Path(path).expanduser())
    if uv := shutil.which("uv"):
        ran = subprocess.run([uv, "python", "find", "--no-project", "3.10"], capture_output=True, text=True)
        yield ran.stdout.strip()


def _is_wanted(python: str) -> bool:
    from conntra_hardware.backends.child.interpreter import environment_of_other

    if not python or not Path(python).exists():
        return False
    code = f"import sys, venv; sys.exit(sys.version_info[:2] != {_PYTHON})"
    environment = environment_of_other()
    try:
        ran = subprocess.run(
            [python, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def _call(command: list[str], what: str) -> None:
    """Run a command; ConntraError with ``what`` and the last thing that it said, where it fails."""
    from conntra_hardware.backends.child.interpreter import environment_of_other

    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INSTALL_S,
            env=environment_of_other(),
        )
    except subprocess.TimeoutExpired:
        raise ConntraError(f"--fix lava: {what}: still running after {_INSTALL_S} s; check the network") from None
    if ran.returncode:
        said = [line.strip() for text in (ran.stdout, ran.stderr) for line in text.splitlines() if line.strip()]
        cause = next((line for line in said if line.startswith(("ERROR", "error"))), said[-1] if said else "no word")
        raise ConntraError(f"--fix lava: {what}: {cause}; nothing else was changed, so run it again")

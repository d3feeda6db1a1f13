"""Installs this project as a new user would, on every Python it claims, and tries what it got.

For each Python of the classifiers that is on this machine (on PATH, in pyenv or in uv) a clean environment is made in a
temporary folder. pip installs a wheel of the working tree there, without constraints.txt, then `conntra doctor` and
`conntra demo` run. Prints a table in Markdown. Exit status: 0 all work, 1 one does not, 2 no such Python is here.

    python scripts/try_installs.py                        # every Python, no extra
    python scripts/try_installs.py --python 3.12 --keep   # one Python; the environments stay
    python scripts/try_installs.py --extras               # every extra as well, each in an environment of its own
    python scripts/try_installs.py --extras nir,onnx      # these extras only
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ASK_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
PACKAGES = ("numpy", "numba", "brian2", "lava-nc")
INSTALL_LIMIT_S, RUN_LIMIT_S = 1800, 600

# What a backend needs. One whose package is installed has to run; one that needs a chip is not asked to.
BACKEND_NEEDS = {
    "reference": None,
    "loop": None,
    "brian2": "brian2",
    "lava": "lava-nc",
    "lava-stock": "lava-nc",
    "loihi-dry": "lava-nc",
    "sanafe": "sanafe",
}


class Broken(Exception):
    """What a trial needs, and could not be made here."""


@dataclass
class Attempt:
    """What one installation gave: a row of the table."""

    python: str
    extra: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    doctor: str = "not run"
    demo: str = "not run"
    install_s: float = 0.0
    demo_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what messages call this installation."""
        return f"Python {self.python}" + (f" [{self.extra}]" if self.extra else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Try what the arguments ask for and return the exit status."""
    options = parse(argv)
    pythons = {version: find_python(version) for version in options.python or claimed_pythons()}
    missing = [version for version, found in pythons.items() if found is None]
    for version in missing:
        print(f"Python {version}: not found on PATH, in pyenv or in uv; 'uv python install {version}'", file=sys.stderr)
    here = {version: path for version, path in pythons.items() if path is not None}
    if not here or (options.python and missing):
        return 2
    folder = Path(tempfile.mkdtemp(prefix="conntra-installs-"))
    try:
        attempts = attempt_all(here, ["", *options.extras], folder)
    except Broken as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{table(attempts)}\n\n{verdict(attempts, missing)}")
    return 1 if any(tried.faults for tried in attempts) else 0


def attempt_all(pythons: dict[str, str], extras: Sequence[str], folder: Path) -> list[Attempt]:
    """Build the wheel once and install it on each Python, plain and with each extra."""
    wheel = build_wheel(list(pythons.values())[-1], folder)
    attempts = []
    for version, python in pythons.items():
        for extra in extras:
            tried = Attempt(version, extra)
            print(f"{tried.name}: installing", file=sys.stderr, flush=True)
            try:
                attempt(tried, python, wheel, folder)
            except Broken as error:
                tried.faults.append(str(error))
            attempts.append(tried)
    return attempts


def verdict(attempts: Sequence[Attempt], missing: Sequence[str]) -> str:
    """Return every fault in a line of its own, or that there is none; and which Pythons were not tried."""
    lines = [f"{tried.name}: {fault}" for tried in attempts for fault in tried.faults]
    lines = lines or [f"all {len(attempts)} installations run"]
    return "\n".join(lines + [f"Python {version}: not tried, it is not here" for version in missing])


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; an unknown extra or Python ends with a line and status 2."""
    parser = argparse.ArgumentParser(description="Install this project on every Python it claims, and try it.")
    parser.add_argument("--python", action="append", metavar="X.Y", help="this Python only; may be given again")
    parser.add_argument("--extras", nargs="?", const="all", default="", metavar="A,B", help="these extras, too, or all")
    parser.add_argument("--keep", action="store_true", help="leave the environments where they are")
    options = parser.parse_args(argv)
    known = claimed_extras()
    options.extras = known if options.extras == "all" else [name for name in options.extras.split(",") if name]
    if unknown := sorted(set(options.extras) - set(known)):
        parser.error(f"extra {', '.join(unknown)}: unknown; allowed: {', '.join(known)}")
    # One that is not claimed yet may be tried: that is how it comes to be claimed.
    if wrong := [version for version in options.python or () if not re.fullmatch(r"3\.\d+", version)]:
        parser.error(f"Python {', '.join(wrong)}: no version; expected is one such as {claimed_pythons()[-1]}")
    return options


def claimed_pythons() -> list[str]:
    """Return the Pythons of the classifiers, as "3.10"."""
    return re.findall(r'"Programming Language :: Python :: (\d+\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))


def claimed_extras() -> list[str]:
    """Return the extras, in the order of pyproject.toml."""
    # By their lines, not by tomllib: this script is to run on any Python, and 3.10 has no tomllib.
    section = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1]
    return re.findall(r"^(\w+) = \[", section.split("\n[")[0], re.MULTILINE)


def find_python(version: str) -> str | None:
    """Return a Python of this version that runs: a version manager's shim may only print an error."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [shutil.which(f"python{version}"), shutil.which("python3"), sys.executable]
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    if uv := shutil.which("uv"):
        found = subprocess.run([uv, "python", "find", "--no-project", version], capture_output=True, text=True)
        candidates.append(found.stdout.strip() or None)
    return next((path for path in candidates if path and version_of(path) == version), None)


def version_of(python: str) -> str | None:
    """Return "3.12" for a Python that runs, else None."""
    try:
        asked = subprocess.run([python, "-c", ASK_VERSION], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def clean_environment() -> dict[str, str]:
    """Return the environment without what would reach into the trial: other packages' paths, and constraints."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_REQUIRE_VIRTUALENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"PIP_CONSTRAINT": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "MPLBACKEND": "Agg"}


def call(command: Sequence[str | Path], folder: Path, limit_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command in an empty folder of its own, so that nothing of the working tree is imported."""
    try:
        return subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"ran past {limit_s:.0f} s")


def make_environment(python: str, folder: Path) -> Path:
    """Make an environment and return its folder of programs."""
    made = call([python, "-m", "venv", folder], folder.parent, RUN_LIMIT_S)
    if made.returncode:
        raise Broken(f"{python} -m venv failed: {last_line(made)}")
    return folder / ("Scripts" if os.name == "nt" else "bin")


def build_wheel(python: str, folder: Path) -> Path:
    """Build the working tree's wheel, once for all Pythons."""
    programs = make_environment(python, folder / "build")
    command = [programs / "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "wheel", ROOT]
    built = call(command, folder, INSTALL_LIMIT_S)
    if built.returncode:
        raise Broken(f"the wheel cannot be built: {last_line(built)}")
    return next((folder / "wheel").glob("*.whl"))


def attempt(tried: Attempt, python: str, wheel: Path, folder: Path) -> None:
    """Install the wheel in a clean environment and run `conntra doctor` and `conntra demo` there."""
    extra = tried.extra
    home = folder / f"py{tried.python}{extra and f'-{extra}'}"
    programs = make_environment(python, home)
    start = time.perf_counter()
    target = f"{wheel}[{extra}]" if extra else str(wheel)
    installed = call([programs / "python", "-m", "pip", "install", "--no-input", target], home, INSTALL_LIMIT_S)
    tried.install_s = time.perf_counter() - start
    if installed.returncode:
        tried.faults.append(f"pip install failed: {last_line(installed)}")
        return
    tried.faults += [f"{name}: built from source, it has no wheel" for name in built_from_source(installed.stdout)]
    listed = json.loads(call([programs / "python", "-m", "pip", "list", "--format=json"], home, RUN_LIMIT_S).stdout)
    tried.versions = {package["name"].lower().replace("_", "-"): package["version"] for package in listed}
    try_doctor(tried, programs, home)
    try_demo(tried, programs, home)


def built_from_source(log: str) -> list[str]:
    """Return the packages that pip had to build, which takes a compiler or luck."""
    return sorted(set(re.findall(r"Building wheel for (\S+)", log)))


def try_doctor(tried: Attempt, programs: Path, folder: Path) -> None:
    """Run `conntra doctor` and import the packages of the extras that it found."""
    ran = call([programs / "conntra", "doctor", "--json", "--quiet"], folder, RUN_LIMIT_S)
    if ran.returncode:
        tried.faults.append(f"conntra doctor: exit status {ran.returncode}: {last_line(ran)}")
        return
    document = json.loads(ran.stdout)
    tried.doctor = doctor_line(document)
    tried.faults += doctor_faults(document, tried.versions, tried.extra)
    packages = [name for extra in document["extras"] if extra["ok"] for name in extra["versions"]]
    if packages:
        imported = call([programs / "python", "-c", f"import {', '.join(packages)}"], folder, RUN_LIMIT_S)
        if imported.returncode:
            tried.faults.append(f"import {', '.join(packages)} failed: {last_line(imported)}")


def doctor_line(document: dict[str, Any]) -> str:
    """Return which backends run and which do not, in a few words."""
    runs = [backend["name"] for backend in document["backends"] if backend["ok"]]
    rest = [backend["name"] for backend in document["backends"] if not backend["ok"]]
    return f"runs {', '.join(runs)}" + (f"; not {', '.join(rest)}" if rest else "")


def doctor_faults(document: dict[str, Any], versions: dict[str, str], extra: str) -> list[str]:
    """Return what is wrong: a backend or extra that is installed and does not work, or is absent without a remedy."""
    faults = []
    for backend in document["backends"]:
        name, needs = backend["name"], BACKEND_NEEDS.get(backend["name"], "a chip")
        if backend["ok"]:
            continue
        if needs is None or needs in versions:
            faults.append(f"doctor: {name} does not run: {backend['reason']}")
        elif not (backend["reason"] and backend["remedy"]) or "\n" in backend["reason"] + backend["remedy"]:
            faults.append(f"doctor: {name} is absent without one line that says why and what helps")
    if "brian2" not in versions:
        faults.append("brian2 was not installed")
    asked = [found for found in document["extras"] if found["name"] == extra and not found["ok"]]
    return faults + [f"doctor: extra {found['name']} was installed and is not there" for found in asked]


def try_demo(tried: Attempt, programs: Path, folder: Path) -> None:
    """Run `conntra demo`, which compares every simulator that runs here."""
    start = time.perf_counter()
    ran = call([programs / "conntra", "demo", "--json", "--quiet"], folder, RUN_LIMIT_S)
    tried.demo_s = time.perf_counter() - start
    if ran.returncode:
        tried.demo = "failed"
        tried.faults.append(f"conntra demo: exit status {ran.returncode}: {last_line(ran)}")
        return
    document = json.loads(ran.stdout)
    backends = [run["backend"] for run in document["runs"]]
    tried.demo = f"equal on {', '.join(backends)}"
    tried.faults += demo_faults(document, tried.versions)


def demo_faults(document: dict[str, Any], versions: dict[str, str]) -> list[str]:
    """Return what is wrong: a simulator that is installed and was left out, or spikes that differ."""
    faults = [
        f"demo: without {absent['backend']}: {absent['reason']}"
        for absent in document["absent"]
        if BACKEND_NEEDS[absent["backend"]] in versions
    ]
    if document["verify"] is None or not document["verify"]["equal"]:
        faults.append("demo: the simulators are not equal")
    return faults


def table(attempts: Sequence[Attempt]) -> str:
    """Return the attempts as a table in Markdown."""
    names = ["Python", "extra", *PACKAGES, "install, s", "`conntra doctor`", "`conntra demo`", "demo, s"]
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for tried in attempts:
        versions = [tried.versions.get(name, "none") for name in PACKAGES]
        took = [f"{tried.install_s:.0f}", tried.doctor, tried.demo, f"{tried.demo_s:.0f}"]
        lines.append(f"| {' | '.join([tried.python, tried.extra or 'none', *versions, *took])} |")
    return "\n".join(lines)


def last_line(ran: subprocess.CompletedProcess[str]) -> str:
    """Return the line that says what went wrong: pip's own, or else the last one with words in it."""
    lines = [line.strip() for text in (ran.stdout, ran.stderr) for line in text.splitlines() if line.strip()]
    # pip ends with hints about itself; its own errors begin with this word.
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "it said nothing")


if __name__ == "__main__":
    sys.exit(main())

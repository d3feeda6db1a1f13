"""Where this package's dependencies come from: their licences, known advisories, a wheel that can be made again.

    python scripts/check_supply.py licences            # writes docs/licences.md from what .venv has
    python scripts/check_supply.py licences --check    # exit status 1 where that page says something else
    python scripts/check_supply.py advisories          # pip-audit over constraints.txt; needs pip-audit and a network
    python scripts/check_supply.py wheel               # two wheels, from two copies of the tree, must be the same bytes

Exit status 1 where something is wrong, 3 where it cannot be found out here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).resolve().parents[1]
_PAGE = _ROOT / "docs" / "licences.md"
_PROJECT = "conntra-neuro"
_UNKNOWN = 3
_EPOCH = "1767225600"  # 2026-01-01; any will do, as long as both wheels have it
_HEAD = (
    "# Licences of dependencies",
    "",
    "Made by `python scripts/check_supply.py licences` from the environment that `make test` makes, with Python 3.10,",
    "as the distributions declare them; it is no legal advice. *Needed by* says which extra brings a distribution, and",
    '"always" that the package itself does. conntra-neuro contains none of them.',
    "",
    "SANA-FE is under the GPL. Only its extra and the development tools install it, and it runs in a process of its",
    "own. Lava is under BSD-3-Clause, its compiler and runtime (`magma`) under LGPL-2.1. Brian2's CeCILL goes together",
    "with the GPL.",
)
_SAME = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause or 2-Clause",
    "BSD License": "BSD-3-Clause or 2-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "CEA CNRS Inria Logiciel Libre License, version 2.1 (CeCILL-2.1)": "CECILL-2.1",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "GPL-3.0": "GPL-3.0-only",
}


def main() -> int:
    """Check what is asked for and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["licences", "advisories", "wheel"])
    parser.add_argument(
        "--check", action="store_true", help="with licences: compare with docs/licences.md, write nothing"
    )
    asked = parser.parse_args()
    if asked.what == "licences":
        return _licences(asked.check)
    return _advisories() if asked.what == "advisories" else _wheel()


def _licences(check: bool) -> int:
    page = licences_page()
    if not check:
        _PAGE.write_text(page, encoding="utf-8")
        return 0
    if _PAGE.read_text(encoding="utf-8") != page:
        print("docs/licences.md: not what is installed here; make it anew with scripts/check_supply.py licences")
        return 1
    return 0


def licences_page() -> str:
    """Return docs/licences.md: each distribution that is installed for this project, by whom it is asked for."""
    extras = metadata.metadata(_PROJECT).get_all("Provides-Extra") or []
    asked: dict[str, list[str]] = {}
    for extra in ["", *extras]:
        for name in dict.fromkeys(needed(_PROJECT, extra)):
            asked.setdefault(name, []).append(extra or "always")
    lines = []
    for name, by in sorted(asked.items()):
        if name != _PROJECT:
            who = "always" if by[0] == "always" else ", ".join(by)
            lines.append(f"| {name} | {metadata.version(name)} | {licence_of(name)} | {who} |")
    return "\n".join(
        [*_HEAD, "", "| distribution | version | licence | needed by |", "| --- | --- | --- | --- |", *lines, ""]
    )


def needed(root: str, extra: str) -> Iterator[str]:
    """Yield the installed distributions that ``root`` with an ``extra`` needs, and those that they need."""
    waiting, seen = [(root, extra)], set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another Python or system
        yield canonicalize_name(name)
        for requirement in map(Requirement, required):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                # What is needed without the extra is listed under "always".
                if name == root and wanted and (requirement.marker is None or "extra" not in str(requirement.marker)):
                    continue
                waiting.extend((requirement.name, one) for one in ("", *requirement.extras))


def licence_of(name: str) -> str:
    """Return the licence that a distribution declares: an expression, else its classifiers, else the first words."""
    found = metadata.metadata(name)
    classifiers = [c.split(" :: ")[-1] for c in found.get_all("Classifier") or [] if c.startswith("License :: ")]
    classifiers = [c for c in classifiers if c not in ("OSI Approved", "Other/Proprietary License")]
    text = " ".join((found.get("License") or "").split())
    said = found.get("License-Expression") or ", ".join(_SAME.get(c, c) for c in classifiers) or _SAME.get(text, text)
    return (said[:80] or "not declared").replace("|", "/")


def _advisories() -> int:
    """Run pip-audit over the pinned versions; say so where it is missing or cannot reach its data."""
    program = shutil.which("pip-audit")
    if program is None:
        print("advisories: pip-audit is not installed; pip install pip-audit, outside of .venv")
        return _UNKNOWN
    here = [line.split(";") for line in (_ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line]
    pins = [pin.strip() for pin, *marker in here if not marker or Requirement(f"x;{marker[0]}").marker.evaluate()]  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "pins.txt"
        listed.write_text("\n".join(pins) + "\n", encoding="utf-8")
        command = [program, "--no-deps", "--disable-pip", "--progress-spinner", "off", "-r", str(listed)]
        ran = subprocess.run(command, capture_output=True, text=True)
    print(ran.stdout.strip())
    skipped = len(re.findall(r"could not be audited", ran.stdout + ran.stderr))
    known = re.search(r"Found \d+ known vulnerabilit", ran.stdout + ran.stderr)
    if known:
        print(ran.stderr.strip())
        return 1
    if skipped or ran.returncode:
        why = f"{skipped} of {len(pins)} not found in the advisories' data" if skipped else ran.stderr.strip()[-300:]
        print(f"advisories: cannot be looked up here ({why}); run this where the network reaches them")
        return _UNKNOWN
    print(f"advisories: none known for {len(pins)} versions")
    return 0


def _wheel() -> int:
    """Build the wheel twice, from two copies of the tree at other places and times, and compare the bytes."""
    found = []
    for part in ("one", "another longer name"):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / part
            tree.mkdir()
            for name in ("conntra_neuro", "hardware"):
                shutil.copytree(_ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
                shutil.copy(_ROOT / name, tree)
            environment = os.environ | {"SOURCE_DATE_EPOCH": _EPOCH}
            command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(tree)]
            ran = subprocess.run(command, env=environment, capture_output=True, text=True)
            if ran.returncode:
                print(f"wheel: cannot be built here: {ran.stderr.strip()[-300:]}")
                return _UNKNOWN
            (wheel,) = Path(folder).glob("*.whl")
            found.append((wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()))
    for name, digest in found:
        print(digest, name)
    if len(set(found)) > 1:
        print("wheel: two builds differ")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

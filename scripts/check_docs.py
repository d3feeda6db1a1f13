"""Runs the code in README.md and docs/*.md, so that what they show works.

Each page runs in an empty folder of its own: first its shell blocks fenced as ```sh run, as one script with
`.venv/bin` on PATH, then its ```python blocks, as one script, in their order. A Python block that is not
meant to run is fenced as ```python no-run.

    python scripts/check_docs.py [PAGE ...]

Without pages, or with one that states figures of docs/results.json, scripts/results_pages.py checks those, too. The
cells of notebooks are not run here: `make docs` runs them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import results_pages

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT_S = 900
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>.*?)$(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)


def script_of(page: str, language: str) -> str:
    """The page's blocks in one language, each line at its line number in the page; empty if there is none."""
    lines = [""] * (page.count("\n") + 1)
    for block in FENCE.finditer(page):
        if language_of(block["info"]) == language:
            first = page.count("\n", 0, block.start("code"))
            code = block["code"].split("\n")
            lines[first : first + len(code)] = code
    return "\n".join(lines) if any(lines) else ""


def language_of(info: str) -> str | None:
    """What runs a block with this info string: "python", "sh" or nothing."""
    words = info.split()
    if words[:1] == ["python"] and "no-run" not in words:
        return "python"
    if words[:1] in (["sh"], ["bash"]) and "run" in words:
        return "sh"
    return None


def run_page(path: Path) -> bool:
    """Runs one page; False, with the output shown, when a block failed."""
    page = path.read_text(encoding="utf-8")
    commands = {"sh": ["bash", "-eu"], "python": [sys.executable]}
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "MPLBACKEND": "Agg",
    }
    with tempfile.TemporaryDirectory() as folder:
        for language, command in commands.items():
            script = script_of(page, language)
            if not script:
                continue
            # Named after the page and with its line numbers, so that a traceback points into the page.
            file = Path(folder, f"{path.name}.{language}")
            file.write_text(script, encoding="utf-8")
            try:
                done = subprocess.run(
                    [*command, file.name],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=TIME_LIMIT_S,
                )
            except subprocess.TimeoutExpired:
                print(f"{path.name}: its {language} blocks ran for more than {TIME_LIMIT_S} s")
                return False
            if done.returncode:
                print(done.stdout)
                print(f"{path.name}: a {language} block failed (above; the line numbers are the page's)")
                return False
    return True


def main(arguments: list[str]) -> int:
    """Runs the pages named, or all; the exit status is 1 when one failed."""
    pages = [Path(name) for name in arguments] or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if {path.resolve() for path in pages} & {ROOT / name for name in results_pages.PAGES} and results_pages.main([]):
        return 1
    failed = [path.name for path in pages if path.exists() and not run_page(path)]
    print(f"docs: {', '.join(failed)} failed" if failed else "docs: the code in them runs")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

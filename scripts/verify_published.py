"""Import every network file of a folder, compile it, and prove it on random inputs; print a table.

    python scripts/verify_published.py FOLDER [--samples 20] [--backends reference,lava,brian2] [--json FILE]

Each file goes through the command line as a user would call it: ``conntra import``, ``conntra compile --chip auto``,
``conntra verify --data random``. The folder is searched for .net, .nir and .onnx files. A file that fails, or values
that differ, are the row's last words. Prints a line a file, then the table in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from markdown_tables import as_markdown

from conntra_neuro.cli.app import main as conntra

KINDS = (".net", ".nir", ".onnx")


def called(*words: str) -> dict[str, Any]:
    """What a verb says as JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        conntra([*words, "--json"])
    return json.loads(out.getvalue())


def proved(path: Path, scratch: Path, samples: int, backends: str) -> dict[str, Any]:
    """Take one file all the way; where a verb fails, what it said."""
    start = time.perf_counter()
    model, program = str(scratch / "m.conntra"), str(scratch / "p.conntra")
    said: dict[str, dict[str, Any]] = {}
    for verb, *words in (
        ("import", str(path), "--out", model),
        ("compile", model, "--chip", "auto", "--out", program),
        ("verify", program, "--data", "random", "--samples", str(samples), "--backends", backends),
    ):
        said[verb] = called(verb, *words)
        if "error" in said[verb]:
            return {"file": path.name, "failed": verb, "error": said[verb]["error"]}
    row = {"file": path.name, "chip": said["compile"]["chip"], "cores": said["compile"]["cores_used"]}
    compared = said["verify"]["compared"]
    seconds = time.perf_counter() - start
    counts = {key: compared[key] for key in ("spikes", "potentials", "time_steps")}
    return row | {"equal": said["verify"]["equal"], **counts, "seconds": round(seconds, 1)}


def shown(row: dict[str, Any]) -> tuple[object, ...]:
    """Return the cells of a file."""
    if "failed" in row:
        return row["file"], f"{row['failed']}: {row['error']}", "", ""
    compared = f"{row['spikes'] + row['potentials']:,}" + ("" if row["equal"] else ": DIFFER")
    return row["file"], f"{row['chip']}, {row['cores']}", compared, row["seconds"]


def main() -> None:
    """Print a line a file and the table, then write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--backends", default="reference,lava,brian2")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = []
    for path in sorted(p for p in asked.folder.rglob("*") if p.suffix in KINDS):
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(proved(path, Path(scratch), asked.samples, asked.backends))
        print(json.dumps(rows[-1]), flush=True)
    print(as_markdown("file|chip, cores|spikes and potentials compared|seconds", map(shown, rows)))
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

"""Hold what `conntra import` makes of lava-dl's files to the spikes that lava-dl's slayer gave.

    .venv/bin/python scripts/measure_lava_dl.py FOLDER [--json out.json]
    .venv/bin/python scripts/measure_lava_dl.py --python lavaenv/bin/python [--count 300] [--seed 0] [--json out.json]

FOLDER is what scripts/make_lava_dl_files.py wrote; without it, the Python of an environment with lava-dl writes it
first. Prints a table in Markdown: files, how many are refused, layers, values (spikes or none, of every neuron at every
step), spikes among them, and how many values differ. slayer delays each block by a step, which is taken off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from markdown_tables import as_markdown

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError


def compared(path: Path, of: dict[str, int]) -> None:
    """Count a file."""
    archive = np.load(path.with_suffix(".npz"))
    x = archive["inputs"]
    of["files"] += 1
    try:
        network = cn.import_network(path, steps=x.shape[1])
    except ConntraError as error:
        of["refused"] += 1
        print(error)
        return
    given = zip(network.outputs(x), network.layers, strict=True)
    ours = [out.reshape(*x.shape[:2], -1) for out, layer in given if layer.neuron is not None]
    late = _late(path)
    for index, delays in enumerate(late):
        found = ours[index]
        if delays is not None:  # those of a recurrent block's outputs stand in the synapses behind it
            found = np.stack([np.roll(found[..., i], int(d), axis=1) for i, d in enumerate(delays)], axis=-1)
            for i, d in enumerate(delays):
                found[:, : int(d), i] = 0
        theirs = archive[f"spikes{index}"][:, index + 1 :]
        wrong = int((found[:, : theirs.shape[1]] != theirs).sum())
        of["layers"] += 1
        of["values"] += theirs.size
        of["spikes"] += int(theirs.sum())
        of["differ"] += wrong
        if wrong:
            print(f"{path.name} layer {index}: {wrong} of {theirs.size} differ")


def _late(path: Path) -> list[np.ndarray | None]:
    """Return the delays of the outputs of each layer of neurons, where it is recurrent and has them."""
    with h5py.File(path) as file:
        found: Any = file["layer"]
        blocks = [found[str(index)] for index in range(len(found))]
        return [
            block["delay"][()].ravel() if block["type"][0] == b"dense_rec" and "delay" in block else None
            for block in blocks
            if "neuron" in block
        ]


def main() -> None:
    """Compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--python", help="of an environment with lava-dl")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.folder is None and args.python is None:
        parser.error("FOLDER or --python: which files, or who is to write them")
    found: dict[str, int] = dict.fromkeys(("files", "refused", "layers", "values", "spikes", "differ"), 0)
    with tempfile.TemporaryDirectory() as own:
        if args.folder is None:
            script = Path(__file__).parent / "make_lava_dl_files.py"
            words = [own, "--count", str(args.count), "--seed", str(args.seed)]
            subprocess.run([args.python, "-W", "ignore", str(script), *words], check=True, stdout=sys.stderr)
        for path in sorted(Path(args.folder or own).glob("*.net")):
            compared(path, found)
    print(
        as_markdown(
            "networks|refused|layers of neurons|values|spikes among them|values that differ", [[*found.values()]]
        )
    )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

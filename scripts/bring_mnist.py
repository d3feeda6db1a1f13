"""Networks trained at full size with other packages, imported and repaired: what each step costs in accuracy.

    readers/bin/python scripts/bring_mnist.py train NAME mnist.npz FOLDER [--seed 0] [--seconds 150]
    .venv/bin/python scripts/bring_mnist.py measure FOLDER [--repair 60] [--only NAME-sSEED] [-- OPTIONS OF IMPORT]

``train`` runs in an environment with the package (and its exporter), without this project; NAME is a key of
NETWORKS in bring_mnist_networks.py. ``measure`` runs ``conntra import --json`` on each file of FOLDER, and prints a
line a file, then a table in Markdown, with means and standard deviations where a network has several seeds.

Splits: the first 40,000 training images train the float network. The last 10,000 training images choose scales and
weights at import, and repair moves weights on them (a tenth of them decides what is kept); the float network has not
seen them. The test images of mnist.npz are for the report alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from markdown_tables import as_markdown

TRAINED = 40_000
SAID = {
    "snntorch-leaky": "784-128-10, 25 steps",
    "snntorch-rleaky": "784-128-10, 25 steps",
    "snntorch-synaptic": "784-128-10, 25 steps",
    "norse-lif": "784-128-10, 25 steps",
    "sinabs-cnn": "converted, 32 steps",
    "torch-mlp": "784-128-64-10, ReLU",
    "torch-cnn": "ReLU",
    "keras-residual": "residual CNN",
    "brevitas-2bit": "CNN of 2-bit weights and activations",
}


def _data(mnist: Path, folder: Path, steps: int | None) -> tuple[Any, np.ndarray]:
    """Return the images, and what the network is shown of those of the report; write what the import reads."""
    from bring_mnist_networks import Images, spikes

    with np.load(mnist) as data:
        x, y, test_x, test_y = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    images = Images(x[:TRAINED], y[:TRAINED], test_x, test_y)
    shown, given, name = test_x, x[TRAINED:], "images.npz"
    if steps is not None:
        shown, given = (spikes(part, steps, np.random.default_rng(seed)) for seed, part in ((1, test_x), (2, given)))
        name = f"spikes{steps}.npz"
    if not (folder / name).exists():
        np.savez_compressed(folder / name, x_train=given, y_train=y[TRAINED:], x_test=shown, y_test=test_y)
    return images, shown


def train(args: argparse.Namespace) -> None:
    """Train one network, export it, and note what the package gets right."""
    from bring_mnist_networks import NETWORKS

    network, stem = NETWORKS[args.name], f"{args.name}-s{args.seed}"
    args.folder.mkdir(parents=True, exist_ok=True)
    images, shown = _data(args.mnist, args.folder, network.steps)
    begin = time.monotonic()
    right = network.train(args.folder / stem, images, shown, args.seed, args.seconds)
    data = "images.npz" if network.steps is None else f"spikes{network.steps}.npz"
    options = [*network.options, *([] if network.steps is None else ["--steps", str(network.steps)])]
    about = {"name": args.name, "seed": args.seed, "packages": network.versions(), "float": round(100 * right, 2)}
    about |= {"seconds": round(time.monotonic() - begin), "file": f"{stem}.{network.suffix}", "data": data}
    (args.folder / f"{stem}.json").write_text(json.dumps(about | {"options": options}, indent=1))
    print(f"{stem}: {100 * right:.2f} % of {len(shown):,} images by {network.versions()}", flush=True)


def measure(args: argparse.Namespace) -> None:
    """Import each network of a folder by the command line, and print a line of what it did to the accuracy."""
    found = []
    for path in sorted(args.folder.glob("*-s*.json")):
        if args.only and not any(path.stem.startswith(name) for name in args.only.split(",")):
            continue
        about = json.loads(path.read_text())
        command = [sys.executable, "-m", "conntra_neuro", "import", str(args.folder / about["file"])]
        command += ["--data", f"{'mnist' if about['data'] == 'images.npz' else 'npz'}:{args.folder / about['data']}"]
        command += [*about["options"], "--out", str(path.with_suffix(".conntra")), "--json", *args.options]
        command += ["--repair", str(args.repair)] if args.repair else []
        begin = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode and "exactly" in run.stderr:  # nothing was rounded: there is nothing to repair
            run = subprocess.run(command[:-2], capture_output=True, text=True, check=False)
        took = time.monotonic() - begin
        if run.returncode:
            print(f"{path.stem}: {run.stderr.strip()}", flush=True)
            continue
        report = json.loads(run.stdout)
        found.append(_row(about, report, took))
        print(json.dumps(found[-1]), flush=True)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


def table(found: list[dict[str, Any]]) -> str:
    """Return a row a network: accuracies of the package, after import and after repair, in %, sweeps and seconds."""
    rows = []
    for name in dict.fromkeys([*SAID, *(run["name"] for run in found)]):
        runs = [run for run in found if run["name"] == name]
        if runs:
            cells = [_spread(runs, "package", 2), _spread(runs, "imported", 2), _spread(runs, "repaired", 2)]
            cells[1] += ", exact" if runs[0]["exact"] else ""
            said = f"`{name}`, {SAID[name]}" if name in SAID else f"`{name}`"
            rows.append([said, *cells, _spread(runs, "sweeps", 1), _spread(runs, "seconds", 0)])
    return as_markdown("network|package, %|after import, %|after a minute of repair, %|sweeps|seconds", rows)


def _spread(runs: list[dict[str, Any]], key: str, digits: int) -> str:
    values = [run[key] for run in runs if key in run]
    if not values:
        return ""
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def _row(about: dict[str, Any], report: dict[str, Any], took: float) -> dict[str, Any]:
    def percent(name: str) -> float | None:
        return None if name not in report else round(100 * report[name], 2)

    repair = report.get("repair")
    row = {"name": about["name"], "seed": about["seed"], "package": about["float"]}
    row |= {"simulated": percent("float_accuracy"), "exact": report["exact"]}
    row |= {"imported": percent("accuracy" if repair is None else "accuracy_before_repair")}
    if repair is not None:
        row |= {"repaired": percent("accuracy"), "sweeps": round(repair["sweeps"], 1)}
        row |= {"repair_seconds": round(repair["seconds"], 1)}
    return row | {"seconds": round(took, 1)}


def main() -> None:
    """Run one of the two verbs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("train", help="train and export, with the package")
    one.add_argument("name")
    one.add_argument("mnist", type=Path)
    one.add_argument("folder", type=Path)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--seconds", type=float, default=150.0, help="of training, on one core")
    one.set_defaults(verb=train)
    two = verbs.add_parser("measure", help="import, repair, report, with this project")
    two.add_argument("folder", type=Path)
    two.add_argument("--repair", type=float, default=60.0, help="seconds; 0: none")
    two.add_argument("--only", help="beginnings of names, with commas between")
    two.add_argument("--json", type=Path)
    two.set_defaults(verb=measure)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)  # behind it: options of conntra import
    args = parser.parse_args(sys.argv[1:end])
    args.options = sys.argv[end + 1 :]
    args.verb(args)


if __name__ == "__main__":
    main()

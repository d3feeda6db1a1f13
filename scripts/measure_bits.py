"""A spiking network of another package with fewer and fewer bits: after import, and after repair.

    .venv/bin/python scripts/measure_bits.py mnist-dev.npz --bits 8,4,3,2 --repair 60 --json out.json

The network is the package's under tests/data/spiking (196-32-10 over 25 steps, trained by that package with
scripts/bring_your_network.py). Pixels become spikes at random, with another draw for each seed. Weights are chosen and
repaired on training images alone; accuracy is that of the .npz's test images. 2 bits are ternary weights. Prints a
line a run, then a table in Markdown, with means and standard deviations where there are several seeds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from markdown_tables import as_markdown

from conntra_neuro.datasets import Dataset
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.spiking import SpikingImport

ROOT = Path(__file__).parents[1]
STEPS, SIDE = 25, 14


def spikes_of(path: Path, train: int, test: int, seed: int) -> Dataset:
    """Return training and test images as spikes (n, steps, side * side)."""
    spec = importlib.util.spec_from_file_location("bring", ROOT / "scripts" / "bring_your_network.py")
    assert spec is not None
    assert spec.loader is not None
    bring: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bring)
    rng = np.random.default_rng(seed)
    with np.load(path) as data:
        x = [bring.spikes(data[name][:n], SIDE, STEPS, rng) for name, n in (("x_train", train), ("x_test", test))]
        y = [data[name][:n].astype(np.int64) for name, n in (("y_train", train), ("y_test", test))]
    return Dataset("spikes", x[0], y[0], x[1], y[1], labels=tuple(range(10)))


def measured(package: str, data: Dataset, bits: int, seconds: float, targets: str, seed: int) -> dict[str, Any]:
    """Return accuracies in %, and how long import and repair took."""
    options: dict[str, Any] = {"reset": "subtract", "spikes": "one"} if package == "sinabs" else {}
    options |= {"steps": STEPS, "source": package, "bits": bits, "data": data, "seed": seed}
    options |= {"repair": seconds, "targets": targets} if seconds else {}
    begin = time.monotonic()
    network, report = import_with_report(ROOT / "tests" / "data" / "spiking" / f"{package}.nir", **options)
    took = time.monotonic() - begin
    assert isinstance(report, SpikingImport)
    before = network if report.before is None else report.before
    blocks = np.array_split(np.arange(len(data.x_test)), max(1, len(data.x_test) // 500))
    exact = np.concatenate([report.simulate(data.x_test[rows])[-1].sum(axis=1).argmax(axis=1) for rows in blocks])

    def right(classes: np.ndarray) -> float:
        return round(100 * float((classes == data.y_test).mean()), 2)

    agreement = report.agreement(data.x_test[:400])
    return {
        "package": package,
        "bits": bits,
        "targets": targets,
        "seed": seed,
        "float": right(exact),
        "import": right(before.forward(data.x_test).argmax(axis=1)),
        "repaired": right(network.forward(data.x_test).argmax(axis=1)),
        "equal": [round(100 * layer.equal, 2) for layer in agreement],
        "within_a_step": [round(100 * layer.within_a_step, 2) for layer in agreement],
        "seconds": round(took, 1),
        "sweeps": None if report.repair is None else round(report.repair.sweeps, 1),
    }


def _spread(values: list[float], digits: int = 2) -> str:
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def table(found: list[dict[str, Any]]) -> str:
    """Return a row a package and number of bits: what repair did where there was one, else how spikes agree."""
    rows = []
    for package, bits in dict.fromkeys((run["package"], run["bits"]) for run in found):
        runs = [run for run in found if (run["package"], run["bits"]) == (package, bits)]
        cells = [package, f"{bits}, ternary" if bits == 2 else str(bits)]
        cells += [_spread([run[name] for run in runs]) for name in ("float", "import")]
        if runs[0]["sweeps"] is not None:
            rows.append([*cells, _spread([run["repaired"] for run in runs])])
            continue
        layers = range(len(runs[0]["equal"]))
        for name in ("equal", "within_a_step"):
            cells.append(", ".join(f"{mean(run[name][layer] for run in runs):.1f}" for layer in layers))
        rows.append(cells)
    last = ("after repair, %",) if found[0]["sweeps"] is not None else ("equal values, %", "within a step, %")
    return as_markdown("|".join(("package", "bits", "float, %", "integers, %", *last)), rows)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--packages", default="snntorch")
    parser.add_argument("--bits", default="8,4,3,2")
    parser.add_argument("--repair", type=float, default=0.0)
    parser.add_argument("--targets", default="both")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--train", type=int, default=6_000)
    parser.add_argument("--test", type=int, default=5_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = []
    for seed in range(args.seeds):
        data = spikes_of(args.mnist, args.train, args.test, seed)
        for package in args.packages.split(","):
            for bits in map(int, args.bits.split(",")):
                found.append(measured(package, data, bits, args.repair, args.targets, seed))
                print(found[-1], flush=True)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

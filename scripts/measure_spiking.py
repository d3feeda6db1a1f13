"""Spiking networks of other packages as integers: how the spikes of each layer agree with the float simulation's.

    .venv/bin/python scripts/measure_spiking.py NETWORKS mnist-dev.npz --bits 8,9,10,12 --json out.json

NETWORKS is the folder with packages/NAME.nir and NAME.npz (inputs), and nir-paper/. Weights are chosen on nothing, and
on 1,500 samples of their own: random spikes of the recorded inputs' rate or, of the networks under tests/data/spiking,
training images. Agreement is that on other samples: 100 random ones and the recorded inputs, or 1,000 test images. All
random numbers are seeded. Networks that send several spikes in a step are also imported with --spikes 8. Prints a line
an import, then a table in Markdown: of the last layer, values that are equal and, in brackets, spikes within a step.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from markdown_tables import as_markdown
from measure_bits import spikes_of

from conntra_neuro.datasets import Dataset
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.spiking import SpikingImport

LOCAL = Path(__file__).parents[1] / "tests" / "data" / "spiking"
FITTED, RATE = 1500, 0.15
PACKAGES: dict[str, dict[str, Any]] = {
    "norse_lifbox": {"source": "norse"},
    "sinabs_iaf": {"source": "sinabs"},
    "sinabs_conv_iaf": {"source": "sinabs"},
    "snntorch_leaky_subtract": {"source": "snntorch"},
    "snntorch_leaky_zero": {"source": "snntorch", "reset": "zero"},
    "snntorch_rleaky": {"source": "snntorch"},
    "snntorch_synaptic": {"source": "snntorch"},
}
PAPER = {
    "braille_noDelay_bias_zero": ({"source": "paper"}, (64, 12), 0.15, FITTED),
    "lif_norse": ({"source": "paper"}, (200, 1), 0.3, 100),
    "two_lif_neurons": ({"source": "paper"}, (200, 1), 0.3, 100),
    "cnn_sinabs": ({"source": "sinabs"}, (16, 2312), 0.05, 60),
}
TRAINED: dict[str, dict[str, Any]] = {
    "snntorch": {"source": "snntorch"},
    "norse": {"source": "norse"},
    "sinabs": {"source": "sinabs", "reset": "subtract", "spikes": "one"},
}


def randomly(n: int, shape: tuple[int, ...], rate: float, seed: int) -> np.ndarray:
    """Return random spikes (n, steps, inputs)."""
    return (np.random.default_rng(seed).random((n, *shape)) < rate).astype(np.uint8)


def networks(folder: Path, mnist: Path, seed: int) -> Iterator[tuple[str, Path, dict[str, Any], np.ndarray, Any]]:
    """Yield names, files, options, samples to choose weights on, and the samples that are compared, by name."""
    data = spikes_of(mnist, FITTED, 1000, seed)
    for name, options in TRAINED.items():
        yield name, LOCAL / f"{name}.nir", options, data.x_train, {"mnist": data.x_test}
    for name, options in PACKAGES.items():
        with np.load(folder / "packages" / f"{name}.npz") as file:
            x = file["inputs"]
        tests = {"recorded": x, "random": randomly(100, x.shape[1:], RATE, 1)}
        yield name, folder / "packages" / f"{name}.nir", options, randomly(FITTED, x.shape[1:], RATE, 2 + seed), tests
    for name, (options, shape, rate, fitted) in PAPER.items():
        tests = {"random": randomly(100, shape, rate, 1)}
        yield name, folder / "nir-paper" / f"{name}.nir", options, randomly(fitted, shape, rate, 2 + seed), tests


def measured(path: Path, options: dict[str, Any], x: np.ndarray | None, tests: Any) -> dict[str, Any]:
    """Return the agreement of each layer, in %, on each of ``tests``."""
    given = dict(options)
    if x is not None:
        y = np.arange(len(x)) % 2
        given["data"] = Dataset("spikes", x, y, x[:2], y[:2], labels=(0, 1))
    steps = next(iter(tests.values())).shape[1]
    begin = time.monotonic()
    network, report = import_with_report(path, steps=steps, **given)
    assert isinstance(report, SpikingImport)
    found: dict[str, Any] = {"seconds": round(time.monotonic() - begin, 1), "network": repr(network)}
    for name, samples in tests.items():
        layers = report.agreement(samples)
        found[name] = {
            "equal": [round(100 * layer.equal, 2) for layer in layers],
            "within_a_step": [round(100 * layer.within_a_step, 2) for layer in layers],
            "spikes": [layer.spikes for layer in layers],
        }
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Return a row a network: 8 bits without data, then each number of bits with data."""
    every = sorted({run["bits"] for run in found})
    rows: dict[str, dict[str, str]] = {}
    for run in found:
        one = run["name"] in TRAINED and "spikes" in TRAINED[run["name"]]
        name = "Braille" if run["name"].startswith("braille") else run["name"]
        name += ", `--spikes one`" if one else f", `--spikes {run['spikes']}`" if "spikes" in run else ""
        of = run.get("mnist") or run["random"]
        cell = f"{of['equal'][-1]:.1f} ({of['within_a_step'][-1]:.1f})"
        rows.setdefault(name, {})[f"{run['bits']} bits" + ("" if run["data"] else ", without data")] = cell
    heads = [f"{every[0]} bits, without data", *(f"{bits} bits" for bits in every)]
    cells = ([name, *(row[head] for head in heads)] for name, row in rows.items())
    return as_markdown("|".join(("network", *heads)), cells)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=Path)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--names", default="")
    parser.add_argument("--bits", default="8,9,10,12")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    wanted, found = set(filter(None, args.names.split(","))), []
    for name, path, options, x, tests in networks(args.networks, args.mnist, args.seed):
        if wanted and name not in wanted:
            continue
        several = options["source"] == "sinabs" and "spikes" not in options
        for spikes in ({}, {"spikes": 8}) if several else ({},):
            for bits in map(int, args.bits.split(",")):
                for data in (None, x):
                    row = {"name": name, "bits": bits, "data": data is not None, **spikes}
                    found.append(
                        row | measured(path, options | spikes | {"bits": bits, "seed": args.seed}, data, tests)
                    )
                    print(found[-1], flush=True)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

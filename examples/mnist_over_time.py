"""Train MNIST as rates and as latencies over 16 time steps with several neurons, and print a table of what they take.

    python examples/mnist_over_time.py mnist:mnist.npz [--codes rate,latency] [--kinds "lif;recurrent"] [--seeds 0,1,2]
    python examples/mnist_over_time.py --table

Each network is 784-128-10, ternary, trained without a gradient on the first 6,000 training images and tested on all
test images of the file. Every run is added to a JSON file (``--json``), and none that is there is made again. Settings
were chosen with ``--tune``, which tests on the next 3,000 training images in place of the test images. Energy and
latency are modelled, loihi2.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from kept_runs import keep, kept, measured, table

import conntra_neuro as cn
from conntra_neuro.datasets import fit_encoder

STEPS = 16
TRAIN, TUNE = 6000, 3000
COMMON: dict[str, Any] = {"layers": [128], "sweeps": 10, "batch": 100, "decay": 2.0}
KINDS: dict[str, dict[str, Any]] = {
    "threshold, each step apart": {"neuron": "lif:4096"},
    "if": {"neuron": f"if{STEPS}"},
    "lif": {"neuron": "lif:256"},
    "lif, recurrent": {"neuron": "lif:256", "recurrent": True},
}


@cache
def data_of(source: str, code: str, tune: bool) -> cn.Dataset:
    """Return MNIST as spikes (n, 16, 784), by an encoder that is fitted to the images that are trained on."""
    raw = cn.load_dataset(source)
    kept = raw.x_train[:TRAIN]
    test, y = (raw.x_test, raw.y_test)
    if tune:
        test, y = raw.x_train[TRAIN : TRAIN + TUNE], raw.y_train[TRAIN : TRAIN + TUNE]
    encoder = fit_encoder(kept, f"{code}:{STEPS}")
    x = [encoder.encode(np.asarray(part)).reshape(len(part), STEPS, -1) for part in (kept, test)]
    return cn.Dataset(f"mnist {code}", x[0], raw.y_train[:TRAIN], x[1], y, raw.labels, input="spikes")


def cells(run: dict[str, Any]) -> tuple[str, str]:
    """Return what the table has one row for: code, and neuron with settings that were changed."""
    return run["code"], f"{run['kind']} {run['changed']}".strip()


def main() -> None:
    """Make the runs that are asked for and not there yet, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="mnist:PATH; not needed for --table")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--codes", default="rate,latency")
    parser.add_argument("--kinds", default=";".join(KINDS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tune", default=None, metavar="NAME=VALUE,...", help="settings to try, on training images")
    parser.add_argument("--table", action="store_true", help="print the runs on test images, and train nothing")
    args = parser.parse_args()
    runs = kept(args.json)
    if args.table:
        return table((run for run in runs.values() if not run["changed"]), ("code", "neuron"), cells)
    if args.data is None:
        parser.error("DATA: missing; --table needs none")
    changed = {}
    if args.tune:
        given = dict(text.split("=") for text in args.tune.split(","))
        changed = {name: value if name == "neuron" else float(value) for name, value in given.items()}
    for code in args.codes.split(","):
        for kind in args.kinds.split(";"):
            for seed in map(int, args.seeds.split(",")):
                key = "/".join((code, kind, args.tune or "", str(seed)))
                if key in runs:
                    continue
                settings = {**COMMON, **KINDS[kind], **changed}
                found = measured(data_of(args.data, code, args.tune is not None), settings, seed)
                own = {"code": code, "kind": kind, "changed": args.tune or "", "seed": seed}
                runs = keep(args.json, key, {**own, "settings": settings, "found": found})


if __name__ == "__main__":
    main()

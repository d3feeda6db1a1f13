"""Train MNIST as rates and as latencies over 16 time steps with several neurons, and print a table of what they take.

    python examples/mnist_over_time.py mnist:mnist.npz [--codes rate,latency] [--kinds "lif;recurrent"] [--seeds 0,1,2]
    python examples/mnist_over_time.py mnist:mnist.npz --table

Each network is 784-128-10, ternary, trained without a gradient on the first 6,000 training images and tested on all
test images of the file. Every run is added to a JSON file (``--json``), and none that is there is made again. Settings
were chosen with ``--tune``, which tests on the next 3,000 training images in place of the test images. Energy and
latency are modelled, loihi2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

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


def measured(data: cn.Dataset, settings: dict[str, Any], seed: int) -> dict[str, float]:
    """Train one network; return its errors and what its program takes of a test image."""
    start = time.perf_counter()
    trained = cn.train(data, seed=seed, encoder=None, **settings)
    seconds = time.perf_counter() - start
    program = cn.compile(trained.network, chip="loihi2")
    result = program.run(data.x_test, data.y_test)
    assert result.accuracy is not None
    estimate = cn.estimate(result.counts, program, "loihi2-proxy")
    totals = result.counts.totals()
    return {
        "test_error": 100 * (1 - result.accuracy),
        "train_error": 100 * trained.train_error,
        "synops": totals["synops"] / result.samples,
        "spikes": totals["spikes"] / result.samples,
        "latency_us": 1e6 * estimate.latency_s,
        "dynamic_uj": 1e6 * estimate.dynamic_j / result.samples,
        "seconds": seconds,
    }


def table(runs: dict[str, Any]) -> None:
    """Print medians over seeds, and the least and the largest error."""
    print("| code | neuron | seeds | test error, % | train | synops | spikes | latency, us | dynamic, uJ | s |")
    print("|---|---|---:|---|---:|---:|---:|---:|---:|---:|")
    groups: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for run in runs.values():
        groups.setdefault((run["code"], run["kind"], run["changed"]), []).append(run["found"])
    for (code, kind, changed), found in groups.items():
        middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
        errors = [one["test_error"] for one in found]
        spread = f"{middle['test_error']:.1f} ({min(errors):.1f} to {max(errors):.1f})"
        cells = [code, f"{kind} {changed}".strip(), str(len(found)), spread, f"{middle['train_error']:.1f}"]
        cells += [f"{middle['synops']:,.0f}", f"{middle['spikes']:,.0f}", f"{middle['latency_us']:.1f}"]
        print(f"| {' | '.join(cells)} | {middle['dynamic_uj']:.2f} | {middle['seconds']:.0f} |")


def main() -> None:
    """Make the runs that are asked for and not there yet, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--codes", default="rate,latency")
    parser.add_argument("--kinds", default=";".join(KINDS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tune", default=None, metavar="NAME=VALUE,...", help="settings to try, on training images")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    runs = json.loads(args.json.read_text()) if args.json.exists() else {}
    if args.table:
        table(runs)
        return
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
                runs = json.loads(args.json.read_text()) if args.json.exists() else {}
                own = {"code": code, "kind": kind, "changed": args.tune or "", "seed": seed}
                runs[key] = {**own, "settings": settings, "found": found}
                args.json.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
                print(key, {name: round(value, 2) for name, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()

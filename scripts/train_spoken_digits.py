"""Train leaky and other networks on spoken digits as spikes over time, and print a table: error, events, energy.

    python scripts/train_spoken_digits.py fsdd_events.npz [--seeds 3] [--sweeps 20] [--only lif] [--json FILE]

The file holds the Free Spoken Digit Dataset as events: ``packed_events``, bits of (3000, 40, 240), ``y`` and ``index``.
Recordings of index 0 to 4 of each speaker are the data set's own test split. Every network has 128 hidden units, and is
compiled for loihi1; energy and latency are modelled, sanafe2025.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import conntra_neuro as cn

RECIPE = {"batch": 50, "decay": 2.0}
KINDS: dict[str, dict[str, Any]] = {
    "if40": {"neuron": "if40"},
    "lif:256": {"neuron": "lif:256"},
    "lif:1024": {"neuron": "lif:1024"},
    "lif:1024:1024": {"neuron": "lif:1024:1024"},
    "lif:256, 5 levels": {"neuron": "lif:256", "levels": 5},
}


def spoken_digits(path: Path) -> cn.Dataset:
    """The recordings as spikes (n, 40, 240)."""
    with np.load(path) as found:
        shape = tuple(found["shape_events"])
        x = np.unpackbits(found["packed_events"])[: int(np.prod(shape))].reshape(shape)
        y, test = found["y"].astype(np.int64), found["index"] < 5
    return cn.Dataset("fsdd", x[~test], y[~test], x[test], y[test], labels=tuple(range(10)))


def measured(data: cn.Dataset, options: dict[str, Any], seed: int, sweeps: int) -> dict[str, float]:
    """Train one network; return its errors and what its program takes of a test sample."""
    start = time.perf_counter()
    trained = cn.train(data, layers=[128], encoder=None, seed=seed, sweeps=sweeps, **RECIPE, **options)
    seconds = time.perf_counter() - start
    program = cn.compile(trained.network, chip="loihi1")
    result = program.run(data.x_test, data.y_test)
    assert result.accuracy is not None
    estimate = cn.estimate(result.counts, program, "sanafe2025")
    totals = result.counts.totals()
    return {
        "test_error": 100 * (1 - result.accuracy),
        "train_error": 100 * trained.train_error,
        "synops": totals["synops"] / result.samples,
        "spikes": totals["spikes"] / result.samples,
        "dynamic_uj": 1e6 * estimate.dynamic_j / result.samples,
        "seconds": seconds,
    }


def main() -> None:
    """Train all kinds with all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--only", default="", help="kinds that begin so")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    data = spoken_digits(args.path)
    rows = {}
    print("| neuron | test error, % (median, from, to) | train | synops | spikes | dynamic, uJ | s |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for kind, options in KINDS.items():
        if not kind.startswith(args.only):
            continue
        found = [measured(data, options, seed, args.sweeps) for seed in range(args.seeds)]
        rows[kind] = found
        middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
        errors = sorted(one["test_error"] for one in found)
        spread = f"{middle['test_error']:.1f} ({errors[0]:.1f} to {errors[-1]:.1f})"
        cells = [kind, spread, f"{middle['train_error']:.1f}", f"{middle['synops']:,.0f}", f"{middle['spikes']:,.0f}"]
        cells += [f"{middle['dynamic_uj']:.2f}", f"{middle['seconds']:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

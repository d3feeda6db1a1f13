"""Train leaky and other networks on spoken digits as spikes over time, and print a table: error, events, energy.

    python scripts/train_spoken_digits.py fsdd_events.npz [--seeds 3] [--sweeps 20] [--only "recurrent"]
        [--methods conntra,backprop,warm] [--moved] [--tune] [--json FILE]

The file holds the Free Spoken Digit Dataset as spikes: ``packed_events`` and ``packed_levels``, bits of (3000, 40, 240)
and (3000, 40, 120), ``y`` and ``index``. Recordings of index 0 to 4 of each speaker are the data set's own test split.
``--tune`` leaves them alone: those of index 5 to 9 are tested instead, and the network is trained on the others.
``--moved`` shows each recording a little earlier or later, faster or slower, anew in each sweep.
Networks are compiled for loihi1; energy is modelled, sanafe2025.
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

RECIPES: dict[str, dict[str, Any]] = {
    "conntra": {"batch": 50, "decay": 2.0},
    "backprop": {"batch": 50},
    "warm": {"batch": 50},
}
KINDS: dict[str, dict[str, Any]] = {
    "if40": {"neuron": "if40"},
    "lif:256": {"neuron": "lif:256"},
    "lif:1024": {"neuron": "lif:1024"},
    "lif:1024:1024": {"neuron": "lif:1024:1024"},
    "lif:256, 5 levels": {"neuron": "lif:256", "levels": 5},
    "memoryless": {"neuron": "lif:4096"},
    "recurrent": {"neuron": "lif:1024:1024", "recurrent": True},
    "wide": {"neuron": "lif:1024:1024", "layers": [256], "levels": 5, "kind": "levels"},
}
"""128 ternary units on events unless they say otherwise; "wide" reads bands above levels."""
MOVED = {"shift": 2, "elastic": 1.0}


def spoken_digits(path: Path, kind: str, tune: bool) -> cn.Dataset:
    """The recordings as spikes (n, 40, inputs); ``kind`` events or levels."""
    with np.load(path) as found:
        shape = tuple(found[f"shape_{kind}"])
        x = np.unpackbits(found[f"packed_{kind}"])[: int(np.prod(shape))].reshape(shape)
        y, index = found["y"].astype(np.int64), found["index"]
    kept, test = (index >= 10, (index >= 5) & (index < 10)) if tune else (index >= 5, index < 5)
    return cn.Dataset("fsdd", x[kept], y[kept], x[test], y[test], labels=tuple(range(10)))


def measured(data: cn.Dataset, options: dict[str, Any], seed: int, sweeps: int) -> dict[str, float]:
    """Train one network; return its errors and what its program takes of a test sample."""
    start = time.perf_counter()
    trained = cn.train(data, encoder=None, seed=seed, sweeps=sweeps, **{"layers": [128], **options})
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
    """Train all kinds by all methods with all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--only", default="", help="kinds that begin so")
    parser.add_argument("--methods", default="conntra")
    parser.add_argument("--moved", action="store_true")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    print("| network | method | test error, % (median, from, to) | train | synops | spikes | dynamic, uJ | s |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for kind, options in KINDS.items():
        if not kind.startswith(args.only):
            continue
        own = {name: value for name, value in options.items() if name != "kind"}
        data = spoken_digits(args.path, options.get("kind", "events"), args.tune)
        for method in args.methods.split(","):
            given = {**RECIPES[method], **(MOVED if args.moved else {}), **own, "method": method}
            found = [measured(data, given, seed, args.sweeps) for seed in range(args.seeds)]
            rows[f"{kind}: {method}"] = found
            middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
            errors = sorted(one["test_error"] for one in found)
            spread = f"{middle['test_error']:.1f} ({errors[0]:.1f} to {errors[-1]:.1f})"
            cells = [kind, method, spread, f"{middle['train_error']:.1f}", f"{middle['synops']:,.0f}"]
            cells += [f"{middle['spikes']:,.0f}", f"{middle['dynamic_uj']:.2f}", f"{middle['seconds']:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
            if args.json:
                args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

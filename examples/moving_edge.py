"""Which networks can tell the direction of a moving edge: errors of several, over seeds.

python examples/moving_edge.py --seeds 3

The data set and the network are made from the seed. 32 hidden units, ternary, 8 sweeps, no gradient.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np

import conntra_neuro as cn

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "threshold": ("nothing: it sees whether a pixel spiked at all", {}),
    "`lif:4096`": ("nothing: it sees each step, and forgets it", {"neuron": "lif:4096"}),
    "`lif:4096`, `--recurrent`": (
        "its own spikes, a step later",
        {"neuron": "lif:4096", "recurrent": True, "fraction_recurrent": 0.004},
    ),
    "`lif:256`": ("a voltage that leaks away over 16 steps", {"neuron": "lif:256"}),
    "`lif:4096`, `--delays 7`": (
        "inputs of 0 to 7 steps ago, each synapse its own",
        {"neuron": "lif:4096", "delays": 7},
    ),
    "the same, `--option move_delays=0`": (
        "the same, as drawn by the seed",
        {"neuron": "lif:4096", "delays": 7, "move_delays": 0},
    ),
}


def main() -> None:
    """Train all of them and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--units", type=int, default=32)
    args = parser.parse_args()
    print("| network | what it has of the past | test error, %: median (from, to) | train |\n|---|---|---|---:|")
    for name, (past, options) in NETWORKS.items():
        errors = []
        for seed in range(args.seeds):
            edges = cn.load_dataset("moving-edge", seed=seed)
            if name == "threshold":  # sees whether a pixel spiked at all
                x = [np.asarray(part).any(axis=1).astype(np.uint8) for part in (edges.x_train, edges.x_test)]
                edges = cn.Dataset("summed", x[0], edges.y_train, x[1], edges.y_test, edges.labels)
            trained = cn.train(edges, layers=[args.units], encoder=None, seed=seed, sweeps=8, **options)
            assert trained.test_error is not None
            errors.append((100 * trained.test_error, 100 * trained.train_error))
        test, train = zip(*errors, strict=True)
        middle = statistics.median(test)
        spread = f"{middle:.1f} ({min(test):.1f} to {max(test):.1f})"
        print(f"| {name} | {past} | {spread} | {statistics.median(train):.1f} |", flush=True)


if __name__ == "__main__":
    main()

"""A sweep of a convolutional network: blocks against straight-through of the same network (JAX), on the same cores.

    python tests/benchmarks/bench_conv_step.py [DATA] [--samples 12000] [--rounds 3]

Without DATA the images are random, 3 x 32 x 32 in ten classes, as CIFAR-10's; which images they are changes the time of
neither. A sweep's seconds are those between the ends of two sweeps, so that start, compiling and final errors fall out;
the two take turns, and medians are compared. Then the products of the blocks gear, against a large product of matrices
in float32 on the same cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

import conntra_neuro as cn
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.layers import maps
from conntra_neuro.training.threads import Threads

LAYERS = "conv32k3s2p1,conv64k3s2p1,conv128k3s2p1"
SHAPES = ((12, 32, 32), (32, 16, 64), (64, 8, 128))  # channels, side and kernels of these layers
BATCH = 500


def images(n: int) -> cn.Dataset:
    """Return ``n`` noisy images in ten classes."""
    rng = np.random.default_rng(0)
    means, y = rng.integers(0, 200, (10, 3, 32, 32)), np.arange(n) % 10
    x = np.clip(means[y] + rng.integers(0, 56, (n, 3, 32, 32)), 0, 255).astype(np.uint8)
    return cn.Dataset("random images", x, y, x[:100], y[:100], tuple(map(str, range(10))))


def sweep_seconds(data: cn.Dataset, method: str) -> float:
    """Return the seconds of the quickest of three sweeps, the first of a training left out: it compiles."""
    found = cn.train(data, layers=LAYERS, encoder="thermometer:4", shift=0, seed=0, method=method, sweeps=4)
    ends = [record.seconds for record in found.history]
    return min(after - before for before, after in pairwise(ends))


def sweeps(data: cn.Dataset, rounds: int) -> None:
    """Print the seconds of a sweep of both, and their ratio."""
    methods = ("conntra", "backprop")
    found: dict[str, list[float]] = {method: [] for method in methods}
    for _ in range(rounds):
        for method in methods:
            found[method].append(sweep_seconds(data, method))
    blocks, jax = (statistics.median(found[method]) for method in methods)
    n = len(data.x_train)
    print(f"| a sweep of {n:,} images | seconds | images a second | ratio |\n|---|---|---|---|")
    print(f"| blocks | {blocks:.2f} | {n / blocks:,.0f} | {blocks / jax:.2f} |")
    print(f"| straight-through, JAX | {jax:.2f} | {n / jax:,.0f} | 1.00 |")
    ratios = [a / b for a, b in zip(found["conntra"], found["backprop"], strict=True)]
    print(f"\nratio {blocks / jax:.2f} (in turn: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"five sweeps of 50,000 images at this rate: {5 * 50_000 * blocks / n:.0f} s\n")


def best(run: Callable[[], object]) -> float:
    """Return the least seconds of some runs."""
    run()
    took = []
    for _ in range(9):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def products() -> None:
    """Print the speed of each layer's products, copies to columns included."""
    rng = np.random.default_rng(0)
    square = rng.random((2048, 2048), dtype=np.float32)
    peak = 2 * 2048**3 / best(lambda: square @ square) / 1e9
    print(f"| products, of {peak:.0f} GFLOP/s | potentials | scores | carried down |\n|---|---|---|---|")
    with Threads() as threads:
        for (channels, side, kernels), name in zip(SHAPES, LAYERS.split(","), strict=True):
            geometry = Geometry((channels, side, side), kernels, (3, 3), (2, 2), (1, 1))
            x = (rng.random((BATCH, side, side, channels)) < 0.3).astype(np.float32)
            weights = rng.integers(-1, 2, (9 * channels + 1, kernels)).astype(np.float32)
            q = (rng.integers(-99, 99, (BATCH * geometry.positions, kernels)) / 64).astype(np.float32)
            seen = maps.seen(x, geometry, threads)
            runs = (
                lambda: maps.potentials(seen, weights),  # noqa: B023
                lambda: maps.score(seen, q),  # noqa: B023
                lambda: maps.down(q, weights, geometry, BATCH, threads),  # noqa: B023
            )
            work = 2 * q.size * 9 * channels / 1e9
            print(f"| `{name}` | {' | '.join(f'{work / best(run):.0f}' for run in runs)} |")


def main() -> None:
    """Print a table of sweeps, the ratio, and a table of products."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--samples", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sweeps(cn.load_dataset(arguments.data) if arguments.data else images(arguments.samples), arguments.rounds)
    products()


if __name__ == "__main__":
    main()

"""What it takes to verify a move of the exact gear: followed upwards, against a forward pass of the whole network.

    python tests/benchmarks/bench_verified.py [mnist:mnist.npz] [--layers conv16k5s2,conv32k3s2,100] [--samples 1000]

Without a data set the images are random, with as many pixels on as MNIST has. The network is trained by the blocks gear
for a few sweeps first: how many units a move turns over depends on where the training stands. One thread; prints, for
the weights of each layer, microseconds a move and sample, and two ratios: to the trainer's own pass (float32, BLAS),
and to ``DiscreteNetwork.forward``, side by side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import conntra_neuro as cn
from conntra_neuro.training import fit_spikes
from conntra_neuro.training.incremental.layers import IncrementalNetwork
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.threads import Threads

MOVES, REPEATS, _DENSITY = 64, 5, 0.13


def samples(name: str | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return spikes (count, 784) and class indices."""
    if name is None:
        rng = np.random.default_rng(0)
        return (rng.random((count, 784)) < _DENSITY).astype(np.uint8), np.arange(count) % 10
    data = cn.load_dataset(name)
    return (data.x_train[:count].reshape(count, -1) > 127).astype(np.uint8), data.y_train[:count]


def seconds(work: Callable[[], Any]) -> float:
    """Return the shortest time of a few, after one that is not counted."""
    work()
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def random_moves(weight: np.ndarray, index: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``MOVES`` moves of ternary weights (inputs + 1, outputs), or fewer where there are no more."""
    chosen = rng.permutation((len(weight) - 1) * weight.shape[1])[:MOVES]
    rows, columns = np.divmod(chosen, weight.shape[1])
    old = weight[rows, columns]
    steps = np.where(old == 0, rng.choice([-1, 1], len(old)), -old)
    return np.stack([np.full(len(rows), index), rows, columns, steps], axis=1).astype(np.int64)


def main() -> None:
    """Print a line for the weights of each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--layers", default="conv16k5s2,conv32k3s2,100")
    parser.add_argument("--samples", type=int, default=1000)
    arguments = parser.parse_args()
    x, y = samples(arguments.data, arguments.samples)
    image, rng = ImageShape(1, 28, 28), np.random.default_rng(1)
    with threadpool_limits(1), Threads(1) as threads:
        fit = fit_spikes(x, y, n_classes=10, layers=arguments.layers, image=image, sweeps=6, threads=1)
        task = make_task(x, y, Wanted(10, arguments.layers, validation_fraction=0.0, image=image))
        network, discrete = IncrementalNetwork(task, fit.parameters, Objective(0.2), threads), fit.network()
        ours = seconds(lambda: network.evaluate_on(x, y))
        whole = seconds(lambda: discrete.forward(x))
        a_sample = 1e6 / len(x)
        print(f"a forward pass: trainer {ours * a_sample:.1f} us a sample, DiscreteNetwork {whole * a_sample:.1f} us")
        for index, weight in enumerate(network.weights):
            moves = random_moves(weight, index, rng)
            each = seconds(lambda moves=moves: network.changes(moves)) / len(moves)
            print(
                f"weights {index}, {weight.shape[0] - 1:5d} x {weight.shape[1]:3d}: {each * a_sample:6.2f} us a move "
                f"and sample, 1 to {ours / each:.0f} of the trainer's, 1 to {whole / each:.0f} of DiscreteNetwork's"
            )


if __name__ == "__main__":
    main()

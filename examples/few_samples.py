"""Training on a few samples a class: error on the rest, over several draws.

Protocol: from the data's test split (MNIST's validation split in our files), n images a class are drawn for training,
all the rest is tested on; mean and standard deviation over the draws.

python examples/few_samples.py mnist:mnist.npz --per-class 10 --draws 10 --shift 1 --elastic 1.5
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

import conntra_neuro as cn


def draw(data: cn.Dataset, per_class: int, seed: int) -> cn.Dataset:
    """Return ``per_class`` samples a class of the test split for training, the rest for testing."""
    rng = np.random.default_rng(seed)
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(data.y_test == label))[:per_class] for label in range(len(data.labels))]
    )
    rest = np.setdiff1d(np.arange(len(data.y_test)), chosen)
    parts = {"x_train": data.x_test[chosen], "y_train": data.y_test[chosen]}
    return dataclasses.replace(data, **parts, x_test=data.x_test[rest], y_test=data.y_test[rest])


def main() -> None:
    """Print the error of each draw, their mean and standard deviation, and the seconds a training took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--layers", default="256")
    parser.add_argument("--shift", type=int, default=0, help="pixels")
    parser.add_argument("--elastic", type=float, default=0.0, help="pixels")
    arguments = parser.parse_args()
    data = cn.load_dataset(arguments.data)
    layers = [int(width) for width in arguments.layers.split(",")]
    moved = {"shift": arguments.shift, "elastic": arguments.elastic}
    runs = [
        cn.train(draw(data, arguments.per_class, seed), layers=layers, seed=seed, **moved)
        for seed in range(arguments.draws)
    ]
    errors = 100 * np.array([run.test_error for run in runs])
    seconds = np.mean([run.train_seconds for run in runs])
    print(f"errors % {np.round(errors, 2).tolist()}")
    print(f"{arguments.per_class} a class: {errors.mean():.2f} +- {errors.std():.2f} %, {seconds:.1f} s a training")


if __name__ == "__main__":
    main()

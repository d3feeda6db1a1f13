"""Training on a few samples a class: error over several draws, by the default recipe unless it is told otherwise.

n images a class are drawn from the last 10,000 training samples; all of the data's test split is tested on. With
``--draw-from test`` they are drawn from the test split, and its other samples are tested on.

python examples/few_samples.py mnist:mnist.npz --per-class 10 --draws 10
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

import conntra_neuro as cn

_LAST = 10_000


def draw(data: cn.Dataset, per_class: int, seed: int, source: str) -> cn.Dataset:
    """Return ``per_class`` samples a class for training, and what they are tested on."""
    x, y = (data.x_test, data.y_test) if source == "test" else (data.x_train[-_LAST:], data.y_train[-_LAST:])
    rng = np.random.default_rng(seed)
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(y == label))[:per_class] for label in range(len(data.labels))]
    )
    parts = {"x_train": x[chosen], "y_train": y[chosen]}
    if source == "test":
        rest = np.setdiff1d(np.arange(len(y)), chosen)
        parts |= {"x_test": x[rest], "y_test": y[rest]}
    return dataclasses.replace(data, **parts)


def main() -> None:
    """Print the error of each draw, their mean and standard deviation, and the seconds a training took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--layers", default="256")
    parser.add_argument("--draw-from", choices=("train", "test"), default="train")
    parser.add_argument("--shift", type=int, help="pixels")
    parser.add_argument("--elastic", type=float, help="pixels")
    arguments = parser.parse_args()
    data = cn.load_dataset(arguments.data)
    layers = [int(width) for width in arguments.layers.split(",")]
    moved = {"shift": arguments.shift, "elastic": arguments.elastic}
    runs = [
        cn.train(draw(data, arguments.per_class, seed, arguments.draw_from), layers=layers, seed=seed, **moved)
        for seed in range(arguments.draws)
    ]
    errors = 100 * np.array([run.test_error for run in runs])
    seconds = np.mean([run.train_seconds for run in runs])
    print(f"errors % {np.round(errors, 2).tolist()}")
    print(f"{arguments.per_class} a class: {errors.mean():.2f} +- {errors.std():.2f} %, {seconds:.1f} s a training")


if __name__ == "__main__":
    main()

"""Training on a few samples a class: error over several draws, by the default recipe and with no images moved.

n samples a class are drawn from the last 10,000 training samples, and all of the data's test split is tested on. With
``--draw-from test`` they are drawn from the test split, and its other samples are tested on: samples that the defaults
were not chosen on, if the data is training images alone.

python examples/few_samples.py mnist:mnist.npz --draw-from test --per-class 10 40 --draws 3
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

import conntra_neuro as cn

_LAST = 10_000
WAYS: dict[str, dict[str, Any]] = {"by default": {}, "`--shift 0`: no images moved": {"shift": 0}}


def draw(data: cn.Dataset, per_class: int, seed: int, source: str) -> cn.Dataset:
    """Return ``per_class`` samples a class for training, and what they are tested on; SystemExit where they lack."""
    x, y = (data.x_test, data.y_test) if source == "test" else (data.x_train[-_LAST:], data.y_train[-_LAST:])
    fewest = np.bincount(y, minlength=len(data.labels)).min()
    if not 0 < per_class < fewest:
        raise SystemExit(f"--per-class {per_class}: a class has {fewest} samples there; 1 to {fewest - 1} allowed")
    rng = np.random.default_rng(seed)
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(y == label))[:per_class] for label in range(len(data.labels))]
    )
    parts = {"x_train": x[chosen], "y_train": y[chosen]}
    if source == "test":
        rest = np.setdiff1d(np.arange(len(y)), chosen)
        parts |= {"x_test": x[rest], "y_test": y[rest]}
    return dataclasses.replace(data, **parts)


def shown(errors: Sequence[float]) -> str:
    """Return the mean of errors, and their standard deviation where there are several, in percent."""
    spread = f" ± {100 * np.std(errors, ddof=1):.2f}" if len(errors) > 1 else ""
    return f"{100 * np.mean(errors):.2f}{spread} %"


def main() -> None:
    """Print a line for each number of samples a class: the test errors of each way, over the draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, nargs="+", default=[10])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--layers", default="256")
    parser.add_argument("--draw-from", choices=("train", "test"), default="train")
    arguments = parser.parse_args()
    data = cn.load_dataset(arguments.data)
    layers = [int(width) for width in arguments.layers.split(",")]
    print(f"| samples a class | {' | '.join(WAYS)} |\n|{'---|' * (1 + len(WAYS))}")
    for per_class in arguments.per_class:
        drawn = [draw(data, per_class, seed, arguments.draw_from) for seed in range(arguments.draws)]
        cells = []
        for moved in WAYS.values():
            runs = [cn.train(one, layers=layers, seed=seed, **moved) for seed, one in enumerate(drawn)]
            cells.append(shown([run.test_error for run in runs if run.test_error is not None]))
        print(f"| {per_class} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

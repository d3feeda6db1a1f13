"""What each gear is good for: blocks, annealed and exact from random weights, and the other two after blocks.

Polishing starts from the network of the blocks gear, with the scale at which its logits are probabilities. The
objective is the mean cross-entropy of all training samples, each network's logits at their best scale. No gear moves
images here: only blocks can. Convolutions are trained by blocks and exact.

python examples/gears.py mnist:mnist.npz --samples 2000 --layers 128 --seeds 2
python examples/gears.py digits --layers conv8k3p1,conv8k3s2p1+1,sumpool2 --seeds 1 --time-limit 120
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

import conntra_neuro as cn
from conntra_neuro.training.architecture.words import LayerSpec, parse_layers
from conntra_neuro.training.calibrate import calibrated_scale
from conntra_neuro.training.objective import Objective

POLISH: dict[str, dict[str, Any]] = {"annealed": {"sweeps": 10, "sigma": 0.1, "moves": 4}, "exact": {"sweeps": 20}}


def first(data: cn.Dataset, samples: int | None) -> cn.Dataset:
    """Return the dataset with its first ``samples`` training samples."""
    return dataclasses.replace(data, x_train=data.x_train[:samples], y_train=data.y_train[:samples])


def scale_of(network: cn.DiscreteNetwork, data: cn.Dataset) -> float:
    """Return the scale at which the logits of the training samples are probabilities."""
    rows = data.x_train.reshape(len(data.x_train), -1)
    return calibrated_scale(network.forward(network.encode(rows)), data.y_train)


def objective(network: cn.DiscreteNetwork, data: cn.Dataset) -> float:
    """Return the mean cross-entropy of the training samples in nats, at the logits' best scale."""
    rows = data.x_train.reshape(len(data.x_train), -1)
    return Objective(scale_of(network, data)).mean(network.forward(network.encode(rows)), data.y_train)


def trainings(
    data: cn.Dataset, layers: tuple[LayerSpec, ...], seed: int, limit: float
) -> dict[str, tuple[cn.TrainResult, float]]:
    """Return what each way gives, and its seconds, those before polishing included."""
    common: dict[str, Any] = {"layers": layers, "seed": seed, "time_limit_s": limit}
    still = {"shift": 0, "elastic": 0.0}
    found = {"blocks": cn.train(data, **common, **still)}
    polish: dict[str, dict[str, Any]] = POLISH if all(isinstance(layer, int) for layer in layers) else {"exact": {}}
    found |= {gear: cn.train(data, gear=gear, **common) for gear in polish}
    start = found["blocks"].network
    for gear, recipe in polish.items():
        options: dict[str, Any] = recipe | {"scale": scale_of(start, data)}
        found[f"blocks, then {gear}"] = cn.train(data, gear=gear, initial=start, **common, **options)
    before = found["blocks"].train_seconds
    return {name: (run, run.train_seconds + (before if "then" in name else 0)) for name, run in found.items()}


def main() -> None:
    """Print one line a way: objective, errors, seconds; means over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--samples", type=int, help="take the first so many training samples")
    parser.add_argument("--layers", default="256")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--time-limit", type=float, default=300, help="seconds, of each training")
    arguments = parser.parse_args()
    layers = parse_layers(arguments.layers)
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    for seed in range(arguments.seeds):
        data = first(cn.load_dataset(arguments.data, seed=seed), arguments.samples)
        for name, (run, seconds) in trainings(data, layers, seed, arguments.time_limit).items():
            assert run.test_error is not None
            errors = (100 * run.train_error, 100 * run.test_error)
            rows.setdefault(name, []).append((objective(run.network, data), *errors, seconds))
    print("| gear | objective, nats | training error % | test error % | seconds |\n|---|---|---|---|---|")
    for name, values in rows.items():
        nats, train_error, test_error, seconds = np.mean(values, axis=0)
        print(f"| {name} | {nats:.4f} | {train_error:.2f} | {test_error:.2f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()

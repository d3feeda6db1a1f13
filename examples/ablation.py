"""What each choice of the default recipe is worth: train with one choice changed at a time, print a table.

Other studies: ``--study levels`` trains other sets of weights, ``--study depth`` more hidden layers, ``--study plain``
changes the recipe of networks whose scores are not centred, ``--study fine`` that of convolutions on few samples.

python examples/ablation.py mnist:mnist.npz --layers 256 --sweeps 5 --seeds 2
python examples/ablation.py "images:folder?size=32" --study fine --layers conv16k3s2p1,conv32k3s2p1
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import conntra_neuro as cn

RECIPE: dict[str, dict[str, Any]] = {
    "the default": {},
    "scores of the readout not centred": {"centred": 0, "fraction_bias": 0.2, "sparsity": 0.08},
    "and the recipe of networks that are not": {"centred": 0},
    "a quarter of the moves of biases": {"fraction_bias": 0.05},
    "no price on weights": {"sparsity": 0.0},
    "twice the price on weights": {"sparsity": 0.16},
    "short memory of scores": {"memory": 0.9},
    "half the moves": {"fraction": 0.002, "fraction_readout": 0.0025},
    "twice the moves": {"fraction": 0.008, "fraction_readout": 0.01},
    "half the noise at thresholds": {"sigma": 0.2, "sigma_end": 0.095},
    "twice the noise at thresholds": {"sigma": 0.8, "sigma_end": 0.38},
    "noise not annealed": {"sigma_end": 0.4},
    "mini-batches of 250": {"batch": 250},
    "mini-batches of 1,000": {"batch": 1000},
    "a margin of 5": {"margin": 5},
    "images shifted by 1": {"shift": 1},
    "images shifted by 1, bent by 1": {"shift": 1, "elastic": 1.0},
}
PLAIN: dict[str, dict[str, Any]] = {
    "the default": {},
    "no price on weights": {"sparsity": 0.0},
    "twice the price on weights": {"sparsity": 0.1},
    "a quarter of the moves of biases": {"fraction_bias": 0.0125},
    **{name: RECIPE[name] for name in ("short memory of scores", "half the moves", "twice the moves")},
    "longer memory of scores": {"memory": 0.99, "memory_square": 0.995},
    **{name: RECIPE[name] for name in RECIPE if "noise" in name},
    "mini-batches of 250": {"batch": 250},
    "mini-batches of 125": {"batch": 125},
    "a margin of 5": {"margin": 5},
    "moves fall steeply at the end": {"decay": 2.0},
}
FINE: dict[str, dict[str, Any]] = {
    "the default": {},
    "steps of larger sets": {"batch": 500, "fraction": 0.004, "memory": 0.97, "memory_square": 0.99},
    "mini-batches of 100": {"batch": 100},
    "mini-batches of 500": {"batch": 500},
    "half the moves": {"fraction": 0.001, "fraction_readout": 0.0025},
    "twice the moves": {"fraction": 0.004, "fraction_readout": 0.01},
    "shorter memory of scores": {"memory": 0.97, "memory_square": 0.99},
    "longer memory of scores": {"memory": 0.995, "memory_square": 0.9975},
    **{name: PLAIN[name] for name in PLAIN if "price" in name or "noise" in name or "biases" in name},
    **{name: PLAIN[name] for name in ("a margin of 5", "moves fall steeply at the end")},
}
LEVELS: dict[str, dict[str, Any]] = {
    "binary": {"levels": "binary"},
    "ternary": {},
    "5 levels": {"levels": 5},
    "9 levels": {"levels": 9},
    "4 bits, -8 .. 7": {"levels": 16},
    "-2, 0, 1, 3": {"levels": [-2, 0, 1, 3]},
}
DEPTH: dict[str, dict[str, Any]] = {
    "1 hidden layer": {},
    "2 hidden layers": {"layers": (256, 256)},
    "3 hidden layers": {"layers": (256, 256, 256)},
}
STUDIES = {"recipe": RECIPE, "plain": PLAIN, "fine": FINE, "levels": LEVELS, "depth": DEPTH}


def main() -> None:
    """Print one line a change: test error (mean and standard deviation over seeds), training error, seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--study", choices=STUDIES, default="recipe")
    parser.add_argument("--layers", default="256")
    parser.add_argument("--encoder", default="auto", help="as in conntra train")
    parser.add_argument("--shift", type=int, default=0, help="pixels that images are shifted by, up to")
    parser.add_argument("--sweeps", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    common: dict[str, Any] = {
        "layers": arguments.layers,
        "encoder": arguments.encoder,
        "shift": arguments.shift,
        "elastic": 0.0,
    }
    of = "recipe" if arguments.study in ("plain", "fine") else arguments.study
    columns = (of, "test error, %", "training error, %", "weights not 0, %", "seconds")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, change in STUDIES[arguments.study].items():
        runs = [
            cn.train(
                cn.load_dataset(arguments.data, seed=seed),
                seed=seed,
                sweeps=arguments.sweeps,
                **(common | change),
            )
            for seed in range(arguments.seeds)
        ]
        errors = 100 * np.array([run.test_error for run in runs])
        train_error = 100 * np.mean([run.train_error for run in runs])
        nonzero = 100 * np.mean([_nonzero(run.network) for run in runs])
        seconds = np.mean([run.train_seconds for run in runs])
        spread = f" ± {errors.std(ddof=1):.2f}" if len(errors) > 1 else ""
        row = (f"{errors.mean():.2f}{spread}", f"{train_error:.2f}", f"{nonzero:.0f}")
        print(f"| {name} | {' | '.join(row)} | {seconds:.0f} |", flush=True)


def _nonzero(network: cn.DiscreteNetwork) -> float:
    """Return the share of the weights that are not 0."""
    weighted = [layer for layer in network.layers if isinstance(layer, (cn.Dense, cn.Conv2d))]
    return sum(layer.n_nonzero for layer in weighted) / network.n_weights


if __name__ == "__main__":
    main()

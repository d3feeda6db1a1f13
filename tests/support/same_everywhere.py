"""Train a small network by each gear and print its digest: run in processes with other processor features."""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np

import conntra_neuro as cn

COARSE = {"batch": 50, "fraction": 0.004, "memory": 0.97, "memory_square": 0.99}  # of few samples not the default
CASES = {
    "dense": {"layers": (40,), "sweeps": 3, "shift": 0},
    "convolution": {"layers": "conv4k3,maxpool2,16", "sweeps": 2, "shift": 0, **COARSE},
    "penalty": {"layers": (24,), "sweeps": 2, "shift": 0, "penalty_energy": 0.5},
    "centred": {"layers": (24, 12), "sweeps": 3, "shift": 0, "centred": 1},
    "annealed": {"layers": (12,), "gear": "annealed", "sweeps": 1},
    "exact": {"layers": (8,), "gear": "exact", "sweeps": 1},
    "lif": {"layers": (16,), "sweeps": 3, "neuron": "lif:163", "encoder": None},
    # The default recipe as it is today, no option given: a change that is meant to change it changes these two.
    "default, dense": {"layers": (64,)},
    "default, convolution": {"layers": "conv4k3,maxpool2,16"},
}


def digest(name: str, threads: int) -> str:
    """Return the SHA-256 of the weights and biases of a case, int32 and little-endian."""
    given = dict(CASES[name])
    rng = np.random.default_rng(0)
    if name == "lif":
        x, y = rng.integers(0, 2, (300, 6, 12)).astype(np.uint8), np.arange(300) % 3
        data = cn.Dataset("events", x[:200], y[:200], x[200:], y[200:], ("a", "b", "c"))
    else:
        whole = cn.load_dataset("digits")
        rows = slice(0, 400)
        parts = (whole.x_train[rows], whole.y_train[rows], whole.x_test, whole.y_test)
        data = cn.Dataset("digits", *parts, whole.labels)
    if isinstance(given["layers"], str):
        from conntra_neuro.training.architecture.words import parse_layers

        given["layers"] = parse_layers(given["layers"])
    network = cn.train(data, seed=3, threads=threads, **given).network
    found = hashlib.sha256()
    for layer in network.layers:
        if isinstance(layer, (cn.Dense, cn.Conv2d)):
            for array in (layer.weight, layer.bias):
                found.update(repr(array.shape).encode() + np.asarray(array, "<i4").tobytes())
    return found.hexdigest()[:16]


if __name__ == "__main__":
    cases, threads = sys.argv[1].split(";"), int(sys.argv[2])
    print(json.dumps({name: digest(name, threads) for name in cases}))

"""One seed, one network, from one version to the next: hashes of small networks as the trainer found them.

They were taken from the two trainers (of dense threshold layers, and of all others) that this one took the place of.
A change that is meant to change networks changes these, and says so in CHANGELOG.md. Backpropagation is not here: JAX
does not promise its last bits.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from conntra_neuro.training import fit_spikes
from conntra_neuro.training.fit import Fit
from conntra_neuro.training.inputs.image import ImageShape

_IMAGE = ImageShape(2, 10, 10)
_PENALTIES = {"penalty_energy": 0.5, "penalty_spikes": 0.2, "penalty_nonzero": 0.1, "penalty_synops": 0.1}
_OF_MANY = {"decay": 1.0, "sparsity": 0.05}  # where images are moved of which there are few, both are others
# The recipe of convolutions with many samples; those of few take finer steps.
_COARSE = {"batch": 375, "fraction": 0.004, "memory": 0.97, "memory_square": 0.99}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "two layers": ({"layers": "40,24", "sweeps": 3}, "e0f0aa4852d52307"),
    "logistic regression": ({"layers": "none", "sweeps": 3}, "eb70eb334671f67b"),
    "five levels, bent": (
        {"layers": "40,24", "sweeps": 3, "levels": 5, "shift": 1, "elastic": 1.0, **_OF_MANY},
        "7979d3b98948d22a",
    ),
    "convolutions": ({"layers": "conv8k3s2,conv8k3,20", "sweeps": 3, **_COARSE}, "abfbbe06bc315de5"),
    "every layer": (
        {"layers": "conv8k3p1,conv8k3p1+1,maxpool2,dwconvk3p1,sumpool2,16", "sweeps": 2, "shift": 1, **_COARSE},
        "50dc978a7821de7d",
    ),
    "fine steps": ({"layers": "conv8k3s2,conv8k3,20", "sweeps": 3}, "f1ffc0dbee12b6ee"),
    "graded": ({"layers": "conv6k3s2,20", "sweeps": 2, "neuron": "relu"}, "e785678887ba9bed"),
    "integrate and fire": ({"layers": "conv6k3s2,20", "sweeps": 2, "neuron": "if4"}, "4ace147afc53be54"),
    "soft reset, dense": ({"layers": "30,20", "sweeps": 2, "neuron": "if4soft"}, "137765d78bece29d"),
    "exact": ({"layers": "12,8", "sweeps": 3, "gear": "exact", "n": 1000}, "4fc679031cc06b91"),
    "exact, convolution": ({"layers": "conv3k3s2,8", "sweeps": 2, "gear": "exact", "n": 1000}, "ebe1aa76407a766b"),
    "exact over time": ({"layers": "8", "sweeps": 2, "gear": "exact", "neuron": "if4", "n": 1000}, "6221cc5f9071907c"),
    "annealed": ({"layers": "20,12", "sweeps": 2, "gear": "annealed"}, "1d6a20e393e5fb91"),
}


def _trained(given: dict[str, Any]) -> Fit:
    rng = np.random.default_rng(5)
    n = given.get("n", 3000)
    prototypes = rng.random((4, 2, 10, 10)) < 0.3
    y = rng.integers(0, 4, n)
    spikes = ((rng.random((n, 2, 10, 10)) < 0.12) ^ prototypes[y]).astype(np.uint8).reshape(n, -1)
    options = {name: value for name, value in given.items() if name != "n"}
    return fit_spikes(spikes, y, n_classes=4, seed=3, image=_IMAGE, movable=False, **options)


def _digest(found: Fit) -> str:
    digest = hashlib.sha256()
    for array in found.parameters.arrays().values():
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr([(record.sweep, record.objective, record.train_error) for record in found.history]).encode())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("name", CASES)
def test_the_network_is_the_one_that_it_was(name: str) -> None:
    given, expected = CASES[name]
    assert _digest(_trained(given)) == expected


def test_penalties_are_the_same_on_one_machine_and_alike_on_others() -> None:
    """Gains with prices are sums of floats, in an order that differs by processor."""
    given = {"layers": "40,24,16", "sweeps": 3, **_PENALTIES}
    one, again = _trained(given), _trained(given)
    assert _digest(one) == _digest(again)
    assert one.history[-1].objective == pytest.approx(1.285, rel=0.05)

"""Networks trained with snnTorch, Norse and sinabs: the packages' own spikes, from the simulation and the integers.

The files under tests/data/spiking were made by ``scripts/bring_your_network.py PACKAGE mnist.npz --side 14
--hidden 32`` with snnTorch 1.0.0, Norse 1.1.0 and sinabs 3.1.3.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.exchange.files import import_with_report

pytest.importorskip("nir")

FOLDER = Path(__file__).parents[1] / "data" / "spiking"
NAMES = sorted(path.stem for path in FOLDER.glob("*.nir"))
LEAST = {"norse": (0.99, 0.95), "sinabs": (0.99, 0.88), "snntorch": (0.99, 0.95)}
"""Of the package's spikes, how many the integers have within a step, by layer; errors of a layer add to the next."""


def recorded(name: str) -> dict[str, np.ndarray]:
    """The inputs (n, steps, features), and what each layer sent."""
    with np.load(FOLDER / f"{name}_spikes.npz") as file:
        pairs = {"x": "shape", "spikes0": "shape0", "spikes1": "shape1"}
        return {k: np.unpackbits(file[k])[: np.prod(file[s])].reshape(file[s]) for k, s in pairs.items()}


def test_the_files_are_here() -> None:
    assert NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_integers_follow_the_package(name: str) -> None:
    found = recorded(name)
    options = {"reset": "subtract"} if name == "sinabs" else {}
    network, report = import_with_report(FOLDER / f"{name}.nir", steps=found["x"].shape[1], source=name, **options)
    assert report is not None
    exact = report.simulate(found["x"])
    outputs = network.outputs(found["x"])
    for index in range(2):
        spikes = found[f"spikes{index}"]
        whole = outputs[index].reshape(spikes.shape)
        assert spikes.any()
        if name != "sinabs":  # made to send one spike a step, which the graph does not say
            assert (exact[index] == spikes).mean() > 0.9999
        near = whole > 0
        near[:, 1:] |= whole[:, :-1] > 0
        near[:, :-1] |= whole[:, 1:] > 0
        assert near[spikes > 0].mean() > LEAST[name][index]
    classes = found["spikes1"].sum(axis=1).argmax(axis=1)
    assert (network.forward(found["x"]).argmax(axis=1) == classes).mean() >= 0.85
    program = cn.compile(network, chip="loihi1")
    assert program.verify(found["x"][:2], ["reference", "loop"]).equal

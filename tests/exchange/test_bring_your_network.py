"""Networks trained with snnTorch, Norse and sinabs: the packages' own spikes, from the simulation and the integers.

The files under tests/data/spiking were made by ``scripts/bring_your_network.py PACKAGE mnist.npz --side 14
--hidden 32`` with snnTorch 1.0.0, Norse 1.1.0 and sinabs 3.1.3.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.datasets import Dataset
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


def plausible(name: str, n: int, seed: int) -> np.ndarray:
    """Spikes (n, steps, features) at the rates of the recorded inputs, each at random."""
    x = recorded(name)["x"]
    rng = np.random.default_rng(seed)
    images = x.mean(axis=1)[rng.integers(len(x), size=n)]
    return (rng.random((n, *x.shape[1:])) < images[:, None]).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [8, 3])
def test_weights_chosen_on_data_agree_better(name: str, bits: int) -> None:
    """On samples that they were not chosen on: values of both layers that differ from the float simulation's."""
    x, other = plausible(name, 150, 0), plausible(name, 150, 1)
    y = np.arange(150) % 10
    data = Dataset("spikes", x, y, other, y, labels=tuple(range(10)))
    options = {"reset": "subtract", "spikes": "one"} if name == "sinabs" else {}
    options |= {"steps": x.shape[1], "source": name, "bits": bits}
    differ = []
    for given in (None, data):
        network, report = import_with_report(FOLDER / f"{name}.nir", data=given, **options)
        assert report is not None
        differ.append([1 - layer.equal for layer in report.agreement(other)])
        assert cn.check(network, chip="loihi1").fits
        assert max(len(np.unique(layer.weight)) for layer in network.layers) <= 2**bits - 1
    # Of Norse's few spikes in the second layer a handful decides.
    assert differ[1][0] < differ[0][0]
    assert sum(differ[1]) < sum(differ[0])


@pytest.mark.parametrize("name", NAMES)
def test_two_synapses_a_weight_come_closer(name: str) -> None:
    x, other = plausible(name, 300, 0), plausible(name, 150, 1)
    y = np.arange(300) % 10
    data = Dataset("spikes", x, y, other, y[:150], labels=tuple(range(10)))
    options = {"reset": "subtract", "spikes": "one"} if name == "sinabs" else {}
    network, report = import_with_report(
        FOLDER / f"{name}.nir", steps=x.shape[1], source=name, bits=10, data=data, **options
    )
    assert report is not None
    first, second = report.agreement(other)
    assert (first.within_a_step, second.within_a_step) > (0.998, 0.98)
    assert second.within_a_step > 0.98
    assert cn.compile(network, chip="loihi1").verify(x[:2], ["reference", "loop"]).equal


def test_one_spike_a_step_where_the_package_was_made_to() -> None:
    """sinabs' default is several; the network was trained with one, and its own spikes are those of the simulation."""
    found = recorded("sinabs")
    given = {"steps": found["x"].shape[1], "source": "sinabs", "reset": "subtract"}
    _, report = import_with_report(FOLDER / "sinabs.nir", spikes="one", **given)
    assert report is not None
    for exact, sent in zip(report.simulate(found["x"]), (found["spikes0"], found["spikes1"]), strict=True):
        assert (exact == sent).mean() > 0.9999
    with pytest.raises(cn.ConntraError, match="spikes 'two': unknown; allowed: one, several"):
        import_with_report(FOLDER / "sinabs.nir", spikes="two", **given)


@pytest.mark.parametrize("targets", ["labels", "float", "both"])
def test_ternary_networks_with_a_late_reset_are_repaired(targets: str) -> None:
    """snnTorch's reset is a way back of each neuron to itself: it stays, and weights stay ternary."""
    x = plausible("snntorch", 200, 0)
    given = {"steps": x.shape[1], "source": "snntorch", "bits": 2}
    _, report = import_with_report(FOLDER / "snntorch.nir", **given)
    assert report is not None
    y = report.simulate(x)[-1].sum(axis=1).argmax(axis=1)
    data = Dataset("spikes", x, y, x, y, labels=tuple(range(10)))
    network, report = import_with_report(FOLDER / "snntorch.nir", data=data, repair=0.5, targets=targets, **given)
    assert report is not None
    assert report.before is not None
    assert report.repair is not None
    assert report.repair.after[0] <= report.repair.before[0]
    assert len(network.recurrent) == 2
    for layer, before in zip(network.layers, report.before.layers, strict=True):
        assert set(np.unique(layer.weight)) <= set(np.unique(before.weight))
    program = cn.compile(network, chip="loihi1")
    assert program.verify(x[:2], ["reference", "loop"]).equal

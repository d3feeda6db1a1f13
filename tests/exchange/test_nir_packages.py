"""Graphs that six packages exported, held to the spikes that they sent; and notations, held to NIR's own equations.

``tests/data/nir_packages.npz`` is of scripts/make_nir_graphs.py and scripts/measure_nir.py --pack; 300 graphs of each
were measured the same way (docs/nir.md).
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.conventions import CONVENTIONS, convention
from conntra_neuro.exchange.nir.spiking import SpikingImport

pytest.importorskip("nir")

import nir
from nir_graph_loops import run_graph
from nir_notations import NOTATIONS, WHOLE

ARCHIVE = np.load(Path(__file__).parents[1] / "data" / "nir_packages.npz")
NAMES = sorted({key.split("/")[0] for key in ARCHIVE.files})
PACKAGES = {"snntorch", "norse", "sinabs", "rockpool", "spikingjelly", "spyx"}


def unpacked(name: str, folder: Path) -> tuple[Path, np.ndarray, list[np.ndarray], dict[str, Any]]:
    """Return a graph's file, its inputs, what each layer of the package sent, and how it is read."""
    path = folder / "a.nir"
    path.write_bytes(ARCHIVE[f"{name}/graph"].tobytes())
    read = {key: value for key, value in json.loads(str(ARCHIVE[f"{name}/read"])).items() if value is not None}
    layers = sum(key.startswith(f"{name}/") for key in ARCHIVE.files) - 3
    return path, ARCHIVE[f"{name}/inputs"], [ARCHIVE[f"{name}/{index}"] for index in range(layers)], read


def imported(path: Path, **read: Any) -> tuple[cn.DiscreteNetwork, SpikingImport]:
    network, report = import_with_report(path, **read)
    assert isinstance(report, SpikingImport)
    return network, report


def test_there_are_ten_of_each_package() -> None:
    counts = {name: sum(other.split("-")[0] == name for other in NAMES) for name in PACKAGES}
    assert counts == dict.fromkeys(PACKAGES, 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_simulation_sends_what_the_package_sent(name: str, tmp_path: Path) -> None:
    path, inputs, sent, read = unpacked(name, tmp_path)
    network, report = imported(path, steps=inputs.shape[1], **read)
    for index, (ours, theirs) in enumerate(zip(report.simulate(inputs), sent, strict=True)):
        # Spyx sends a step after v passes the threshold, layer by layer.
        shift = (index + 1) * (read["source"] == "spyx")
        found, expected = ours[:, : ours.shape[1] - shift], theirs[:, shift:]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1, np.abs(expected).max()))
    assert network.outputs(inputs)[-1].size


@pytest.mark.parametrize("package", sorted(PACKAGES - {"rockpool", "sinabs"}))
def test_integers_have_the_spikes_within_a_step(package: str, tmp_path: Path) -> None:
    """Of packages that send one spike a step; ten networks of random weights, whose potentials are near thresholds."""
    fired = near = 0.0
    for name in (name for name in NAMES if name.split("-")[0] == package):
        path, inputs, _, read = unpacked(name, tmp_path)
        _, report = imported(path, steps=inputs.shape[1], **read)
        for layer in report.agreement(inputs):
            fired, near = fired + layer.spikes[0], near + layer.within_a_step * layer.spikes[0]
    assert fired > 300
    assert near >= 0.95 * fired


def case_of(make: Any, seed: int, path: Path) -> tuple[Any, np.ndarray, list[dict[str, np.ndarray]], dict[str, Any]]:
    graph, n_in, read = make(seed)
    nir.write(path, graph)
    x = (np.random.default_rng(seed).random((2, 16, n_in)) < 0.4).astype(np.uint8)
    how = convention(read["source"], None, read.get("reset"), read.get("spikes"))
    given = {part: getattr(how, part) for part in ("dt", "reset", "strict", "several", "decay")}
    return graph, x, [run_graph(graph, sample, given) for sample in x], read


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("notation", [*NOTATIONS, *WHOLE])
def test_notations_are_simulated_as_nirs_equations_say(notation: str, seed: int, tmp_path: Path) -> None:
    """Those of whole numbers, and lava-dl's, are networks of just these spikes, nothing rounded."""
    _, x, runs, read = case_of({**NOTATIONS, **WHOLE}[notation], seed, tmp_path / "a.nir")
    network, report = imported(tmp_path / "a.nir", steps=16, **read)
    outputs = network.outputs(x)
    for index, layer in enumerate(report.layers):
        expected = np.stack([run[layer.name] for run in runs])
        np.testing.assert_allclose(report.simulate(x)[index], expected, rtol=1e-9, atol=1e-9)
        if notation in WHOLE:
            view = report.views[index]
            assert np.array_equal(view.of(outputs[view.layer].reshape(*x.shape[:2], -1)), expected)
            assert report.rounded[index].largest_error < 1e-4


def test_a_whole_graph_without_a_convention_is_exact_as_before(tmp_path: Path) -> None:
    """IF neurons of whole weights are read strictly, reset to zero; a convention has them read as its package does."""
    weight, three = np.eye(2), np.full(2, 3.0)
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "0": nir.Linear(2 * weight),
        "1": nir.IF(r=np.ones(2), v_threshold=three),
        "2": nir.Linear(weight),
        "output": nir.Output({"output": np.array([2])}),
    }
    order = list(nodes)
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, list(pairwise(order)), type_check=False))
    network, report = import_with_report(tmp_path / "a.nir", steps=4)
    assert report is None
    x = np.ones((1, 4, 2), np.uint8)
    assert network.outputs(x)[0][:, 0].tolist() == [0, 1, 0, 1]
    network, report = import_with_report(tmp_path / "a.nir", steps=4, source="sinabs")
    assert report is not None
    assert network.outputs(x)[0][:, 0].tolist() == [0, 1, 1, 0]  # at 3, which comes off: 2, 4, 3, 2
    logits = report.float_logits(x)  # the last weights' sums over all steps, in one unit
    assert logits[0, 0] > 0
    np.testing.assert_array_equal(logits, network.forward(x))


def test_an_input_that_leads_into_the_way_back_asks_for_its_source(tmp_path: Path) -> None:
    """Spyx's exporter writes that; its neurons take the input as it is."""
    name = next(name for name in NAMES if name.startswith("spyx") and b"w_rec" in ARCHIVE[f"{name}/graph"].tobytes())
    path, inputs, _, _ = unpacked(name, tmp_path)
    with pytest.raises(ConntraError, match="give --source spyx"):
        import_with_report(path, steps=inputs.shape[1], dt=1.0)


def test_a_reset_that_is_given_counts_for_all_neurons() -> None:
    for name, how in CONVENTIONS.items():
        given = convention(name, None, "subtract")
        assert given.reset_of("CubaLIF", recurrent=True) == "subtract"
        assert given.reset_of("LIF", recurrent=False) == "subtract"
        assert how.reset_of("LIF", recurrent=False) == how.reset
    late = convention("snntorch", None, "zero")
    kinds = [("LIF", False), ("LIF", True), ("CubaLIF", False)]
    assert [late.reset_of(*kind) for kind in kinds] == ["zero", "zero-late", "zero-late"]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_damaged_graphs_are_one_line_or_networks(package: str, tmp_path: Path) -> None:
    path, inputs, _, read = unpacked(f"{package}-1", tmp_path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for trial in range(12):
        damaged = bytearray(whole[: int(rng.integers(len(whole)))] if trial % 3 == 0 else whole)
        for at in rng.integers(0, max(len(damaged), 1), 20 if damaged else 0):
            damaged[at] = int(rng.integers(256))
        path.write_bytes(damaged)
        try:
            network, _ = imported(path, steps=inputs.shape[1], **read)
        except ConntraError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert network.layers


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("r", np.inf, "a gain without end"),
        ("w_in", np.inf, "a gain without end"),
        ("tau_syn", -1.0, "tau_syn below 0"),
        ("tau_mem", -1.0, "a time constant below 0"),
        ("tau_mem", np.nan, "NaN"),
        ("r", -np.inf, "NaN|infinite"),
        ("v_threshold", np.inf, "NaN|infinite"),
    ],
)
def test_constants_that_mean_nothing_are_one_line(part: str, value: float, says: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"tau_mem": 1e-3, "tau_syn": 1e-3, "r": 1.0, "w_in": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    arrays = {name: np.full(2, number) for name, number in {**given, part: value}.items()}
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "0": nir.Linear(0.3 * np.eye(2)),
        "1": nir.CubaLIF(**arrays),
        "output": nir.Output({"output": np.array([2])}),
    }
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    with pytest.raises(ConntraError, match=says):
        import_with_report(tmp_path / "a.nir", steps=4, source="lava-dl")


def test_the_source_is_guessed_from_what_its_exporter_writes(tmp_path: Path) -> None:
    """Of ten graphs each; snnTorch's say the same as the NIR paper's, and IF neurons alone say nothing."""
    right = dict.fromkeys(PACKAGES, 0)
    for name in NAMES:
        path, inputs, _, read = unpacked(name, tmp_path)
        assumed: list[str] = []
        _, report = import_with_report(path, steps=inputs.shape[1], assumed=assumed)
        assert isinstance(report, SpikingImport)
        assert len(assumed) == 1
        right[name.split("-")[0]] += f"source {read['source']} " in assumed[0]
    assert right == {"snntorch": 0, "norse": 9, "sinabs": 7, "rockpool": 10, "spikingjelly": 8, "spyx": 9}

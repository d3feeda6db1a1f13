"""NIR for the importers of other packages: the integers come back, and NIR's equations give the spikes of forward."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import network_strategies
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.app import main
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.dialects import DIALECTS
from conntra_neuro.exchange.nir.float_graph import float_layers
from conntra_neuro.exchange.nir.simulate import simulate

nir = pytest.importorskip("nir")

READERS = (None, *DIALECTS)
EULER = {"snntorch": 1e-4, "norse": 1e-4}
"""Dialects by whose dt forward Euler gives the package's own steps; sinabs decays exponentially."""


def described(network: cn.DiscreteNetwork) -> list[str]:
    parts = [*network.layers, *network.residuals, *network.recurrent]
    arrays = [array for part in parts for array in (getattr(part, "weight", None), getattr(part, "bias", None))]
    return [*map(repr, parts), *(str(np.asarray(a).tolist()) for a in arrays if a is not None), str(network.steps)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network_strategies.networks(kinds=("threshold", "integrate_and_fire", "lif")), st.sampled_from(READERS))
def test_the_network_comes_back(tmp_path: Path, network: cn.DiscreteNetwork, reader: str | None) -> None:
    try:
        cn.export(network, tmp_path / "a.nir", reader=reader)
    except InputError as error:
        known = "soft reset|folds rows to images|beside a current|with a current|never decays|refractory|reads no"
        if not re.search(known, str(error)):
            raise
        return
    again, report = import_with_report(tmp_path / "a.nir")
    assert report is None
    assert described(again) == described(network)


def lif(**options: Any) -> cn.DiscreteNetwork:
    rng = np.random.default_rng(5)
    hidden = cn.Dense(rng.integers(-9, 10, (7, 6)), rng.integers(-2, 3, 7), cn.Lif(**options))
    return cn.DiscreteNetwork([hidden, cn.Dense(rng.integers(-3, 4, (3, 7)), activation="readout")], steps=20)


LEAKY = [
    ("one threshold", lif(threshold=9, voltage_decay=163)),
    ("at the threshold", lif(threshold=9, voltage_decay=163, strict=False)),
    ("per neuron", lif(threshold=(4, 5, 6, 7, 8, 9, 30), voltage_decay=(0, 100, 200, 300, 400, 4096, 7))),
    ("forgetting", lif(threshold=9, voltage_decay=4096)),
    ("keeping", lif(threshold=9, voltage_decay=0)),
]


def potentials(network: cn.DiscreteNetwork, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """v before a spike is decided, in weight units, with decays that lose nothing; and the spikes."""
    layer = network.layers[0]
    neuron, sums = layer.neuron, x.astype(float) @ layer.weight.T + layer.bias
    theta, stays = np.array(neuron.threshold, float), 1 - np.array(neuron.voltage_decay) / 4096
    v, held, sent = np.zeros_like(sums[:, 0]), np.empty_like(sums), np.empty_like(sums)
    for step in range(sums.shape[1]):
        v = held[:, step] = v * stays + sums[:, step]
        sent[:, step] = v > theta if neuron.strict else v >= theta
        v = v * (1 - sent[:, step])
    return held, sent


@pytest.mark.parametrize("reader", EULER)
@pytest.mark.parametrize("network", [case[1] for case in LEAKY], ids=[case[0] for case in LEAKY])
def test_the_equations_give_the_spikes(reader: str, network: cn.DiscreteNetwork, tmp_path: Path) -> None:
    """Where they part first, v stands no further from the threshold than a decay can have lost.

    A decay drops less than a 64th of a weight unit at each step, and what was dropped decays itself: v is off by less
    than 1/64 over the share that is lost in a step (by 20/64 at most, of 20 steps). So a decay of all, or of nothing,
    loses nothing, and every spike is the same.
    """
    cn.export(network, tmp_path / "a.nir", reader=reader)
    x = (np.random.default_rng(0).random((200, 20, 6)) < 0.3).astype(np.uint8)
    graph = nir.read(tmp_path / "a.nir", type_check=False)
    del graph.nodes["1_dense"]  # weights before the output are no layer of the float simulation
    graph.edges = [edge for edge in graph.edges if "1_dense" not in edge] + [("0_lif", "output")]
    found = simulate(float_layers(graph)[1], x, Convention(EULER[reader], "zero"))[0]
    held, sent = potentials(network, x)
    neuron = network.layers[0].neuron
    theta, share = np.array(neuron.threshold, float), np.array(neuron.voltage_decay) / 4096
    lost = np.where((share > 0) & (share < 1), np.minimum(1 / np.maximum(share, 1e-9), 20) / 64, 0.0) + 1 / 64
    for spikes, near in ((found, 1 / 64), (network.outputs(x)[0].reshape(200, 20, 7), lost)):
        parts = spikes != sent
        first = parts & (np.cumsum(parts, axis=1) == 1)
        assert (np.abs(held - theta) <= np.broadcast_to(near, held.shape))[first].all()
    exact = network.outputs(x)[0].reshape(200, 20, 7)
    assert exact.mean() > 0.02
    whole = np.broadcast_to((share == 0) | (share == 1), (7,))
    np.testing.assert_array_equal(found[:, :, whole], exact[:, :, whole])


def test_the_units_of_thresholds_stand_in_the_metadata(tmp_path: Path) -> None:
    """snnTorch takes one threshold a layer: 1, in units that give integers and thresholds back."""
    network = LEAKY[2][1]
    cn.export(network, tmp_path / "a.nir", reader="snntorch")
    graph = nir.read(tmp_path / "a.nir", type_check=False)
    assert np.unique(graph.nodes["0_lif"].v_threshold).tolist() == [1.0]
    unit = json.loads(graph.nodes["0_dense"].metadata["conntra"])["unit"]
    assert np.rint(np.array(unit)).tolist() == [4, 5, 6, 7, 8, 9, 30]
    np.testing.assert_allclose(graph.nodes["0_dense"].weight * np.array(unit)[:, None], network.layers[0].weight)


def test_ways_back_and_last_layers_that_spike_or_leak(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    hidden = cn.Dense(rng.integers(-5, 6, (4, 3)), [1, 0, -1, 2], cn.Lif(3, voltage_decay=400, current_decay=1000))
    back = [cn.Recurrent(0, rng.integers(-2, 3, (4, 4))), cn.Recurrent(0, rng.integers(-2, 3, (4, 4)))]
    for last in (cn.Lif(2, voltage_decay=0), cn.Readout("last", voltage_decay=99), cn.Readout("max", voltage_decay=9)):
        network = cn.DiscreteNetwork(
            [hidden, cn.Dense(rng.integers(-2, 3, (2, 4)), None, last)], steps=9, recurrent=back
        )
        cn.export(network, tmp_path / "a.nir")
        again, _ = import_with_report(tmp_path / "a.nir")
        x = (rng.random((30, 9, 3)) < 0.5).astype(np.uint8)
        np.testing.assert_array_equal(again.forward(x), network.forward(x))
        assert described(again) == described(network)


def test_a_graph_that_was_changed_is_read_as_anybodys(tmp_path: Path) -> None:
    cn.export(LEAKY[0][1], tmp_path / "a.nir", reader="norse")
    graph = nir.read(tmp_path / "a.nir", type_check=False)
    del graph.nodes["1_dense"]
    graph.edges = [edge for edge in graph.edges if "1_dense" not in edge] + [("0_lif", "output")]
    graph.nodes["0_lif"].v_threshold = graph.nodes["0_lif"].v_threshold * 2
    nir.write(tmp_path / "b.nir", graph)
    network, report = import_with_report(tmp_path / "b.nir", steps=20, dt=1e-4)
    assert report is not None
    assert network.layers[0].neuron.threshold != 9


@pytest.mark.parametrize(
    ("options", "reader", "message"),
    [
        ({"voltage_decay": 9, "reset": "soft"}, None, "soft reset; .* name the --reader"),
        ({"voltage_decay": 9, "refractory": 2}, "norse", "refractory steps have no words in NIR"),
        ({"voltage_decay": 9, "current_decay": 99}, "sinabs", "sinabs reads no CubaLIF"),
        ({"voltage_decay": 9, "current_decay": 99}, "norse", "biases beside a current"),
        ({"voltage_decay": 9}, "nest", "reader 'nest': unknown; allowed: snntorch, norse, sinabs"),
    ],
)
def test_what_a_package_has_no_words_for(options: dict, reader: str | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        cn.export(lif(threshold=5, **options), tmp_path / "a.nir", reader=reader)
    assert not list(tmp_path.iterdir())


def test_the_command_line_prints_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cn.save(lif(threshold=5, voltage_decay=9, reset="soft"), tmp_path / "a.conntra")
    given = ["export", str(tmp_path / "a.conntra"), "--out", str(tmp_path / "a.nir"), "--reader", "sinabs"]
    assert main(given) == 0
    out = capsys.readouterr().out
    assert "SingleSpike" in out
    assert "MembraneSubtract" in out

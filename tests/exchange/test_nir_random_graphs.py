"""Random spiking NIR graphs, made with the nir package: simulated as NIR's equations in plain loops say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nir_spiking_loops import run_layer

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError
from conntra_hardware.neurons import Lif
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.constants import with_constants
from conntra_neuro.exchange.nir.conventions import CONVENTIONS, Convention, convention
from conntra_neuro.exchange.nir.float_graph import float_layers
from conntra_neuro.exchange.nir.simulate import simulate
from conntra_neuro.exchange.nir.spiking_unit import missed

nir = pytest.importorskip("nir")

KINDS = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I")
WAYS = (
    Convention(1.0, "zero"),
    Convention(1.0, "subtract"),
    Convention(0.5, "subtract-late"),
    Convention(1.0, "subtract", strict=False, several=True),
)


def node_of(kind: str, p: dict[str, Any]) -> Any:
    found = {key: np.array(p[key], float) for key in ("r", "v_leak", "tau", "tau_syn", "w_in", "theta")}
    membrane: dict[str, Any] = {"r": found["r"], "v_leak": found["v_leak"]}
    spike: dict[str, Any] = {"v_threshold": found["theta"], "v_reset": np.zeros(len(p["w"]))}
    synapse: dict[str, Any] = {"tau_mem": found["tau"], "tau_syn": found["tau_syn"], "w_in": found["w_in"]}
    if kind == "IF":
        return nir.IF(r=found["r"], **spike)
    if kind == "I":
        return nir.I(r=found["r"])
    if kind == "LIF":
        return nir.LIF(tau=found["tau"], **membrane, **spike)
    if kind == "LI":
        return nir.LI(tau=found["tau"], **membrane)
    return nir.CubaLIF(**synapse, **membrane, **spike) if kind == "CubaLIF" else nir.CubaLI(**synapse, **membrane)


def parameters(rng: np.random.Generator, n_in: int, n: int, loop: bool) -> dict[str, Any]:
    def between(low: float, high: float, *shape: int) -> list[Any]:
        return rng.uniform(low, high, shape or (n,)).tolist()

    return {
        "w": between(-0.6, 1, n, n_in),
        "b": between(-0.1, 0.2),
        "loop": between(-1, 1, n, n) if loop else None,
        "tau": between(1, 20),
        "tau_syn": between(1, 8),
        "r": between(0.5, 8),
        "w_in": between(0.5, 3),
        "v_leak": between(-0.1, 0.3),
        "theta": between(0.5, 1.5),
    }


def graph_of(layers: list[tuple[str, dict[str, Any]]], nested: bool) -> Any:
    """Return a chain of layers; loops lie in a graph of their own where ``nested``, as snnTorch writes them."""
    nodes: dict[str, Any] = {"input": nir.Input({"input": np.array([len(layers[0][1]["w"][0])])})}
    edges, before = [], "input"
    for i, (kind, p) in enumerate(layers):
        nodes[f"w{i}"], nodes[f"n{i}"] = nir.Affine(np.array(p["w"]), np.array(p["b"])), node_of(kind, p)
        edges += [(before, f"w{i}"), (f"w{i}", f"n{i}")]
        before = f"n{i}"
        if p["loop"] is None:
            continue
        back = nir.Linear(np.array(p["loop"]))
        if not nested:
            nodes[f"rec{i}"] = back
            edges += [(f"n{i}", f"rec{i}"), (f"rec{i}", f"n{i}")]
            continue
        n = np.array([len(p["w"])])
        inner = {"input": nir.Input({"input": n}), "lif": nodes[f"n{i}"], "rec": back}
        inner["output"] = nir.Output({"output": n})
        ways = [("input", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")]
        nodes[f"n{i}"] = nir.NIRGraph(inner, ways, type_check=False)
    nodes["output"] = nir.Output({"output": np.array([len(layers[-1][1]["w"])])})
    return nir.NIRGraph(nodes, [*edges, (before, "output")], type_check=False)


def random_layers(seed: int, first: str, second: str, loop: bool) -> list[tuple[str, dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    n_in, hidden, out = (int(size) for size in rng.integers(1, 5, 3))
    return [(first, parameters(rng, n_in, hidden, loop)), (second, parameters(rng, hidden, out, False))]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    first=st.sampled_from(KINDS[:3]),
    second=st.sampled_from(KINDS),
    loop=st.booleans(),
    nested=st.booleans(),
    way=st.sampled_from(WAYS),
)
def test_simulated_as_a_loop_does(
    seed: int, first: str, second: str, loop: bool, nested: bool, way: Convention
) -> None:
    layers = random_layers(seed, first, second, loop and not way.several)  # several a step in a loop grow without end
    n_in = len(layers[0][1]["w"][0])
    sent = (np.random.default_rng(seed).random((2, 15, n_in)) < 0.4).astype(int)
    found = simulate(float_layers(graph_of(layers, nested))[1], sent, way)
    how = {"dt": way.dt, "reset": way.reset, "strict": way.strict, "several": way.several}
    for sample in range(2):
        below = sent[sample].tolist()
        for index, (kind, p) in enumerate(layers):
            below = run_layer(kind, p, how, below)
            np.testing.assert_allclose(found[index][sample], below, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_the_integers_follow_random_graphs(seed: int, tmp_path: Path) -> None:
    """Spikes of 8-bit integers stand within a step of those of floating point, but for a few near thresholds."""
    rng = np.random.default_rng(seed)
    layers = random_layers(seed, str(rng.choice(KINDS[:2])), "LI", bool(rng.random() < 0.3))
    nir.write(tmp_path / "a.nir", graph_of(layers, nested=False))
    n_in = len(layers[0][1]["w"][0])
    network, report = import_with_report(tmp_path / "a.nir", steps=15, dt=1.0, bits=8)
    assert report is not None
    x = (np.random.default_rng(seed).random((200, 15, n_in)) < 0.4).astype(np.uint8)
    assert network.forward(x).shape == (200, len(layers[1][1]["w"]))
    assert report.agreement(x)[0].within_a_step >= 0.9


@pytest.mark.parametrize("cut", [0, 10, 200, 1500, -1])
def test_a_truncated_graph_is_one_error(cut: int, tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", graph_of(random_layers(0, "LIF", "LIF", True), nested=True))
    whole = (tmp_path / "a.nir").read_bytes()
    (tmp_path / "a.nir").write_bytes(whole[:cut])
    with pytest.raises(ConntraError):
        import_with_report(tmp_path / "a.nir", steps=5, dt=1.0)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    loop=st.booleans(),
    first=st.sampled_from(KINDS[:3]),
    way=st.sampled_from([*WAYS, *CONVENTIONS.values()]),
)
def test_neurons_that_always_spike_stand_for_biases_through_currents(
    seed: int, loop: bool, first: str, way: Convention
) -> None:
    layers = float_layers(graph_of(random_layers(seed, first, "CubaLIF", loop and not way.several), nested=False))[1]
    rewritten = with_constants(layers, way)
    sent = (np.random.default_rng(seed).random((2, 15, layers[0].maps[0].weight.shape[1])) < 0.4).astype(int)
    assert not rewritten[1].bias.any()
    for layer, wanted, found in zip(layers, simulate(layers, sent, way), simulate(rewritten, sent, way), strict=True):
        np.testing.assert_allclose(found[..., : layer.size], wanted, atol=1e-9)
        assert (found[..., layer.size :] == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_biases_through_the_current_of_a_single_layer(seed: int, tmp_path: Path) -> None:
    """A neuron that always spikes stands among those that are counted, so that others are read."""
    p = parameters(np.random.default_rng(seed), 5, 4, False) | {"tau": [8.0] * 4, "tau_syn": [5.0] * 4}
    nir.write(tmp_path / "a.nir", graph_of([("CubaLIF", p)], nested=False))
    network, report = import_with_report(tmp_path / "a.nir", steps=20, dt=1.0, bits=10)
    assert report is not None
    x = (np.random.default_rng(seed).random((30, 20, 5)) < 0.3).astype(np.uint8)
    (found,) = report.agreement(x)
    assert found.spikes[0] > 100
    assert found.equal > 0.99
    assert not any(note.notes for note in report.rounded)
    view = report.views[0]
    sent = view.of(network.outputs(x)[view.layer].reshape(30, 20, -1))
    np.testing.assert_array_equal(network.forward(x), sent.sum(axis=1))
    assert report.float_logits(x).shape == (30, 4)
    assert cn.compile(network, chip="loihi1").verify(x[:3], ["reference", "loop"]).equal


@pytest.mark.parametrize("recurrent", [False, True])
def test_no_neuron_always_spikes_where_v_is_0_for_a_step_more(recurrent: bool) -> None:
    how = convention("snntorch", None, "zero")
    graph = graph_of(random_layers(1, "LIF" if recurrent else "CubaLIF", "CubaLIF", recurrent), nested=False)
    layers = float_layers(graph)[1]
    assert [layer.size for layer in with_constants(layers, how)] == [layer.size for layer in layers]
    assert with_constants(layers, how)[1].bias.any()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    reset=st.sampled_from(["zero", "zero-late", "subtract"]),
    strict=st.booleans(),
)
def test_a_neuron_that_is_fitted_is_the_one_of_the_forward_pass(seed: int, reset: str, strict: bool) -> None:
    """What counts as wrong while weights are chosen, of neurons in registers, against those of the forward pass."""
    rng = np.random.default_rng(seed)
    sums, theta, bias = rng.integers(-300, 600, (3, 20, 4)), rng.integers(100, 900, 4), rng.integers(-20, 60, 4)
    voltage, current = rng.integers(0, 4097, 4), rng.integers(0, 4097, 4)
    refractory = int(reset == "zero-late")
    lif = Lif(
        theta,
        voltage_decay=voltage,
        current_decay=current,
        reset="soft" if reset == "subtract" else "hard",
        strict=strict,
        refractory=refractory,
    )
    sent, none = lif.advance(sums, bias).sent.astype(np.int64), np.zeros(4, np.int64)
    rules = np.stack([bias, none, none, 64 * theta, 64 * theta + strict, 4096 - current, 4096 - voltage], axis=1)
    hard = reset != "subtract"
    assert not missed(sums, sent, rules, hard, 1, refractory).any()
    assert (missed(sums, 1 - sent, rules, hard, 1, refractory) == 60).all()


@pytest.mark.parametrize("leak", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_copies_send_what_a_neuron_of_several_spikes_does(seed: int, leak: bool, tmp_path: Path) -> None:
    """The integers of the first copies, as neurons that send several spikes, in plain loops."""
    rng = np.random.default_rng(seed)
    layers = [("LIF" if leak else "IF", parameters(rng, 6, 5, False)), ("IF", parameters(rng, 5, 3, False))]
    for _, p in layers:
        given = {"theta": 0.7, "tau": 20.0, "v_leak": 0.0, "r": 20.0 if leak and p is layers[0][1] else 1.0}
        p |= {name: [value] * len(p["b"]) for name, value in given.items()}
    nir.write(tmp_path / "a.nir", graph_of(layers, nested=False))
    network, report = import_with_report(tmp_path / "a.nir", steps=12, source="sinabs", spikes=8)
    assert report is not None
    x = (rng.random((4, 12, 6)) < 0.3).astype(np.uint8)
    outputs = network.outputs(x)
    integers = [report.views[i].of(outputs[i].reshape(4, 12, -1)) for i in range(2)]
    assert 1 < integers[0].max() < 8
    assert np.array_equal(network.forward(x), integers[1].sum(axis=1))
    first = np.arange(0, network.layers[0].n_out, 8)
    layer = network.layers[0]
    theta = np.asarray(layer.neuron.threshold)[first]
    assert np.array_equal(np.asarray(layer.neuron.threshold).reshape(-1, 8), theta[:, None] * np.arange(1, 9))
    p = {"w": layer.weight[first].tolist(), "b": layer.bias[first].tolist(), "loop": None, "r": [1.0] * 5}
    p |= {"theta": theta.tolist()}
    how = {"dt": 1.0, "reset": "subtract", "strict": False, "several": True}
    if not leak:  # whole numbers throughout: exact
        for sample in range(4):
            assert np.array_equal(integers[0][sample], run_layer("IF", p, how, x[sample].tolist()))
    assert report.agreement(x)[0].equal > 0.95
    program = cn.compile(network, chip="loihi1")
    assert program.verify(x, ["reference", "loop"]).equal

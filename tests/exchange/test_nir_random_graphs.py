"""Random spiking NIR graphs, made with the nir package: simulated as NIR's equations in plain loops say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nir_spiking_loops import run_layer

from conntra_hardware.base.errors import ConntraError
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.conventions import Convention
from conntra_neuro.exchange.nir.float_graph import float_layers
from conntra_neuro.exchange.nir.simulate import simulate

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

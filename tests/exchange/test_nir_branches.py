"""Spiking NIR graphs whose branches join: held to NIR's equations, node by node (tests/support/nir_graph_loops.py)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError
from conntra_neuro.datasets import Dataset
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.conventions import convention
from conntra_neuro.exchange.nir.spiking import SpikingImport

pytest.importorskip("nir")

import nir
from nir_graph_loops import run_graph

STEPS = 12
Nodes = dict[str, Any]
Edges = list[tuple[str, str]]


def graph(nodes: Nodes, edges: str, n_in: Any, n_out: Any) -> Any:
    """Return a graph of edges as "a>b>c, a>c"; input and output are "i" and "o"."""
    every = {"i": nir.Input({"input": np.array(n_in)}), **nodes, "o": nir.Output({"output": np.array(n_out)})}
    ways = [way.strip().split(">") for way in edges.split(",")]
    pairs = [pair for way in ways for pair in pairwise(way)]
    return nir.NIRGraph(every, pairs, type_check=False)


def dense(rng: np.random.Generator, out: int, size: int, bias: bool = True) -> Any:
    weight = rng.integers(-3, 5, (out, size)).astype(np.float32)
    return nir.Affine(weight, rng.integers(-1, 2, out).astype(np.float32)) if bias else nir.Linear(weight)


def conv(rng: np.random.Generator, out: int, shape: tuple[int, int, int], side: int, stride: int = 1) -> Any:
    weight, pad = rng.integers(-2, 4, (out, shape[0], side, side)).astype(np.float32), side // 2
    return nir.Conv2d(shape[1:], weight, (stride, stride), (pad, pad), (1, 1), 1, np.zeros(out, np.float32))


def fires(rng: np.random.Generator, shape: Any) -> Any:
    return nir.IF(r=np.ones(shape, np.float32), v_threshold=np.full(shape, rng.integers(3, 9), np.float32))


DENSE = {
    "spikes beside weights": "i>w0>n0>w1>n1>w2>n2>o, n0>n2",
    "weights beside weights": "i>w0>n0>w1>n1>w2>n2>o, n0>ws>n2",
    "of the inputs": "i>w0>n0>w1>n1>w2>n2>o, i>wi>n2",
    "spikes added before weights": "i>w0>n0>w1>n1>w2>n2>o, n0>w2",
    "scaled": "i>w0>n0>w1>n1>w2>n2>o, n0>s>n2",
    "two of one layer": "i>w0>n0>w1>n1>o, n0>n1",
    "two branches of neurons": "i>w0>n0>w1>n1>n2, n0>ws>n3>w2>n2>o",
    "a way back, too": "i>w0>n0>w1>n1>w2>n2>o, n0>n2, n1>back>n1",
}
IMAGES = {
    "spikes beside a kernel": "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n0>n2",
    "a kernel beside a kernel": "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n0>cs>n2",
    "spikes added before kernels": "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n0>c2",
    "in one layer": "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n1>n2",
    "two branches of neurons": "i>c0>n0>c1>n1>n2>f>d>n3>o, n0>cs>n4>n2",
}


def dense_graph(edges: str, seed: int, steps: str = "IF") -> Any:
    rng, size = np.random.default_rng(seed), 4
    nodes: Nodes = {f"w{i}": dense(rng, size, 5 if i == 0 else size) for i in range(3)}
    nodes |= {f"n{i}": fires(rng, size) for i in range(4)}
    nodes |= {"ws": dense(rng, size, size, bias=False), "wi": dense(rng, size, 5), "back": dense(rng, size, size)}
    nodes["s"] = nir.Scale(rng.integers(1, 4, size).astype(np.float32))
    if steps == "LIF":
        for i in range(4):
            given = {"tau": 2e-4, "r": 2.0, "v_leak": 0.0, "v_threshold": float(rng.integers(3, 9)), "v_reset": 0.0}
            nodes[f"n{i}"] = nir.LIF(**{name: np.full(size, value) for name, value in given.items()})
    kept = {name.strip() for way in edges.split(",") for name in way.split(">")}
    return graph({name: node for name, node in nodes.items() if name in kept}, edges, [5], [size])


def image_graph(edges: str, seed: int) -> Any:
    rng, shape = np.random.default_rng(seed), (2, 4, 4)
    nodes: Nodes = {f"c{i}": conv(rng, 2, shape, 3) for i in range(3)}
    nodes |= {f"n{i}": fires(rng, shape) for i in (0, 1, 2, 4)}
    nodes |= {"cs": conv(rng, 2, shape, 1), "f": nir.Flatten({"input": np.array(shape)}, 0, -1)}
    nodes |= {"d": dense(rng, 3, 32), "n3": fires(rng, 3)}
    kept = {name.strip() for way in edges.split(",") for name in way.split(">")}
    return graph({name: node for name, node in nodes.items() if name in kept}, edges, list(shape), [3])


def imported(made: Any, folder: Path, **read: Any) -> tuple[cn.DiscreteNetwork, SpikingImport]:
    nir.write(folder / "a.nir", made)
    network, report = import_with_report(folder / "a.nir", steps=STEPS, **read)
    assert isinstance(report, SpikingImport)
    return network, report


def spikes_for(n_in: int, seed: int, n: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).random((n, STEPS, n_in)) < 0.4).astype(np.uint8)


def check(made: Any, x: np.ndarray, folder: Path, **read: Any) -> None:
    """Of whole numbers: the simulation and the network give NIR's spikes, and simulators of the chip the network's."""
    how = convention(read["source"], None, None, read.get("spikes"))
    given = {part: getattr(how, part) for part in ("dt", "reset", "strict", "several", "decay")}
    runs = [run_graph(made, sample, given) for sample in x]
    network, report = imported(made, folder, **read)
    outputs = network.outputs(x)
    fired = 0
    for layer, simulated, view in zip(report.layers, report.simulate(x), report.views, strict=True):
        expected = np.stack([run[layer.name] for run in runs])
        fired += int(expected.sum())
        np.testing.assert_array_equal(simulated, expected)
        np.testing.assert_array_equal(view.of(outputs[view.layer].reshape(len(x), STEPS, -1)), expected)
    assert fired
    cn.save(network, folder / "a.conntra")
    np.testing.assert_array_equal(cn.load(folder / "a.conntra").forward(x), network.forward(x))
    assert cn.compile(network, chip="loihi1").verify(x[:2], ["reference", "loop"]).equal


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", DENSE)
def test_branches_of_rows_join(name: str, seed: int, tmp_path: Path) -> None:
    check(dense_graph(DENSE[name], seed), spikes_for(5, seed), tmp_path, source="sinabs", spikes="one")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", IMAGES)
def test_branches_of_images_join(name: str, seed: int, tmp_path: Path) -> None:
    check(image_graph(IMAGES[name], seed), spikes_for(32, seed), tmp_path, source="sinabs", spikes="one")


@pytest.mark.parametrize("name", ["spikes beside weights", "weights beside weights", "two branches of neurons"])
def test_branches_of_copies_join(name: str, tmp_path: Path) -> None:
    made = dense_graph(DENSE[name], 3)
    for node in made.nodes.values():
        if type(node).__name__ == "IF":
            node.v_threshold = np.full(4, 8, np.float32)
    check(made, spikes_for(5, 3), tmp_path, source="sinabs", spikes=8)


def test_copies_lead_back_to_one_another(tmp_path: Path) -> None:
    """Of whole numbers, with a way back that holds neurons down: what sends several spikes a step would grow else."""
    made = dense_graph(DENSE["a way back, too"], 2)
    made.nodes["back"].weight = -np.abs(made.nodes["back"].weight)
    for node in made.nodes.values():
        if type(node).__name__ == "IF":
            node.v_threshold = np.full(4, 4, np.float32)
    check(made, spikes_for(5, 3), tmp_path, source="sinabs", spikes=8)


@pytest.mark.parametrize("alike", [True, False])
def test_copies_of_images_have_thresholds_of_their_own(alike: bool, tmp_path: Path) -> None:
    made = image_graph(IMAGES["spikes beside a kernel"], 4)
    rng = np.random.default_rng(4)
    for name in ("n0", "n1", "n2"):
        theta = rng.integers(6, 12, (2, 1, 1) if alike else (2, 4, 4))
        made.nodes[name].v_threshold = np.broadcast_to(theta, (2, 4, 4)).astype(np.float32)
    check(made, spikes_for(32, 3), tmp_path, source="sinabs", spikes=8)


@pytest.mark.parametrize("recurrent", [False, True])
def test_copies_lose_what_they_sent_through_currents(recurrent: bool, tmp_path: Path) -> None:
    """Biases through the current, too: nearer to the simulation the more bits, and far nearer than single neurons."""
    rng, size = np.random.default_rng(3), 6
    given = {"tau_mem": 4e-3, "tau_syn": 2e-3, "w_in": 1.0, "r": 2.0, "v_leak": 0.0, "v_threshold": 0.3}
    arrays: Nodes = {name: np.full(size, value) for name, value in given.items()}
    weights = [rng.normal(0.3, 0.6, shape) for shape in ((size, 5), (size, size))]
    nodes: Nodes = {f"w{i}": nir.Affine(weight, rng.normal(0, 0.1, size)) for i, weight in enumerate(weights)}
    nodes |= {"n0": nir.CubaLIF(**arrays), "n1": nir.CubaLIF(**arrays)}
    if recurrent:
        nodes["back"] = nir.Linear(-rng.random((size, size)) / 8)
    made = graph(nodes, "i>w0>n0>w1>n1>o" + ", n0>back>n0" * recurrent, [5], [size])
    x = spikes_for(5, 1, 20)
    equal = []
    for spikes, bits in (("several", 12), (8, 8), (8, 12)):
        network, report = imported(made, tmp_path, dt=1e-3, reset="subtract", spikes=spikes, bits=bits)
        layers = report.agreement(x)
        equal.append([layer.equal for layer in layers])
    assert max(int(sent.max()) for sent in report.simulate(x)) > 2
    assert min(equal[2]) > 0.97
    assert min(equal[2]) > min(equal[1]) > min(equal[0]) + 0.05
    assert cn.compile(network, chip="loihi1").verify(x[:2], ["reference", "loop"]).equal


@pytest.mark.parametrize("of", ["rows", "images"])
def test_weights_of_branches_are_chosen_on_data(of: str, tmp_path: Path) -> None:
    """Random weights, nothing of them whole: closer with data than without, on other samples."""
    made = dense_graph(DENSE["weights beside weights"], 0) if of == "rows" else image_graph(IMAGES["in one layer"], 0)
    rng = np.random.default_rng(0)
    for node in made.nodes.values():
        if hasattr(node, "weight"):
            node.weight = node.weight + rng.normal(0, 0.3, node.weight.shape)
    n_in = 5 if of == "rows" else 32
    x, y = spikes_for(n_in, 0, 200), np.arange(200) % 2
    data = Dataset("spikes", x, y, x[:2], y[:2], labels=(0, 1))
    agreed = []
    for options in ({}, {"data": data}):
        _, report = imported(made, tmp_path, source="sinabs", spikes="one", bits=5, **options)
        agreed.append(np.mean([layer.equal for layer in report.agreement(spikes_for(n_in, 9, 200))]))
    assert agreed[1] > agreed[0] > 0.8


def test_a_leaky_branch_is_simulated_as_nirs_equations_say(tmp_path: Path) -> None:
    made = dense_graph(DENSE["a way back, too"], 1, "LIF")
    how = {"dt": 1e-4, "reset": "zero", "strict": True, "several": False, "decay": "euler"}
    x = spikes_for(5, 1)
    runs = [run_graph(made, sample, how) for sample in x]
    network, report = imported(made, tmp_path, source="paper")
    for layer, simulated in zip(report.layers, report.simulate(x), strict=True):
        np.testing.assert_array_equal(simulated, np.stack([run[layer.name] for run in runs]))
    assert report.agreement(x)[-1].within_a_step > 0.95
    assert cn.compile(network, chip="loihi1").verify(x[:1], ["reference", "brian2"]).equal


def test_what_comes_through_li_joins_what_does_too(tmp_path: Path) -> None:
    """As Nengo's synapses: LI with one time constant is a current behind the weights."""
    rng, size = np.random.default_rng(2), 4
    given = {"tau": np.full(size, 0.005), "r": np.ones(size), "v_leak": np.zeros(size)}
    lif = nir.LIF(**{**given, "tau": np.full(size, 0.02)}, v_threshold=np.ones(size))
    nodes: Nodes = {f"w{i}": nir.Affine(rng.normal(4, 12, (size, size)), rng.normal(0, 0.3, size)) for i in range(3)}
    nodes |= {"a": nir.LI(**given), "b": nir.LI(**given), "n0": lif, "n1": lif, "n2": lif}
    nodes["w3"] = nir.Linear(rng.normal(0, 3, (size, size)))
    made = graph(nodes, "i>w0>n0>w1>n1>w2>a>n2>o, n0>w3>b>n2", [size], [size])
    how = {"dt": 1e-3, "reset": "zero", "strict": True, "several": False, "decay": "exponential"}
    x = spikes_for(size, 1, 20)
    runs = [run_graph(made, sample, how) for sample in x]
    network, report = imported(made, tmp_path, source="nengo", bits=10)
    for layer, simulated in zip(report.layers, report.simulate(x), strict=True):
        np.testing.assert_array_equal(simulated, np.stack([run[layer.name] for run in runs]))
    assert report.agreement(x)[-1].spikes[0] > 20
    assert report.agreement(x)[-1].within_a_step > 0.9
    assert cn.compile(network, chip="loihi1").verify(x[:2], ["reference", "loop"]).equal


def test_nested_graphs_may_have_several_ways_in(tmp_path: Path) -> None:
    """A residual block of its own, as packages write modules."""
    rng, size = np.random.default_rng(0), 4
    whole = {name: dense(rng, size, size) for name in ("w1", "w2")} | {name: fires(rng, size) for name in ("n1", "n2")}
    block = graph(whole, "i>w1>n1>w2>n2>o, i>n2", [size], [size])
    outer = {"w0": dense(rng, size, 5), "n0": fires(rng, size), "w3": dense(rng, 3, size), "n3": fires(rng, 3)}
    nested = graph({**outer, "block": block}, "i>w0>n0>block>w3>n3>o", [5], [3])
    flat = graph({**outer, **whole}, "i>w0>n0>w1>n1>w2>n2>w3>n3>o, n0>n2", [5], [3])
    x = spikes_for(5, 0)
    found = [imported(made, tmp_path, source="sinabs", spikes="one")[0].forward(x) for made in (nested, flat)]
    np.testing.assert_array_equal(*found)
    assert found[0].any()


@pytest.mark.parametrize(
    ("edges", "says"),
    [
        ("i>w0>n0>w1>n1>w2>n2>o, n2>ws>n0", "node w0|node n0: part of a cycle"),
        ("i>w0>n0>w1>n1>o, n0>w2>n2", "node n2: leads to nothing"),
        ("i>w0>n0>w1>n1>o, w2>n1", "node w2: nothing leads to it"),
        ("i>w0>n0>w1>n1>w2>n2>o, i>n2", r"adds what is of shapes \(4,\) and \(5,\)"),
    ],
)
def test_what_does_not_join_is_refused_by_name(edges: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConntraError, match=says):
        imported(dense_graph(edges, 0), tmp_path, source="sinabs")


@pytest.mark.parametrize(
    ("extra", "edges", "says"),
    [
        ("pool", "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n0>p>cs>n2", "sums over windows before its weights"),
        ("even", "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n1>e>n2", "two ways from the same neurons"),
        ("scale", "i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n0>s>n2", "scales that differ within a channel"),
    ],
)
def test_images_that_cannot_be_added_are_refused_by_name(extra: str, edges: str, says: str, tmp_path: Path) -> None:
    base = image_graph("i>c0>n0>c1>n1>c2>n2>f>d>n3>o, n0>cs>n2", 0)
    rng = np.random.default_rng(0)
    more = {
        "pool": {"p": nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))},
        "even": {"e": nir.Conv2d((4, 4), rng.random((2, 2, 5, 5)), (1, 1), (2, 2), (1, 1), 1, np.zeros(2))},
        "scale": {"s": nir.Scale(rng.random((2, 4, 4)))},
    }[extra]
    nodes = {name: node for name, node in base.nodes.items() if name not in ("i", "o")}
    kept = {name.strip() for way in edges.split(",") for name in way.split(">")}
    made = graph({k: v for k, v in {**nodes, **more}.items() if k in kept}, edges, [2, 4, 4], [3])
    with pytest.raises(ConntraError, match=says):
        imported(made, tmp_path, source="sinabs")

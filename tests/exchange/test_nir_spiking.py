"""Spiking graphs in floating point: the packages' own spikes from the simulation, and integers that follow it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError
from conntra_neuro.cli.app import main
from conntra_neuro.datasets import Dataset
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.conventions import RESETS, Convention, convention
from conntra_neuro.exchange.nir.float_graph import float_layers
from conntra_neuro.exchange.nir.simulate import simulate
from conntra_neuro.exchange.nir.spiking import SpikingImport

nir = pytest.importorskip("nir")

SHARED = Path(__file__).parents[3] / "shared" / "data" / "networks"
published = pytest.mark.skipif(not SHARED.is_dir(), reason="the published networks are not here")
TRACE = Path(__file__).parents[1] / "data" / "lif_trace" / "loihi.csv"

# By file: the package, the reset where it is not the package's usual one, and the integers' agreement within a step.
PACKAGES = {
    "norse_lifbox": ("norse", None, (0.95, 0.5)),  # the last layer has two spikes
    "sinabs_iaf": ("sinabs", None, (0.98, 0.9)),
    "sinabs_conv_iaf": ("sinabs", None, (0.99, 0.95)),
    "snntorch_leaky_subtract": ("snntorch", None, (0.99, 0.93)),
    "snntorch_leaky_zero": ("snntorch", "zero", (0.99, 0.93)),
    "snntorch_rleaky": ("snntorch", None, (0.85, 0.75)),
    "snntorch_synaptic": ("snntorch", None, (0.99, 0.99)),
}


@published
@pytest.mark.parametrize("name", PACKAGES)
def test_the_simulation_gives_the_packages_own_spikes(name: str) -> None:
    source, reset, _ = PACKAGES[name]
    layers = float_layers(nir.read(SHARED / "packages" / f"{name}.nir", type_check=False))[1]
    with np.load(SHARED / "packages" / f"{name}.npz") as recorded:
        found = simulate(layers, recorded["inputs"], convention(source, None, reset))
        for index, spikes in enumerate(found):
            assert np.array_equal(spikes, recorded[f"spikes{index}"]), index


@published
@pytest.mark.parametrize("name", PACKAGES)
def test_the_integers_follow_the_packages(name: str) -> None:
    source, reset, least = PACKAGES[name]
    with np.load(SHARED / "packages" / f"{name}.npz") as recorded:
        x = recorded["inputs"]
    path = SHARED / "packages" / f"{name}.nir"
    network, report = import_with_report(path, steps=x.shape[1], source=source, reset=reset)
    assert report is not None
    for layer, wanted in zip(report.agreement(x), least, strict=True):
        assert layer.within_a_step >= wanted, layer
    program = cn.compile(network, chip="loihi1")
    assert program.verify(x[:2], ["reference", "loop", "brian2"]).equal


@published
@pytest.mark.parametrize(
    ("name", "options", "least"),
    [
        ("snntorch_leaky_subtract", {"bits": 10}, (0.99, 0.98)),
        ("snntorch_rleaky", {"bits": 8}, (0.94, 0.85)),  # without ways back in the fit: 0.92, 0.77
        ("snntorch_rleaky", {"bits": 12}, (0.99, 0.97)),
        ("sinabs_iaf", {"bits": 10, "spikes": 8}, (0.99, 0.98)),  # one spike a step: 0.94 in the second layer
    ],
)
def test_weights_chosen_on_samples_of_their_own(name: str, options: dict[str, Any], least: tuple[float, ...]) -> None:
    source, reset, _ = PACKAGES[name]
    with np.load(SHARED / "packages" / f"{name}.npz") as recorded:
        x = recorded["inputs"]
    other = (np.random.default_rng(5).random((300, *x.shape[1:])) < 0.15).astype(np.uint8)
    y = np.arange(len(other)) % 2
    data = Dataset("spikes", other, y, x, y[: len(x)], labels=(0, 1))
    path = SHARED / "packages" / f"{name}.nir"
    network, report = import_with_report(path, steps=x.shape[1], source=source, reset=reset, data=data, **options)
    assert report is not None
    for layer, wanted in zip(report.agreement(x), least, strict=True):
        assert layer.within_a_step >= wanted, layer
    assert cn.compile(network, chip="loihi1").verify(x[:1], ["reference", "loop"]).equal


@published
def test_a_wrong_guess_shows() -> None:
    layers = float_layers(nir.read(SHARED / "packages" / "snntorch_rleaky.nir", type_check=False))[1]
    with np.load(SHARED / "packages" / "snntorch_rleaky.npz") as recorded:
        found = simulate(layers, recorded["inputs"], convention("snntorch", None, "zero"))
        assert 0.9 < np.mean(found[0] == recorded["spikes0"]) < 0.95


@published
@pytest.mark.parametrize("name", ["braille_noDelay_bias_zero", "braille_noDelay_bias_zero_subgraph"])
def test_the_papers_recurrent_graph_in_both_notations(name: str) -> None:
    network, report = import_with_report(SHARED / "nir-paper" / f"{name}.nir", steps=64, source="paper")
    x = (np.random.default_rng(0).random((5, 64, 12)) < 0.15).astype(np.uint8)
    assert (network.n_in, network.n_classes, len(network.recurrent)) == (12, 7, 1)
    assert report is not None
    other = import_with_report(SHARED / "nir-paper" / "braille_noDelay_bias_zero.nir", steps=64, source="paper")[0]
    assert np.array_equal(network.forward(x), other.forward(x))


@published
def test_the_papers_convolutional_graph_compiles() -> None:
    network, _ = import_with_report(SHARED / "nir-paper" / "cnn_sinabs.nir", steps=6, source="sinabs")
    x = (np.random.default_rng(0).random((1, 6, network.n_in)) < 0.1).astype(np.uint8)
    assert np.array_equal(cn.compile(network, chip="auto").run(x).logits, network.forward(x))


@published
def test_the_papers_neuron_spikes_when_the_chip_does() -> None:
    network = cn.import_network(SHARED / "nir-paper" / "lif_norse.nir", steps=1000, source="paper")
    inputs = np.loadtxt(TRACE, delimiter=",")[:, 0].astype(np.uint8)
    assert np.flatnonzero(network.outputs(inputs[None, :, None])[-1]).tolist() == [460, 510, 710, 760]


def affine(rng: np.random.Generator, n_out: int, n_in: int) -> Any:
    return nir.Affine(rng.normal(0, 0.5, (n_out, n_in)), rng.normal(0, 0.05, n_out))


def neurons(rng: np.random.Generator, kind: str, n: int, dt: float) -> Any:
    tau, ones = dt / rng.uniform(0.05, 0.6, n), np.ones(n)
    threshold = rng.uniform(0.4, 1.5, n)
    leak = {"v_leak": rng.normal(0, 0.05, n)}
    if kind == "IF":
        return nir.IF(r=ones, v_threshold=threshold, v_reset=np.zeros(n))
    if kind == "LIF":
        return nir.LIF(tau=tau, r=rng.uniform(1, 4, n), v_threshold=threshold, v_reset=np.zeros(n), **leak)
    if kind == "LI":
        return nir.LI(tau=tau, r=ones, **leak)
    current = {"tau_syn": dt / rng.uniform(0.2, 0.9, n), "tau_mem": tau, "r": rng.uniform(1, 4, n), "w_in": ones}
    if kind == "CubaLI":
        return nir.CubaLI(**current, **leak)
    return nir.CubaLIF(**current, v_threshold=threshold, v_reset=np.zeros(n), **leak)


def random_graph(seed: int, dt: float) -> Any:
    """A chain of two layers, the first perhaps recurrent, as edges or as a nested graph."""
    rng = np.random.default_rng(seed)
    first = neurons(rng, str(rng.choice(["IF", "LIF", "CubaLIF"])), 6, dt)
    last = neurons(rng, str(rng.choice(["LIF", "CubaLIF", "LI", "CubaLI", "IF"])), 3, dt)
    nodes = {
        "in": nir.Input(np.array([5])),
        "w1": affine(rng, 6, 5),
        "n1": first,
        "w2": affine(rng, 3, 6),
        "n2": last,
        "out": nir.Output(np.array([3])),
    }
    edges = [("in", "w1"), ("w1", "n1"), ("n1", "w2"), ("w2", "n2"), ("n2", "out")]
    form = rng.integers(3)
    if form == 1:
        nodes["back"] = affine(rng, 6, 6)
        edges += [("n1", "back"), ("back", "n1")]
    if form == 2:
        inner = {
            "input": nir.Input(np.array([6])),
            "lif": first,
            "w": affine(rng, 6, 6),
            "output": nir.Output(np.array([6])),
        }
        between = [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")]
        nodes["n1"] = nir.NIRGraph(inner, between, type_check=False)
    return nir.NIRGraph(nodes, edges, type_check=False)


def slowly(graph: Any, spikes: np.ndarray, how: Convention) -> list[np.ndarray]:
    """NIR's equations, one number at a time, for the graphs of ``random_graph``."""
    nested = isinstance(graph.nodes["n1"], nir.NIRGraph)
    first = graph.nodes["n1"].nodes["lif"] if nested else graph.nodes["n1"]
    back = graph.nodes["n1"].nodes["w"] if nested else graph.nodes.get("back")
    found, below = [], spikes.astype(float)
    for weights, node, loop in ((graph.nodes["w1"], first, back), (graph.nodes["w2"], graph.nodes["n2"], None)):
        n, steps, _ = below.shape
        out = np.zeros((n, steps, len(weights.weight)))
        for sample in range(n):
            state = [[0.0, 0.0, 0.0] for _ in weights.weight]
            for step in range(steps):
                before = [s[2] for s in state]
                for i in range(len(weights.weight)):
                    total = float(weights.weight[i] @ below[sample, step]) + float(weights.bias[i])
                    if loop is not None:
                        total += sum(float(w) * s for w, s in zip(loop.weight[i], before, strict=True)) + float(
                            loop.bias[i]
                        )
                    out[sample, step, i] = _one(node, i, state[i], total, how)
        found.append(out)
        below = out
    return found


def _one(node: Any, i: int, state: list[float], total: float, how: Convention) -> float:
    kind = type(node).__name__
    u, v, sent = state
    if kind.startswith("Cuba"):
        u += how.dt / node.tau_syn[i] * (node.w_in[i] * total - u)
        v += how.dt / node.tau_mem[i] * (node.v_leak[i] - v + node.r[i] * u)
    elif kind == "IF":
        v += node.r[i] * total
    else:
        v += how.dt / node.tau[i] * (node.v_leak[i] - v + node.r[i] * total)
    if kind in ("LI", "CubaLI"):
        state[:] = [u, v, 0.0]
        return v
    theta = node.v_threshold[i]
    if how.reset == "subtract-late":
        v -= sent * theta
    fires = v > theta if how.strict else v >= theta
    count = max(np.floor(v / theta), 0.0) if how.several else float(fires)
    if how.reset == "zero":
        v = 0.0 if fires else v
    elif how.reset == "subtract":
        v -= count * theta
    state[:] = [u, v, count]
    return count


@pytest.mark.parametrize("seed", range(24))
def test_the_simulation_is_nirs_equations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    how = Convention(1e-3, RESETS[seed % 3], strict=bool(seed % 2), several=seed % 5 == 0)
    graph = random_graph(seed, how.dt)
    x = (rng.random((2, 12, 5)) < 0.4).astype(np.uint8)
    for found, expected in zip(simulate(float_layers(graph)[1], x, how), slowly(graph, x, how), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(24))
def test_integers_follow_the_simulation(seed: int, tmp_path: Path) -> None:
    graph = random_graph(100 + seed, 1e-3)
    path = tmp_path / "a.nir"
    nir.write(path, graph)
    reset = RESETS[seed % 3]
    network, report = import_with_report(path, steps=20, dt=1e-3, reset=reset)
    assert report is not None
    x = (np.random.default_rng(seed).random((20, 20, 5)) < 0.3).astype(np.uint8)
    first, *_ = report.agreement(x)
    assert first.within_a_step > 0.9
    program = cn.compile(network, chip="loihi1")
    assert np.array_equal(program.run(x).logits, network.forward(x))
    assert all(note.decay_error <= 0.5 / 4096 for note in report.rounded)
    fewer = import_with_report(path, steps=20, dt=1e-3, reset=reset, bits=3)[0]
    # Three bits are seven levels, whole multiples of a power of two, which leaves thresholds and biases finer.
    assert max(len(np.unique(layer.weight)) for layer in fewer.layers) <= 7
    assert all(np.gcd.reduce(layer.weight, axis=None) % 128 == 0 for layer in fewer.layers)


def chain(*nodes: Any, **named: Any) -> Any:
    """A graph of nodes, one behind the other, from an input of 2 to an output of 2."""
    names = {f"n{index}": node for index, node in enumerate(nodes)}
    every = {"in": nir.Input(np.array([2])), **names, "out": nir.Output(np.array([2])), **named}
    order = ["in", *names, "out"]
    return nir.NIRGraph(every, list(pairwise(order)), type_check=False)


EYE, TWO = nir.Linear(0.5 * np.eye(2)), np.ones(2)
LIF = nir.LIF(tau=TWO, r=TWO, v_leak=0 * TWO, v_threshold=TWO, v_reset=0 * TWO)
RESETS_TO_ONE = nir.LIF(tau=TWO, r=TWO, v_leak=TWO, v_threshold=TWO, v_reset=TWO)
LOW = nir.LI(tau=TWO, r=TWO, v_leak=TWO)
BELOW_ZERO = nir.LIF(tau=TWO, r=TWO, v_leak=TWO, v_threshold=-TWO, v_reset=0 * TWO)


def test_last_weights_without_neurons_add_up_all_steps(tmp_path: Path) -> None:
    """As a network that sinabs converted ends, and its users read it."""
    rng = np.random.default_rng(3)
    first, last = rng.integers(-3, 4, (2, 2)) / 4, rng.integers(-127, 128, (4, 2)) / 127
    bias = rng.integers(-9, 10, 4) / 127
    neurons = nir.IF(r=TWO, v_threshold=TWO)
    nir.write(tmp_path / "a.nir", chain(nir.Affine(first, np.zeros(2)), neurons, nir.Affine(last, bias)))
    assumed: list[str] = []
    network, found = import_with_report(tmp_path / "a.nir", steps=9, source="sinabs", spikes="one", assumed=assumed)
    x = rng.integers(0, 2, (20, 9, 2)).astype(np.uint8)
    expected, v = np.zeros((20, 4)), np.zeros((20, 2))
    for step in range(9):
        v = v + x[:, step] @ first.T
        fired = v >= 1
        v, expected = v - fired, expected + fired @ last.T + bias
    assert isinstance(found, SpikingImport)
    np.testing.assert_allclose(found.simulate(x)[-1][:, -1], expected, atol=1e-12)
    ours = network.forward(network.encode(x))
    np.testing.assert_allclose(ours / (64 * found.rounded[-1].scale[0]), expected, atol=0.02)
    np.testing.assert_allclose(found.float_logits(x) / (64 * found.rounded[-1].scale[0]), expected, atol=1e-12)
    assert any("sums over all steps are the logits" in line for line in assumed)


@pytest.mark.parametrize(
    ("graph", "options", "message"),
    [
        (lambda: chain(EYE, LIF), {"steps": None}, "give --steps T"),
        (lambda: chain(EYE, LIF), {"dt": None}, r"give --source \(snntorch, norse, .*, paper\), or --dt SECONDS"),
        (lambda: chain(EYE, LIF), {"source": "torch"}, "source 'torch': unknown"),
        (lambda: chain(EYE, LIF), {"reset": "late"}, "reset 'late': unknown; allowed: zero, subtract, subtract-late"),
        (lambda: chain(EYE, LIF), {"bits": 13}, "bits 13"),
        (lambda: chain(EYE, LIF), {"dt": 2.0}, "time constant below dt"),
        (lambda: chain(EYE, LIF), {"dt": -1.0}, "dt -1.0"),
        (lambda: chain(LIF), {}, "neurons without weights before them"),
        (
            lambda: chain(EYE, RESETS_TO_ONE),
            {},
            "v_reset other than 0",
        ),
        (lambda: chain(EYE, BELOW_ZERO), {}, "not above 0"),
        (lambda: chain(EYE, nir.I(r=TWO), EYE, LIF), {}, "stand last only"),
        (
            lambda: chain(EYE, LOW, EYE, LIF),
            {"dt": None, "source": "snntorch", "reset": "zero"},
            "snntorch has no current",
        ),
        (lambda: chain(EYE, LOW, EYE, LOW, EYE, LIF), {}, "no LI before it"),
        (lambda: chain(EYE, LIF, EYE, LOW, EYE), {}, "weights behind LI lead to the output"),
        (lambda: chain(EYE, LOW, nir.Affine(np.eye(2), TWO), nir.IF(r=TWO, v_threshold=TWO)), {}, "bias behind LI"),
        (lambda: chain(nir.Linear(np.eye(3)), LIF), {}, r"weight \(3, 3\), inputs of shape \(2,\)"),
        (lambda: chain(EYE, LIF, nir.Delay(TWO), EYE, LIF), {}, "Delay has no counterpart"),
        (lambda: chain(nir.Linear(np.full((2, 2), np.nan)), LIF), {}, "NaN"),
    ],
)
def test_what_has_no_counterpart_is_one_line(graph: Any, options: dict, message: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", graph())
    given = {"steps": 4, "dt": 0.1, **options}
    with pytest.raises(ConntraError, match=message) as found:
        cn.import_network(tmp_path / "a.nir", **{name: value for name, value in given.items() if value is not None})
    assert "\n" not in str(found.value)


def test_an_exact_graph_stays_exact(tmp_path: Path) -> None:
    network = cn.DiscreteNetwork([cn.Dense([[1, -1]]), cn.Dense([[1], [2]], activation="readout")])
    cn.export(network, tmp_path / "a.nir")
    again, report = import_with_report(tmp_path / "a.nir")
    assert report is None
    assert np.array_equal(again.forward([[1, 0]]), network.forward([[1, 0]]))
    with pytest.raises(ConntraError, match="--source is of graphs with spiking neurons"):
        cn.import_network(tmp_path / "a.nir", source="snntorch")


def test_the_command_line_says_what_was_lost(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    import json

    nir.write(tmp_path / "a.nir", random_graph(7, 1e-4))
    rng = np.random.default_rng(0)
    x, y = (rng.random((12, 10, 5)) < 0.3).astype(np.uint8), np.arange(12) % 3
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    given = ["import", str(tmp_path / "a.nir"), "--steps", "10", "--source", "paper", "--out", str(tmp_path / "m")]
    assert main([*given, "--data", f"npz:{tmp_path / 'd.npz'}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["exact"] is False
    assert [note["name"] for note in document["rounded"]] == ["n1", "n2"] or document["rounded"][0]["name"].startswith(
        "n1"
    )
    assert 0 <= document["float_accuracy"] <= 1
    assert document["agreement"][0]["equal"] > 0.9
    assert main([*given, "--data", f"npz:{tmp_path / 'd.npz'}"]) == 0
    assert "weights rounded" in capsys.readouterr().out


def test_ternary_by_name_and_targets(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    nir.write(tmp_path / "a.nir", random_graph(7, 1e-4))
    given = ["import", str(tmp_path / "a.nir"), "--steps", "10", "--source", "paper", "--out", str(tmp_path / "m")]
    assert main([*given, "--levels", "ternary"]) == 0
    for layer in cn.load(tmp_path / "m").layers:
        assert len(np.unique(np.abs(layer.weight))) <= 2
    capsys.readouterr()
    wrong = {
        ("--levels", "binary"): "ternary allowed",
        ("--levels", "ternary", "--bits", "4"): "ternary allowed, without --bits",
        ("--repair", "1", "--data", f"npz:{tmp_path / 'd.npz'}", "--targets", "flaot"): "did you mean float",
        ("--spikes", "many"): "allowed: one, several",
        ("--data", f"npz:{tmp_path / 'd.npz'}", "--steps", "9"): "give --steps of DATA",
    }
    x, y = (np.random.default_rng(0).random((12, 10, 5)) < 0.3).astype(np.uint8), np.arange(12) % 3
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    for options, message in wrong.items():
        assert main([*given, *options]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("tau", "source"), [(8.0, "sinabs"), (1e-5, "norse"), (2e-3, "paper"), (np.inf, "paper"), (1e-4, "paper")]
)
def test_the_source_is_guessed_and_said(tau: float, source: str, tmp_path: Path) -> None:
    plain = {"r": TWO, "v_threshold": TWO, "v_reset": 0 * TWO}
    if np.isinf(tau):
        graph = chain(EYE, nir.IF(**plain), EYE, nir.I(r=TWO))
    else:
        node = nir.LIF(tau=tau * TWO, v_leak=0 * TWO, **plain)
        graph = chain(EYE, node, EYE, nir.LI(tau=tau * TWO, r=TWO, v_leak=0 * TWO))
    nir.write(tmp_path / "a.nir", graph)
    assumed: list[str] = []
    network, report = import_with_report(tmp_path / "a.nir", assumed=assumed)
    assert report is not None
    assert report.convention == convention(source, None, None)
    assert network.steps == 32
    assert [line.split(" (")[0] for line in assumed] == [
        "32 time steps a sample, which the file does not say",
        f"source {source}",
    ]
    assumed.clear()
    import_with_report(tmp_path / "a.nir", assumed=assumed, steps=4, source=source)
    assert assumed == []


FILES = (
    sorted(path for path in SHARED.rglob("*") if path.suffix in (".nir", ".onnx", ".net")) if SHARED.is_dir() else []
)


@published
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_published_network_comes_without_an_option(path: Path, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("onnx")
    assert main(["import", str(path), "--out", str(tmp_path / "a.conntra"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["assumed"]
    cuba = path.name in ("oxford.net", "mnist_cuba.net")  # whose rule at the threshold depends on lava-dl's version
    assert len(said) == {".nir": 2, ".net": 2 if cuba else 1, ".onnx": 0}[path.suffix]
    assert cn.load(tmp_path / "a.conntra").n_in > 0

"""Repair of imported networks: stages compute what the network does, and what comes back is never worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError
from conntra_hardware.neurons import Lif, Readout
from conntra_neuro.datasets import Dataset, load_dataset
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.onnx.graph import load_graph
from conntra_neuro.exchange.relu import repair as module
from conntra_neuro.exchange.relu.calibrate import calibrated
from conntra_neuro.exchange.relu.read import read_float_net
from conntra_neuro.exchange.relu.repair import repair_ints
from conntra_neuro.exchange.relu.spiking import calibrated_over_time
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, SumPool
from conntra_neuro.training.repair import loop
from conntra_neuro.training.repair import network as networks
from conntra_neuro.training.repair.loop import _softmax
from conntra_neuro.training.repair.network import repair_network
from conntra_neuro.training.threads import Threads

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import float_graphs
import onnx

FILES = Path(__file__).parents[1] / "data" / "float_onnx"


def random_ints(seed: int, folder: Path) -> tuple[Any, np.ndarray]:
    onnx.save(float_graphs.random_graph(seed), folder / "net.onnx")
    net = read_float_net(load_graph(folder / "net.onnx"))
    x = np.random.default_rng(seed).integers(0, 256, (60, len(net.order))).astype(np.uint8)
    return calibrated(net, x, 255.0, bits=4)[0], x


# 26 has groups behind a shift, which no import takes.
@pytest.mark.parametrize("seed", [seed for seed in range(0, 60, 2) if seed != 26])
def test_stages_compute_what_the_network_does_and_go_back_as_they_came(seed: int, tmp_path: Path) -> None:
    ints, x = random_ints(seed, tmp_path)
    stages = module._stages(ints, 4)
    y = module._entering(ints, x)
    with Threads(1) as threads:
        for stage in stages:
            y, _ = stage.forward(y, threads)
    assert np.array_equal(y, ints.network().forward(ints.network().encode(x)))
    for before, after in zip(ints.layers, module._layers(ints, stages), strict=True):
        assert np.array_equal(before.weight, after.weight)
        assert np.array_equal(before.bias, after.bias)


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 8, 10, 15, 17, 25, 29, 34])  # the others have maxima, or are alike
def test_stages_over_time_compute_what_the_network_does_and_go_back_as_they_came(seed: int, tmp_path: Path) -> None:
    """Integrate-and-fire neurons: spike for spike, with averages, groups, and a channel that always sends."""
    onnx.save(float_graphs.random_graph(seed), tmp_path / "net.onnx")
    net = read_float_net(load_graph(tmp_path / "net.onnx"))
    x = np.random.default_rng(seed).integers(0, 256, (30, len(net.order))).astype(np.uint8)
    ints = calibrated_over_time(net, x, 255.0, 9, bits=4)[0]
    stages = module._stages(ints, 4)
    y, shapes = module._entering(ints, x), []
    with Threads(1) as threads:
        traces = []
        for stage in stages:
            shapes.append(y.shape)
            y, trace = stage.forward(y, threads)
            traces.append(trace)
        assert np.array_equal(y, ints.network().forward(ints.network().encode(x)))
        gain = np.ones_like(y)
        for stage, trace, shape in zip(stages[::-1], traces[::-1], shapes[::-1], strict=True):
            terms = stage.backward(gain, trace, threads)
            assert stage.scores(terms, trace).shape == stage.weight.shape
            gain = stage.down(terms, shape[0], shape, threads)
            assert gain.shape == (len(x), *shape[1:])
    for before, after in zip(ints.layers, module._layers(ints, stages), strict=True):
        assert np.array_equal(before.weight, after.weight)
        assert np.array_equal(before.bias, after.bias)


@pytest.mark.parametrize("seed", [3, 10, 22, 33, 41])
def test_scores_are_the_slope_of_the_objective(seed: int, tmp_path: Path) -> None:
    """Where nothing is rounded or cut (no shift, all above 0): against differences, weight by weight."""
    ints, x = random_ints(seed, tmp_path)
    stages = module._stages(ints, 4)
    for stage in stages[:-1]:
        assert stage.shift is not None
        assert stage.ceiling is not None
        stage.shift, stage.ceiling = np.zeros_like(stage.shift), np.full_like(stage.ceiling, 2**22)
        stage.weight[:-1] = np.clip(stage.weight[:-1], 0, 2)
        stage.weight[-1] = 1
    given = module._images(ints, ints.code.rows(x[:3]) % 3)
    wanted = np.full((3, stages[-1].weight.shape[1]), 1 / stages[-1].weight.shape[1], np.float32)

    def objective() -> float:
        y = given
        with Threads(1) as threads:
            for stage in stages:
                y, _ = stage.forward(y, threads)
        return -float((wanted * np.log(_softmax(y.astype(np.float64) * scale))).sum())

    scale = 1.0
    with Threads(1) as threads:
        y, traces, shapes = given, [], []
        for stage in stages:
            shapes.append(y.shape)
            y, trace = stage.forward(y, threads)
            traces.append(trace)
        scale = float(1 / max(np.abs(y - y.mean(axis=1, keepdims=True)).max(), 1))
        gain = (_softmax(y * scale) - wanted).astype(np.float32)
        for index in range(len(stages) - 1, -1, -1):
            terms = stages[index].backward(gain, traces[index], threads)
            scores = stages[index].scores(terms, traces[index])
            place = np.unravel_index(np.abs(scores).argmax(), scores.shape)
            if index == len(stages) - 1 and abs(scores[place]) * scale > 1e-3:
                before = stages[index].weight[place]
                stages[index].weight[place] = before + 0.01
                up = objective()
                stages[index].weight[place] = before - 0.01
                slope = (up - objective()) / 0.02
                stages[index].weight[place] = before
                assert slope == pytest.approx(scale * float(scores[place]), rel=0.02)
            if index:
                gain = stages[index].down(terms, 3, shapes[index], threads)
                assert gain.shape == shapes[index]


def test_ternary_is_repaired_and_never_worse() -> None:
    data = load_dataset("digits")
    net = read_float_net(load_graph(FILES / "sklearn_digits.onnx"))
    ints, _ = calibrated(net, data.x_train.reshape(len(data.x_train), -1), 1.0, bits=2)
    x = data.x_train.reshape(len(data.x_train), -1)
    after, how = repair_ints(ints, x, data.y_train, 2, batches=400)
    assert how.after <= how.before
    assert how.after[0] < how.before[0]
    network = after.network(data.labels)
    assert cn.check(network, chip="loihi2").fits
    assert all(np.abs(layer.weight).max() <= 1 for layer in network.layers[1:])
    test = data.x_test.reshape(len(data.x_test), -1)
    assert network.error(test, data.y_test) < ints.network(data.labels).error(test, data.y_test)


def test_nothing_is_kept_that_is_worse() -> None:
    """All weights thrown about: the network that comes back is the one that went in, or a better one."""
    data = load_dataset("digits")
    net = read_float_net(load_graph(FILES / "sklearn_digits.onnx"))
    x = data.x_train.reshape(len(data.x_train), -1)
    ints, _ = calibrated(net, x, 1.0)
    after, how = repair_ints(ints, x, data.y_train, 8, batches=40, fraction=0.9)
    assert how.after <= how.before
    if how.after == how.before:
        assert all(np.array_equal(a.weight, b.weight) for a, b in zip(ints.layers, after.layers, strict=True))


def test_the_same_seed_gives_the_same_repair() -> None:
    data = load_dataset("digits")
    net = read_float_net(load_graph(FILES / "sklearn_digits.onnx"))
    x = data.x_train.reshape(len(data.x_train), -1)
    ints, _ = calibrated(net, x, 1.0, bits=3)
    one, two = (repair_ints(ints, x, data.y_train, 3, 5, batches=30)[0] for _ in range(2))
    assert all(np.array_equal(a.weight, b.weight) for a, b in zip(one.layers, two.layers, strict=True))
    assert any((a.weight != b.weight).any() for a, b in zip(ints.layers, one.layers, strict=True))


def test_before_after_and_float_stand_in_the_report() -> None:
    data = load_dataset("digits")
    _, found = import_with_report(FILES / "sklearn_digits.onnx", data=data, bits=2, repair=1.0, scale=1.0)
    report = found.compared(data)  # type: ignore[union-attr]
    assert report["repair"]["after"][0] <= report["repair"]["before"][0]
    assert {"accuracy", "accuracy_before_repair", "float_accuracy"} <= set(report)
    json.dumps(report)


def test_repair_takes_seconds_above_0() -> None:
    with pytest.raises(ConntraError, match="more than 0 expected"):
        import_with_report(FILES / "sklearn_digits.onnx", data=load_dataset("digits"), repair=-1.0, scale=1.0)


def events(classes: int = 4, steps: int = 12, features: int = 20, n: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """Spikes over time whose rates tell classes apart."""
    rng = np.random.default_rng(0)
    rates, y = rng.random((classes, features)) * 0.5, rng.integers(0, classes, n)
    return (rng.random((n, steps, features)) < rates[y][:, None]).astype(np.uint8), y


def test_leaky_neurons_are_repaired() -> None:
    """A trained network, a third of whose weights were thrown about, finds back."""
    x, y = events()
    data = Dataset("events", x[:700], y[:700], x[700:], y[700:], labels=(0, 1, 2, 3))
    options: dict[str, Any] = {"layers": [16], "neuron": "lif:400:1024", "encoder": None, "levels": 7, "sweeps": 8}
    trained = cn.train(data, **options).network
    rng, layers = np.random.default_rng(1), []
    for layer in trained.layers:
        weight = np.where(rng.random(layer.weight.shape) < 0.35, rng.integers(-3, 4, layer.weight.shape), layer.weight)
        layers.append(Dense(weight, layer.bias, layer.neuron))
    broken = DiscreteNetwork(layers, steps=trained.steps)
    after, how = repair_network(broken, data.x_train, data.y_train, batches=300)
    assert how.after <= how.before
    assert after.error(data.x_test, data.y_test) < broken.error(data.x_test, data.y_test) - 0.1
    assert cn.check(after, chip="loihi1").fits


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("counted", [False, True])
def test_convolutions_over_time_are_stages_alike(reset: Any, counted: bool) -> None:
    rng = np.random.default_rng(5)
    threshold = rng.integers(3, 9, 3)
    leaky = Lif(threshold, voltage_decay=500, current_decay=3000, reset=reset)
    ends = Lif(4, voltage_decay=300) if counted else Readout("last", voltage_decay=200, current_decay=4096)
    network = DiscreteNetwork(
        [
            Conv2d(rng.integers(-3, 4, (3, 2, 3, 3)), rng.integers(-2, 3, 3), leaky, input_shape=(2, 6, 6), padding=1),
            SumPool(2, input_shape=(3, 6, 6)),
            Dense(rng.integers(-3, 4, (5, 27)), rng.integers(-2, 3, 5), Lif(rng.integers(2, 6, 5), voltage_decay=900)),
            Dense(rng.integers(-3, 4, (4, 5)), None, ends),
        ],
        steps=7,
    )
    x = rng.integers(0, 2, (11, 7, 72)).astype(np.uint8)
    stages, places = networks._stages(network)
    y = network.encode(x).astype(np.float32).reshape(-1, 2, 6, 6).transpose(0, 2, 3, 1)
    with Threads(1) as threads:
        for stage in stages:
            y, trace = stage.forward(y, threads)
            gains = stage.backward(np.ones_like(y), trace, threads)
            assert stage.scores(gains, trace).shape == stage.weight.shape
    assert np.array_equal(y, network.forward(network.encode(x)))
    for stage, (index, shape) in zip(stages, places, strict=True):
        same = networks._layer(network.layers[index], stage, shape)
        assert np.array_equal(same.weight, network.layers[index].weight)  # type: ignore[union-attr]


def test_a_spiking_graph_is_repaired_beside_its_import(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir")
    rng = np.random.default_rng(2)
    x, y = events(classes=2)
    ones = np.ones(2)
    neurons = nir.LIF(tau=4 * ones, r=4 * ones, v_leak=0 * ones, v_threshold=0.9 * ones)
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([20])),
            "fc": nir.Affine(rng.normal(size=(2, 20)) * 0.2, np.zeros(2)),
            "lif": neurons,
            "output": nir.Output(np.array([2])),
        },
        [("input", "fc"), ("fc", "lif"), ("lif", "output")],
    )
    nir.write(tmp_path / "net.nir", graph)
    data = Dataset("events", x[:700], y[:700], x[700:], y[700:], labels=(0, 1))
    options: dict[str, Any] = {"steps": 12, "dt": 1.0, "bits": 3}
    network, _ = import_with_report(tmp_path / "net.nir", **options)
    after, found = import_with_report(tmp_path / "net.nir", **options, data=data, repair=2.0)
    assert found is not None
    assert found.repair is not None
    assert found.repair.after <= found.repair.before
    assert after.error(data.x_test, data.y_test) <= network.error(data.x_test, data.y_test)
    with pytest.raises(ConntraError, match="give --data"):
        import_with_report(tmp_path / "net.nir", **options, repair=2.0)


def test_all_held_out_samples_decide_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are looked at on the way, what comes back is no worse on all of them than what went in."""
    monkeypatch.setattr(loop, "_FEW", 5)
    monkeypatch.setattr(loop, "_SHARE", 1e-9)
    data = load_dataset("digits")
    net = read_float_net(load_graph(FILES / "sklearn_digits.onnx"))
    x = data.x_train.reshape(len(data.x_train), -1)
    ints, _ = calibrated(net, x, 1.0, bits=2)
    after, how = repair_ints(ints, x, data.y_train, 2, seconds=1.0, fraction=0.05)
    _, held = networks.held_rows(len(x), 0)
    assert how.held_out == len(held)
    wrong = [float((chain.network().predict(x[held]) != data.y_train[held]).mean()) for chain in (ints, after)]
    assert wrong[1] <= wrong[0]
    assert (how.before[0], how.after[0]) == pytest.approx(tuple(wrong))


@pytest.mark.parametrize("seed", range(6))
def test_stages_with_ways_back_and_units_compute_what_the_network_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unit = int(rng.choice([1, 4, 64]))
    options: dict[str, Any] = {"voltage_decay": 300, "current_decay": int(rng.choice([4096, 900]))}
    options["reset"] = str(rng.choice(["hard", "soft"]))
    window: dict[str, Any] = {"input_shape": (2, 4, 3), "padding": 1}
    hidden = Conv2d(
        unit * rng.integers(-3, 4, (3, 2, 3, 3)), rng.integers(-9, 9, 3), Lif(9 * unit, **options), **window
    )
    last = Dense(unit * rng.integers(-3, 4, (4, 36)), rng.integers(-9, 9, 4), Lif(5 * unit, **options))
    back = rng.integers(-3, 4, (36, 36)) * (np.eye(36, dtype=int) if seed % 2 else 1)
    loops = [cn.Recurrent(0, unit * back, rng.integers(0, 3, (36, 36))), cn.Recurrent(1, -unit * np.eye(4, dtype=int))]
    network = DiscreteNetwork([hidden, last], steps=6, recurrent=loops)
    stages, places = networks._stages(network)
    assert [stage.unit for stage in stages] == [unit, unit]  # type: ignore[attr-defined]
    x = (rng.random((20, 6, 24)) < 0.4).astype(np.uint8)
    y = network.encode(x).astype(np.float32).reshape(-1, 2, 4, 3).transpose(0, 2, 3, 1)
    with Threads(1) as threads:
        for stage in stages:
            y, _ = stage.forward(np.ascontiguousarray(y), threads)
    assert np.array_equal(y, network.forward(x))
    for layer, stage, (_, before) in zip(network.layers, stages, places, strict=True):
        again = networks._layer(layer, stage, before)
        assert np.array_equal(again.weight, layer.weight)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("repair_of_60_batches")
def test_integrate_and_fire_is_repaired() -> None:
    data = load_dataset("digits")
    options: dict[str, Any] = {"data": data, "bits": 2, "neuron": "if12", "scale": 1.0}
    _, found = import_with_report(FILES / "sklearn_digits.onnx", **options, repair=4.0)
    report = found.compared(data)  # type: ignore[union-attr]
    assert report["repair"]["after"][0] < report["repair"]["before"][0]
    assert report["accuracy"] > report["accuracy_before_repair"]
    assert cn.check(found.network, chip="loihi1").fits  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(6))
def test_stages_of_residual_networks_compute_what_the_network_does(seed: int, tmp_path: Path) -> None:
    onnx.save(float_graphs.residual_graph(seed), tmp_path / "net.onnx")
    net = read_float_net(load_graph(tmp_path / "net.onnx"))
    x = np.random.default_rng(seed).integers(0, 256, (60, len(net.order))).astype(np.uint8)
    ints = calibrated(net, x, 255.0, bits=4)[0]
    stages, y = module._stages(ints, 4), module._entering(ints, x)
    with Threads(1) as threads:
        for stage in stages:
            y, _ = stage.forward(y, threads)
    assert np.array_equal(y, ints.network().forward(ints.network().encode(x)))
    after, how = repair_ints(ints, x, np.arange(60) % net.layers[-1].size, 4, batches=20, fraction=0.02)
    assert how.after <= how.before
    assert cn.check(after.network(), chip="loihi2").fits

"""Activations and inputs of several values: onnxruntime on random graphs, qonnx's own logits on published ones."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.exchange.onnx.graph import Node
from conntra_neuro.exchange.onnx.ops import evaluate_constant, evaluate_elementwise
from conntra_neuro.exchange.onnx.values import factored
from conntra_neuro.network.layers import Dense

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnx_graphs

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "networks" / "qonnx"
# Of another number of images where the variable names a file of scripts/record_qonnx.py.
RECORDED = Path(os.environ.get("CONNTRA_QONNX_RECORD", Path(__file__).parents[1] / "data" / "qonnx" / "logits.npz"))
published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published networks are not here")


def quantised(b: onnx_graphs.Builder, steps: int, unit: float) -> None:
    """An activation of ``steps`` + 1 values, ``unit`` apart, as round and clip or as ReLU, floor and minimum."""
    if b.rng.random() < 0.5:
        b.add("Div", "", b.constant(unit))
        b.add("Round")
        low = -(steps // 2)
        b.add("Clip", "", b.constant(low), b.constant(low + steps))
        b.add("Mul", "", b.constant(unit))
        return
    b.add("Relu")
    b.add("Mul", "", b.constant(1 / unit))
    b.add("Floor")
    b.add("Min", "", b.constant(float(steps)))


def random_graph(seed: int, path: Path) -> tuple[object, int]:
    """A dense network whose inputs and activations take two to eight values, normalised with either sign."""
    b = onnx_graphs.Builder(seed)
    sizes = [int(b.rng.integers(3, 12)) for _ in range(int(b.rng.integers(2, 4)))]
    b.add("Mul", "", b.constant(2.0))
    b.add("Sub", "", b.constant(1.0))
    quantised(b, int(b.rng.integers(1, 5)), 0.5)
    for before, after in pairwise(sizes):
        weight = b.rng.integers(-3, 4, (before, after)) * float(b.rng.choice([0.25, 1.0, 0.125]))
        b.add("MatMul", "", b.constant(weight))
        b.normalise(after, np.sqrt(before))
        quantised(b, int(b.rng.integers(1, 8)), float(b.rng.choice([0.25, 0.5, 1.0])))
    b.add("MatMul", "", b.constant(b.rng.integers(-3, 4, (sizes[-1], 4)).astype(float)))
    model = b.model((sizes[0],), 4)
    onnx.save(model, path)
    return model, sizes[0]


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_of_several_levels(seed: int, tmp_path: Path) -> None:
    model, n_in = random_graph(seed, tmp_path / "a.onnx")
    network = cn.import_network(tmp_path / "a.onnx")
    x = np.random.default_rng(seed).random((200, n_in))
    expected = onnx_graphs.logits(model, x)
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-4  # ties of sums in float32 have no order
    np.testing.assert_array_equal(network.predict(x)[clear], expected.argmax(axis=1)[clear])
    program = cn.compile(network, chip="loihi1")
    assert np.array_equal(program.run(x).logits, network.forward(network.encode(x)))
    graded = cn.import_network(tmp_path / "a.onnx", neuron="multithreshold")
    assert np.array_equal(graded.forward(graded.encode(x)), network.forward(network.encode(x)))
    split = cn.compile(graded, chip="loihi1")
    assert [p.size for p in split.populations] == [p.size for p in program.populations]
    assert np.array_equal(split.run(x).logits, program.run(x).logits)
    assert np.array_equal(cn.compile(graded, chip="loihi2").run(x).logits, program.run(x).logits)


def test_convolutions_of_several_levels(tmp_path: Path) -> None:
    for seed in range(8):
        b = onnx_graphs.Builder(seed)
        b.add("Conv", "", b.constant(b.ternary(3, 1, 3, 3)), kernel_shape=[3, 3])
        b.normalise(3, 2.0)
        b.add("Relu")
        b.add("Round")
        b.add("Min", "", b.constant(3.0))
        b.add("Conv", "", b.constant(b.ternary(2, 3, 2, 2)), kernel_shape=[2, 2])
        b.normalise(2, 2.0)
        b.add("Sign")
        b.add("Flatten", "", axis=1)
        b.add("Gemm", "", b.constant(b.ternary(3, 18)), transB=1)
        model = b.model((1, 6, 6), 3)
        onnx.save(model, tmp_path / "a.onnx")
        x = (b.rng.random((100, 1, 6, 6)) < 0.5).astype(float)
        expected = onnx_graphs.logits(model, x).argmax(axis=1)
        for neuron in ("threshold", "multithreshold"):
            network = cn.import_network(tmp_path / "a.onnx", neuron=neuron)
            assert neuron == "threshold" or network.layers[0].n_out == 3 * 16
            np.testing.assert_array_equal(network.predict(x.reshape(100, -1)), expected)


def test_sums_over_windows_and_maxima_of_graded_spikes(tmp_path: Path) -> None:
    """An average is a sum of graded spikes; before a maximum, which takes 0/1 spikes, neurons stay one by one."""
    for seed in range(4):
        b = onnx_graphs.Builder(seed)
        b.add("Conv", "", b.constant(b.ternary(3, 1, 3, 3)), kernel_shape=[3, 3])
        b.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        b.add("Relu")
        b.add("Min", "", b.constant(3.0))
        b.add("Conv", "", b.constant(b.ternary(4, 3, 1, 1)), kernel_shape=[1, 1])
        b.normalise(4, 2.0)
        quantised(b, 3, 1.0)
        b.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        b.add("Flatten", "", axis=1)
        b.add("Gemm", "", b.constant(b.ternary(3, 16)), transB=1)
        model = b.model((1, 10, 10), 3)
        onnx.save(model, tmp_path / "a.onnx")
        x = (b.rng.random((100, 1, 10, 10)) < 0.5).astype(float)
        network = cn.import_network(tmp_path / "a.onnx", neuron="multithreshold")
        kinds = [layer.neuron.kind for layer in network.layers if layer.neuron is not None]
        assert kinds == ["threshold", "threshold", "multi_threshold", "readout"]
        expected = onnx_graphs.logits(model, x)
        best = np.sort(expected, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-4
        found = network.predict(x.reshape(100, -1))
        np.testing.assert_array_equal(found[clear], expected.argmax(axis=1)[clear])


def test_words_for_neurons(tmp_path: Path) -> None:
    random_graph(3, tmp_path / "a.onnx")
    assert cn.import_network(tmp_path / "a.onnx", neuron="relu").layers[0].neuron == cn.Threshold()
    with pytest.raises(InputError, match="neuron 'multi': unknown; threshold or multithreshold expected"):
        cn.import_network(tmp_path / "a.onnx", neuron="multi")


def test_several_steps_are_as_many_neurons_of_the_same_weights(tmp_path: Path) -> None:
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant([[1.0, -1.0], [1.0, 1.0], [1.0, 0.0]]))
    b.add("Relu")
    b.add("Min", "", b.constant(2.0))
    b.add("MatMul", "", b.constant([[1.0, 0.0], [0.0, 2.0]]))
    onnx.save(b.model((3,), 2), tmp_path / "a.onnx")
    first, last = cn.import_network(tmp_path / "a.onnx").layers
    assert isinstance(first, Dense)
    assert isinstance(last, Dense)
    assert first.weight.tolist() == [[1, 1, 1], [-1, 1, 0]] * 2
    assert first.bias.tolist() == [0, 0, -1, -1]  # at least 1, at least 2
    assert np.array_equal(last.weight[:, :2], last.weight[:, 2:])


def test_weights_of_8_bits_and_no_more() -> None:
    """Units may be finer than the least weight; 256 different weights are the most."""
    whole, scale = factored(np.array([[0.75, 0.5, -1.75], [0.0, 3.0, 1.5]]), "weights")
    assert whole.tolist() == [[3, 2, -7], [0, 2, 1]]
    assert scale.tolist() == [0.25, 1.5]
    with pytest.raises(InputError, match="320 different weights; 256 at most"):
        factored((np.arange(-160, 160).reshape(2, 160) + 0.0) / 64, "weights")
    with pytest.raises(InputError, match="row 1 has weights that are no small multiples"):
        factored(np.array([[0.5, 1.0], [0.1234, 0.777]]), "weights")


def test_a_scale_of_the_features(tmp_path: Path) -> None:
    b = onnx_graphs.Builder(0)
    b.add("Clip", "", b.constant(0.0), b.constant(1.0))
    b.add("Round")
    b.add("MatMul", "", b.constant([[1.0, -1.0], [-1.0, 1.0]]))
    onnx.save(b.model((2,), 2), tmp_path / "a.onnx")
    network = cn.import_network(tmp_path / "a.onnx", scale=255)
    assert network.encode([[127, 128]]).tolist() == [[0, 1]]
    for wrong in (0, -1, float("nan"), "255"):
        with pytest.raises(InputError, match="scale"):
            cn.import_network(tmp_path / "a.onnx", scale=wrong)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (("Abs",), "rises and falls again"),
        ((("Mul", 0.3), "Exp"), "Exp"),
        ((("Mul", 100.0), "Relu"), "64 at most|values"),
    ],
)
def test_what_is_no_staircase_is_refused(nodes: tuple, message: str, tmp_path: Path) -> None:
    b = onnx_graphs.Builder(0)
    n = 90 if "64" in message else 6
    b.add("MatMul", "", b.constant(np.ones((n, 2))))
    b.add("Sub", "", b.constant(3.0))
    for node in nodes:
        op, *constants = (node,) if isinstance(node, str) else node
        b.add(op, "", *map(b.constant, constants))
    b.add("MatMul", "", b.constant(np.eye(2)))
    onnx.save(b.model((n,), 2), tmp_path / "a.onnx")
    with pytest.raises(FileFormatError, match=message):
        cn.import_network(tmp_path / "a.onnx")


def test_finns_multi_threshold() -> None:
    """By its definition: how many thresholds are reached, scaled and shifted."""
    node = Node("MultiThreshold", "m", ("x", "t"), ("y",), {"out_scale": 2.0, "out_bias": -1.0})
    x = np.array([[-1.0, 0.0, 0.5, 3.0]]).T
    thresholds = np.array([[0.0, 0.5, 2.0]])
    assert evaluate_elementwise(node, [x, thresholds]).ravel().tolist() == [-1, 1, 3, 5]


def test_constants_are_folded_by_onnx_itself() -> None:
    node = Node("ReduceSum", "r", ("x",), ("y",), {"keepdims": 0})
    assert evaluate_constant(node, [np.array([1.0, 2.0, 4.0], np.float32)]) == 7
    with pytest.raises(InputError, match="operator Nonsense on constants cannot be folded"):
        evaluate_constant(Node("Nonsense", "n", ("x",), ("y",), {}), [np.ones(2)])


@published
@pytest.mark.parametrize("neuron", ["threshold", "multithreshold"])
@pytest.mark.parametrize(("name", "scale"), [("TFC_1W1A", 255.0), ("TFC_1W2A", 255.0), ("finn_tfc", 1.0)])
def test_published_networks_order_the_logits_as_qonnx_does(name: str, scale: float, neuron: str) -> None:
    """Validation images of MNIST; logits of the qonnx package, by scripts/record_qonnx.py."""
    with np.load(RECORDED) as recorded:
        expected, images = recorded[name], recorded["images"]
    network = cn.import_network(PUBLISHED / f"{name}.onnx", scale=scale, neuron=neuron)
    found = network.forward(network.encode(images))
    if name == "TFC_1W2A" and neuron == "multithreshold":
        assert [layer.neuron.kind for layer in network.layers[:-1]] == ["multi_threshold"] * 3
        assert [layer.n_out for layer in network.layers] == [64, 64, 64, 10]
    for chip in ("loihi1", "loihi2"):
        assert np.array_equal(cn.compile(network, chip).run(images[:50]).logits, found[:50])
    if expected.shape[1] == 1:  # the class alone
        assert np.array_equal(found.argmax(axis=1), expected[:, 0])
        return
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(*np.triu_indices(10, 1), strict=True):
            apart = theirs[one] - theirs[other]
            if abs(apart) > 1e-4:
                assert (ours[one] > ours[other]) == (apart > 0)


@published
def test_jet_tagging_is_what_qonnx_says() -> None:
    """Six-bit weights and activations of up to 64 values, on inputs of 0 and 1."""
    with np.load(RECORDED) as recorded:
        expected, x = recorded["qkeras"], recorded["qkeras_x"]
    network = cn.import_network(PUBLISHED / "qkeras_jettagging.onnx")
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-5
    assert np.array_equal(network.predict(x)[clear], expected.argmax(axis=1)[clear])

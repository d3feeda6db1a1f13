"""Branches that are added up, zeros around what is never 0, Trunc, wide biases, scales of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.datasets import Dataset
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.onnx.graph import Node, load_graph
from conntra_neuro.exchange.onnx.ops import evaluate_elementwise
from conntra_neuro.exchange.relu.calibrate import calibrated
from conntra_neuro.exchange.relu.read import read_float_net

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import float_graphs
import onnx
import onnx_branches
import onnx_graphs
from onnx.reference import ReferenceEvaluator


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("style", ["residual", "dense"])
def test_random_graphs_with_branches(style: str, seed: int, tmp_path: Path) -> None:
    """Every class is onnxruntime's; scripts/measure_qonnx.py compares 300 graphs with the qonnx package."""
    model, shape = getattr(onnx_branches, style)(seed)
    onnx.save(model, tmp_path / "a.onnx")
    x = np.random.default_rng(seed).random((60, *shape))
    expected = onnx_graphs.logits(model, x, as_written=True)
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-4
    assert clear.sum() > 10
    network = cn.import_network(tmp_path / "a.onnx")
    rows = x.reshape(60, -1)
    np.testing.assert_array_equal(network.predict(rows)[clear], expected.argmax(axis=1)[clear])
    program = cn.compile(network, chip="loihi1")
    assert np.array_equal(program.run(rows[:5]).logits, network.forward(network.encode(rows[:5])))


def test_zeros_around_values_that_are_never_0(tmp_path: Path) -> None:
    """Thresholds of a neuron's own at the border, and the same weights; by hand."""
    b = onnx_graphs.Builder(0)
    b.add("Reshape", "", b.constant([-1, 1, 3, 3], np.int64))
    b.add("Conv", "", b.constant(np.ones((1, 1, 3, 3))), pads=[1] * 4)
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("Flatten", "", axis=1)
    b.add("MatMul", "", b.constant(np.eye(9)))
    onnx.save(b.model((9,), 9), tmp_path / "a.onnx")
    network = cn.import_network(tmp_path / "a.onnx", inputs="bipolar")
    assert np.array_equal(network.layers[0].weight, np.ones((1, 1, 3, 3)))
    x = np.array(np.meshgrid(*[[0, 1]] * 9)).reshape(9, -1).T
    padded = np.pad((2 * x - 1).reshape(-1, 3, 3), ((0, 0), (1, 1), (1, 1)))
    sums = np.stack([padded[:, i : i + 3, j : j + 3].sum(axis=(1, 2)) for i in range(3) for j in range(3)], axis=1)
    np.testing.assert_array_equal(network.outputs(x)[0], sums >= 0)


def test_a_bias_wider_than_a_chips(tmp_path: Path) -> None:
    """Above and below what a mantissa of 13 bits holds: a threshold, and a silence that stands for the spike."""
    rng = np.random.default_rng(0)
    b = onnx_graphs.Builder(0)
    weight = rng.integers(60, 128, (300, 4)) * np.array([1.0, -1.0, 1.0, -1.0])
    b.add("MatMul", "", b.constant(weight))
    middle = (weight.sum(axis=0) / 2).round() + 0.5
    b.add("Sub", "", b.constant(middle))
    b.add("Sign")
    b.add("MatMul", "", b.constant(np.eye(4)))
    model = b.model((300,), 4)
    onnx.save(model, tmp_path / "a.onnx")
    network = cn.import_network(tmp_path / "a.onnx")
    x = (rng.random((200, 300)) < 0.5).astype(np.uint8)
    z = x @ weight - middle
    assert np.abs(middle).min() > 8190
    assert 0.2 < (z > 0).mean() < 0.8
    hidden = 2.0 * network.outputs(x)[0] - 1
    # Of units whose sums are negative a spike may stand for either sign: the readout has its sign.
    np.testing.assert_array_equal(np.abs(hidden), 1)
    logits = network.forward(x)
    np.testing.assert_array_equal(logits.argmax(axis=1), onnx_graphs.logits(model, x).argmax(axis=1))
    assert cn.check(network, chip="loihi1").fits


def test_a_scale_of_each_class(tmp_path: Path) -> None:
    """Whole multiples of one unit where there is one; else near ones, and the report says how near."""
    x = np.array(np.meshgrid(*[[0, 1]] * 8)).reshape(8, -1).T
    for scales, whole in (([0.5, 0.75, 1.25], True), ([1.0, 0.37, 0.777], False)):
        b = onnx_graphs.Builder(0)
        b.add("MatMul", "", b.constant(b.ternary(8, 3)))
        b.add("Mul", "", b.constant(scales))
        b.add("Add", "", b.constant([0.1, -0.3, 0.2]))
        model = b.model((8,), 3)
        onnx.save(model, tmp_path / "a.onnx")
        network, report = import_with_report(tmp_path / "a.onnx")
        expected = onnx_graphs.logits(model, x)
        assert (report is None) == whole
        if whole:
            np.testing.assert_array_equal(network.predict(x), expected.argmax(axis=1))
            continue
        assert report is not None
        (note,) = report.rounded
        assert 0 < note.error < 0.01
        best = np.sort(expected, axis=1)
        clear = best[:, -1] - best[:, -2] > 2 * note.error * np.abs(expected).max() + 0.02
        assert clear.mean() > 0.5
        np.testing.assert_array_equal(network.predict(x)[clear], expected.argmax(axis=1)[clear])
        assert np.abs(network.layers[-1].weight).max() <= 127


def test_branches_of_no_common_measure_are_refused(tmp_path: Path) -> None:
    b = onnx_graphs.Builder(0)
    before = b.add("Clip", "", b.constant(0.0), b.constant(1.0))
    b.add("Round")
    before = b.at
    b.add("MatMul", "", b.constant(b.ternary(4, 4)))
    b.add("Mul", "", b.constant(0.7234567))
    b.add("Add", "", before)
    b.add("Sign")
    b.add("MatMul", "", b.constant(np.eye(4)))
    onnx.save(b.model((4,), 4), tmp_path / "a.onnx")
    with pytest.raises(FileFormatError, match="without a common measure"):
        cn.import_network(tmp_path / "a.onnx")


def test_both_versions_of_trunc() -> None:
    """By the definitions of QONNX: 3 of 5 bits stay; the second one has a scale of its own, and clips."""
    x = np.array([0.0, 1.5, 3.5, 15.5]) * 0.5
    first = Node("Trunc", "t", ("x", "s", "z", "i", "o"), ("y",), {"rounding_mode": b"FLOOR"})
    scale, zero, before, after = (np.array(v) for v in (0.5, 0.0, 5.0, 3.0))
    # 0, 2 (rounded to even), 4 and 16 halves; divided by 4 and cut.
    assert evaluate_elementwise(first, [x, scale, zero, before, after]).tolist() == [0, 0, 0.5, 2.0]
    second = Node("Trunc", "t", ("x", "s", "z", "i", "p", "o"), ("y",), {"rounding_mode": b"CEIL", "signed": 0})
    arguments = [x, scale, zero, before, np.array(2.0), np.array(2.0)]
    assert evaluate_elementwise(second, arguments).tolist() == [0, 2, 2, 6]  # of two bits 3 is the most


def float_net(model: onnx.ModelProto, path: Path) -> object:
    onnx.save(model, path)
    return read_float_net(load_graph(path))


@pytest.mark.parametrize("seed", range(20))
def test_float_networks_with_branches_are_what_the_evaluator_computes(seed: int, tmp_path: Path) -> None:
    model = float_graphs.residual_graph(seed)
    net = float_net(model, tmp_path / "a.onnx")
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    x = np.random.default_rng(seed).normal(size=(9, int(np.prod(shape)))).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x.reshape(9, *shape)})
    np.testing.assert_allclose(net.logits(x[:, net.order].astype(np.float64)), expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("seed", range(3))
def test_float_networks_with_branches_as_integers(seed: int, tmp_path: Path) -> None:
    net = float_net(float_graphs.residual_graph(seed), tmp_path / "a.onnx")
    x = np.random.default_rng(seed).integers(0, 256, (200, len(net.order))).astype(np.uint8)
    ints, _ = calibrated(net, x, 255.0)
    network = ints.network()
    exact, ours = net.logits(x / 255.0), network.forward(network.encode(x)) / ints.layers[-1].scale
    exact, ours = (part - part.mean(axis=1, keepdims=True) for part in (exact, ours))
    assert np.sqrt(((exact - ours) ** 2).mean()) < 0.03 * np.sqrt((exact**2).mean())
    assert cn.check(network, chip="loihi2").fits


def test_a_float_branch_past_a_pool_is_refused(tmp_path: Path) -> None:
    b = float_graphs.Residual((2, 6, 6), np.random.default_rng(0))
    b.same(3, 3, 1)
    b.add("Relu")
    before = b.at
    b.same(3, 3, 1)
    b.add("Relu")
    b.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    b.shape = (3, 3, 3)
    main = b.at
    b.at, b.shape = before, (3, 6, 6)
    b.same(3, 1, 2)
    b.add("Add", b.at, main)
    b.add("Relu")
    b.flat()
    b.dense(3)
    onnx.save(b.model(), tmp_path / "a.onnx")
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 2, 6, 6)), np.arange(30) % 3
    data = Dataset("small", x, y, x, y, labels=(0, 1, 2))
    with pytest.raises(FileFormatError, match="cannot be carried past"):
        cn.import_network(tmp_path / "a.onnx", data=data)

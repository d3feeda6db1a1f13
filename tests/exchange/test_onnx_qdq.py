"""Graphs with QuantizeLinear and DequantizeLinear, and floating point, as onnxruntime runs them without optimisations.

300 graphs a kind are measured by scripts/measure_onnx.py (docs/onnx.md); here are a few of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.onnx.graph import load_graph
from conntra_neuro.exchange.relu.importing import ReluImport
from conntra_neuro.exchange.relu.read import read_float_net

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import float_graphs
import onnx
import onnx_graphs
import onnx_qdq


def clear(logits: np.ndarray, apart: float) -> np.ndarray:
    best = np.sort(logits, axis=1)
    return best[:, -1] - best[:, -2] > apart


@pytest.mark.parametrize("seed", range(100, 120))
def test_activations_of_a_few_values_are_read_exactly(seed: int, tmp_path: Path) -> None:
    model, shape = onnx_qdq.few(seed)
    onnx.save(model, tmp_path / "a.onnx")
    x = np.random.default_rng(seed).random((200, *shape))
    expected = onnx_graphs.logits(model, x, as_written=True)
    found = cn.import_network(tmp_path / "a.onnx").predict(x.reshape(200, -1))
    sure = clear(expected, 1e-4)
    np.testing.assert_array_equal(found[sure], expected.argmax(axis=1)[sure])


def shape_of(model: Any) -> tuple[int, ...]:
    return tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)[1:]


def eight_bits(seed: int, folder: Path) -> tuple[ReluImport, cn.DiscreteNetwork, np.ndarray, np.ndarray]:
    """Return what is read of an 8-bit graph, its integers, samples of 256 steps and onnxruntime's logits."""
    model = float_graphs.random_graph(seed)
    shape = shape_of(model)
    model = onnx_qdq.eight(model, shape, seed)
    onnx.save(model, folder / "a.onnx")
    x = np.random.default_rng(seed).integers(0, 256, (200, *shape))
    expected = onnx_graphs.logits(model, x / 255, as_written=True)
    network, report = import_with_report(folder / "a.onnx", data=onnx_qdq.dataset(shape, 4, 100), scale=255.0)
    assert isinstance(report, ReluImport)
    return report, network, x.reshape(200, -1).astype(np.uint8), expected


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5, 6, 7])
def test_eight_bits_by_onnxruntimes_own_tool(seed: int, tmp_path: Path) -> None:
    """Inputs that are scaled before they are quantised (0, 1) and logits that are cut off at 0 (2) among them."""
    report, network, x, expected = eight_bits(seed, tmp_path)
    ours = report.net.logits(x[:, report.net.order] / 255)
    sure = clear(expected, 0.05 * float(expected.std()))
    classes = expected.argmax(axis=1)[sure]
    assert (ours.argmax(axis=1)[sure] == classes).mean() >= 0.98
    assert (network.predict(x)[sure] == classes).mean() >= 0.97


@pytest.mark.parametrize("seed", [1012, 1016])
@pytest.mark.parametrize("neuron", ["threshold", "multithreshold"])
def test_maxima_behind_activations_of_a_few_values(seed: int, neuron: str, tmp_path: Path) -> None:
    """Of neurons that share their weights, one a threshold."""
    model, shape = onnx_qdq.few(seed)
    assert "MaxPool" in [node.op_type for node in model.graph.node]
    onnx.save(model, tmp_path / "a.onnx")
    x = np.random.default_rng(seed).random((200, *shape))
    expected = onnx_graphs.logits(model, x, as_written=True)
    network = cn.import_network(tmp_path / "a.onnx", neuron=neuron)
    sure = clear(expected, 1e-4)
    np.testing.assert_array_equal(network.predict(x.reshape(200, -1))[sure], expected.argmax(axis=1)[sure])
    assert sum(isinstance(layer, cn.MaxPool) for layer in network.layers) == 1


@pytest.mark.parametrize("seed", [1054, 1083])
def test_groups_beside_what_is_shifted_before_its_padding(seed: int, tmp_path: Path) -> None:
    """The convolution with groups, or the one before it: a channel more, which all groups see, stands for the shift."""
    model = float_graphs.random_graph(seed)
    assert any(a.i > 1 for node in model.graph.node for a in node.attribute if a.name == "group")
    report, network, x, expected = eight_bits(seed, tmp_path)
    assert any(layer.plane is not None for layer in report.net.layers)
    sure = clear(expected, 0.05 * float(expected.std()))
    assert (network.predict(x)[sure] == expected.argmax(axis=1)[sure]).mean() >= 0.97


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    scaled, cut = (eight_bits(seed, tmp_path)[0].net.notes for seed in (0, 2))
    assert any("rounding of the scaled input is left out" in note for note in scaled)
    assert "output: logits below 0, which their quantisation cuts off, are kept" in cut


@pytest.mark.parametrize("seed", range(200, 212))
def test_floating_point_is_read_as_onnxruntime_computes_it(seed: int, tmp_path: Path) -> None:
    model = (float_graphs.residual_graph if seed % 2 else float_graphs.random_graph)(seed)
    onnx.save(model, tmp_path / "a.onnx")
    net = read_float_net(load_graph(tmp_path / "a.onnx"))
    x = np.random.default_rng(seed).normal(size=(50, *shape_of(model)))
    expected = onnx_graphs.logits(model, x, as_written=True)
    found = net.logits(x.reshape(50, -1)[:, net.order])
    if model.graph.node[-1].op_type == "Softmax":
        expected = np.log(expected)
        found, expected = (part - part.mean(axis=1, keepdims=True) for part in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())

"""ONNX out: onnxruntime and onnx's own evaluator give the network's logits, integer for integer."""

from __future__ import annotations

import re
from pathlib import Path

import network_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_neuro.cli.app import main
from conntra_neuro.exchange.onnx.writer import INPUT, LOGITS, onnx_bytes

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def runs(data: bytes, x: np.ndarray) -> list[np.ndarray]:
    """The logits by onnxruntime, with its optimisations and without, and by onnx's evaluator."""
    from onnx.reference import ReferenceEvaluator

    found = []
    for level in (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.intra_op_num_threads = 1
        found += ort.InferenceSession(data, options, ["CPUExecutionProvider"]).run([LOGITS], {INPUT: x})
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    return [*found, *ReferenceEvaluator(model).run(None, {INPUT: x})]  # type: ignore[list-item]


def check(network: cn.DiscreteNetwork, x: np.ndarray) -> None:
    wanted = network.forward(network.encode(x))
    shape = network.layers[0].input_shape if network.encoder is None else (network.encoder.n_features,)
    given = x.astype(np.float32 if network.encoder is None else np.float64).reshape(-1, *shape)
    for found in runs(onnx_bytes(network), given):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=40, deadline=None)
@given(network_strategies.networks(kinds=("threshold", "graded", "multi_threshold")), st.integers(0, 2**32 - 1))
def test_the_logits_are_those_of_forward(network, seed):
    x = (np.random.default_rng(seed).random((12, network.n_in)) < 0.5).astype(np.uint8)
    try:
        network.forward(x)
    except InputError:  # a graded spike beyond 24 bits, which no chip sends
        return
    try:
        onnx_bytes(network)
    except InputError as error:
        if not re.search("float32 holds whole numbers|padding as wide as the window", str(error)):
            raise
        return
    check(network, x)


@pytest.mark.parametrize("kind", ["threshold", "thermometer"])
def test_the_encoder_stands_in_front(kind):
    rng = np.random.default_rng(0)
    thresholds = np.sort(rng.random((3, 6)), axis=0)
    encoder = ThresholdEncoder(thresholds[1]) if kind == "threshold" else ThermometerEncoder(thresholds)
    hidden = cn.Dense(rng.integers(-2, 3, (5, encoder.n_out)), rng.integers(-2, 3, 5))
    network = cn.DiscreteNetwork([hidden, cn.Dense(rng.integers(-2, 3, (3, 5)), activation="readout")], encoder)
    check(network, np.vstack([rng.random((40, 6)), thresholds]))  # and exactly at them: > is strict


def test_images_behind_an_encoder_and_residuals():
    rng = np.random.default_rng(1)
    conv = cn.Conv2d(rng.integers(-1, 2, (2, 2, 3, 3)), [1, -1], input_shape=(2, 4, 4), padding=1)
    again = cn.Conv2d(rng.integers(-1, 2, (2, 2, 3, 3)), [0, 1], input_shape=(2, 4, 4), padding=1)
    last = cn.Dense(rng.integers(-3, 4, (3, 32)), activation="readout")
    skips = [
        cn.Residual(-1, 1, scale=2),
        cn.Residual(0, 2, cn.Dense(rng.integers(-1, 2, (3, 32)), activation="readout")),
    ]
    check(
        cn.DiscreteNetwork([conv, again, last], ThresholdEncoder(np.full(32, 0.5)), residuals=skips),
        rng.random((30, 32)),
    )


def test_it_comes_back_with_labels_and_encoder(tmp_path: Path):
    data = cn.load_dataset("digits")
    network = cn.train(data, layers=[16], sweeps=1, seed=0).network
    written = cn.export(network, tmp_path / "a.onnx")
    assert written.format == "onnx"
    again = cn.import_network(tmp_path / "a.onnx")
    assert again.labels == network.labels
    np.testing.assert_array_equal(again.encoder.thresholds, network.encoder.thresholds)
    np.testing.assert_array_equal(again.predict(data.x_test), network.predict(data.x_test))


def test_what_float32_does_not_hold_is_refused(tmp_path: Path):
    heavy = cn.Dense(np.full((1, 513), 2**15), activation="readout")
    with pytest.raises(InputError, match=r"readout: potentials of up to 16,809,984; float32 holds"):
        cn.export(cn.DiscreteNetwork([heavy]), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_time_is_refused_by_name(tmp_path: Path):
    timed = cn.DiscreteNetwork(
        [cn.Dense([[1]], activation=cn.IntegrateAndFire(2, 3)), cn.Dense([[1]], activation="readout")]
    )
    with pytest.raises(
        InputError, match="integrate_and_fire neurons; allowed: threshold, graded, multi threshold, readout"
    ):
        cn.export(timed, tmp_path / "a.onnx")


def test_the_command_line_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture):
    network = cn.DiscreteNetwork([cn.Dense([[1, -1]]), cn.Dense([[1], [-1]], activation="readout")])
    cn.save(network, tmp_path / "a.conntra")
    assert main(["export", str(tmp_path / "a.conntra"), "--out", str(tmp_path / "a.onnx")]) == 0
    assert "onnx" in capsys.readouterr().out
    for found in runs((tmp_path / "a.onnx").read_bytes(), np.array([[1, 0]], np.float32)):
        assert found.tolist() == [[1, -1]]

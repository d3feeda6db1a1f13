"""ReLU networks in floating point: read as onnxruntime and onnx's evaluator compute them, and made integers on data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.neurons import GRADED_MAX
from conntra_neuro.datasets import Dataset, load_dataset
from conntra_neuro.exchange.files import import_network, import_with_report
from conntra_neuro.exchange.onnx.graph import load_graph
from conntra_neuro.exchange.relu.calibrate import calibrated
from conntra_neuro.exchange.relu.importing import ReluImport
from conntra_neuro.exchange.relu.integer import IntNet
from conntra_neuro.exchange.relu.read import read_float_net

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import float_graphs
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

FILES = Path(__file__).parents[1] / "data" / "float_onnx"
OF_IMAGES = ("torch_mlp", "torch_cnn", "torch_cnn_average", "qdq_cnn", "keras_cnn")


def images(name: str = "images") -> Dataset:
    arrays = np.load(FILES / "images.npz")
    parts = [arrays[part].astype(np.int64) if part[0] == "y" else arrays[part] for part in arrays.files]
    named = dict(zip(arrays.files, parts, strict=True))
    return Dataset(name, **named, labels=tuple(range(10)))


def data_of(name: str) -> Dataset:
    digits = load_dataset("digits")
    if name == "sklearn_digits":
        return digits
    if name == "sklearn_binary":
        large = [y >= 5 for y in (digits.y_train, digits.y_test)]
        y_train, y_test = (part.astype(np.int64) for part in large)
        return Dataset("binary", digits.x_train, y_train, digits.x_test, y_test, labels=(False, True))
    return images()


def scale_of(name: str) -> float:
    return 255.0 if name in OF_IMAGES else 1.0


@pytest.fixture(scope="module", params=[*OF_IMAGES, "sklearn_digits", "sklearn_binary"])
def imported(request: pytest.FixtureRequest) -> tuple[str, ReluImport, Dataset]:
    data = data_of(request.param)
    path = FILES / f"{request.param}.onnx"
    _, found = import_with_report(path, data=data, scale=scale_of(request.param))
    assert isinstance(found, ReluImport)
    return request.param, found, data


@pytest.mark.parametrize("seed", range(120))
def test_random_graphs_are_read_as_the_evaluator_computes_them(seed: int) -> None:
    model = float_graphs.random_graph(seed)
    net = read(model)
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    x = np.random.default_rng(seed).normal(size=(9, int(np.prod(shape)))).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x.reshape(9, *shape)})
    found = net.logits(x[:, net.order].astype(np.float64))
    if model.graph.node[-1].op_type == "Softmax":
        found, expected = found - found.max(axis=1, keepdims=True), np.log(expected)
        found -= np.log(np.exp(found).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("seed", range(0, 120, 4))
def test_random_graphs_as_integers(seed: int) -> None:
    """The chain that was calibrated is the network, maxima and all; it compiles, and its sums are near."""
    net = read(float_graphs.random_graph(seed))
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (300, len(net.order))).astype(np.uint8)
    ints, _ = calibrated(net, x, 255.0)
    network = ints.network()
    given = x[:40]
    assert np.array_equal(chain(ints, given), network.forward(network.encode(given)))
    exact, ours = net.logits(x / 255.0), chain(ints, x) / ints.layers[-1].scale
    exact, ours = (part - part.mean(axis=1, keepdims=True) for part in (exact, ours))  # what tells classes apart
    assert np.sqrt(((exact - ours) ** 2).mean()) < 0.03 * np.sqrt((exact**2).mean())
    assert cn.check(network, chip="loihi2").fits


def read(model: Any) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        onnx.save(model, path)
        return read_float_net(load_graph(path))


def chain(ints: IntNet, features: np.ndarray) -> np.ndarray:
    x = ints.code.rows(features, np.float64)
    for layer in ints.layers[:-1]:
        x = layer.pooled(layer.respond(layer.sums(x)))
    return ints.layers[-1].sums(x)


def test_the_file_itself_is_what_onnxruntime_computes(imported: tuple[str, ReluImport, Dataset]) -> None:
    name, found, data = imported
    session = onnxruntime.InferenceSession(FILES / f"{name}.onnx", providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    x = (data.x_test / scale_of(name)).astype(np.float32).reshape(-1, *given.shape[1:])
    theirs = session.run(None, {given.name: x})[-1]
    if isinstance(theirs, list):  # scikit-learn's probabilities by class
        theirs = [[row[label] for label in sorted(row)] for row in theirs]
    np.testing.assert_allclose(found.float_logits(data.x_test), np.asarray(theirs), rtol=1e-4, atol=1e-5)
    rows = data.x_test.reshape(len(data.x_test), -1) / scale_of(name)
    ours = found.net.logits(rows.astype(np.float32)).argmax(axis=1)
    assert (ours == np.asarray(theirs).argmax(axis=1)).mean() >= (0.98 if name == "qdq_cnn" else 1.0)


def test_eight_bits_lose_next_to_nothing(imported: tuple[str, ReluImport, Dataset]) -> None:
    _, found, data = imported
    compared = found.compared(data)
    # 200 images: three of them are 1.5 points. What is at stake is in docs/bring_your_network.md, on 10,000.
    assert compared["same_class"] >= 0.985
    assert compared["accuracy"] >= compared["float_accuracy"] - 0.015
    assert all(layer["error"] < 0.12 for layer in compared["agreement"])
    flat = data.x_test.reshape(len(data.x_test), -1)
    network = found.network
    logits = chain(found.ints, flat[:20])
    assert np.array_equal(logits[:, 0] > 0 if found.net.single else logits.argmax(axis=1), network.predict(flat[:20]))
    assert cn.check(network, chip="loihi2").fits
    for layer in network.layers:
        if layer.neuron is not None and layer.neuron.graded:
            assert np.max(layer.neuron.facts.ceiling) <= GRADED_MAX


@pytest.mark.parametrize("name", ["sklearn_digits", "torch_cnn_average"])
def test_the_program_is_the_same_in_the_simulators(name: str) -> None:
    data = data_of(name)
    network = import_network(FILES / f"{name}.onnx", data=data, scale=scale_of(name))
    program = cn.compile(network, chip="loihi2")
    assert program.verify(data.x_test[:3].reshape(3, -1), ["reference", "lava", "brian2"]).equal


@pytest.mark.parametrize(("bits", "least"), [(4, 0.97), (3, 0.95), (2, 0.85)])
def test_fewer_bits(bits: int, least: float) -> None:
    data = data_of("sklearn_digits")
    network = import_network(FILES / "sklearn_digits.onnx", data=data, bits=bits)
    most = 2 ** (bits - 1) - 1
    for layer in network.layers[1:]:
        assert np.abs(layer.weight).max() <= most
    assert 1 - network.error(data.x_test.reshape(len(data.x_test), -1), data.y_test) >= least


def test_the_same_seed_gives_the_same_network() -> None:
    data = data_of("sklearn_digits")
    one, two = (import_network(FILES / "sklearn_digits.onnx", data=data, seed=3) for _ in range(2))
    for a, b in zip(one.layers[1:], two.layers[1:], strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)


def test_a_clip_is_a_ceiling(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    b = float_graphs.Builder((20,), rng)
    b.dense(12)
    b.add("Clip", "", b.constant(0.0), b.constant(0.6))
    b.dense(3)
    onnx.save(b.model(), tmp_path / "clip.onnx")
    net = read_float_net(load_graph(tmp_path / "clip.onnx"))
    x = rng.integers(0, 256, (500, 20)).astype(np.uint8)
    (expected,) = ReferenceEvaluator(b.model()).run(None, {"x": (x / 255).astype(np.float32)})
    np.testing.assert_allclose(net.logits(x / 255), expected, rtol=1e-3, atol=1e-4)
    ints, _ = calibrated(net, x, 255.0)
    layer = ints.layers[0]
    stops = layer.ceiling * 2.0**layer.shift / layer.scale
    reached = net.layers[0].potentials(x / 255).max(axis=0) > 0.6
    assert reached.sum() > 4
    assert np.abs(stops[reached] - 0.6).max() < 0.6 / 60
    assert (chain(ints, x).argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.98


def test_the_scale_is_looked_for_and_said() -> None:
    assumed: list[str] = []
    _, found = import_with_report(FILES / "torch_cnn.onnx", data=images(), assumed=assumed)
    assert isinstance(found, ReluImport)
    assert found.scale == 255
    assert "divided by 255" in assumed[0]


@pytest.mark.parametrize(("name", "steps"), [("sklearn_digits", 32), ("sklearn_binary", 16), ("torch_cnn_average", 16)])
def test_integrate_and_fire_for_loihi_1(name: str, steps: int) -> None:
    data = data_of(name)
    _, found = import_with_report(FILES / f"{name}.onnx", data=data, scale=scale_of(name), neuron=f"if{steps}")
    assert isinstance(found, ReluImport)
    compared = found.compared(data)
    assert found.network.steps == steps
    assert compared["accuracy"] >= compared["float_accuracy"] - 0.04
    assert all(layer["error"] < 0.6 for layer in compared["agreement"])
    assert cn.check(found.network, chip="loihi1").fits
    program = cn.compile(found.network, chip="loihi1")
    assert program.verify(data.x_test[:2].reshape(2, -1), ["reference", "brian2"]).equal


def test_maxima_of_rates_are_refused() -> None:
    with pytest.raises(FileFormatError, match="integrate-and-fire neurons have none of rates"):
        import_network(FILES / "torch_cnn.onnx", data=images(), scale=255.0, neuron="if8")
    with pytest.raises(FileFormatError, match="as if32, expected"):
        import_network(FILES / "torch_cnn.onnx", data=images(), scale=255.0, neuron="lif")


def of_ops(tmp_path: Path, *ops: str) -> Path:
    b = float_graphs.Builder((6,), np.random.default_rng(0))
    for op in ops:
        b.dense(5) if op == "dense" else b.add(op)
    b.dense(3)
    onnx.save(b.model(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def small(features: int = 6, classes: int = 3) -> Dataset:
    rng = np.random.default_rng(0)
    y = np.arange(60) % classes
    return Dataset("small", rng.random((60, features)), y, rng.random((60, features)), y, labels=tuple(range(classes)))


@pytest.mark.parametrize(
    ("ops", "data", "says"),
    [
        (("dense", "Sigmoid"), small(), "sigmoid of"),
        (("dense", "Tanh"), small(), "operator Tanh has no counterpart"),
        (("dense", "dense", "Relu"), small(), "without a Relu between"),
        (("dense", "Relu"), None, "give --data"),
        (("dense", "Relu"), small(7), "7 features a sample; the graph takes 6"),
        (("dense", "Relu"), small(6, 4), "3 classes; small has 4"),
        (("Relu",), small(), "takes the input itself; weights expected there"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path: Path, ops: Any, data: Dataset | None, says: str) -> None:
    with pytest.raises(FileFormatError, match=says) as caught:
        import_network(of_ops(tmp_path, *ops), data=data)
    assert "\n" not in str(caught.value)


def test_damaged_files(tmp_path: Path) -> None:
    whole = (FILES / "sklearn_digits.onnx").read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(40):
        damaged = bytearray(whole[: int(rng.integers(len(whole)))]) if trial % 2 else bytearray(whole)
        for _ in range(5):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        (tmp_path / "x.onnx").write_bytes(damaged)
        try:
            import_network(tmp_path / "x.onnx", data=data_of("sklearn_digits"))
        except FileFormatError as error:
            assert "\n" not in str(error)  # noqa: PT017

"""ONNX and QONNX: every prediction of an imported network is onnxruntime's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.program.input_encoding import ThresholdEncoder
from conntra_neuro.exchange.files import import_network
from conntra_neuro.network.layers import Conv2d, Dense, MaxPool, SumPool
from conntra_neuro.network.levels import BINARY, TERNARY

pytest.importorskip("onnx")

import onnx
import onnx_graphs
from onnx import TensorProto, helper, numpy_helper

STYLES = {style.__name__: style for style in
          (onnx_graphs.brevitas, onnx_graphs.larq, onnx_graphs.qkeras, onnx_graphs.pytorch)}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", range(50))
def test_predictions_are_those_of_onnxruntime(tmp_path, style, seed):
    model, shape, last = STYLES[style](seed)
    onnx.save(model, tmp_path / "a.onnx")
    rng = np.random.default_rng(seed)
    x = rng.random((60, *shape))
    if style != "brevitas":  # which binarises its inputs itself
        x = np.rint(x)
    network = import_network(tmp_path / "a.onnx")
    rows = (x.transpose(0, 3, 1, 2) if last else x).reshape(len(x), -1)
    np.testing.assert_array_equal(network.predict(rows), onnx_graphs.logits(model, x).argmax(axis=1))
    assert (network.encoder is not None) == (style == "brevitas")


def test_the_kinds_of_layers_that_come(tmp_path):
    found: set[Any] = set()
    for style in STYLES:
        for seed in range(6):
            onnx.save(STYLES[style](seed)[0], tmp_path / "a.onnx")
            network = import_network(tmp_path / "a.onnx")
            found |= {type(layer) for layer in network.layers}
            hidden = [layer for layer in network.layers[:-1] if isinstance(layer, (Dense, Conv2d))]
            assert all(layer.levels in (BINARY, TERNARY) for layer in hidden)
    assert found == {Dense, Conv2d, MaxPool, SumPool}


def save(path: Any, builder: Any, n_in: int = 3, classes: int = 2) -> Any:
    model = builder.model((n_in,), classes)
    onnx.save(model, path)
    return model


def test_sums_that_lie_on_the_threshold(tmp_path):
    """Means at sums that occur, and no shift: x >= mean is decided by a sum that equals it."""
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant(b.ternary(6, 16)))
    mean = b.rng.integers(-2, 3, 16)
    gamma = b.rng.choice([-2.0, 2.0], 16)
    b.add("BatchNormalization", "", *map(b.constant, [gamma, np.zeros(16), mean, np.full(16, 0.75)]), epsilon=0.25)
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("MatMul", "", b.constant(b.binary(16, 4)))
    model = save(tmp_path / "a.onnx", b, 6, 4)
    x = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    np.testing.assert_array_equal(
        import_network(tmp_path / "a.onnx").predict(x), onnx_graphs.logits(model, x).argmax(axis=1)
    )


def test_a_negative_gamma_turns_the_weights_around(tmp_path):
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]]))
    b.add("BatchNormalization", "", *map(b.constant, [[-1.0, 1.0], [0, 0], [0.5, 0.5], [1, 1]]))
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("MatMul", "", b.constant(np.eye(2)))
    save(tmp_path / "a.onnx", b)
    hidden = import_network(tmp_path / "a.onnx").layers[0]
    np.testing.assert_array_equal(hidden.weight, [[-1, -1, 0], [1, -1, 1]])
    np.testing.assert_array_equal(hidden.bias, [1, 0])  # -u > -1 is u <= 0;  u > 0


def test_ties_of_logits_and_offsets_that_are_not_whole(tmp_path):
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant(b.ternary(6, 5) * 0.3))
    b.add("Add", "", b.constant(np.array([0.5, 0.5, -0.1, 0.2, 0.0]) * 0.3))
    model = save(tmp_path / "a.onnx", b, 6, 5)
    x = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    network = import_network(tmp_path / "a.onnx")
    np.testing.assert_array_equal(network.predict(x), onnx_graphs.logits(model, x).argmax(axis=1))
    assert max(np.abs(network.layers[-1].weight).ravel()) == 4  # of four different fractions


def test_the_inputs_threshold_becomes_the_encoder(tmp_path):
    b = onnx_graphs.Builder(0)
    b.add("Mul", "", b.constant(2.0))
    b.add("Sub", "", b.constant([1.0, 0.0, 510.0]))
    b.add("Sign")
    b.add("Add", "", b.constant(0.1))
    b.add("Sign")
    b.add("MatMul", "", b.constant([[1.0, -1.0], [1.0, 1.0], [1.0, -1.0]]))
    model = save(tmp_path / "a.onnx", b)
    network = import_network(tmp_path / "a.onnx")
    assert isinstance(network.encoder, ThresholdEncoder)
    assert network.encoder.thresholds == pytest.approx([0.5, 0.0, 255.0])
    x = np.array([[0.5, 0, 255], [np.nextafter(np.float32(0.5), 0), -1e-30, 254.99998], [-3, 7, 1e30]], np.float32)
    np.testing.assert_array_equal(network.predict(x), onnx_graphs.logits(model, x).argmax(axis=1))


def test_bipolar_inputs_when_they_are_called_so(tmp_path):
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant(b.binary(9, 4)))
    model = save(tmp_path / "a.onnx", b, 9, 4)
    spikes = (b.rng.random((50, 9)) < 0.5).astype(np.uint8)
    network = import_network(tmp_path / "a.onnx", inputs="bipolar")
    np.testing.assert_array_equal(network.predict(spikes), onnx_graphs.logits(model, 2.0 * spikes - 1).argmax(axis=1))
    with pytest.raises(InputError, match="inputs 'analog': unknown; allowed: binary, bipolar"):
        import_network(tmp_path / "a.onnx", inputs="analog")


def simple(*nodes: Any, weight: Any = None, n_in: int = 4) -> Any:
    """A graph of one layer with ``nodes`` behind it, and a readout."""
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant(b.binary(n_in, 2) if weight is None else weight))
    for op, *arguments in nodes:
        attributes = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        b.add(op, "", *[b.constant(a) for a in arguments], **attributes)
    b.add("MatMul", "", b.constant(np.eye(2)))
    return b


def padded_by_zeros() -> Any:
    b = onnx_graphs.Builder(0)
    b.add("Reshape", "", b.constant([-1, 1, 2, 2], np.int64))
    b.add("Conv", "", b.constant(b.binary(1, 1, 1, 1)))
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("Conv", "", b.constant(b.binary(1, 1, 3, 3)), pads=[1] * 4)
    return b


def windows_apart(op: str, **attributes: Any) -> Any:
    def made() -> Any:
        b = onnx_graphs.Builder(0)
        b.add("Reshape", "", b.constant([-1, 1, 2, 2], np.int64))
        b.add("Conv", "", b.constant(b.binary(1, 1, 1, 1)), **(attributes if op == "Conv" else {}))
        b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
        if op != "Conv":
            b.add(op, "", kernel_shape=[1, 1], **attributes)
        return b

    return made


def several_scales() -> Any:
    b = onnx_graphs.Builder(0)
    b.add("MatMul", "", b.constant(np.eye(4)[:, :2]))
    b.add("Mul", "", b.constant([1.0, 0.0037123]))
    return b


REFUSED = {
    "float weights": (
        lambda: simple(("Sign",), weight=np.random.default_rng(0).normal(size=(4, 2))),
        "small multiples",
    ),
    "a convolution at the end": (padded_by_zeros, "logits that are pooled, padded"),
    "a dilated maximum": (windows_apart("MaxPool", dilations=[2, 2]), r"dilations \[2, 2\]; 1 allowed in pooling"),
    "a dilation of 0": (windows_apart("Conv", dilations=[0, 1]), r"dilations \[0, 1\].* of at least 1"),
    "a stride of 0": (windows_apart("Conv", strides=[0, 1], auto_pad="SAME_UPPER"), r"strides \[0, 1\].* at least 1"),
    "three dilations": (windows_apart("Conv", dilations=[1, 1, 1]), r"dilations \[1, 1, 1\].*two of at least 1"),
    "logits of scales far apart": (several_scales, "more than a weight of 127 can say"),
    "no weights at all": (lambda: _only("Sign"), "output: not the potentials"),
    "an activation at the end": (lambda: _only("MatMul", "Sign"), "no straight line"),
    "an operator without a counterpart": (lambda: simple(("LSTM", {"hidden_size": 4})), "operator LSTM"),
    "a reshape of the batch": (lambda: simple(("Transpose", {"perm": [1, 0]})), "moves the batch"),
    "division by zero": (lambda: simple(("Mul", 0.0), ("Div", 0.0), ("Sign",)), "gives NaN"),
    "parameters that do not fit": (lambda: simple(("Add", [1.0, 2.0, 3.0]), ("Sign",)), "do not go together"),
    "weights of another size": (lambda: simple(("Sign",), weight=np.ones((7, 2))), "4 are there"),
}


def _only(*operators: str) -> Any:
    b = onnx_graphs.Builder(0)
    for op in operators:
        b.add(op, "", *([b.constant(np.ones((4, 2)))] if op == "MatMul" else []))
    return b


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_counterpart_is_refused_by_name(tmp_path, case):
    make, says = REFUSED[case]
    save(tmp_path / "a.onnx", make(), 4, 2)
    with pytest.raises(FileFormatError, match=says) as caught:
        import_network(tmp_path / "a.onnx")
    assert str(caught.value).startswith(str(tmp_path / "a.onnx"))
    assert "\n" not in str(caught.value)


def edited(change: Any) -> Any:
    model = simple(("BipolarQuant", 1.0, {"domain": onnx_graphs.QONNX})).model((4,), 2)
    change(model.graph)
    return model


def external(graph: Any) -> None:
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def looped(graph: Any) -> None:
    graph.node[0].input[0] = graph.node[1].output[0]


def huge(graph: Any) -> None:
    del graph.initializer[0].dims[:]
    graph.initializer[0].dims.extend([2**40, 2**20])


def branching(graph: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    graph.node.append(helper.make_node("If", [graph.node[0].output[0]], ["z"], then_branch=body, else_branch=body))


def poisoned(graph: Any) -> None:
    graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((3, 2), np.nan, np.float32), graph.initializer[0].name)
    )


def expanded(graph: Any) -> None:
    shape = numpy_helper.from_array(np.array([2**30, 2**10], np.int64), "huge")
    graph.initializer.append(shape)
    graph.node.append(helper.make_node("Expand", [graph.initializer[0].name, "huge"], ["z"]))


def concatenated(graph: Any) -> None:
    last = graph.initializer[0].name
    for depth in range(40):
        graph.node.append(helper.make_node("Concat", [last, last], [f"d{depth}"], axis=0))
        last = f"d{depth}"


def broadcast(graph: Any) -> None:
    for name, shape in (("tall", (2**20, 1)), ("wide", (1, 2**20))):
        graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.int8), name))
    graph.node.append(helper.make_node("Add", ["tall", "wide"], ["z"]))


def gathered(graph: Any) -> None:
    graph.initializer.append(numpy_helper.from_array(np.zeros(2**15, np.int64), "many"))
    last = graph.initializer[0].name
    for depth in range(4):
        graph.node.append(helper.make_node("Gather", [last, "many"], [f"g{depth}"], axis=0))
        last = f"g{depth}"


HOSTILE = {
    "constants that broadcast to 2^40 elements": (broadcast, "too large"),
    "gathering of gatherings": (gathered, "too large"),
    "data outside the file": (external, "in another file"),
    "a cycle": (looped, "cycle"),
    "a tensor of 2^60 elements": (huge, "elements in all allowed"),
    "a tensor that is cut short": (lambda g: g.initializer[0].dims.__setitem__(0, 5), "not a sound ONNX graph"),
    "negative sizes": (lambda g: g.initializer[0].dims.__setitem__(0, -5), "elements in all allowed"),
    "NaN weights": (poisoned, "NaN"),
    "a graph within a node": (branching, "holds a graph"),
    "operators that blow up": (expanded, "operator Expand on constants"),
    "constants that double and double": (concatenated, "too large"),
    "an operator of nobody": (lambda g: setattr(g.node[0], "domain", "com.example"), "com.example.MatMul"),
    "a name made twice": (lambda g: g.node[1].output.__setitem__(0, g.node[0].output[0]), "which is there already"),
    "a name that nothing makes": (lambda g: g.node[1].input.__setitem__(0, "nowhere"), "which nothing makes"),
    "no nodes": (lambda g: g.ClearField("node"), "without a node"),
    "no output": (lambda g: g.ClearField("output"), "0 outputs"),
    "an input of no known size": (
        lambda g: g.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value"),
        "all but the batch known",
    ),
    "an input of 2^60 features": (
        lambda g: setattr(g.input[0].type.tensor_type.shape.dim[1], "dim_value", 2**60),
        "not huge",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_in_one_line(tmp_path, case):
    change, says = HOSTILE[case]
    onnx.save(edited(change), tmp_path / "a.onnx")
    with pytest.raises(FileFormatError, match=re.escape(says)) as caught:
        import_network(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)


def test_truncated_and_flipped_bytes_never_crash(tmp_path):
    path = tmp_path / "a.onnx"
    onnx.save(edited(lambda graph: None), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for cut in range(0, len(whole), 3):
        path.write_bytes(whole[:cut])
        try:
            import_network(path)
        except FileFormatError:
            refused += 1
    assert refused > len(whole) / 3 / 2  # protobuf may be cut between fields, and what is left is read
    refused = 0
    for position in rng.integers(len(whole), size=300):
        broken = bytearray(whole)
        broken[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            import_network(path)
        except FileFormatError:
            refused += 1
    assert refused > 100
    with pytest.raises(FileFormatError, match="no such file"):
        import_network(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("window", "shape"),
    [
        ({"dilations": [2, 1]}, (2, 3, 6)),
        ({"dilations": [1, 3], "pads": [0, 2, 0, 2]}, (2, 5, 6)),
        ({"dilations": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 1]}, (2, 2, 6)),
        ({"dilations": [2, 2], "auto_pad": "SAME_UPPER"}, (2, 7, 8)),
        ({"dilations": [3, 1], "strides": [3, 2], "auto_pad": "SAME_LOWER", "wide": 7}, (2, 3, 4)),
    ],
)
def test_dilated_convolutions(tmp_path, window, shape):
    """Sums, not predictions alone, are onnxruntime's; onnx's own where it refuses to pad dilated kernels by itself."""
    kernel, width = (3, 3), window.pop("wide", 8)
    b = onnx_graphs.Builder(3)
    b.add("Conv", "", b.constant(b.ternary(2, 2, *kernel)), b.constant([1.0, -1.0]), **window)
    convolved = b.model((2, 7, width), 1)
    b.nodes[-1].output[0] = "t0"
    b.add("Greater", "", b.constant(0.0))
    b.add("Cast", "", to=1)
    b.add("Flatten")
    b.add("Gemm", "", b.constant(b.ternary(int(np.prod(shape)), 3)))
    model = b.model((2, 7, width), 3)
    onnx.save(model, tmp_path / "a.onnx")
    network = import_network(tmp_path / "a.onnx")
    first = network.layers[0]
    assert isinstance(first, Conv2d)
    assert (first.output_shape, list(first.geometry.dilation)) == (shape, window["dilations"])
    x = np.random.default_rng(0).integers(0, 2, (50, 2, 7, width))
    rows = x.reshape(50, -1)
    run = onnx_reference if "auto_pad" in window else onnx_graphs.logits
    np.testing.assert_array_equal(first.potentials(rows) > 0, run(convolved, x).reshape(50, -1) > 0)
    np.testing.assert_array_equal(network.predict(rows), run(model, x).argmax(axis=1))


def onnx_reference(model: Any, x: Any) -> Any:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x.astype(np.float32)})[0]


def test_rows_to_images_and_kernels_that_are_not_square(tmp_path):
    b = onnx_graphs.Builder(5)
    b.add("MatMul", "", b.constant(b.ternary(7, 12)))
    b.add("Greater", "", b.constant(0.0))
    b.add("Cast", "", to=1)
    b.add("Reshape", "", b.constant([0, 1, 3, 4], np.int64))
    b.add("Conv", "", b.constant(b.ternary(2, 1, 2, 3)), pads=[1, 1, 1, 1], strides=[1, 2])
    b.normalise(2, 1.0)
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("Flatten")
    b.add("Gemm", "", b.constant(b.binary(16, 3)), alpha=0.5)
    model = save(tmp_path / "a.onnx", b, 7, 3)
    network = import_network(tmp_path / "a.onnx")
    assert [layer.output_shape for layer in network.layers] == [(12,), (2, 4, 2), (3,)]
    x = np.array(np.meshgrid(*[[0, 1]] * 7)).reshape(7, -1).T
    np.testing.assert_array_equal(network.predict(x), onnx_graphs.logits(model, x).argmax(axis=1))


def test_an_error_names_its_node_once(tmp_path):
    b = onnx_graphs.Builder(0)
    weight = b.add("Nonsense", b.constant(np.ones((4, 3))))
    b.add("MatMul", "x", weight)
    onnx.save(b.model((4,), 3), tmp_path / "a.onnx")
    with pytest.raises(FileFormatError) as caught:
        import_network(tmp_path / "a.onnx")
    assert str(caught.value).count("node n0") == 1


def test_units_laid_out_as_an_image_are_pooled(tmp_path):
    """Of one pair of values; where they differ by unit, of as many thresholds a unit as there are values."""
    x = np.array(list(np.ndindex(2, 2, 2, 2)), np.float32)
    for values in (1.0, [1.0, 2.0, 1.0, 1.0]):
        b = onnx_graphs.Builder(0)
        b.add("MatMul", "x", b.constant(np.eye(4)))
        b.add("Greater", "", b.constant(0.5))
        b.add("Cast", "", to=1)
        b.add("Mul", "", b.constant(values))
        b.add("Reshape", "", b.constant([-1, 1, 2, 2], np.int64))
        b.add("MaxPool", "", kernel_shape=[2, 2])
        b.add("Flatten", "", axis=1)
        b.add("MatMul", "", b.constant([[1.0, -1.0]]))
        b.add("Add", "", b.constant([0.0, 1.0]))
        onnx.save(b.model((4,), 2), tmp_path / "a.onnx")
        (theirs,) = onnx_graphs.onnxruntime.InferenceSession(tmp_path / "a.onnx").run(None, {"x": x})
        assert np.array_equal(import_network(tmp_path / "a.onnx").predict(x), theirs.argmax(axis=1))

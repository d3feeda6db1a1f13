"""NIR: what is written means the same to a reader of its own, and comes back as it was."""

from __future__ import annotations

import itertools
import re
from typing import Any

import network_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_neuro.exchange.files import export, import_network
from conntra_neuro.exchange.nir.reader import network_of_graph
from conntra_neuro.exchange.nir.writer import nir_graph
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, MaxPool, SumPool
from conntra_neuro.network.levels import Levels

pytest.importorskip("nir")

import h5py
import nir
import nir_numpy


def sayable(network: DiscreteNetwork) -> bool:
    neurons = [layer.neuron for layer in network.layers]
    if any(isinstance(n, GradedRelu) or (isinstance(n, IntegrateAndFire) and n.reset == "soft") for n in neurons):
        return False
    shapes = [(r.source, network.layers[r.target].output_shape, r.connection) for r in network.residuals]
    for source, target, connection in shapes:
        given = network.layers[0].input_shape if source < 0 else network.layers[source].output_shape
        given = given if connection is None else connection.output_shape
        if len(target) == 3 and len(given) == 1:
            return False
    return True


networks = network_strategies.networks(kinds=("threshold", "integrate_and_fire")).filter(sayable)


@settings(max_examples=50, deadline=None)
@given(network=networks, seed=st.integers(0, 1000))
def test_a_reader_of_its_own_sees_the_same_spikes_and_logits(network, seed):
    graph = nir_graph(network)
    samples = network_strategies.inputs(network, 4, seed)
    outputs, logits = network.activity(samples)
    for number, sample in enumerate(samples):
        seen, total = nir_numpy.run(graph, sample)
        np.testing.assert_array_equal(total, logits[number])
        rows = slice(number * network.steps, (number + 1) * network.steps)
        for index, layer in enumerate(network.layers[:-1]):
            kind = type(layer).__name__.lower() if layer.neuron is None else layer.neuron.kind
            found = np.stack([value.ravel() for value in seen[f"{index}_{kind}"]])
            np.testing.assert_array_equal(found, outputs[index][rows])


@settings(max_examples=50, deadline=None)
@given(network=networks, seed=st.integers(0, 1000))
def test_networks_come_back_as_they_were(tmp_path_factory, network, seed):
    path = tmp_path_factory.mktemp("nir") / "a.nir"
    export(network, path)
    again = import_network(path)
    assert list(map(repr, again.layers)) == list(map(repr, network.layers))
    assert list(map(str, again.residuals)) == list(map(str, network.residuals))
    for before, after in zip(network.layers, again.layers, strict=True):
        if isinstance(before, (Dense, Conv2d)):
            np.testing.assert_array_equal(before.weight, after.weight)
            np.testing.assert_array_equal(before.bias, after.bias)
    samples = network_strategies.inputs(network, 5, seed)
    for before, after in zip(network.activity(samples)[0], again.activity(samples)[0], strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(again.forward(samples), network.forward(samples))


@pytest.mark.parametrize(
    "encoder", [None, ThresholdEncoder(np.arange(6) / 3), ThermometerEncoder(np.repeat([[0.5], [1 / 3]], 3, axis=1))]
)
@pytest.mark.parametrize("labels", [None, ("a", "é"), (3, 5.5)])
def test_encoder_labels_and_levels_come_back(tmp_path, encoder, labels):
    network = dense(encoder, labels)
    export(network, tmp_path / "a.nir")
    again = import_network(tmp_path / "a.nir")
    assert again.labels == labels
    assert [layer.levels for layer in again.layers] == [layer.levels for layer in network.layers]
    assert type(again.encoder) is type(encoder)
    x = np.random.default_rng(1).normal(size=(20, 6 if encoder is None else encoder.n_features))
    x = (x > 0).astype(np.uint8) if encoder is None else x
    np.testing.assert_array_equal(again.predict(x), network.predict(x))


def test_a_program_is_lifted_back_to_its_network(tmp_path):
    network = dense(ThresholdEncoder(np.zeros(6)), ("a", "b"))
    export(cn.compile(network, "loihi1"), tmp_path / "a.nir")
    again = import_network(tmp_path / "a.nir")
    spikes = np.eye(6, dtype=np.uint8)
    np.testing.assert_array_equal(again.forward(spikes), network.forward(spikes))
    assert again.labels == ("a", "b")


def test_nir_with_its_own_checks_reads_dense_and_square_convolutions(tmp_path):
    conv = Conv2d(np.ones((2, 1, 3, 3)), input_shape=(1, 5, 5), padding=1)
    network = DiscreteNetwork([conv, MaxPool(2, input_shape=(2, 5, 5)), Dense(np.ones((2, 8)), activation="readout")])
    export(network, tmp_path / "a.nir")
    assert nir.read(tmp_path / "a.nir").check_types()


def test_dilation_means_what_nir_says(tmp_path):
    """Its own node finds the same shape of the output, and its checks take the file."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-1, 2, (2, 1, 3, 3))
    conv = Conv2d(weight, input_shape=(1, 9, 8), padding=(1, 2), stride=(2, 1), dilation=(3, 2))
    network = DiscreteNetwork([conv, Dense(rng.integers(-1, 2, (2, conv.n_out)), activation="readout")])
    export(network, tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    assert graph.check_types()
    node = next(node for node in graph.nodes.values() if isinstance(node, nir.Conv2d))
    assert tuple(node.dilation) == (3, 2)
    assert tuple(node.output_type["output"]) == conv.output_shape
    assert import_network(tmp_path / "a.nir").layers[0].geometry == conv.geometry


@pytest.mark.parametrize("dilation", [2, (2, 2), np.array([2, 1])])
def test_padding_to_the_same_size_of_dilated_kernels(dilation):
    weight = np.ones((1, 1, 3, 3))
    conv = nir.Conv2d((6, 6), weight, 1, "same", dilation, 1, np.zeros(1))
    graph = chain(nir.Input(np.array([1, 6, 6])), conv, nir.Threshold(np.zeros((1, 6, 6))), nir.Flatten(
        {"input": np.array([1, 6, 6])}, 0, -1), nir.Linear(np.ones((2, 36))), OUT)  # fmt: skip
    geometry = network_of_graph(graph).layers[0].geometry
    assert geometry.output_shape == tuple(conv.output_type["output"]) == (1, 6, 6)
    assert geometry.padding == geometry.dilation == tuple(np.broadcast_to(dilation, 2))


def test_graphs_of_others(tmp_path):
    """No metadata, Linear, a threshold that is not whole, a Flatten of a batch's axes, scalars that broadcast."""
    weight = np.array([[1.0, 0, -1, 1], [1, 1, 1, 1]])
    nodes = {
        "in": nir.Input(np.array([1, 2, 2])),
        "flat": nir.Flatten({"input": np.array([1, 2, 2])}, 0, -1),
        "lin": nir.Linear(weight),
        "spike": nir.Threshold(np.array([0.3, 1.0])),
        "out_lin": nir.Affine(np.array([[2.0, -2.0], [0, 2.0]]), np.array([1.0, 0.0])),
        "out": nir.Output(np.array([2])),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)))
    nir.write(tmp_path / "theirs.nir", graph)
    network = import_network(tmp_path / "theirs.nir")
    for x in itertools.product([0, 1], repeat=4):
        _, expected = nir_numpy.run(graph, np.array([x]))
        np.testing.assert_array_equal(network.forward(np.array([x], np.uint8))[0], expected)


REFUSED = {
    "graded": ([Dense(np.eye(2), activation=GradedRelu()), Dense(np.eye(2), activation="readout")], [], "graded_relu"),
    "soft reset": (
        [Dense(np.eye(2), activation=IntegrateAndFire(2, 3, "soft")), Dense(np.eye(2), activation="readout")],
        [],
        "soft reset",
    ),
    "rows to images": (
        [Dense(np.ones((4, 2))), SumPool(2, input_shape=(1, 2, 2)), Dense(np.ones((2, 1)), activation="readout")],
        [],
        "folds rows to images",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nir_cannot_say_is_refused_by_name(tmp_path, case):
    layers, residuals, says = REFUSED[case]
    with pytest.raises(InputError, match=says):
        export(DiscreteNetwork(layers, residuals=residuals), tmp_path / "a.nir")
    assert list(tmp_path.iterdir()) == []


def chain(*nodes: Any, edges: Any = None) -> nir.NIRGraph:
    named = {str(i): node for i, node in enumerate(nodes)}
    return nir.NIRGraph(named, list(itertools.pairwise(named)) if edges is None else edges, type_check=False)


IN, OUT = nir.Input(np.array([2])), nir.Output(np.array([2]))
EYE, STEP = nir.Linear(np.eye(2)), nir.Threshold(np.zeros(2))
SPIKING = nir.IF(np.ones(2), np.full(2, 0.5), np.zeros(2))
LEAKY = nir.LIF(*[np.ones(2)] * 5)
GRAPHS = {
    "weights that are not whole": (chain(IN, nir.Linear(np.eye(2) * 0.3), OUT), "2 of 4 are not integers"),
    "NaN weights": (chain(IN, nir.Linear(np.full((2, 2), np.nan)), OUT), "NaN"),
    "infinite weights": (chain(IN, nir.Linear(np.full((2, 2), np.inf)), OUT), "infinite"),
    "NaN biases": (chain(IN, nir.Affine(np.eye(2), np.full(2, np.nan)), OUT), "NaN"),
    "biases of a readout": (chain(IN, nir.Affine(np.eye(2), np.full(2, 0.5)), OUT), "not integers"),
    "leaky neurons": (chain(IN, EYE, LEAKY, EYE, OUT), "give --steps T"),
    "a cycle": (chain(IN, EYE, STEP, EYE, OUT, edges=[*itertools.pairwise("01234"), ("2", "1")]), "cycle"),
    "no output": (chain(IN, EYE, STEP), "0 Output nodes"),
    "two inputs": (chain(IN, IN, OUT, edges=[("0", "2"), ("1", "2")]), "2 Input nodes"),
    "an edge to nowhere": (chain(IN, EYE, OUT, edges=[*itertools.pairwise("012"), ("1", "x")]), "no such node"),
    "a node apart": (chain(IN, EYE, OUT, EYE, edges=list(itertools.pairwise("012"))), "nothing leads into it"),
    "two weights in a row": (chain(IN, EYE, EYE, OUT), "without neurons between"),
    "unweighted neurons": (chain(IN, STEP, EYE, OUT), "0 weighted nodes"),
    "no time steps": (chain(IN, EYE, SPIKING, EYE, OUT), "give --steps"),
    "a subgraph": (chain(IN, chain(IN, EYE, OUT), OUT), "NIRGraph has no counterpart"),
    "sizes that differ": (chain(IN, EYE, STEP, nir.Linear(np.ones((2, 3))), OUT), "layer 1"),
    "weights beyond 32 bits": (chain(IN, nir.Linear(np.eye(2) * 2.0**40), OUT), "32 bits"),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_that_are_no_networks(tmp_path, case):
    graph, says = GRAPHS[case]
    nir.write(tmp_path / "a.nir", graph)
    with pytest.raises(FileFormatError, match=says) as caught:
        import_network(tmp_path / "a.nir")
    assert str(tmp_path / "a.nir") in str(caught.value)


def test_time_steps_may_be_given(tmp_path):
    nir.write(tmp_path / "a.nir", chain(IN, EYE, SPIKING, EYE, OUT))
    network = import_network(tmp_path / "a.nir", steps=3)
    assert network.steps == 3
    np.testing.assert_array_equal(network.forward(np.ones((1, 3, 2), np.uint8)), [[3, 3]])


def with_dataset(path, name, **options):
    with h5py.File(path, "a") as file:
        del file[name]
        file.create_dataset(name, **options)


HOSTILE = {
    "millions of edges": lambda p: with_dataset(
        p, "node/edges", shape=(2**22, 2), dtype=h5py.string_dtype(), chunks=(1024, 2), compression="gzip"
    ),
    "a dataset of petabytes": lambda p: with_dataset(
        p, "node/nodes/0_dense/weight", shape=(2**25, 2**25), dtype="f4", chunks=(64, 64)
    ),
    "zeros that unpack to 4 GiB": lambda p: with_dataset(
        p, "node/nodes/0_dense/weight", shape=(2**15, 2**15), dtype="f4", chunks=(64, 64), compression="gzip"
    ),
    "groups without end": lambda p: h5py.File(p, "a").__setitem__("node/again", h5py.File(p, "a")["/"]),
    "a link to another file": lambda p: h5py.File(p, "a").__setitem__("node/far", h5py.ExternalLink("/etc/x", "/")),
    "a soft link": lambda p: h5py.File(p, "a").__setitem__("node/soft", h5py.SoftLink("/node")),
    "no nodes": lambda p: h5py.File(p, "a").__delitem__("node"),
    "a node of no kind": lambda p: with_dataset(p, "node/nodes/0_dense/type", data="Transformer"),
    "a node that lacks its weight": lambda p: h5py.File(p, "a").__delitem__("node/nodes/0_dense/weight"),
    "weights of text": lambda p: with_dataset(p, "node/nodes/0_dense/weight", data="abc"),
    "weights of another shape": lambda p: with_dataset(p, "node/nodes/0_dense/weight", data=np.ones((2, 2, 2, 2, 2))),
    "notes that are no JSON": lambda p: with_dataset(p, "node/metadata/conntra", data="{" * 10_000),
    "levels that are none": lambda p: with_dataset(
        p, "node/nodes/0_dense/metadata/conntra", data='{"levels": [1, "x"]}'
    ),
    "levels that do not hold the weights": lambda p: with_dataset(
        p, "node/nodes/0_dense/metadata/conntra", data='{"levels": [5, 7]}'
    ),
    "an encoder of 2^40 features": lambda p: with_dataset(
        p,
        "node/metadata/conntra",
        data='{"encoder": {"kind": "threshold", "n_features": 1099511627776, "thresholds": [1]}}',
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_in_one_line(tmp_path, case):
    path = tmp_path / "a.nir"
    export(dense(None, None), path)
    HOSTILE[case](path)
    with pytest.raises(FileFormatError, match=re.escape(str(path))):
        import_network(path)


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "a.nir"
    export(dense(None, None), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 211):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            import_network(path)


def test_flipped_bytes_never_crash(tmp_path):
    """NIR has no checksum: what a flipped byte leaves is another network, or one clear error."""
    path = tmp_path / "a.nir"
    export(dense(None, None), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(len(whole), size=120):
        broken = bytearray(whole)
        broken[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            import_network(path)
        except FileFormatError:
            refused += 1
    assert refused


def dense(encoder: Any, labels: Any) -> DiscreteNetwork:
    rng = np.random.default_rng(0)
    hidden = Dense(rng.integers(-1, 2, (4, 6)), [0, 1, -1, 4000], levels=Levels((-3, -1, 0, 1)))
    return DiscreteNetwork([hidden, Dense(rng.integers(-1, 2, (2, 4)), activation="readout")], encoder, labels)


def test_a_graph_that_ends_in_spikes_is_told_so(tmp_path):
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "a": nir.Affine(np.ones((3, 4)), np.zeros(3)),
        "t": nir.Threshold(np.zeros(3)),
        "output": nir.Output({"output": np.array([3])}),
    }
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, [("input", "a"), ("a", "t"), ("t", "output")]))
    with pytest.raises(FileFormatError, match="the neurons before it spike; the potentials of the last weights"):
        cn.import_network(tmp_path / "a.nir")


def test_a_file_of_another_format_is_named(tmp_path):
    network = cn.DiscreteNetwork([cn.Dense([[1, -1]]), cn.Dense([[1], [-1]], activation="readout")])
    cn.export(network, tmp_path / "a.net")
    with pytest.raises(FileFormatError, match=r"a network of lava-dl \(NetX, .net\), not a NIR graph"):
        cn.import_network(tmp_path / "a.net", format="nir")
    with h5py.File(tmp_path / "b.nir", "w") as file:
        file["other"] = np.zeros(3)
    with pytest.raises(FileFormatError, match="without a NIR graph in it"):
        cn.import_network(tmp_path / "b.nir")

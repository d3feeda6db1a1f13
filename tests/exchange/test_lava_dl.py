"""lava-dl's .net files: those that its authors have published, spike for spike, and files in its notation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from over_time import by_loops

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_hardware.program.input_encoding import DrivenEncoder, encoder_from_dict
from conntra_neuro.cli.app import main
from conntra_neuro.exchange.files import import_with_report

h5py = pytest.importorskip("h5py")

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "networks" / "lava-dl"
published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published networks are not here")


def array(name: str) -> np.ndarray:
    return np.load(PUBLISHED / f"{name}.npy")


OXFORD = Path(__file__).parents[1] / "data" / "lava_dl"


def oxford(semantics: str) -> np.ndarray:
    """Return the spikes (2000, 200) of the last layer."""
    network = cn.import_network(OXFORD / "oxford.net", steps=2000, semantics=semantics)
    return network.outputs(oxford_spikes("input", 2000)[None])[-1]


def oxford_spikes(which: str, steps: int) -> np.ndarray:
    """Return published spikes (steps, 200)."""
    spikes = np.zeros((steps, 200), np.uint8)
    with np.load(OXFORD / "oxford_spikes.npz") as file:
        spikes[tuple(file[which].T.astype(int))] = 1
    return spikes


def test_oxford_gives_all_of_intels_spikes() -> None:
    """The published spikes are two steps later: a step a hop."""
    expected = oxford_spikes("output", 2002)
    found = oxford("slayer-0.3")
    assert found.sum() == expected.sum() == 10_178
    assert np.array_equal(found, expected[2:])


def test_oxford_is_another_network_by_lavas_rule() -> None:
    slayer, lava = oxford("slayer-0.3"), oxford("lava")
    assert (lava.sum(), (slayer & lava).sum()) == (9_632, 8_398)
    step, neuron = (int(i) for i in np.argwhere(slayer != lava)[0])
    assert (step, neuron, slayer[step, neuron], lava[step, neuron]) == (0, 2, 1, 0)


@pytest.mark.parametrize("semantics", [None, "slayer", "slayer-0.3"])
def test_the_rule_at_the_threshold_is_said_where_it_is_assumed(semantics: str | None) -> None:
    assumed: list[str] = []
    import_with_report(OXFORD / "oxford.net", semantics=semantics, assumed=assumed)
    assert [line for line in assumed if "time steps" not in line] == (
        ["CUBA neurons spike above the threshold, as lava-dl since 0.4 (trained before: --semantics slayer-0.3)"]
        if semantics is None
        else []
    )


@published
def test_tiny_gives_lava_dls_own_output() -> None:
    network = cn.import_network(PUBLISHED / "tiny.net", steps=15)
    drive = array("tiny_input_bias").astype(int).transpose(2, 1, 0).reshape(1, -1)  # (x, y, channel)
    spikes = network.encode(drive)
    assert np.array_equal(spikes.reshape(15, 3, 16, 16).transpose(1, 2, 3, 0), array("tiny_input")[0][..., 1:])
    first, last = network.outputs(spikes)
    assert np.array_equal(first.reshape(15, 24, 6, 6).transpose(1, 2, 3, 0), array("tiny_layer1")[0][..., 1:])
    assert np.array_equal(last.reshape(15, 36, 1, 1).transpose(1, 2, 3, 0), array("tiny_output")[0][..., 1:])
    program = cn.compile(network, chip="loihi2")
    assert np.array_equal(program.run(drive).logits, network.forward(spikes))


@published
def test_pilotnet_has_the_states_of_a_loihi_2_board() -> None:
    """16 steps; each layer's arrays begin a step later than those of the layer before. A probe shows 128 at a spike."""
    network = cn.import_network(PUBLISHED / "pilotnet_lif.net", steps=16)
    image = array("pilotnet_image").astype(int).transpose(2, 1, 0).reshape(1, -1)
    spikes = network.encode(image)
    inputs = spikes.reshape(16, 3, 66, 200).transpose(3, 2, 1, 0)
    assert np.array_equal(inputs, array("pilotnet_input")[..., :16])
    outputs = network.outputs(spikes)
    conv = outputs[4].reshape(16, 64, 2, 20).transpose(3, 2, 1, 0)
    assert np.array_equal(conv, array("pilotnet_conv-4")[..., 5:21])
    for index, name, hops in ((6, "fc-0", 6), (7, "fc-1", 7), (8, "fc-2", 8)):
        assert np.array_equal(outputs[index].T, array(f"pilotnet_{name}")[:, hops : hops + 16])
        assert outputs[index].any()
    dense = network.layers[6]
    sums = dense.sums(outputs[5])
    assert np.array_equal(64 * sums.T, array("pilotnet_fc-0-u")[:, 6:22])
    state, v = None, []
    for row in sums:
        state = dense.neuron.advance(row[None, None], dense.neuron_bias, state).state
        v.append(state[1][0])
    shown = np.where(outputs[6], 128, np.array(v))
    assert np.array_equal(shown.T, array("pilotnet_fc-0-v")[:, 6:22])


@published
def test_mnist_cuba_reads_digits() -> None:
    with np.load(PUBLISHED.parents[1] / "mnist-dev.npz") as data:
        x, y = data["x_test"][:300].reshape(300, -1), data["y_test"][:300]
    network = cn.import_network(PUBLISHED / "mnist_cuba.net", steps=20, drive=255)
    assert network.error(x, y) < 0.06
    program = cn.compile(network, chip="loihi1")
    assert np.array_equal(program.run(x).logits, network.forward(network.encode(x)))


def write(path: Path, layers: list[dict[str, Any]]) -> Path:
    """Write a file in lava-dl's notation: floats, types as bytes."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for name, value in layer.items():
                if name == "neuron":
                    for key, parameter in value.items():
                        group[f"neuron/{key}"] = parameter
                else:
                    kind = np.array([value.encode()], "S10") if name == "type" else value
                    group[name] = kind.astype(np.float32) if name in ("weight", "bias", "weight_rec") else kind
    return path


def cuba(rng: np.random.Generator, **changed: Any) -> dict[str, Any]:
    return {
        "type": str(rng.choice(["CUBA", "LOIHI"])),
        "iDecay": int(rng.integers(0, 4097)),
        "vDecay": int(rng.integers(0, 4097)),
        "vThMant": int(rng.integers(1, 9)),
        "refDelay": int(rng.integers(1, 4)),
        "wgtExp": int(rng.integers(0, 3)),
        "gradedSpike": False,
        **changed,
    }


def random_file(seed: int, path: Path) -> Path:
    rng = np.random.default_rng(seed)
    sizes = [6, 5, 4, 3]
    layers: list[dict[str, Any]] = []
    for index, (n_in, n_out) in enumerate(pairwise(sizes)):
        layer: dict[str, Any] = {
            "type": "dense",
            "shape": np.array([n_out]),
            "weight": rng.integers(-4, 5, (n_out, n_in)),
            "neuron": cuba(rng),
        }
        if rng.random() < 0.6:
            layer["bias"] = rng.integers(-2, 3, n_out)
        if rng.random() < 0.6:
            layer["delay"] = rng.integers(0, 4, rng.choice([n_in, n_out, 1]))
        if rng.random() < 0.5 and index < 2:
            layer |= {"type": "dense_rec", "weight_rec": rng.integers(-3, 4, (n_out, n_out))}
            if np.size(layer.get("delay", 0)) == n_in:
                layer["delay"] = rng.integers(0, 4, n_out)
        layers.append(layer)
    if rng.random() < 0.3:
        layers[-1]["neuron"]["vThMant"] = 2**17 - 1
    return write(path, layers)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("semantics", ["slayer", "slayer-0.3", "lava"])
def test_files_mean_what_lava_dl_says(seed: int, semantics: str, tmp_path: Path) -> None:
    """Weights times 2^wgtExp, biases times 64, a step more of delay and of refractory where the file says so."""
    path = random_file(seed, tmp_path / "a.net")
    network = cn.import_network(path, steps=9, semantics=semantics)
    x = (np.random.default_rng(seed).random((3, 9, 6)) < 0.4).astype(np.uint8)
    sent, logits = by_loops(network, x)
    assert np.array_equal(network.forward(x), logits)
    with h5py.File(path) as file:
        for index, layer in enumerate(network.layers):
            group = file[f"layer/{index}"]
            exponent = int(group["neuron/wgtExp"][()])
            assert np.array_equal(layer.weight, group["weight"][()] * 2**exponent)
            neuron = layer.neuron
            if isinstance(neuron, cn.Lif):
                assert neuron.strict == (semantics != "slayer-0.3" or group["neuron/type"][()] == b"LOIHI")
                assert neuron.refractory == group["neuron/refDelay"][()] - 1
    assert sent


def test_delays_are_a_neurons_own_as_in_lavas_loader(tmp_path: Path) -> None:
    """One a neuron, where there are as many, else one an input; lava-dl writes those of a block's outputs."""
    rows, columns, one = np.array([0, 3]), np.array([1, 0, 2]), np.array([4])
    for delay, shape in ((rows, rows[:, None]), (columns, columns[None]), (one, one)):
        network = cn.import_network(write(tmp_path / "a.net", [dense(delay=delay)]), steps=4)
        assert np.array_equal(np.broadcast_to(network.layers[0].delay, (2, 3)), np.broadcast_to(shape, (2, 3)))
    square = write(tmp_path / "b.net", [dense(weight=np.ones((2, 2)), delay=rows)])
    assert cn.import_network(square, steps=4).layers[0].delay.tolist() == [[0, 0], [3, 3]]


def test_an_average_sums_each_group_and_a_block_without_neurons_is_a_readout(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    first = dense(weight=rng.integers(-1, 3, (6, 3)), shape=np.array([6, 1, 1]))
    network = cn.import_network(
        write(tmp_path / "a.net", [first, {"type": "average", "shape": np.array([2, 1, 1])}]), steps=5
    )
    x = (rng.random((4, 5, 3)) < 0.5).astype(np.uint8)
    counts = network.outputs(x)[0].reshape(4, 5, 2, 3).sum(axis=(1, 3))
    assert counts.any()
    assert np.array_equal(network.forward(x), counts)
    bare = cn.import_network(write(tmp_path / "b.net", [dense(neuron=None)]), steps=5)
    assert bare.layers[0].neuron == cn.Readout()


def test_our_own_files_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = [
        cn.Dense(rng.integers(-2, 3, (7, 5)), rng.integers(-2, 3, 7), cn.Lif(3, voltage_decay=163, current_decay=900)),
        cn.Dense(rng.integers(-2, 3, (3, 7)), activation="readout"),
    ]
    network = cn.DiscreteNetwork(layers, steps=6)
    cn.export(network, tmp_path / "a.net")
    again = cn.import_network(tmp_path / "a.net", steps=6, semantics="lava")
    x = (rng.random((20, 6, 5)) < 0.4).astype(np.uint8)
    assert again.layers[0].neuron == layers[0].neuron
    assert np.array_equal(again.forward(x), network.forward(x))
    loose = cn.Lif(3, voltage_decay=163, strict=False)
    with pytest.raises(InputError, match="spike at the threshold"):
        cn.export(
            cn.DiscreteNetwork([cn.Dense(layers[0].weight, activation=loose), layers[1]], steps=6), tmp_path / "b.net"
        )


def dense(**changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    layer = {"type": "dense", "shape": np.array([2]), "weight": np.ones((2, 3)), "neuron": cuba(rng)}
    return {name: value for name, value in {**layer, **changed}.items() if value is not None}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([dense(type="pool")], "a block of type 'pool' has no counterpart"),
        ([dense(), dense(type="average", shape=np.array([3]))], "3 groups of 2 outputs; the last block"),
        ([dense(type="average"), dense()], "2 groups of 2 outputs; the last block"),
        ([dense(neuron=None), dense(weight=np.ones((2, 2)))], "neurons that never spike; only those of the last"),
        ([dense(type="concat")], "a block of type 'concat' has no counterpart"),
        ([dense(neuron={"type": "SDNN"})], "no 'vThMant'"),
        ([dense(neuron={"type": "SDNN", "vThMant": 1, "activation": "tanh"})], "activation 'tanh' has no counterpart"),
        (
            [dense(neuron={"type": "SDNN", "vThMant": 1, "sigma_output": True}, bias=np.ones(2))],
            "a sigma output with a",
        ),
        ([dense(neuron={"type": "ALIF"})], "ALIF neurons have no counterpart"),
        ([dense(neuron=cuba(np.random.default_rng(0), gradedSpike=True))], "graded spikes"),
        ([dense(weight=np.full((2, 3), 0.5))], "no 32-bit integers"),
        ([dense(weight=np.full((2, 3), np.nan))], "no 32-bit integers"),
        ([dense(weight=None)], "no 'weight'"),
        ([dense(type="conv", neuron=None)], "no group 'neuron'"),
        ([dense(shape=np.array([5]))], r"2 neurons, its shape says \(5,\)"),
        ([dense(), dense()], r"takes 3 inputs, the block before gives \(2,\)"),
        ([dense(bias=np.ones(4))], "4 biases; one, or 2"),
        ([dense(delay=np.array([0, 1, 2, 3]))], r"4 delays; one, one a neuron \(2\), or one an input \(3\)"),
        ([dense(delay=np.array([64]))], "delay 64"),
        ([dense(neuron=cuba(np.random.default_rng(0), wgtExp=-1))], "are no integers"),
        ([dense(neuron=cuba(np.random.default_rng(0), vDecay=5000))], "voltage_decay 5000"),
        ([dense(type="conv", weight=np.ones((2, 1, 3, 3)))], "stride|convolution"),
    ],
)
def test_what_has_no_counterpart_is_one_line(layers: list, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", layers)
    with pytest.raises(ConntraError, match=message):
        cn.import_network(path, steps=4)


def test_steps_and_rules_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", [dense()])
    with pytest.raises(InputError, match="give --steps T"):
        cn.import_network(path)
    with pytest.raises(InputError, match=r"semantics 'loihi': unknown; allowed: slayer, slayer-0\.3, lava"):
        cn.import_network(path, steps=4, semantics="loihi")
    with pytest.raises(InputError, match="'inputs' is not one of its own"):
        cn.import_network(path, steps=4, inputs="binary")
    assert cn.import_network(path, steps=4, drive=9).encode([[9, 0, 20]]).reshape(4, 3).sum(axis=0).tolist() == [
        2,
        0,
        4,
    ]


@pytest.mark.parametrize("content", ["", "no HDF5", None])
def test_files_that_are_none_are_one_line(content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "a.net"
    if content is not None:
        path.write_text(content)
    assert main(["import", str(path), "--steps", "4", "--out", str(tmp_path / "m")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    with h5py.File(tmp_path / "b.net", "w") as file:
        file["node/x"] = 1
    with pytest.raises(FileFormatError, match="a NIR graph"):
        cn.import_network(tmp_path / "b.net", steps=4)
    whole = write(tmp_path / "c.net", [dense()]).read_bytes()
    for cut in range(100, len(whole), 700):
        (tmp_path / "d.net").write_bytes(whole[:cut])
        with pytest.raises(ConntraError):
            cn.import_network(tmp_path / "d.net", steps=4)


def test_the_command_line_imports_compiles_and_verifies(tmp_path: Path) -> None:
    path = random_file(3, tmp_path / "a.net")
    model, program = str(tmp_path / "m.conntra"), str(tmp_path / "p.conntra")
    assert main(["import", str(path), "--steps", "7", "--drive", "9", "--out", model, "--quiet"]) == 0
    assert main(["compile", model, "--chip", "loihi2", "--out", program, "--quiet"]) == 0
    x = np.random.default_rng(0).integers(0, 12, (5, 6))
    arrays = {"x_train": x, "y_train": np.arange(5) % 3, "x_test": x, "y_test": np.arange(5) % 3}
    np.savez(tmp_path / "d.npz", **arrays)
    where = f"npz:{tmp_path / 'd.npz'}"
    assert main(["verify", program, "--data", where, "--backends", "reference,loop,brian2", "--quiet"]) == 0


def test_driven_neurons_are_files_and_neurons() -> None:
    neuron = cn.Lif(5, voltage_decay=300, current_decay=4096, strict=False, refractory=1)
    encoder = DrivenEncoder(neuron, 3, 6)
    again = encoder_from_dict("driven", encoder.thresholds)
    assert isinstance(again, DrivenEncoder)
    assert (again.neuron, again.steps, again.n_features) == (neuron, 6, 3)
    x = np.array([[0, 3, 9], [-4, 6, 100]])
    for row, features in enumerate(x):
        alone = neuron.advance(np.zeros((1, 6, 3), int), features).sent[0]
        assert np.array_equal(encoder.encode(x).reshape(2, 6, 3)[row], alone)
    for wrong in ([[0.5, 1, 2]], [[1, 2]], [[2**17, 0, 0]]):
        with pytest.raises(InputError):
            encoder.encode(wrong)
    with pytest.raises(InputError, match="driven encoder"):
        encoder_from_dict("driven", np.ones((3, 2)))


SLAYER = np.load(OXFORD / "slayer_files.npz")


@pytest.mark.parametrize("name", sorted({key.split("/")[0] for key in SLAYER.files}))
def test_lava_dls_own_networks_give_slayers_spikes(name: str, tmp_path: Path) -> None:
    """Ten of scripts/make_lava_dl_files.py, lava-dl 0.6.0; 300 more are measured (docs/lava_dl.md)."""
    (tmp_path / "a.net").write_bytes(SLAYER[f"{name}/file"].tobytes())
    x = SLAYER[f"{name}/inputs"]
    layers = sum(key.startswith(f"{name}/") for key in SLAYER.files) - 2
    network = cn.import_network(tmp_path / "a.net", steps=x.shape[1])
    sent = [part for part, layer in zip(network.outputs(x), network.layers, strict=True) if layer.neuron is not None]
    theirs = SLAYER[f"{name}/{layers - 1}"][:, layers:]  # a step a block later
    assert np.array_equal(sent[-1].reshape(*x.shape[:2], -1)[:, : theirs.shape[1]], theirs)


def test_a_recurrent_blocks_delays_are_its_outputs_or_its_inputs(tmp_path: Path) -> None:
    """lava-dl trains with those of outputs; its loader delays inputs, and the way back alike."""
    delay, back = np.array([0, 2]), np.array([[0, 1], [1, 0]])
    neuron = cuba(np.random.default_rng(0), iDecay=4096, vDecay=4096, vThMant=1, refDelay=1, wgtExp=0)
    first = dense(type="dense_rec", weight=2 * np.ones((2, 3)), weight_rec=back, delay=delay, neuron=neuron)
    behind = dense(weight=np.array([[1, 0], [0, 1]]), neuron=neuron)
    path = write(tmp_path / "a.net", [first, behind])
    trained = cn.import_network(path, steps=8)
    assert np.array_equal(trained.layers[1].delay, np.broadcast_to(delay, (2, 2)))
    assert trained.recurrent[0].connection.delay == 0
    loaded = cn.import_network(path, steps=8, semantics="lava")
    rows = [
        np.broadcast_to(part, (2, n))
        for part, n in ((loaded.layers[0].delay, 3), (loaded.recurrent[0].connection.delay, 2))
    ]
    for part in rows:
        assert np.array_equal(part, np.broadcast_to(delay[:, None], part.shape))
    alone = cn.import_network(write(tmp_path / "b.net", [first]), steps=8)
    x = np.zeros((1, 8, 3), np.uint8)
    x[0, 0] = 1
    once = alone.outputs(x)
    assert np.array_equal(once[1][:, 0], once[0][:, 0])
    assert np.array_equal(once[1][2:, 1], once[0][:-2, 1])
    assert once[0][0].all()
    path = write(tmp_path / "c.net", [{**first, "delay": np.array([1, 2, 3])}])
    assert cn.import_network(path, steps=8).layers[0].delay.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="delays by input beside a way back"):
        cn.import_network(path, steps=8, semantics="lava")

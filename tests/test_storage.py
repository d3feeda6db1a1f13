import dataclasses
import json
import os
import re

import network_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base import files
from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.base.files import read_container
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_hardware.program.program_file import load_program, program_sha256, save_program
from conntra_neuro.network import Dense, DiscreteNetwork
from conntra_neuro.network.layers import Conv2d
from conntra_neuro.network.levels import BINARY, TERNARY, Levels
from conntra_neuro.network.storage import load, load_info, load_network, memory_report, save

LEVEL_SETS = (
    BINARY,
    TERNARY,
    Levels((-2, -1, 0, 1, 2)),
    Levels((-7, 0, 1, 130)),
    Levels(tuple(range(-128, 128))),
)
LABELS = (None, tuple("abc"), (3, 5.5, True), ("é", '"sha256": "', "\\\n"))


def random_network(widths, levels, seed=0, encoder=None, labels=None):
    rng = np.random.default_rng(seed)
    layers = [
        Dense(
            rng.choice(levels.array, (n_out, n_in)),
            rng.integers(-(2**31), 2**31, n_out),
            activation="readout" if last else "threshold",
            levels=levels,
        )
        for n_in, n_out, last in zip(widths, widths[1:], [False] * (len(widths) - 2) + [True], strict=False)
    ]
    return DiscreteNetwork(layers, encoder, labels)


def random_program(seed=0, encoder=None, labels=None):
    rng = np.random.default_rng(seed)
    return Program(
        chip=load_chip("loihi1"),
        n_inputs=6,
        populations=(
            Population("layer0", Threshold(), rng.integers(-300, 300, 5)),
            Population("readout", Readout(), rng.integers(-3, 3, 3)),
        ),
        projections=(
            Projection(INPUT, "layer0", rng.integers(-1, 2, (5, 6))),
            Projection("layer0", "readout", rng.integers(-(2**30), 2**30, (3, 5))),
        ),
        slices=(CoreSlice("layer0", 0, 2, 0), CoreSlice("layer0", 2, 5, 1), CoreSlice("readout", 0, 3, 2)),
        encoder=encoder,
        labels=labels,
    )


def assert_same_encoder(a, b):
    assert type(a) is type(b)
    if a is not None:
        np.testing.assert_array_equal(a.thresholds, b.thresholds)


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    levels=st.sampled_from(LEVEL_SETS),
    labels=st.sampled_from(LABELS),
    encoder=st.sampled_from((None, "threshold", "thermometer", "shared")),
    seed=st.integers(0, 1000),
)
def test_networks_round_trip(tmp_path_factory, widths, levels, labels, encoder, seed):
    widths = [*widths, 3]
    rng = np.random.default_rng(seed)
    if encoder == "threshold":
        encoder = ThresholdEncoder(rng.normal(size=widths[0]))
    elif encoder == "thermometer":
        encoder = ThermometerEncoder(np.sort(rng.normal(size=(2, widths[0])), axis=0))
        widths[0] *= 2
    elif encoder == "shared":
        encoder = ThermometerEncoder(np.repeat([[1.5], [2.5]], widths[0], axis=1))
        widths[0] *= 2
    network = random_network(widths, levels, seed, encoder, labels)
    path = tmp_path_factory.mktemp("files") / "a.conntra"
    size = save(network, path, info={"seed": seed})
    again = load(path)
    assert isinstance(again, DiscreteNetwork)
    assert path.stat().st_size == size
    assert again.labels == labels
    assert_same_encoder(network.encoder, again.encoder)
    for before, after in zip(network.layers, again.layers, strict=True):
        np.testing.assert_array_equal(before.weight, after.weight)
        np.testing.assert_array_equal(before.bias, after.bias)
        assert (before.levels, before.neuron) == (after.levels, after.neuron)
    assert load_info(path) == {"seed": seed}


@pytest.mark.parametrize("encoder", [None, ThresholdEncoder(np.arange(6) / 3)])
@pytest.mark.parametrize("labels", LABELS)
def test_programs_round_trip(tmp_path, encoder, labels):
    program = random_program(encoder=encoder, labels=labels)
    path = tmp_path / "a.conntra"
    save(program, path, info={"model": "m"})
    again = load(path)
    assert isinstance(again, Program)
    assert again.chip == program.chip
    assert again.chip.cited == program.chip.cited
    assert (again.slices, again.labels, again.n_inputs) == (program.slices, program.labels, program.n_inputs)
    assert_same_encoder(program.encoder, again.encoder)
    for before, after in zip(program.populations, again.populations, strict=True):
        assert (before.name, before.neuron) == (after.name, after.neuron)
        np.testing.assert_array_equal(before.bias, after.bias)
    for before, after in zip(program.projections, again.projections, strict=True):
        assert (before.source, before.target) == (after.source, after.target)
        np.testing.assert_array_equal(before.weights, after.weights)
    assert program_sha256(again) == program_sha256(program)
    assert load_info(path) == {"model": "m"}


@settings(max_examples=40, deadline=None)
@given(network=network_strategies.networks(network_strategies.ALL_KINDS), seed=st.integers(0, 1000))
def test_networks_of_every_kind_of_layer_round_trip(tmp_path_factory, network, seed):
    path = tmp_path_factory.mktemp("every") / "a.conntra"
    save(network, path)
    again = load_network(path)
    assert list(map(repr, again.layers)) == list(map(repr, network.layers))
    assert repr(again) == repr(network)
    spikes = network_strategies.inputs(network, 5, seed)
    np.testing.assert_array_equal(again.forward(spikes), network.forward(spikes))


def test_a_dilated_convolution_is_refused_by_readers_that_do_not_know_of_it(tmp_path):
    """They would leave out a key that they do not know, but not a type; without dilation there is neither."""
    entries = []
    for dilation in (1, (2, 1)):
        conv = Conv2d(np.ones((1, 1, 3, 3), int), input_shape=(1, 7, 7), dilation=dilation)
        network = DiscreteNetwork([conv, Dense(np.ones((2, conv.n_out), int), activation="readout")])
        save(network, tmp_path / "a")
        assert load_network(tmp_path / "a").layers[0].geometry == conv.geometry
        entries.append(read_container(tmp_path / "a").body["layers"][0])
    assert [entry["type"] for entry in entries] == ["conv2d", "conv2d_dilated"]
    assert {*entries[1]} - {*entries[0]} == {"dilation"}
    assert entries[1]["dilation"] == [2, 1]


def test_the_programs_checksum_sees_what_it_does_and_nothing_else():
    program = random_program()
    moved = dataclasses.replace(program, slices=(*program.slices[:2], CoreSlice("readout", 0, 3, 7)))
    assert program_sha256(program) == program_sha256(random_program())
    assert program_sha256(program) != program_sha256(moved)
    assert program_sha256(program) != program_sha256(random_program(seed=1))


def test_the_same_contents_give_the_same_bytes(tmp_path):
    network = random_network([9, 4, 3], TERNARY)
    save(network, tmp_path / "a")
    save(network, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_byte_is_found(tmp_path):
    path = tmp_path / "a.conntra"
    save(random_network([5, 3, 2], TERNARY), path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        for mask in (1, 0x29):  # 0x20 ^ 0x29 is a tab: other bytes, the same JSON
            broken = bytearray(whole)
            broken[position] ^= mask
            path.write_bytes(broken)
            with pytest.raises(FileFormatError, match=re.escape(str(path))) as caught:
                load(path)
            assert "\n" not in str(caught.value)


def test_every_truncation_is_found(tmp_path):
    path = tmp_path / "a.conntra"
    save(random_network([5, 3, 2], TERNARY), path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            load(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(FileFormatError, match="truncated"):
        load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(FileFormatError, match="longer"):
        load(path)


def test_a_newer_version_asks_for_an_upgrade(tmp_path, monkeypatch):
    path = tmp_path / "a.conntra"
    monkeypatch.setattr(files, "FORMAT", 2)
    save(random_network([5, 2], TERNARY), path)
    monkeypatch.undo()
    with pytest.raises(FileFormatError, match=r"format 2, newer than 1.*upgrade"):
        load(path)


def test_the_wrong_kind_names_both_and_the_remedy(tmp_path):
    save(random_network([5, 2], TERNARY), tmp_path / "model")
    save_program(random_program(), tmp_path / "program")
    with pytest.raises(FileFormatError, match=r"a model file; a program file is expected.*conntra compile"):
        load_program(tmp_path / "model")
    with pytest.raises(FileFormatError, match=r"a program file; a model file is expected.*conntra train"):
        load_network(tmp_path / "program")


@pytest.mark.parametrize("content", [b"", b"x", b"\x89PNG\r\n\x1a\n" * 20, b"{}", b"\x02" + bytes(7) + b"{}"])
def test_other_files_are_named_as_such(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"not a model or program file"):
        load(path)


def test_safetensors_of_others_are_named_as_such(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FileFormatError, match="not a model or program file"):
        load(tmp_path / "other.safetensors")


def test_a_sound_file_with_nonsense_in_it(tmp_path):
    path = tmp_path / "a.conntra"
    files.write_container(path, "model", {"layers": [{}], "encoder": None, "labels": None}, {})
    with pytest.raises(FileFormatError, match="not a network"):
        load(path)
    files.write_container(path, "song", {}, {})
    with pytest.raises(FileFormatError, match="a song file"):
        load(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        load(tmp_path / "none")
    with pytest.raises(FileFormatError, match="a folder"):
        load(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.conntra"
    save(random_network([5, 2], TERNARY), path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileFormatError, match=r"cannot be written \(No space left"):
        save(random_network([6, 2], TERNARY), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.conntra"]


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(InputError, match="dict given"):
        save({}, tmp_path / "a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="label"):
        save(random_network([5, 1], TERNARY, labels=[object()]), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_memory_is_what_is_stored(tmp_path):
    network = random_network([784, 256, 10], TERNARY)
    report = memory_report(network)
    weights, biases = 784 * 256 + 256 * 10, 266
    assert report.packed == -(-784 * 256 // 5) + 256 * 10 // 5 + 4 * biases
    assert (report.float64, report.float32) == (8 * (weights + biases), 4 * (weights + biases))
    assert report.weight_bits == pytest.approx(1.6, abs=1e-3)
    assert report.on_disk == save(network, tmp_path / "a")
    assert report.on_disk < report.packed + 1000
    assert json.dumps(report.to_dict())

"""lava-dl's sigma-delta networks: files of its layout, against Lava's equations written down once more.

``scripts/compare_netx.py`` holds the same to lava-dl's own loader. With lava-dl's tests at hand (their folder ``netx``
in CONNTRA_LAVA_DL_TESTS), what they publish is compared, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lava_hops import behind

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.base.errors import InputError
from conntra_hardware.fit.overflow import prove_no_overflow
from conntra_hardware.program.input_encoding import ChangeEncoder, encoder_from_dict
from conntra_hardware.program.random_inputs import random_inputs
from conntra_neuro.cli.app import main

h5py = pytest.importorskip("h5py")

TESTS = Path(os.environ.get("CONNTRA_LAVA_DL_TESTS", "-")) / "gts"
published = pytest.mark.skipif(not TESTS.is_dir(), reason="CONNTRA_LAVA_DL_TESTS does not name lava-dl's tests/netx")

STEPS = 6


def write(path: Path, blocks: list[dict[str, Any]]) -> Path:
    """Write blocks in the layout of lava-dl's export_hdf5."""
    with h5py.File(path, "w") as file:
        for index, block in enumerate(blocks):
            group = file.create_group(f"layer/{index}")
            group.create_dataset("type", (1,), "S10", [block["type"].encode()])
            for name, value in block.items():
                if name in ("weight", "bias"):
                    group[name] = np.asarray(value, np.float32)
                elif name not in ("type", "vThMant", "sigma_output"):
                    group[name] = np.asarray(value)
            if "vThMant" in block:
                group["neuron/type"], group["neuron/activation"] = "SDNN", "relu"
                group["neuron/vThMant"] = block["vThMant"]
            if "sigma_output" in block:
                group["neuron/sigma_output"] = True
    return path


def blocks_of(seed: int) -> list[dict[str, Any]]:
    """An image, a convolution and two dense blocks; without an image where the seed is odd."""
    rng = np.random.default_rng(seed)

    def dense(n_out: int, n_in: int, **more: Any) -> dict[str, Any]:
        weight = 2 * rng.integers(-3, 6, (n_out, n_in))
        return {"type": "dense", "shape": [n_out], "weight": weight, "vThMant": int(rng.integers(0, 9)), **more}

    if seed % 2:
        first = {"type": "input", "shape": [7], "vThMant": int(rng.integers(0, 12))}
        return [first, dense(5, 7, bias=rng.integers(-9, 10, 5)), dense(2, 5, sigma_output=True)]
    window = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    kernel = 2 * rng.integers(-2, 4, (3, 2, 2, 2))
    image = {"type": "input", "shape": [2, 3, 4], "vThMant": int(rng.integers(0, 12))}
    conv = {
        "type": "conv",
        "shape": [3, 2, 3],
        "weight": kernel,
        "bias": rng.integers(-9, 10, 3),
        "vThMant": 4,
        **window,
    }
    flatten = {"type": "flatten", "shape": [18, 1, 1]}
    return [image, conv, flatten, dense(4, 18, bias=rng.integers(-9, 10, 4)), dense(2, 4, sigma_output=True)]


def matrix_of(block: dict[str, Any]) -> np.ndarray:
    """Return the weights of a block, those of a convolution at all its places."""
    if block["type"] == "dense":
        return np.asarray(block["weight"])
    layer = cn.Conv2d(block["weight"], input_shape=(2, 3, 4))
    return layer.sums(np.eye(24, dtype=np.int64)).T


def by_lavas_equations(blocks: list[dict[str, Any]], frames: np.ndarray) -> list[list[int]]:
    """Return the sum of the last block after each step, number by number, from Delta, SigmaDelta and Sigma alone."""
    first, *others = [block for block in blocks if block["type"] != "flatten"]
    weights = [matrix_of(block) for block in others]
    delta = [[0, 0] for _ in frames[0]]
    states = [[[0, 0, 0] for _ in weight] for weight in weights]
    shown = []
    for frame in frames.tolist():
        sent = [_delta(state, value << 12, first["vThMant"] << 12) for state, value in zip(delta, frame, strict=True)]
        for block, weight, state in zip(others, weights, states, strict=True):
            per = len(weight) // len(np.asarray(block["weight"]))
            biases = np.repeat(block.get("bias", np.zeros(len(weight) // per, int)), per).tolist()
            after = []
            for row, bias, one in zip(weight.tolist(), biases, state, strict=True):
                one[0] += sum(w * s for w, s in zip(row, sent, strict=True))
                act = max(one[0] + (bias << 12), 0)
                kept = one[1:]
                after.append(one[0] if "sigma_output" in block else _delta(kept, act, block["vThMant"] << 12))
                one[1:] = kept
            sent = after
        shown.append(sent)
    return shown


def _delta(state: list[int], act: int, threshold: int) -> int:
    change = act - state[0] + state[1]
    sends = abs(change) >= threshold
    state[0], state[1] = act, 0 if sends else change
    return change >> 6 if sends else 0


@pytest.mark.parametrize("seed", range(12))
def test_files_do_what_lavas_processes_say(seed: int, tmp_path: Path) -> None:
    blocks = blocks_of(seed)
    path = write(tmp_path / "a.net", blocks)
    rng = np.random.default_rng(seed)
    n = int(np.prod(blocks[0]["shape"]))
    still = rng.integers(-256, 256, (1, n))
    moving = np.clip(rng.integers(-40, 41, (STEPS, n)).cumsum(axis=0) + still, -256, 255)
    for frames, several in ((still, None), (moving, True)):
        network = cn.import_network(path, steps=STEPS, frames=several)
        expected = by_lavas_equations(blocks, np.broadcast_to(frames, (STEPS, n)))
        assert network.stream().push(network.encode(frames.reshape(1, -1))).cumsum(axis=0).tolist() == expected
        assert network.forward(network.encode(frames.reshape(1, -1))).tolist() == [expected[-1]]
        assert any(map(any, expected))


@pytest.mark.parametrize("frames", [None, True])
def test_they_compile_and_simulators_agree(tmp_path: Path, frames: bool | None) -> None:
    network = cn.import_network(write(tmp_path / "a.net", blocks_of(0)), steps=3, frames=frames)
    program = cn.compile(network, chip="loihi2")
    assert all(proof.holds for proof in prove_no_overflow(program))
    x = random_inputs(program, 5, 0)
    assert np.array_equal(program.run(x).logits, network.forward(network.encode(x)))
    simulators = ["reference", "loop", *([] if frames else ["lava", "brian2"])]
    there = [name for name in simulators if load_backend(name).availability().ok]
    assert program.verify(x, backends=there).equal


def test_values_are_bounded_however_often_they_change(tmp_path: Path) -> None:
    """They stay from -256 to 255, in one frame or in many; but not what neurons of other weights make of the lines."""
    path = write(tmp_path / "a.net", blocks_of(1))
    for steps, frames in ((1, None), (60, None), (60, True)):
        network = cn.import_network(path, steps=steps, frames=frames)
        proof = prove_no_overflow(cn.compile(network, chip="loihi2"), ())[0]
        assert (proof.low, proof.high) == (-256 * 64, 255 * 64)
    encoder = ChangeEncoder(7, 60, 60)
    layers = [
        cn.Dense([[2] + [1] * (encoder.n_out - 1)], activation=cn.SigmaDelta(1)),
        cn.Dense([[1]], None, "readout"),
    ]
    other = cn.compile(cn.DiscreteNetwork(layers, encoder, steps=60), chip="loihi2")
    assert prove_no_overflow(other, ())[0].high == 60 * (encoder.n_out + 1)


def test_the_encoder_says_every_change() -> None:
    for frames in (1, 4):
        encoder = ChangeEncoder(6, 4, frames, channels=2)
        again = encoder_from_dict("changes", encoder.thresholds)
        assert isinstance(again, ChangeEncoder)
        assert (again.values, again.steps, again.frames, again.channels) == (6, 4, frames, 2)
        rng = np.random.default_rng(0)
        x = rng.choice([-256, -129, -128, -1, 0, 1, 127, 128, 191, 192, 255], (200, encoder.n_features))
        sent = encoder.encode(x).reshape(200, 4, 2, len(encoder.weights), 3)
        held = np.einsum("nsclv,l->nscv", sent.astype(int), encoder.weights).reshape(200, 4, 6).cumsum(axis=1)
        assert np.array_equal(held, np.broadcast_to(x.reshape(200, frames, 6), (200, 4, 6)))
    for wrong in ([[0.5] * 6], [[256] * 6], [[-257] * 6]):
        with pytest.raises(InputError, match="whole numbers from -256 to 255"):
            ChangeEncoder(6, 4).encode(wrong)
    with pytest.raises(InputError, match="3 frames in 4 steps"):
        ChangeEncoder(6, 4, 3)
    with pytest.raises(InputError, match="6 values in 4 channels"):
        ChangeEncoder(6, 4, channels=4)
    for numbers in (np.ones((3, 2)), np.full((4, 2), 1.5), np.ones((4, 2)), np.zeros((4, 1))):
        with pytest.raises(InputError, match="change encoder"):
            encoder_from_dict("changes", numbers)


def test_other_activations_are_relu_for_lava_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", blocks_of(1))
    with h5py.File(path, "a") as file:
        del file["layer/1/neuron/activation"]
        file["layer/1/neuron/activation"] = "sigmoid"
    with pytest.raises(InputError, match=r"activation 'sigmoid' has no counterpart here; .* --semantics lava"):
        cn.import_network(path, steps=4)
    neuron = cn.import_network(path, steps=4, semantics="lava").layers[2].neuron
    assert neuron is not None
    assert neuron.facts.delta == "relu"


def test_the_command_line_takes_frames(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path, model = write(tmp_path / "a.net", blocks_of(1)), str(tmp_path / "m.conntra")
    assert main(["import", str(path), "--steps", "5", "--frames", "--out", model, "--quiet"]) == 0
    encoder = cn.load(model).encoder
    assert encoder is not None
    assert encoder.n_features == 35
    with h5py.File(path, "a") as file:
        del file["layer/0"]
        file.move("layer/1", "layer/0")
        file.move("layer/2", "layer/1")
    capsys.readouterr()
    assert main(["import", str(path), "--steps", "5", "--frames", "--out", model, "--quiet"]) == 2
    assert "no input block of SDNN neurons; leave --frames out" in capsys.readouterr().err


@published
def test_pilotnet_gives_lava_dls_own_output_and_sums() -> None:
    folder = TESTS / "pilotnet_sdnn"
    image = np.load(folder / "input.npy")[..., 0].transpose(2, 1, 0).reshape(1, -1)
    network = cn.import_network(folder / "network.net", steps=9)
    layers = [network.layers[0], *map(behind, network.layers[1:])]
    hops = cn.DiscreteNetwork(layers, network.encoder, steps=9)
    spikes = network.encode(image)
    assert hops.stream().push(spikes).cumsum(axis=0).T.tolist() == np.load(folder / "output.npy").tolist()
    sent = hops.outputs(spikes)
    for index, shape in ((1, (24, 16, 49)), (2, (36, 7, 24))):
        sums = np.zeros((9, int(np.prod(shape))), np.int64)
        sums[1:] = layers[index].sums(sent[index - 1].astype(np.int64))[:-1]
        sigma = sums.cumsum(axis=0).reshape(9, *shape).transpose(3, 2, 1, 0)
        assert np.array_equal(sigma, np.load(folder / f"sigma{index}.npy")[..., :9])


@published
def test_ntidigits_gives_all_published_spikes() -> None:
    """Delays one a neuron, an average at the end; the published spikes are four steps later: a step a hop."""
    x, truth = (np.load(TESTS / "ntidigits" / f"{name}.npy") for name in ("input", "output"))
    network = cn.import_network(TESTS / "ntidigits" / "ntidigits.net", steps=x.shape[1])
    found = network.outputs((x > 0).T[None].astype(np.uint8))[-2].T
    assert found.sum() == truth.sum() == 22_572
    assert np.array_equal(found[:, :-4], truth[:, 4:])

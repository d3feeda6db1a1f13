"""A ceiling of graded spikes: the same everywhere, bounded by the proof, and refused where there is none."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError, InputError
from conntra_hardware.fit.overflow import prove_no_overflow
from conntra_hardware.neurons import GRADED_MAX, GradedRelu
from conntra_hardware.neurons.table import neuron_from_dict, neuron_to_dict
from conntra_neuro.exchange import export
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork
from conntra_neuro.network.storage import load_network, save


def example(seed: int = 0) -> DiscreteNetwork:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(-5, 6, shape)

    first = GradedRelu(1, ceiling=[3, 5, 4])
    return DiscreteNetwork(
        [
            Conv2d(draw(3, 2, 2, 2), draw(3) * 3, first, input_shape=(2, 4, 4)),
            Dense(draw(9, 27), draw(9) * 1000, GradedRelu(2, ceiling=7)),
            Dense(draw(4, 9), None, "readout"),
        ]
    )


def by_hand(network: DiscreteNetwork, spikes: np.ndarray) -> list[list[int]]:
    conv, dense, readout = network.layers
    found = []
    for row in spikes.reshape(-1, 2, 4, 4).tolist():
        first = []
        for channel, ceiling in enumerate((3, 5, 4)):
            for y in range(3):
                for x in range(3):
                    kernel = conv.weight[channel].tolist()
                    total = int(conv.bias[channel]) + sum(
                        kernel[i][a][b] * row[i][y + a][x + b] for i in range(2) for a in range(2) for b in range(2)
                    )
                    first.append(min(max(total // 2, 0), ceiling))
        second = [
            min(max((sum(w * v for w, v in zip(ws, first, strict=True)) + b) // 4, 0), 7)
            for ws, b in zip(dense.weight.tolist(), dense.bias.tolist(), strict=True)
        ]
        found.append([sum(w * v for w, v in zip(ws, second, strict=True)) for ws in readout.weight.tolist()])
    return found


def test_it_is_the_same_by_hand_and_in_every_simulator():
    network = example()
    spikes = np.random.default_rng(1).integers(0, 2, (40, 32))
    assert network.forward(spikes).tolist() == by_hand(network, spikes)
    outputs, _ = network.activity(spikes)
    assert outputs[0].max() == 5
    assert outputs[1].max() == 7
    program = cn.compile(network, chip="loihi2")
    assert program.verify(spikes, ["reference", "loop", "lava", "brian2"]).equal


def test_the_proof_knows_it():
    program = cn.compile(example(), chip="loihi2")
    readout = next(proof for proof in prove_no_overflow(program, ()) if proof.population == "readout")
    weight = example().layers[2].weight
    assert readout.high == 7 * np.maximum(weight, 0).sum(axis=1).max()


def test_files_hold_it_and_those_without_are_as_before(tmp_path):
    save(example(), tmp_path / "x.conntra")
    again = load_network(tmp_path / "x.conntra")
    assert again.layers[0].neuron == example().layers[0].neuron
    assert neuron_to_dict(GradedRelu(3)) == {"kind": "graded_relu", "shift": 3}
    assert neuron_from_dict({"kind": "graded_relu", "shift": 3}).ceiling == GRADED_MAX


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_c_has_it(tmp_path):
    import ctypes
    import subprocess

    network = example(2)
    export(network, tmp_path / "net.h", name="net")
    (tmp_path / "net.c").write_text('#define NET_IMPLEMENTATION\n#include "net.h"\n')
    library = tmp_path / "net.so"
    subprocess.run(["cc", "-std=c99", "-shared", "-fPIC", "-o", library, tmp_path / "net.c"], check=True)
    predict = ctypes.CDLL(str(library)).net_predict
    spikes = np.random.default_rng(3).integers(0, 2, (50, 32)).astype(np.uint8)
    words = np.packbits(spikes, axis=1, bitorder="little").view(np.uint32)
    found = [predict(row.ctypes.data_as(ctypes.c_void_p)) for row in np.ascontiguousarray(words)]
    assert found == network.predict(spikes).tolist()


def test_what_has_no_ceiling_refuses_it():
    program = cn.compile(example(), chip="loihi2")
    with pytest.raises(ConntraError, match="ceiling"):
        program.run(np.zeros((1, 32), np.uint8), backend="lava-stock")
    with pytest.raises(InputError, match="ceiling 0"):
        GradedRelu(1, ceiling=0)


@pytest.mark.parametrize(("bias", "fits"), [(4095 << 7, True), ((4095 << 7) + 1, False), (4097, False), (8196, True)])
def test_biases_of_graded_neurons_are_not_shifted(bias, fits):
    network = DiscreteNetwork([Dense([[1]], [bias], GradedRelu(12)), Dense([[1]], None, "readout")])
    assert cn.check(network, chip="loihi2").fits == fits

"""Weights of more than 8 bits: signs in lists of their own, then two synapses a weight; the same spikes everywhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import conntra_neuro as cn
from conntra_hardware.base.weight_packing import pack, packed_size, unpack
from conntra_hardware.chip import load_chip
from conntra_hardware.fit.synapse_memory import encode, halves, synapses_of, weight_format
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Recurrent

LOIHI = load_chip("loihi1")
BACKENDS = ["reference", "loop", "brian2", *(["lava"] if importlib.util.find_spec("lava") else [])]


def wide(rng: np.random.Generator, shape: tuple[int, ...], largest: int) -> np.ndarray:
    weights = rng.integers(-largest, largest + 1, shape)
    weights.flat[:2] = largest, -largest
    return weights


@pytest.mark.parametrize("largest", [256, 300, 2047, 16_000])
def test_halves_add_up_and_fit(largest: int) -> None:
    weights = wide(np.random.default_rng(largest), (20, 30), largest)
    assert weight_format(weights, LOIHI).two
    high, low = halves(weights)
    assert np.array_equal(high + low, weights)
    for part in (high, low):
        form = weight_format(part, LOIHI)
        assert (form.allowed, form.two, form.apart) == (True, False, False)
    parts = halves(sp.csr_array(weights))
    assert all(np.array_equal(part.toarray(), dense) for part, dense in zip(parts, (high, low), strict=True))
    assert np.array_equal(synapses_of(weights, LOIHI), (high != 0).sum(axis=0) + (low != 0).sum(axis=0))


def test_signs_apart_take_no_more_synapses() -> None:
    rng = np.random.default_rng(0)
    mixed, apart = wide(rng, (40, 30), 127), wide(rng, (40, 30), 255)
    form = weight_format(apart, LOIHI)
    assert (form.bits, form.apart, form.two) == (8, True, False)
    one, two = encode(mixed, LOIHI), encode(apart, LOIHI)
    assert (one.lists, two.lists, two.axons) == (30, 60, 30)
    assert two.synapses == np.count_nonzero(apart)
    assert one.bits < two.bits < 2 * one.bits
    assert encode(sp.csr_array(apart), LOIHI).synapses == two.synapses


def test_two_synapses_are_counted_twice() -> None:
    weights = np.array([[300, -301, 0], [128, 1, 512]])
    stored = encode(weights, LOIHI)
    assert (stored.synapses, stored.axons) == (int(synapses_of(weights, LOIHI).sum()), 3)
    network = DiscreteNetwork([Dense(weights, None, "readout")])
    run = cn.compile(network, chip="loihi1").run(np.array([[1, 1, 0], [0, 0, 1]], np.uint8))
    assert run.counts is not None
    assert run.counts.synops.sum(axis=1).tolist() == [
        int(n) for n in (synapses_of(weights, LOIHI) @ [[1, 0], [1, 0], [0, 1]])
    ]


@pytest.mark.parametrize("largest", [255, 511, 2047])
def test_wide_weights_everywhere(largest: int, tmp_path: Path) -> None:
    """Dense, convolutions and ways back, on every backend, and in a file."""
    rng = np.random.default_rng(largest)
    neuron = cn.Lif(3 * largest, voltage_decay=500)
    layers = [
        Conv2d(wide(rng, (8, 2, 5, 5), largest), None, neuron, input_shape=(2, 6, 6)),
        Dense(wide(rng, (20, 32), largest), None, neuron),
        Dense(wide(rng, (4, 20), largest), None, "readout"),
    ]
    network = DiscreteNetwork(layers, steps=6, recurrent=[Recurrent(1, wide(rng, (20, 20), largest))])
    cn.save(network, tmp_path / "a.conntra")
    again = cn.load(tmp_path / "a.conntra")
    assert isinstance(again, DiscreteNetwork)
    x = (rng.random((2, 6, 72)) < 0.3).astype(np.uint8)
    assert np.array_equal(again.forward(x), network.forward(x))
    for chip in ("loihi1", "loihi2"):
        program = cn.compile(network, chip=chip)
        cn.save(program, tmp_path / "a.program")
        assert cn.load(tmp_path / "a.program").verify(x, BACKENDS if chip == "loihi1" else ["reference", "loop"]).equal


def test_alphabets_of_more_than_256_values() -> None:
    alphabet = tuple(range(-400, 400, 2))
    values = np.random.default_rng(0).choice(alphabet, (7, 9))
    packed = pack(values, alphabet)
    assert packed.nbytes == packed_size(63, len(alphabet)) == 126
    assert np.array_equal(unpack(packed, alphabet, (7, 9)), values)

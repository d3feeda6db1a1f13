"""Random inputs: every level of every encoder occurs, all densities of spikes, the same bits from one seed."""

import hashlib

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import DrivenEncoder
from conntra_hardware.program.random_inputs import random_inputs

FEATURES = np.random.default_rng(3).normal(size=(50, 6)) ** 3


def program(encoder, inputs=6, steps=None):
    readout = cn.Dense(np.ones((2, inputs), np.int64), [0, 0])
    return cn.compile(cn.DiscreteNetwork([readout], encoder, steps=steps), "loihi1")


@pytest.mark.parametrize(
    ("kind", "inputs", "levels"), [("threshold", 6, 2), ("thermometer:3", 18, 4), ("rate:5", 6, 6), ("latency:4", 6, 5)]
)
def test_every_level_of_a_feature_occurs(kind, inputs, levels):
    encoder = cn.fit_encoder(FEATURES, kind)
    made = program(encoder, inputs, encoder.steps)
    x = random_inputs(made, 300, 0)
    assert x.shape == (300, 6)
    spikes = made.encode(x).reshape(300, encoder.steps, -1, 6)
    patterns = [len(np.unique(spikes[..., feature].reshape(300, -1), axis=0)) for feature in range(6)]
    assert patterns == [levels] * 6
    active = spikes.mean(axis=(1, 2, 3))
    assert active.max() > 2 * max(active.min(), 0.05)


def test_spikes_of_a_program_without_encoder_are_sparse_and_dense():
    x = random_inputs(program(None, steps=10), 400, 1)
    assert (x.shape, x.dtype, set(np.unique(x))) == ((400, 10, 6), np.uint8, {0, 1})
    density = x.mean(axis=(1, 2))
    assert density.min() < 0.02
    assert density.max() > 0.85
    assert 0.15 < density.mean() < 0.35  # a quarter is expected


def test_driven_neurons_get_whole_numbers_of_all_magnitudes():
    encoder = DrivenEncoder(cn.Lif(4, voltage_decay=256), 6, 10)
    made = program(encoder, steps=10)
    x = random_inputs(made, 200, 2)
    largest = np.abs(x).max(axis=1)
    assert x.min() < 0
    assert largest.min() <= 2
    assert 2**14 < largest.max() <= 2**16
    assert 0 < made.encode(x).mean() < 1


def test_one_seed_is_the_same_input_everywhere():
    x = random_inputs(program(None, steps=4), 20, 5)
    assert hashlib.sha256(x.tobytes()).hexdigest()[:16] == "1c121b9a522c7f8d"
    assert not np.array_equal(x, random_inputs(program(None, steps=4), 20, 6))


@pytest.mark.parametrize(("samples", "seed"), [(0, 0), (2**40, 0), (5, -1)])
def test_what_cannot_be_drawn_is_refused(samples, seed):
    with pytest.raises(InputError, match="random inputs"):
        random_inputs(program(None), samples, seed)

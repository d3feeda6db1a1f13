"""Streams: rows that come in pieces give what they give at once, and state goes on beyond a sample."""

from __future__ import annotations

import network_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from over_time import random_network

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError


def pieces(rng: np.random.Generator, rows: np.ndarray) -> list[np.ndarray]:
    """Cut rows in pieces of any size, some of them empty."""
    cuts = np.sort(rng.integers(0, len(rows) + 1, int(rng.integers(0, 5))))
    return np.split(rows, cuts)


@pytest.mark.parametrize("seed", range(40))
def test_a_sample_in_pieces_is_the_sample(seed: int) -> None:
    network, x = random_network(seed)
    rng = np.random.default_rng(seed)
    last = network.layers[-1].neuron
    assert last is not None
    for stream in (network.stream(), cn.compile(network, chip="loihi2").stream()):
        for sample, logits in zip(x, network.forward(x), strict=True):
            stream.reset()
            shown = np.concatenate([stream.push(piece) for piece in pieces(rng, sample)])
            assert len(shown) == stream.rows == network.steps
            largest = getattr(last, "read", "sum") == "max"
            found = shown.sum(axis=0) if last.spikes else shown.max(axis=0) if largest else shown[-1]
            assert np.array_equal(found, logits)


@settings(max_examples=60, deadline=None)
@given(network=network_strategies.networks(network_strategies.ALL_KINDS), seed=st.integers(0, 1000))
def test_every_layer_streams(network: cn.DiscreteNetwork, seed: int) -> None:
    x = network_strategies.inputs(network, 2, seed)
    stream = network.stream()
    for sample, logits in zip(x, network.forward(x), strict=True):
        stream.reset()
        assert np.array_equal(stream.push(sample)[-1], logits)


def test_state_goes_on_from_call_to_call() -> None:
    """A current that is charged in one call makes the neuron spike in the next one."""
    layer = cn.Dense([[3]], activation=cn.Lif(5, voltage_decay=0), delay=1)
    stream = cn.DiscreteNetwork([layer], steps=2).stream()
    assert stream.push([[1]]).tolist() == [[0]]
    assert stream.push([[1], [0]]).tolist() == [[0], [1]]
    stream.reset()
    assert stream.push([[1], [0], [0]]).tolist() == [[0], [0], [0]]


def test_what_is_no_spike_is_refused() -> None:
    stream = cn.DiscreteNetwork([cn.Dense([[1, 1]], activation=cn.Lif(1, voltage_decay=5))], steps=1).stream()
    for rows in ([[2, 0]], [[1]], [[0.5, 0]], [["a", "b"]]):
        with pytest.raises(InputError):
            stream.push(rows)
    assert stream.rows == 0
    assert stream.push(np.zeros((0, 2), np.uint8)).shape == (0, 1)

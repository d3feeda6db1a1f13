"""Layers and the forward pass, number for number against plain loops. Mutants are tried on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, FIRE, by_numbers, conv, dense, through
from over_time import by_loops, random_network

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Threshold
from conntra_hardware.program.input_encoding import ThermometerEncoder
from conntra_hardware.program.value_scale import ValueScale
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, MaxPool, Recurrent, Residual, SumPool


@pytest.mark.parametrize("name", CASES)
def test_every_value_is_that_of_loops(name: str) -> None:
    network = CASES[name]
    spikes = np.random.default_rng(1).integers(0, 2, (6, network.steps, network.n_in)).astype(np.uint8)
    outputs, logits = network.activity(spikes)
    last = network.outputs(spikes)
    assert len(last) == len(network.layers) == len(outputs) + 1
    assert logits.dtype == np.int64
    for index, sample in enumerate(spikes):
        rows = slice(index * network.steps, (index + 1) * network.steps)
        sent, expected = by_numbers(network, sample.tolist())
        assert [output[rows].tolist() for output in outputs] == sent[: len(outputs)]
        assert logits[index].tolist() == network.forward(spikes)[index].tolist() == expected
        spiking = network.layers[-1].neuron.spikes  # type: ignore[union-attr]
        assert last[-1].tolist() == (network.outputs(spikes)[-1] if spiking else logits).tolist()
        if spiking:
            assert last[-1][rows].tolist() == sent[-1]


@pytest.mark.parametrize("name", CASES)
def test_a_stream_sends_the_same(name: str) -> None:
    network = CASES[name]
    spikes = np.random.default_rng(2).integers(0, 2, (1, network.steps, network.n_in)).astype(np.uint8)
    stream = network.stream()
    rows = np.concatenate([stream.push(row[None]) for row in spikes[0]])
    if network.layers[-1].neuron.spikes:  # type: ignore[union-attr]
        np.testing.assert_array_equal(rows, network.outputs(spikes)[-1])
    else:
        np.testing.assert_array_equal(rows[-1:], network.forward(spikes))


@pytest.mark.parametrize("seed", range(8))
def test_leaky_neurons_with_delays_and_ways_back(seed: int) -> None:
    network, spikes = random_network(seed)
    sent, logits = by_loops(network, spikes)
    outputs, found = network.activity(spikes)
    for got, expected in zip(outputs, sent, strict=False):
        np.testing.assert_array_equal(got.reshape(expected.shape), expected)
    np.testing.assert_array_equal(found, logits)


def test_products_beyond_the_exact_range_of_float64_are_exact() -> None:
    weight = np.array([[2**15 - 1, 2**15 - 2, -(2**15) + 1, 3]])
    x = np.array([[2**39 + 1, 2**40 - 1, 2**39 - 1, 1], [-(2**40) + 1, 1, 0, 2**40 - 1]])
    expected = [[sum(int(w) * int(v) for w, v in zip(weight[0], row, strict=True))] for row in x]
    for layer in (
        Dense(weight, [5], "readout"),
        Conv2d(weight.reshape(1, 4, 1, 1), [5], "readout", input_shape=(4, 1, 1)),
    ):
        assert layer.sums(x).tolist() == expected
        assert layer.potentials(x).tolist() == [[value + 5] for (value,) in expected]
        assert layer.sums(x).dtype == layer.potentials(x).dtype == np.int64
    edge = np.array([[2**52, 2**52 + 1]])  # the sum is the first integer that float64 does not have
    assert Dense([[1, 1]], activation="readout").sums(edge).tolist() == [[2**53 + 1]]
    halves = Dense(weight, [5], "readout", delay=[[0, 1, 0, 1]])
    (now, first), (then, second) = halves.paths()
    assert (now, then) == (0, 1)
    assert (first(x) + second(x)).tolist() == expected


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(0, {0: 6}), (3, {3: 6}), ([[3, 1, 3]], {1: 2, 3: 4}), ([2, 2, 0], {0: 3, 2: 3}), ([1, 1, 1], {1: 6})],
)
def test_paths_say_what_arrives_when(delay: Any, expected: dict[int, int]) -> None:
    layer = Dense([[1, 2, 3]], [0], "readout", delay=delay)
    assert {at: int(arrived(np.array([[1, 1, 1]]))[0, 0]) for at, arrived in layer.paths()} == expected
    assert layer.is_delayed is (set(expected) != {0})


def test_bounds_of_a_sum_hold_for_every_input() -> None:
    layer = Dense([[1, -2, 3], [0, 0, 5]], [-7, 2], "readout")
    assert layer._largest_sum(np.array([[0, 0, 0]])) == layer._largest_sum(np.array([[1, 0, 0]])) == 6 + 7
    assert layer._largest_sum(np.array([[0, -4, 3]])) == 4 * 13
    assert layer._largest_sum(np.zeros((0, 3), int)) == 13


def test_delays_are_whole_and_few() -> None:
    assert (dense(2, 3).delay, conv(1, (1, 2, 2)).delay, Dense([[1]], delay=[3]).delay) == (0, 0, 3)
    assert dense(2, 3, delay=[[1, 1, 1], [1, 1, 1]]).delay == 1
    assert dense(2, 3, delay=63).delay == 63
    assert np.array_equal(dense(2, 3, delay=[0, 63, 0]).delay, [0, 63, 0])
    for wrong, says in (
        (-1, "delay -1"),
        (64, "delay 64"),
        ([0, 0, 64], "delay: from 0 to 64; 0 to 63 time steps expected"),
        ([0, -1, 63], "delay: from -1 to 63; 0 to 63"),
        ([1, 2], r"Dense: delay of shape \(2,\); one, \(3,\) or \(2, 3\) expected"),
        ([[1, 2, 3]], r"Dense: delay of shape \(1, 3\)"),
    ):
        with pytest.raises(InputError, match=says):
            dense(2, 3, delay=wrong)
    with pytest.raises(InputError, match=r"Conv2d: delay of shape \(2,\); one, or \(6,\) expected"):
        conv(2, (1, 2, 3), delay=[1, 2])


def test_counts_of_every_layer() -> None:
    layer = Dense([[1, 0, -1, 1, 0, 0]] * 3, [0, 1, 0])
    assert (layer.n_in, layer.n_out, layer.input_shape, layer.output_shape) == (6, 3, (6,), (3,))
    assert (layer.n_weights, layer.n_parameters, layer.n_nonzero) == (18, 21, 9)
    assert layer.packed_weight.nbytes == 4  # five of three levels to a byte
    assert layer.memory_bytes == 4 + 3 * 4
    assert (layer.bias.tolist(), layer.neuron_bias.tolist()) == ([0, 1, 0], [0, 1, 0])
    assert Dense([[1, 2]]).bias.tolist() == [0]
    kernel = conv(4, (2, 5, 6), groups=2, stride=(1, 2), bias=[1, 2, 3, 4])
    assert (kernel.shape, kernel.input_shape, kernel.output_shape) == ((4, 1, 2, 2), (2, 5, 6), (4, 4, 3))
    assert (kernel.n_in, kernel.n_out, kernel.n_weights, kernel.n_parameters) == (60, 48, 16, 20)
    assert kernel.neuron_bias.tolist() == [b for b in (1, 2, 3, 4) for _ in range(12)]
    pool = MaxPool(2, input_shape=(3, 4, 5))
    assert (pool.n_in, pool.n_out, pool.input_shape, pool.output_shape) == (60, 12, (3, 4, 5), (3, 2, 2))
    assert (pool.n_weights, pool.n_parameters, pool.memory_bytes) == (0, 0, 0)
    assert (pool.geometry.groups, pool.kernel.shape, pool.kernel.min(), pool.kernel.max()) == (3, (3, 1, 2, 2), 1, 1)
    assert (pool.neuron, SumPool(2, input_shape=(3, 4, 5)).neuron) == (Threshold(), None)
    flat = Flatten((3, 4, 5))
    assert (flat.n_in, flat.n_out, flat.input_shape, flat.output_shape, flat.neuron) == (60, 60, (3, 4, 5), (60,), None)
    assert flat.potentials(np.arange(60, dtype=np.uint8)[None]).dtype == np.int64
    own = Recurrent(0, [[1, 0], [0, -1]])
    assert (own.n_weights, own.memory_bytes, own.weight.tolist()) == (4, 1, [[1, 0], [0, -1]])
    across = Residual(0, 2, Dense([[1, 0, 0, 0, -1]] * 3, activation="readout"))
    assert (across.n_weights, across.memory_bytes) == (15, 3)
    assert (Residual(0, 2).n_weights, Residual(0, 2).memory_bytes) == (0, 0)


def test_counts_of_a_network() -> None:
    layers = [Dense([[1, 0]] * 2), Dense([[1, 0]] * 2), Dense([[1, 1]] * 2, activation="readout")]
    across, own = Residual(0, 2, Dense([[1, 1]] * 2, activation="readout")), Recurrent(0, [[1, 0]] * 2)
    network = cn.DiscreteNetwork(layers, residuals=[across], recurrent=[own])
    assert (network.n_in, network.n_classes, network.steps) == (2, 2, 1)
    assert (network.n_weights, network.n_parameters) == (5 * 4, 5 * 4 + 3 * 2)
    parts = (*layers, across, own)
    assert network.memory_bytes == sum(part.memory_bytes for part in parts)


def test_what_they_say_of_themselves() -> None:
    assert repr(Dense([[1, 0]])) == "Dense(2 -> 1, threshold, levels ternary)"
    plain = conv(2, (1, 4, 4))
    assert repr(plain).startswith("Conv2d((1, 4, 4) -> (2, 3, 3), kernel 2x2, threshold, levels")
    grouped = conv(4, (2, 5, 5), groups=2, stride=2, padding=(0, 1), dilation=(1, 2))
    said = "kernel 2x2, stride (2, 2), padding (0, 1), dilation (1, 2), groups 2, threshold"
    assert said in repr(grouped)
    assert repr(SumPool(2, input_shape=(1, 4, 5))) == "SumPool((1, 4, 5) -> (1, 2, 2), size (2, 2), stride (2, 2))"
    assert repr(Flatten((2, 3))) == "Flatten((2, 3) -> (6,))"
    own = Recurrent(0, [[1, 0], [0, 1]])
    assert repr(own) == f"Recurrent(layer 0, {own.connection!r})"
    assert str(own) == "recurrent layer 0"
    assert str(Residual(INPUT_LAYER, 2)) == "residual input -> layer 2"
    assert str(Residual(0, 2)) == "residual layer 0 -> layer 2"
    layers = [Dense([[1, 0]] * 2, activation=FIRE), Dense([[1, 0]] * 2, activation=FIRE), through(2, 2)]
    network = cn.DiscreteNetwork(layers, residuals=[Residual(0, 2)], recurrent=[own])
    said = "2 -> 2 -> 2 -> 2, integrate_and_fire, 1 residual, 1 recurrent, 4 time steps, 16 weights"
    assert repr(network) == f"DiscreteNetwork({said})"
    twice = Dense([[1, 0]] * 2, activation=IntegrateAndFire(1, 2))
    mixed = cn.DiscreteNetwork([dense(2, 2, GradedRelu()), twice, through(2, 2)])
    assert "2 -> 2 -> 2 -> 2, graded_relu, integrate_and_fire, 2 time steps, " in repr(mixed)
    number = cn.DiscreteNetwork([through(1, 2)], value=ValueScale(2.0))
    assert repr(number) == "DiscreteNetwork(2 -> 1, a value, 2 weights)"


def test_predictions_and_errors() -> None:
    network = cn.DiscreteNetwork([Dense([[1, 0], [0, 1], [1, 0]], activation="readout")])
    x = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.uint8)
    assert network.predict(x).tolist() == [0, 0, 1, 0]
    assert network.error(x, [0, 0, 1, 2]) == 0.25
    number = cn.DiscreteNetwork([Dense([[1, 2]], [1], "readout")], value=ValueScale(0.5, 3.0))
    assert number.predict(x).tolist() == [3.5, 4.0, 4.5, 5.0]
    assert number.error(x, [3.5, 4.0, 4.5, 7.0]) == 1.0
    assert number.error(x, [2.5, 4.0, 4.5, 5.0]) == 0.25
    for none in (network, number):
        with pytest.raises(InputError, match="samples: none given"):
            none.error(x[:0], [])
    with pytest.raises(InputError, match="3"):
        network.error(x, [0, 0, 1, 3])


def test_spikes_of_an_encoder_are_repeated_over_the_steps() -> None:
    encoder = ThermometerEncoder(np.array([[0.5], [1.5]]))
    network = cn.DiscreteNetwork([Dense([[1, 1]], activation=FIRE), Dense([[1], [-1]], activation="readout")], encoder)
    once = encoder.encode([[0.0], [2.0]])
    assert network.encode([[0.0], [2.0]]).tolist() == [row for row in once.tolist() for _ in range(4)]
    plain = cn.DiscreteNetwork(network.layers)
    assert plain.encode(np.ones((2, 4, 2), np.uint8)).shape == (8, 2)
    one = cn.DiscreteNetwork([Dense([[1, 1]]), Dense([[1], [-1]], activation="readout")], encoder)
    assert one.encode([[0.0], [2.0]]).tolist() == once.tolist()


def test_where_a_neuron_cannot_go_on_its_layer_is_named() -> None:
    wide = Dense([[2**15]] * 20, [0] * 20, GradedRelu())
    network = cn.DiscreteNetwork([wide, Dense(np.full((1, 20), 2**10), [0], GradedRelu()), through(2, 1)])
    with pytest.raises(InputError, match=r"layer 1 \(Dense\(20 -> 1, graded_relu"):
        network.forward([[1]])

"""Neurons of several thresholds as so many of one: the same logits, on chips and in files that have no others."""

from __future__ import annotations

import network_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import DoesNotFit, InputError
from conntra_neuro.network.layers import INPUT_LAYER
from conntra_neuro.network.single_thresholds import has_several_thresholds, single_thresholds


@settings(max_examples=150, deadline=None)
@given(network=network_strategies.networks(("multi_threshold",)), seed=st.integers(0, 1000))
def test_logits_are_the_same_with_one_threshold_a_neuron(network, seed):
    split, spikes = single_thresholds(network), network_strategies.inputs(network, 4, seed)
    assert not has_several_thresholds(split)
    np.testing.assert_array_equal(split.forward(spikes), network.forward(spikes))
    assert (split is network) == (not has_several_thresholds(network))


def rows(rng, size, k):
    return rng.integers(-4, 9, (size, k))


def test_channels_have_thresholds_of_their_own_with_groups_pools_and_residuals():
    """Channels stay side by side with their copies, so that groups see the channels that they saw."""
    rng = np.random.default_rng(0)
    layers = [
        cn.Conv2d(
            rng.integers(-1, 2, (4, 1, 3, 3)), rng.integers(-1, 2, 4), cn.MultiThreshold(rows(rng, 4, 3)),
            input_shape=(2, 8, 8), groups=2, padding=1,
        ),
        cn.SumPool(2, input_shape=(4, 8, 8)),
        cn.Conv2d(
            rng.integers(-1, 2, (4, 2, 3, 3)), None, cn.MultiThreshold(rows(rng, 4, 2)),
            input_shape=(4, 4, 4), groups=2, padding=1,
        ),
        cn.Conv2d(
            rng.integers(-1, 2, (4, 4, 3, 3)), None, cn.MultiThreshold(rows(rng, 1, 5)),
            input_shape=(4, 4, 4), padding=1,
        ),
        cn.Conv2d(rng.integers(-1, 2, (4, 4, 1, 1)), None, "threshold", input_shape=(4, 4, 4)),
        cn.Flatten((4, 4, 4)),
        cn.Dense(rng.integers(-1, 2, (6, 64)), None, cn.MultiThreshold(rows(rng, 6, 4))),
        cn.Dense(rng.integers(-1, 2, (6, 6)), None, cn.MultiThreshold(rows(rng, 6, 2))),
        cn.Dense(rng.integers(-1, 2, (6, 6)), None, "threshold"),
        cn.Dense(rng.integers(-1, 2, (3, 6)), activation="readout"),
    ]  # fmt: skip
    down = cn.Conv2d(rng.integers(-1, 2, (4, 4, 2, 2)), activation="readout", input_shape=(4, 8, 8), stride=2)
    residuals = [
        cn.Residual(0, 2, down),
        cn.Residual(1, 3, scale=-2),  # sums over windows of copies, to copies
        cn.Residual(2, 4),
        cn.Residual(5, 7, cn.Dense(rng.integers(-1, 2, (6, 64)), activation="readout")),
        cn.Residual(6, 8, scale=3),
        cn.Residual(INPUT_LAYER, 6, cn.Dense(rng.integers(-1, 2, (6, 128)), activation="readout")),
    ]
    network = cn.DiscreteNetwork(layers, residuals=residuals)
    spikes = (rng.random((20, 128)) < 0.4).astype(np.uint8)
    split = single_thresholds(network)
    outputs, logits = network.activity(spikes)
    assert [layer.n_out // whole.n_out for layer, whole in zip(split.layers, layers, strict=True)] == [
        3, 3, 2, 5, 1, 1, 4, 2, 1, 1,
    ]  # fmt: skip
    assert all(outputs[index].max() > 1 for index in (0, 2, 3, 6))
    np.testing.assert_array_equal(split.forward(spikes), logits)
    for chip in ("loihi1", "loihi2"):
        program = cn.compile(network, chip=chip)
        np.testing.assert_array_equal(program.run(spikes).logits, logits)
        np.testing.assert_array_equal(program.run(spikes[:3], backend="loop").logits, logits[:3])


def test_over_time_with_delays_and_ways_back_and_counted_at_the_end():
    rng = np.random.default_rng(1)
    layers = [
        cn.Dense(rng.integers(-1, 2, (12, 10)), None, cn.MultiThreshold([0, 1, 3]), delay=rng.integers(0, 3, (12, 10))),
        cn.Conv2d(
            rng.integers(-1, 2, (2, 3, 2, 2)), None, cn.MultiThreshold([[0, 2], [1, 3]]), input_shape=(3, 2, 2),
            delay=rng.integers(0, 3, 12),
        ),
        cn.Dense(rng.integers(-1, 2, (4, 2)), None, cn.MultiThreshold([-1, 0, 2])),
    ]  # fmt: skip
    recurrent = [cn.Recurrent(0, rng.integers(-1, 2, (12, 12)), rng.integers(0, 2, 12))]
    network = cn.DiscreteNetwork(layers, steps=6, recurrent=recurrent)
    spikes = (rng.random((15, 6, 10)) < 0.4).astype(np.uint8)
    expected = network.forward(spikes)
    split = single_thresholds(network)
    assert split.layers[-1].neuron == cn.Readout()
    np.testing.assert_array_equal(split.forward(spikes), expected)
    for chip in ("loihi1", "loihi2"):
        for backend in ("reference", "loop"):
            np.testing.assert_array_equal(cn.compile(network, chip=chip).run(spikes, backend=backend).logits, expected)


def test_what_cannot_be_split_is_refused_by_name_and_fits_a_chip_with_graded_spikes():
    kernel = np.ones((1, 1, 2, 2), int)
    uneven = cn.Conv2d(kernel, None, cn.MultiThreshold([[0, 1], [0, 1], [0, 2], [0, 1]]), input_shape=(1, 3, 3))
    network = cn.DiscreteNetwork([uneven, cn.Dense(np.ones((2, 4), int), activation="readout")])
    with pytest.raises(InputError, match=r"layer 0 \(Conv2d.*thresholds that differ within a channel.*loihi2"):
        cn.compile(network, chip="loihi1")
    spikes = np.eye(9, dtype=np.uint8)
    assert np.array_equal(cn.compile(network, chip="loihi2").run(spikes).logits, network.forward(spikes))
    assert cn.compile(network, chip="loihi2").run(spikes).logits.any()
    first = cn.Conv2d(np.ones((4, 1, 1, 1), int), None, cn.MultiThreshold([0, 1]), input_shape=(1, 2, 2))
    other = cn.Conv2d(np.ones((2, 1, 2, 2), int), activation="readout", input_shape=(1, 4, 4))
    network = cn.DiscreteNetwork([first, cn.Flatten((4, 2, 2)), other])
    with pytest.raises(InputError, match=r"layer 2 .*made in another shape"):
        single_thresholds(network)


def test_rows_that_are_read_as_images_have_copies_by_channel():
    rng = np.random.default_rng(2)
    dense = cn.Dense(rng.integers(-1, 2, (8, 5)), None, cn.MultiThreshold(rows(rng, 8, 3)))
    pool = cn.SumPool(2, input_shape=(2, 2, 2))
    network = cn.DiscreteNetwork([dense, pool, cn.Dense(rng.integers(-1, 2, (3, 2)), activation="readout")])
    spikes = rng.integers(0, 2, (32, 5))
    np.testing.assert_array_equal(single_thresholds(network).forward(spikes), network.forward(spikes))
    np.testing.assert_array_equal(cn.compile(network, "loihi1").run(spikes).logits, network.forward(spikes))


def wide(n_in, n_out, k):
    rng = np.random.default_rng(3)
    hidden = cn.Dense(rng.integers(-1, 2, (n_out, n_in)), None, cn.MultiThreshold(np.arange(k)))
    return cn.DiscreteNetwork([hidden, cn.Dense(rng.integers(-1, 2, (10, n_out)), activation="readout")])


def test_a_chip_without_graded_spikes_says_what_does_not_fit_and_which_chip_would_do():
    network = wide(20, 300, 20)
    assert not cn.check(network, "loihi1").fits
    with pytest.raises(DoesNotFit) as refused:
        cn.compile(network, chip="loihi1")
    assert {v.resource for v in refused.value.violations} == {"input axons"}
    assert all("(loihi2) holds a neuron of k thresholds as one" in v.remedy for v in refused.value.violations)
    assert cn.check(network, "loihi2").fits
    assert cn.compile(network, chip="auto").chip.name == "loihi2"
    program = cn.compile(wide(20, 20, 3), chip="auto")
    assert (program.chip.name, program.populations[0].size) == ("loihi1", 60)


def test_an_activation_of_two_bits_is_one_neuron_or_three():
    network = wide(784, 64, 3)
    spikes = (np.random.default_rng(4).random((50, 784)) < 0.2).astype(np.uint8)
    one, three = (cn.compile(network, chip=chip) for chip in ("loihi2", "loihi1"))
    assert [p.size for p in one.populations] == [64, 10]
    assert [p.size for p in three.populations] == [192, 10]
    few, many = (program.run(spikes) for program in (one, three))
    assert np.array_equal(few.logits, many.logits)
    sent = few.spikes["hidden0"]
    assert (few.counts.totals()["spikes"], many.counts.totals()["spikes"]) == (np.count_nonzero(sent), sent.sum())
    assert few.counts.totals()["synops"] * 2 < many.counts.totals()["synops"]

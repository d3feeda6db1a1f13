"""Every kind of layer, compiled: what runs is what the network says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from network_programs import assert_equal_to_network, spread_program
from network_strategies import ALL_KINDS, inputs, networks

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import DoesNotFit
from conntra_hardware.cost.events import count_events
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire
from conntra_hardware.program import ConvProjection, Projection, SparseProjection
from conntra_neuro.compiler import check, compile
from conntra_neuro.compiler.lower import lower
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, MaxPool, Residual, SumPool

RNG = np.random.default_rng(0)


@settings(max_examples=150, deadline=None)
@given(networks(ALL_KINDS), st.integers(0, 2**31), st.integers(15, 120))
def test_compiled_equals_forward_on_the_reference_and_the_loop(network, seed, neurons):
    try:
        program = spread_program(network, neurons)
    except DoesNotFit as error:
        # Sums over windows that overlap, folded one into the other, or changes added up beyond a register.
        assume("weight bits" not in str(error) and "bit registers" not in str(error))
        raise
    spikes = inputs(network, 3, seed)
    rows = program.encode(spikes)
    for name in ("reference", "loop"):
        assert_equal_to_network(network, spikes, load_backend(name).execute(program, rows, RunOptions()))
    for core in program.usage:
        assert all(usage.fits for usage in core.resources.values()), core


def ones(*shape):
    return np.ones(shape, int)


def test_a_sum_over_windows_goes_into_the_next_kernel():
    layers = [
        Conv2d(RNG.integers(-1, 2, (4, 1, 3, 3)), input_shape=(1, 14, 14)),
        SumPool(2, input_shape=(4, 12, 12)),
        Conv2d(RNG.integers(-1, 2, (6, 4, 3, 3)), input_shape=(4, 6, 6), padding=1),
        SumPool(3, input_shape=(6, 6, 6)),
        Flatten((6, 2, 2)),
        Dense(RNG.integers(-1, 2, (3, 24)), None, "readout"),
    ]
    lowered = lower(DiscreteNetwork(layers))
    assert [p.name for p in lowered.populations] == ["hidden0", "hidden2", "readout"]
    first, second, last = lowered.projections
    assert isinstance(first, ConvProjection)
    assert isinstance(second, ConvProjection)
    assert (second.geometry.kernel, second.geometry.stride, second.geometry.padding) == ((6, 6), (2, 2), (2, 2))
    assert isinstance(last, Projection)
    assert last.shape == (3, 6 * 6 * 6)


def test_a_sum_over_windows_goes_into_a_dilated_kernel():
    """3 weights 2 windows apart, windows 2 wide and 2 apart: pixels 0, 1, 4, 5, 8, 9 of 10."""
    layers = [
        SumPool(2, input_shape=(1, 12, 12)),
        Conv2d([[[[1, 2, 3]]]], input_shape=(1, 6, 6), padding=(0, 2), dilation=(1, 2)),
        Dense(ones(2, 36), None, "readout"),
    ]
    network = DiscreteNetwork(layers)
    folded = lower(network).projections[0]
    assert isinstance(folded, ConvProjection)
    assert folded.kernel.tolist() == [[[[1, 1, 0, 0, 2, 2, 0, 0, 3, 3]] * 2]]
    assert (folded.geometry.stride, folded.geometry.padding) == ((2, 2), (0, 4))
    spikes = RNG.integers(0, 2, (20, 144))
    np.testing.assert_array_equal(compile(network).run(spikes).logits, network.forward(spikes))


def test_a_window_that_one_kernel_would_see_beyond_the_border_is_kept_apart():
    # The fifth column is in no window, but a padded kernel of the two would see it.
    layers = [
        SumPool(2, input_shape=(1, 5, 5)),
        Conv2d(ones(1, 1, 3, 3), input_shape=(1, 2, 2), padding=1),
        Dense(ones(2, 4), None, "readout"),
    ]
    assert isinstance(lower(DiscreteNetwork(layers)).projections[0], SparseProjection)


def test_residual_connections_are_handed_on_by_relays():
    layers = [
        Conv2d(RNG.integers(-1, 2, (2, 2, 3, 3)), input_shape=(2, 5, 5), padding=1),
        Conv2d(RNG.integers(-1, 2, (2, 2, 3, 3)), input_shape=(2, 5, 5), padding=1),
        Conv2d(RNG.integers(-1, 2, (2, 2, 3, 3)), input_shape=(2, 5, 5), padding=1),
        Dense(RNG.integers(-1, 2, (3, 50)), None, "readout"),
    ]
    residuals = [Residual(INPUT_LAYER, 2), Residual(0, 2, scale=-1), Residual(INPUT_LAYER, 1)]
    network = DiscreteNetwork(layers, residuals=residuals)
    program = compile(network)
    assert [p.name for p in program.populations] == [
        "hidden0",
        "input.relay1",
        "hidden1",
        "input.relay2",
        "hidden0.relay2",
        "hidden2",
        "readout",
    ]
    assert {p.source for p in program.incoming("hidden1")} == {"hidden0", "input.relay1"}
    assert {p.source for p in program.incoming("hidden2")} == {"hidden1", "hidden0.relay2", "input.relay2"}
    assert (program.depth, program.depths["hidden2"]) == (4, 3)


def test_two_ways_between_the_same_populations_are_added_up():
    layers = [
        Conv2d(ones(1, 1, 1, 1), input_shape=(1, 4, 4)),
        SumPool(2, input_shape=(1, 4, 4)),
        Dense(RNG.integers(-1, 2, (16, 4))),
        Dense(ones(2, 16), None, "readout"),
    ]
    lowered = lower(DiscreteNetwork(layers, residuals=[Residual(0, 2)]))
    (projection,) = lowered.incoming("hidden2")
    pooled = layers[1].geometry.matrix(layers[1].kernel).toarray()
    assert np.array_equal(projection.weights, layers[2].weight @ pooled + np.eye(16))


def test_max_pooling_is_a_population():
    layers = [
        MaxPool(2, input_shape=(3, 4, 4)),
        Flatten((3, 2, 2)),
        Dense(RNG.integers(-1, 2, (2, 12)), None, "readout"),
    ]
    program = compile(DiscreteNetwork(layers))
    assert [(p.name, p.size) for p in program.populations] == [("hidden0", 12), ("readout", 2)]


def test_graded_spikes_are_for_chips_that_have_them():
    graded = DiscreteNetwork([Dense(ones(2, 3), None, GradedRelu(1)), Dense(ones(2, 2), None, "readout")])
    with pytest.raises(DoesNotFit, match=r"hidden0: graded spikes.*use a chip with graded spikes \(loihi2\)"):
        compile(graded, "loihi1")
    assert compile(graded, "auto").chip.name == "loihi2"


def test_graded_spikes_and_sums_beyond_24_bits_say_by_how_much():
    wide = [Dense(np.full((2, 300), 127), None, GradedRelu()) for _ in range(1)]
    wide += [Dense(np.full((2, 2), 127), None, GradedRelu()) for _ in range(2)]
    found = check(DiscreteNetwork([*wide, Dense(ones(2, 2), None, "readout")]), "loihi2").violations
    largest = 300 * 127 * 254
    graded, potential = (next(v for v in found if v.resource == r) for r in ("graded spikes", "potential"))
    assert (graded.layer, graded.used, graded.limit) == ("hidden1", largest, 2**23 - 1)
    assert "shift by 1 bits" in graded.remedy or "shift by 2 bits" in graded.remedy
    assert potential.layer == "hidden1"
    shift = largest.bit_length() - 23
    enough = [wide[0], Dense(np.full((2, 2), 127), None, GradedRelu(shift)), Dense(ones(2, 2), None, "readout")]
    assert not [v for v in check(DiscreteNetwork(enough), "loihi2").violations if v.resource == "graded spikes"]


def test_a_sum_over_many_steps_is_bounded():
    def network(steps):
        neuron = IntegrateAndFire(1000, steps, "hard")
        return DiscreteNetwork([Dense(np.full((1, 100), -100), None, neuron), Dense(ones(2, 1), None, "readout")])

    assert check(network(13)).fits
    (violation,) = check(network(14)).violations
    assert (violation.layer, violation.resource, violation.used) == ("hidden0", "potential", 140_000)
    assert "over 14 time steps" in violation.remedy
    assert "take fewer time steps" in violation.remedy


@settings(max_examples=40, deadline=None)
@given(networks(ALL_KINDS), st.integers(0, 2**31))
def test_counts_are_those_of_the_matrices(network, seed):
    """Synops, packets and active neurons of every kind of projection, against the dense matrices, spike by spike."""
    program = spread_program(network)
    rows = program.encode(inputs(network, 3, seed))
    recording = load_backend("reference").execute(program, rows, RunOptions())
    counts = count_events(program, rows, recording.spikes)
    sent = {"input": rows, **recording.spikes}
    synops, packets = np.zeros_like(counts.synops), np.zeros_like(counts.synops)
    for index, s in enumerate(program.slices):
        for projection in program.incoming(s.population):
            wired = projection.weights[s.index] != 0
            spiking = (sent[projection.source] != 0).astype(int)
            synops[:, index] += (spiking @ wired.T).sum(axis=1)
            packets[:, index] += spiking @ wired.any(axis=0)
        assert np.all(counts.neuron_updates[:, index] == s.size)
    assert np.array_equal(counts.synops, synops)
    assert np.array_equal(counts.packets_in, packets)
    assert (counts.samples, counts.time_steps, counts.steps) == (3, len(rows), program.steps)
    totals = counts.totals()
    assert totals["packets"] == packets.sum()
    assert totals["spikes"] == sum(np.count_nonzero(values) for values in recording.spikes.values())

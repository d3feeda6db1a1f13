"""Counts, memory and energy of convolutions, graded spikes and several time steps, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conntra_hardware.chip import load_chip
from conntra_hardware.cost.coefficients import load_coefficients
from conntra_hardware.cost.energy import estimate
from conntra_hardware.cost.events import count_events
from conntra_hardware.fit.synapse_memory import encode
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Neuron, Readout, Threshold
from conntra_hardware.program import INPUT, ConvProjection, CoreSlice, Population, Program, Projection
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.projection import one_to_one
from conntra_hardware.runtime import run

ROW = Geometry((1, 1, 4), 1, (1, 3), padding=(0, 1))


def row(neuron: Neuron, bias: int = 0, chip: str = "loihi2") -> Program:
    """Four pixels, a kernel (1, 1, 1) with zeros outside, and a readout of all four."""
    populations = (Population("h", neuron, np.full(4, bias)), Population("out", Readout(), [0]))
    projections = (
        ConvProjection(INPUT, "h", np.ones((1, 1, 1, 3), int), ROW),
        Projection("h", "out", np.ones((1, 4), int)),
    )
    slices = (CoreSlice("h", 0, 2, 0), CoreSlice("h", 2, 4, 1), CoreSlice("out", 0, 1, 2))
    return Program(load_chip(chip), 4, populations, projections, slices)


def test_a_convolution_at_its_border() -> None:
    counts = run(row(Threshold()), [[1, 0, 0, 0], [0, 1, 1, 0]]).counts
    # Pixel 0 has synapses with neurons 0 and 1; pixels 1 and 2 with three neurons each.
    assert counts.synops.tolist() == [[2, 0, 2], [3, 3, 4]]
    assert counts.packets_in.tolist() == [[1, 0, 2], [2, 2, 4]]
    assert counts.input_packets.tolist() == [1, 4]
    assert counts.spikes.tolist() == [[2, 0, 0], [2, 2, 0]]
    assert counts.neuron_updates.tolist() == [[2, 2, 1]] * 2
    # Nothing is left of a potential that spiked, so only neurons that received something are active.
    assert counts.active_updates.tolist() == [[2, 0, 1], [2, 2, 1]]


def test_a_dilated_convolution_at_its_border() -> None:
    """Neuron i of 4 sees pixels i - 2, i and i + 2: every pixel has synapses with two neurons."""
    wide = Geometry((1, 1, 4), 1, (1, 3), padding=(0, 2), dilation=(1, 2))
    plain = row(Threshold())
    first = ConvProjection(INPUT, "h", np.ones((1, 1, 1, 3), int), wide)
    counts = run(replace(plain, projections=(first, plain.projections[1])), [[1, 0, 0, 0], [0, 1, 1, 0]]).counts
    # Pixel 0 reaches neurons 0 and 2, one on each core; pixel 1 neurons 1 and 3, pixel 2 neurons 0 and 2.
    assert counts.synops.tolist() == [[1, 1, 2], [2, 2, 4]]
    assert counts.packets_in.tolist() == [[1, 1, 2], [2, 2, 4]]
    assert counts.spikes.tolist() == [[1, 1, 0], [2, 2, 0]]


def test_a_graded_spike_is_one_event_whatever_its_value() -> None:
    result = run(row(GradedRelu(1)), [[1, 1, 1, 1]])
    assert result.spikes["h"].tolist() == [[1, 1, 1, 1]]
    assert result.counts.spikes.tolist() == [[2, 2, 0]]
    assert run(row(GradedRelu(0)), [[1, 1, 1, 1]]).counts.synops.tolist() == result.counts.synops.tolist()


def test_what_is_left_of_a_step_is_updated_at_the_next() -> None:
    program = row(IntegrateAndFire(3, 3))
    result = run(program, [[[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]]])
    # v of the four neurons: (1, 1, 0, 0), the same, then (3, 3, 1, 0): two spike, neuron 2 keeps 1 for the next sample.
    assert result.spikes["h"].tolist() == [[0] * 4, [0] * 4, [1, 1, 0, 0]]
    assert result.logits.tolist() == [[2]]
    counts = result.counts
    assert (counts.samples, counts.time_steps, counts.steps) == (1, 3, 3)
    assert counts.active_updates[:, :2].tolist() == [[2, 1], [2, 0], [2, 1]]
    # The readout's sum, 2, is left for the step after.
    assert counts.active_updates[:, 2].tolist() == [1, 0, 1]
    soft = run(row(IntegrateAndFire(3, 3, "soft")), [[[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]])
    # v: (2, 3, 2, 1) -> (4, 3, 4, 2) -> (1, 0, 1, 2): three spikes, and what is over stays.
    assert soft.spikes["h"].tolist() == [[0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert soft.counts.active_updates[2, :2].tolist() == [1, 2]


def test_energy_and_time_of_a_sample_of_several_steps() -> None:
    program = row(IntegrateAndFire(3, 3), chip="loihi1")
    result = run(program, np.ones((2, 3, 4), int))
    energy = estimate(result.counts, program, "sanafe2025")
    cost = load_coefficients("sanafe2025").energy_j
    kinds = {(e.source, e.target): e.name for usage in program.usage for e in usage.encodings}
    synops = result.counts.totals()["synops"]
    into_readout = int(result.counts.synops[:, 2].sum())
    expected = (synops - into_readout) * cost[f"synop_{kinds[INPUT, 'h']}"]
    expected += into_readout * cost[f"synop_{kinds['h', 'out']}"]
    assert energy.breakdown["synapse"] == pytest.approx(expected, rel=1e-12)
    assert (energy.samples, energy.steps) == (2, 3)
    assert energy.per_inference_j == pytest.approx(energy.dynamic_j / 2, rel=1e-12)
    assert energy.throughput_hz == pytest.approx(1 / (3 * energy.step_time_s), rel=1e-12)
    # Two depths and three steps, all alike here but for the spikes.
    assert 4 * energy.step_time_s < energy.latency_s < 6 * energy.step_time_s


def test_synops_of_two_projections_are_priced_by_their_own_encoding() -> None:
    """A dense matrix and relays, which are stored otherwise, into one population."""
    n = 40
    rng = np.random.default_rng(0)
    zeros = np.zeros(n, int)
    populations = (
        Population("h", Threshold(), zeros),
        Population("r", Threshold(), zeros),
        Population("both", Threshold(), zeros),
        Population("out", Readout(), [0]),
    )
    projections = (
        Projection(INPUT, "h", rng.choice([-1, 1], (n, n))),
        one_to_one(INPUT, "r", n),
        Projection("h", "both", rng.choice([-1, 1], (n, n))),
        one_to_one("r", "both", n),
        Projection("both", "out", np.ones((1, n), int)),
    )
    slices = tuple(CoreSlice(p.name, 0, p.size, core) for core, p in enumerate(populations))
    program = Program(load_chip("loihi1"), n, populations, projections, slices)
    result = run(program, rng.integers(0, 2, (5, n)))
    kinds = {(e.source, e.target): e.name for usage in program.usage for e in usage.encodings}
    assert kinds["h", "both"] == "dense"
    assert kinds["r", "both"] != "dense"
    cost = load_coefficients("sanafe2025").energy_j
    spikes = {name: int(values.sum()) for name, values in result.spikes.items()}
    expected = n * spikes["h"] * cost["synop_dense"] + spikes["r"] * cost[f"synop_{kinds['r', 'both']}"]
    energy = estimate(result.counts, program, "sanafe2025")
    assert energy.by_layer["both"]["synapse"] == pytest.approx(expected, rel=1e-12)


def test_positions_share_their_lists_and_borders_have_more() -> None:
    """A 3 by 3 kernel without padding on 10 by 10: 36 inner pixels share a list, 24 kinds of border have their own."""
    geometry = Geometry((1, 10, 10), 1, (3, 3))
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3)
    chip = load_chip("loihi1")
    stored = encode(ConvProjection(INPUT, "h", kernel, geometry).matrix(), chip)
    assert stored.name == "conv"
    assert (stored.axons, stored.synapses) == (100, 64 * 9)
    assert stored.lists == 5 * 5
    # Without the base that an axon may carry, every axon has a list of its own.
    dense = encode(ConvProjection(INPUT, "h", kernel, geometry).weights, chip)
    assert dense.lists == 100
    assert dense.bits > 3 * stored.bits


def test_positions_of_a_dilated_kernel_share_their_lists_alike() -> None:
    """A 3 by 3 kernel that spans 5 by 5, on 12 by 12: 8 by 8 neurons, inner pixels 4 to 7, borders of 4 on each side.

    Pixels 0 and 1 of an axis reach one neuron, 2 and 3 two, 4 to 7 three: the first of them alike up to a shift.
    """
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3)
    chip = load_chip("loihi1")
    stored = encode(
        ConvProjection(INPUT, "h", kernel, Geometry((1, 12, 12), 1, (3, 3), dilation=(2, 2))).matrix(), chip
    )
    near = encode(ConvProjection(INPUT, "h", kernel, Geometry((1, 10, 10), 1, (3, 3))).matrix(), chip)
    assert stored.name == "conv"
    assert (stored.axons, stored.synapses) == (144, 64 * 9)
    assert (stored.lists, stored.stored) == (near.lists, near.stored) == (5 * 5, 9 * 9)


def test_counts_take_every_row_of_a_slice_of_several_runs() -> None:
    geometry = Geometry((1, 4, 3), 2, (1, 1))
    populations = (Population("h", Threshold(), np.zeros(24, int)), Population("out", Readout(), [0]))
    projections = (
        ConvProjection(INPUT, "h", np.ones((2, 1, 1, 1), int), geometry),
        Projection("h", "out", np.ones((1, 24), int)),
    )
    slices = (CoreSlice("h", 0, 6, 0, 2, 12), CoreSlice("h", 6, 12, 1, 2, 12), CoreSlice("out", 0, 1, 2))
    program = Program(load_chip("loihi1"), 12, populations, projections, slices)
    inputs = np.array([[1] * 3 + [0] * 8 + [1]])
    counts = count_events(program, inputs, run(program, inputs).spikes)
    assert counts.synops.tolist() == [[6, 2, 8]]
    assert counts.spikes.tolist() == [[6, 2, 0]]

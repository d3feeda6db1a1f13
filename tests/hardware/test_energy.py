import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.chip import load_chip
from conntra_hardware.cost.baselines import baselines
from conntra_hardware.cost.coefficients import load_coefficients
from conntra_hardware.cost.energy import estimate, estimate_all, step_times
from conntra_hardware.cost.events import EventCounts
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection
from conntra_hardware.runtime import run

PJ, NS, US = 1e-12, 1e-9, 1e-6


def three_neurons(chip="loihi1", cores=(0, 4, 36)):
    """Two inputs, two hidden neurons on a core each, one readout on a third: tiles (0, 0), (1, 0), (1, 1)."""
    populations = (Population("hidden0", Threshold(), [0, 1]), Population("readout", Readout(), [0]))
    projections = (Projection(INPUT, "hidden0", [[1, 1], [0, -1]]), Projection("hidden0", "readout", [[1, -1]]))
    first, second, third = cores
    slices = (CoreSlice("hidden0", 0, 1, first), CoreSlice("hidden0", 1, 2, second), CoreSlice("readout", 0, 1, third))
    return Program(load_chip(chip), 2, populations, projections, slices)


INPUTS = np.array([[1, 0], [0, 1]], dtype=np.uint8)
# Sample 0: input 0 spikes, neuron 0 gets 1 and fires, neuron 1 has its bias of 1 and fires; the readout gets 1 - 1 = 0.
# Sample 1: input 1 spikes, neuron 0 gets 1 and fires, neuron 1 gets 1 - 1 = 0 and does not; the readout gets 1.


def test_three_neurons_by_hand_under_sanafe2025():
    """Every list here is of one entry, so all are dense: 35.5 pJ and 3.8 ns a synaptic operation."""
    result = run(three_neurons(), INPUTS)
    assert result.logits.tolist() == [[0], [1]]
    energy = estimate(result.counts, result.program, "sanafe2025")
    # Synaptic operations: neuron 0 gets 1 + 1, neuron 1 gets 0 + 1, the readout gets 2 + 1.
    assert energy.breakdown["synapse"] == pytest.approx(6 * 35.5 * PJ, rel=1e-12)
    # 3 neurons x 2 steps accessed; all of them active each time: neuron 1 has a bias, the others an event.
    assert energy.breakdown["neuron"] == pytest.approx((6 * 51.2 + 6 * 21.6) * PJ, rel=1e-12)
    assert energy.breakdown["spike"] == pytest.approx(3 * 69.3 * PJ, rel=1e-12)
    # 3 packets to the readout: two of neuron 0 from tile (0, 0) to (1, 1), one of neuron 1 from (1, 0) to (1, 1).
    assert energy.breakdown["network"] == pytest.approx((3 * 111.0 + 2 * 3.0 + 3 * 4.2) * PJ, rel=1e-12)
    # Input 0 goes to neuron 0 on the tile it enters at; input 1 goes there and one hop east to neuron 1.
    assert energy.breakdown["input"] == pytest.approx((3 * 111.0 + 1 * 3.0) * PJ, rel=1e-12)
    assert energy.dynamic_j == pytest.approx(sum(energy.breakdown.values()), rel=1e-12)

    # Step 0 (sample 0 enters; hidden neurons are updated for sample 1, the stream repeating; the readout for sample 0):
    #   core 0   neuron 6.0 + 3.7 + 30.0 + 5.1 = 44.8;  message 16 + 3.8 = 19.8
    #   core 4   neuron 6.0 + 3.7 = 9.7;                message 0
    #   core 36  neuron 6.0 + 3.7 = 9.7;                message of sample 1: 16 + 3.8 = 19.8
    #   input    1 packet, 5.1
    # Step 1 (sample 1 enters; hidden neurons are updated for sample 0): core 0 and 4 44.8;
    #   core 36 message of sample 0: 2 x (16 + 3.8) = 39.6
    synchronisation = 1.0 * US  # three tiles: the entry for two holds until the one for four
    steps = step_times(result.counts, result.program, load_coefficients("sanafe2025"))
    assert steps == pytest.approx([44.8 * NS + synchronisation] * 2, rel=1e-12)
    assert energy.step_time_s == pytest.approx(44.8 * NS + synchronisation, rel=1e-12)
    assert energy.latency_s == pytest.approx(3 * energy.step_time_s, rel=1e-12)
    assert energy.throughput_hz == pytest.approx(1 / energy.step_time_s, rel=1e-12)
    assert energy.static_j == pytest.approx(0.104 * 2 * energy.step_time_s, rel=1e-12)
    assert energy.energy_delay_product_js == pytest.approx(energy.dynamic_j / 2 * energy.latency_s, rel=1e-12)


def test_three_neurons_by_hand_under_davies2018():
    result = run(three_neurons(), INPUTS)
    energy = estimate(result.counts, result.program, "davies2018")
    expected = {
        "synapse": 6 * 23.6,
        "neuron": 6 * 81.0,  # all active
        "spike": 0.0,
        "network": 3 * 1.7 + 2 * 3.0 + 3 * 4.0,
        "input": 3 * 1.7 + 3.0,
    }
    assert energy.breakdown == pytest.approx({name: value * PJ for name, value in expected.items()}, rel=1e-12)
    # Cores 0 and 4 take 8.4 and 2.1 ns where they fire; three tiles are 2/31 of the way from 113 to 465 ns.
    synchronisation = (113 + 352 * 2 / 31) * NS
    assert energy.step_time_s == pytest.approx(10.5 * NS + synchronisation, rel=1e-12)


def test_idle_neurons_are_accessed_and_not_updated():
    program = three_neurons()
    result = run(program, np.zeros((1, 2), dtype=np.uint8))
    energy = estimate(result.counts, program, "davies2018")
    # Neuron 0 is idle at 52 pJ; neuron 1 fires on its bias, and its spike makes the readout active.
    assert energy.by_layer["hidden0"]["neuron"] == pytest.approx((52.0 + 81.0) * PJ, rel=1e-12)
    assert energy.by_layer["readout"]["neuron"] == pytest.approx(81.0 * PJ, rel=1e-12)


def test_samples_that_are_alike_have_the_mean_at_every_percentile():
    energy = estimate(run(three_neurons(), INPUTS[[1, 1, 1]]).counts, three_neurons(), "sanafe2025")
    assert energy.per_inference_p95_j == pytest.approx(energy.per_inference_j, rel=1e-12)
    assert energy.latency_p95_s == pytest.approx(energy.latency_s, rel=1e-12)
    assert energy.step_time_p95_s == pytest.approx(energy.step_time_s, rel=1e-12)


def test_layers_and_cores_sum_to_the_whole():
    result = run(three_neurons(), INPUTS)
    for energy in estimate_all(result.counts, result.program):
        layers = sum(sum(kinds.values()) for kinds in energy.by_layer.values())
        assert layers == pytest.approx(energy.dynamic_j, rel=1e-12)
        assert sum(energy.by_core.values()) + energy.breakdown["input"] == pytest.approx(energy.dynamic_j, rel=1e-12)
        assert set(energy.by_core) == {0, 4, 36}


def test_json_has_what_the_interface_promises():
    result = run(three_neurons(), INPUTS)
    (davies, sanafe) = [energy.to_dict() for energy in estimate_all(result.counts, result.program)]
    assert (davies["coefficients"], sanafe["coefficients"]) == ("davies2018", "sanafe2025")
    assert davies["modelled"] is True
    assert "modelled, not measured" in davies["provenance"]
    assert davies["static_second_hand"] is True
    assert davies["proxy"] is False
    assert sum(davies["breakdown"].values()) == pytest.approx(davies["total_j"], rel=1e-12)
    assert davies["per_inference_j"] == pytest.approx(davies["dynamic_j"] / 2)


def test_loihi2_is_a_proxy():
    result = run(three_neurons("loihi2"), INPUTS)
    (energy,) = estimate_all(result.counts, result.program)
    assert energy.proxy
    assert "NOT Loihi 2 figures" in energy.provenance


def test_links_between_chips_are_priced_apart():
    on_two = three_neurons("loihi1x2", cores=(0, 4, 128))
    result = run(on_two, INPUTS)
    energy = estimate(result.counts, on_two, "sanafe2025")
    assert energy.breakdown["chip_links"] == pytest.approx(3 * 121.6 * PJ, rel=1e-12)
    assert energy.static_j == pytest.approx(2 * 0.104 * 2 * energy.step_time_s, rel=1e-12)
    assert sum(energy.by_layer["hidden0"].values()) + sum(energy.by_layer["readout"].values()) + sum(
        energy.by_layer["input"].values()
    ) == pytest.approx(energy.dynamic_j, rel=1e-12)
    costs = load_coefficients("sanafe2025")
    without = {name: value for name, value in costs.energy_j.items() if name != "chip_crossing"}
    with pytest.raises(InputError, match=r"no energy\.chip_crossing for a program on 2 chips"):
        estimate(result.counts, on_two, dataclasses.replace(costs, energy_j=without))


def joined(first, second):
    """The counts of two runs, one after the other."""
    per_sample = [f.name for f in dataclasses.fields(EventCounts) if f.type == "Counts"]
    arrays = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in per_sample}
    return EventCounts(slices=first.slices, fill_steps=first.fill_steps, **arrays)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31), st.sampled_from(["davies2018", "sanafe2025"]))
def test_energy_is_additive_in_counts(n_first, n_second, seed, name):
    rng = np.random.default_rng(seed)
    program = three_neurons()
    first = run(program, rng.integers(0, 2, (n_first, 2))).counts
    second = run(program, rng.integers(0, 2, (n_second, 2))).counts
    parts = [estimate(counts, program, name) for counts in (first, second)]
    whole = estimate(joined(first, second), program, name)
    assert whole.dynamic_j == pytest.approx(sum(part.dynamic_j for part in parts), rel=1e-12)
    for kind, energy in whole.breakdown.items():
        assert energy == pytest.approx(sum(part.breakdown[kind] for part in parts), rel=1e-12, abs=1e-30)


def test_steps_against_a_slow_pipeline():
    """Step by step, core by core, for a deeper program with two populations on one core."""
    rng = np.random.default_rng(3)
    names, sizes = ["a", "b", "readout"], [5, 6, 4, 3]
    neurons = [Threshold(), Threshold(), Readout()]
    populations = tuple(
        Population(name, neuron, rng.integers(-1, 2, size))
        for name, neuron, size in zip(names, neurons, sizes[1:], strict=True)
    )
    sources = [INPUT, "a", "b"]
    projections = tuple(
        Projection(source, name, rng.integers(-1, 2, (n_out, n_in)))
        for source, name, n_in, n_out in zip(sources, names, sizes, sizes[1:], strict=False)
    )
    slices = (CoreSlice("a", 0, 6, 7), CoreSlice("b", 0, 4, 7), CoreSlice("readout", 0, 3, 9))
    program = Program(load_chip("loihi1"), 5, populations, projections, slices)
    counts = run(program, rng.integers(0, 2, (7, 5))).counts
    costs = load_coefficients("sanafe2025")
    synop = {"dense": 3.8, "sparse": 4.7}
    stored = {e.target: synop[e.name] for usage in program.usage for e in usage.encodings}
    for t, found in enumerate(step_times(counts, program, costs)):
        times = [5.1 * counts.input_packets[t]]
        for core in (7, 9):
            neuron = message = 0.0
            for i, s in enumerate(slices):
                if s.core == core:
                    d = names.index(s.population) + 1
                    u, m = (t - d) % 7, (t - d + 1) % 7
                    neuron += 6.0 * counts.neuron_updates[u, i] + 3.7 * counts.active_updates[u, i]
                    neuron += 30.0 * counts.spikes[u, i] + 5.1 * counts.packets_out[u, i]
                    message += 16.0 * counts.packets_in[m, i] + stored[s.population] * counts.synops[m, i]
            times.append(max(neuron, message))
        assert found == pytest.approx(max(times) * NS + 1.0 * US, rel=1e-12)


def test_zeros_in_dense_lists_are_told_apart():
    """Input 0 has the dense list (1, 0, 1), input 1 (1, 1, 0): each spike passes one zero."""
    population = Population("readout", Readout(), [0, 0, 0])
    projection = Projection(INPUT, "readout", [[1, 1], [0, 1], [1, 0]])
    program = Program(load_chip("loihi1"), 2, (population,), (projection,), (CoreSlice("readout", 0, 3, 0),))
    energy = estimate(run(program, [[1, 1], [1, 0]]).counts, program, "sanafe2025")
    assert energy.breakdown["synapse"] == pytest.approx(6 * 35.5 * PJ, rel=1e-12)
    assert energy.stored_zeros_j == pytest.approx(3 * 35.5 * PJ, rel=1e-12)


def test_counts_of_another_program_are_refused():
    result = run(three_neurons(), INPUTS)
    with pytest.raises(InputError, match="of another program"):
        estimate(result.counts, three_neurons(cores=(0, 4, 8)), "sanafe2025")


def test_baselines_by_hand_in_two_tables():
    program = three_neurons()
    arithmetic = {row.name: row for row in baselines(program, with_memory=False)}
    memory = {row.name: row for row in baselines(program, with_memory=True)}
    assert arithmetic["float32"].macs == 6
    assert arithmetic["float32"].per_inference_j == pytest.approx(6 * 4.6 * PJ)
    assert arithmetic["int8"].per_inference_j == pytest.approx(6 * 0.3 * PJ)
    assert memory["float32"].per_inference_j == pytest.approx(6 * (4.6 + 5.0) * PJ)
    assert memory["int8"].per_inference_j == pytest.approx(6 * (0.3 + 1.25) * PJ)
    assert "Horowitz" in memory["int8"].source
    assert not arithmetic["int8"].with_memory

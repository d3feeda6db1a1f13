"""Event counts against a slow count of everything, one spike at a time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.chip import load_chip
from conntra_hardware.cost.events import EventCounts, count_events
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection

PER_SLICE = ("synops", "neuron_updates", "active_updates", "spikes", "packets_out", "packets_in")
PER_SLICE += ("hops_ew", "hops_ns", "crossings")


def random_program(rng, chip, depth):
    sizes = rng.integers(1, 12, depth + 1)
    populations, projections, slices = [], [], []
    for layer in range(depth):
        n_in, n_out = int(sizes[layer]), int(sizes[layer + 1])
        last = layer == depth - 1
        name = f"p{layer}"
        bias = rng.integers(-1, 2, n_out) * rng.integers(0, 2)
        populations.append(Population(name, Readout() if last else Threshold(), bias))
        weights = rng.choice([-2, -1, 0, 0, 0, 1, 2], size=(n_out, n_in))
        projections.append(Projection(f"p{layer - 1}" if layer else INPUT, name, weights))
        parts = int(rng.integers(1, min(3, n_out) + 1))
        edges = np.linspace(0, n_out, parts + 1).astype(int)
        cores = rng.choice(chip.total_cores, parts, replace=False)
        slices += [CoreSlice(name, int(a), int(b), int(c)) for a, b, c in zip(edges, edges[1:], cores, strict=False)]
    order = rng.permutation(len(slices))
    return Program(chip, int(sizes[0]), tuple(populations), tuple(projections), tuple(slices[i] for i in order))


def count_slowly(program, inputs, spikes):
    chip = program.chip
    n = len(inputs)
    table = {name: np.zeros((n, len(program.slices)), dtype=int) for name in PER_SLICE}
    entering = {name: np.zeros(n, dtype=int) for name in ("packets", "ew", "ns", "crossings")}
    fired = {INPUT: inputs, **spikes}
    for index, s in enumerate(program.slices):
        population = program.population(s.population)
        (projection,) = program.incoming(s.population)
        source = fired[projection.source]
        for t in range(n):
            for neuron in range(s.start, s.stop):
                row = projection.weights[neuron]
                table["neuron_updates"][t, index] += 1
                event = bool(np.any((row != 0) & (source[t] != 0)))
                left = row.astype(int) @ source[t - 1].astype(int) != 0  # at t = 0, of the last sample
                if s.population in fired:
                    table["spikes"][t, index] += fired[s.population][t, neuron]
                    left = left and not fired[s.population][t - 1, neuron]
                table["active_updates"][t, index] += event or population.bias[neuron] != 0 or left
            for i in np.flatnonzero(source[t]):
                synapses = np.count_nonzero(projection.weights[s.start : s.stop, i])
                if not synapses:
                    continue
                table["synops"][t, index] += synapses
                table["packets_in"][t, index] += 1
                senders = [j for j, o in enumerate(program.slices) if o.population == projection.source]
                sender = next((j for j in senders if program.slices[j].start <= i < program.slices[j].stop), None)
                core = 0 if sender is None else program.slices[sender].core
                ew, ns = chip.hops(core, s.core)
                crossings = chip.crossings(core, s.core)
                if sender is None:
                    for name, value in (("packets", 1), ("ew", ew), ("ns", ns), ("crossings", crossings)):
                        entering[name][t] += value
                else:
                    table["packets_out"][t, sender] += 1
                    table["hops_ew"][t, sender] += ew
                    table["hops_ns"][t, sender] += ns
                    table["crossings"][t, sender] += crossings
    return table, entering


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.sampled_from(["loihi1", "loihi1x3"]))
def test_counts_are_those_of_a_slow_count(seed, depth, chip):
    rng = np.random.default_rng(seed)
    program = random_program(rng, load_chip(chip), depth)
    inputs = (rng.random((6, program.n_inputs)) < 0.4).astype(np.uint8)
    spikes = ReferenceBackend().execute(program, inputs, RunOptions()).spikes
    counts = count_events(program, inputs, spikes)
    table, entering = count_slowly(program, inputs, spikes)
    for name in PER_SLICE:
        assert np.array_equal(getattr(counts, name), table[name]), name
    assert np.array_equal(counts.input_packets, entering["packets"])
    assert np.array_equal(counts.input_hops_ew, entering["ew"])
    assert np.array_equal(counts.input_hops_ns, entering["ns"])
    assert np.array_equal(counts.input_crossings, entering["crossings"])
    assert np.array_equal(counts.input_spikes, inputs.sum(axis=1))
    assert_totals_agree(counts)


def assert_totals_agree(counts: EventCounts):
    totals = counts.totals()
    for groups in (counts.by_layer(), counts.by_core()):
        assert sum(group["synops"] for group in groups.values()) == totals["synops"]
        assert sum(group["packets_in"] for group in groups.values()) == totals["packets"]

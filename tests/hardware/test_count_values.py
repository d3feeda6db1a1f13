"""Event counts, one spike, synapse and hop at a time, with delays and ways back. Mutants are tried on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from conntra_hardware.base import spike_product_kernel
from conntra_hardware.chip import Chip, load_chip
from conntra_hardware.cost import events as events_module
from conntra_hardware.cost import tally as tally_module
from conntra_hardware.cost.activity import active_updates
from conntra_hardware.cost.events import count_events
from conntra_hardware.cost.tally import tallied
from conntra_hardware.neurons import GradedRelu, Lif, Readout, Threshold
from conntra_hardware.program import INPUT, ConvProjection, CoreSlice, Population, Program, Projection
from conntra_hardware.program.convolution import Geometry

IMAGE = Geometry((1, 3, 4), 2, (2, 1))


def program(chip: Chip, seed: int) -> tuple[Program, np.ndarray, dict[str, np.ndarray]]:
    """Return a program with a convolution, two delays, a way back and two sources, input spikes, and spikes for it.

    Counts are of whatever spikes are recorded, so these are drawn.
    """
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return rng.choice([-2, 0, 0, 1], shape)

    lif = Lif(3, voltage_decay=163)
    populations = (
        Population("a", lif, np.zeros(16, int)),
        Population("b", Threshold(), np.array([0, 1, 0, -1, 0])),
        Population("c", lif, np.zeros(6, int)),
        Population("out", Readout(), np.zeros(3, int)),
    )
    projections = (
        ConvProjection(INPUT, "a", drawn(*IMAGE.kernel_shape), IMAGE),
        Projection(INPUT, "a", drawn(16, 12), 2),
        Projection(INPUT, "b", drawn(5, 12)),
        Projection("a", "a", drawn(16, 16)),
        Projection("a", "c", drawn(6, 16)),
        Projection("b", "c", drawn(6, 5), 1),
        Projection("b", "c", drawn(6, 5)),
        Projection("c", "out", drawn(3, 6)),
    )
    cores = rng.permutation(chip.total_cores)[:8].tolist()
    slices = (
        CoreSlice("out", 0, 3, cores[0]),
        CoreSlice("a", 4, 8, cores[1], 2, 8),
        CoreSlice("a", 0, 4, cores[2], 2, 8),
        CoreSlice("b", 2, 5, cores[3]),
        CoreSlice("b", 0, 2, cores[2]),
        CoreSlice("c", 0, 6, cores[4]),
    )
    made = Program(chip, 12, populations, projections, slices, steps=4)
    rows = 5 * made.steps
    inputs = (rng.random((rows, 12)) < 0.5).astype(np.uint8)
    spikes = {p.name: (rng.random((rows, p.size)) < 0.4).astype(np.uint8) for p in populations[:-1]}
    return made, inputs, spikes


def by_hand(made: Program, inputs: np.ndarray, spikes: dict[str, np.ndarray]) -> dict[Any, Any]:
    """Return counts by (name, slice or INPUT, row): a packet for each spike and destination, whatever its delays."""
    chip, found = made.chip, defaultdict(int)
    for source, fired in {INPUT: inputs, **spikes}.items():
        for row, neuron in zip(*np.nonzero(fired), strict=True):
            stands = next(
                (s for s in made.slices if s.population == source and neuron in np.arange(1000)[s.index]), None
            )
            sender, core = (INPUT, 0) if source == INPUT else (stands, stands.core)  # type: ignore[union-attr]
            found["spikes", sender, row] += 1
            for target in made.slices:
                here = [p for p in made.projections if (p.source, p.target) == (source, target.population)]
                degrees = [np.count_nonzero(p.weights[target.index, neuron]) for p in here]
                several = len(made.incoming(target.population)) > 1
                for p, degree in zip(here, degrees, strict=True):
                    found["synops", target, row] += degree
                    if several:
                        found["of synops", (p.source, p.target, p.delay), target, row] += degree
                        found["of packets", (p.source, p.target, p.delay), target, row] += degree > 0
                if any(degrees):
                    ew, ns = chip.hops(core, target.core)
                    found["packets_in", target, row] += 1
                    found["packets_out", sender, row] += 1
                    found["hops_ew", sender, row] += ew
                    found["hops_ns", sender, row] += ns
                    found["crossings", sender, row] += chip.crossings(core, target.core)
    return found


NAMES = ("synops", "spikes", "packets_in", "packets_out", "hops_ew", "hops_ns", "crossings")


@pytest.mark.parametrize(("chip", "seed"), [("loihi1", 0), ("loihi1x3", 1), ("loihi2x4", 2), ("loihi2", 3)])
@pytest.mark.parametrize("block", [2**22, 1])
def test_every_count_of_every_row(chip: str, seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "_BLOCK_VALUES", block)
    made, inputs, spikes = program(load_chip(chip), seed)
    counts, expected = count_events(made, inputs, spikes), by_hand(made, inputs, spikes)
    rows = range(len(inputs))
    for name in NAMES:
        table = [[expected[name, s, row] for s in made.slices] for row in rows]
        assert getattr(counts, name).tolist() == table, name
    for name, of in (("spikes", "spikes"), ("packets", "packets_out"), ("hops_ew", "hops_ew"), ("hops_ns", "hops_ns"),
                     ("crossings", "crossings")):  # fmt: skip
        assert getattr(counts, f"input_{name}").tolist() == [expected[of, INPUT, row] for row in rows], name
    assert counts.neuron_updates.tolist() == [[s.size for s in made.slices]] * len(inputs)
    sent = {INPUT: inputs, **spikes}
    for population in made.populations:
        for s, active in zip(made.slices_of(population.name), active_updates(made, population, sent), strict=True):
            assert counts.active_updates[:, made.slices.index(s)].tolist() == active.tolist()
    several = [p for p in made.projections if p.target in ("a", "c")]
    assert set(counts.arrivals) == {(p.source, p.target, p.delay) for p in several}
    for key, (synops, packets) in counts.arrivals.items():
        slices = made.slices_of(key[1])
        assert synops.tolist() == [[expected["of synops", key, s, row] for s in slices] for row in rows], key
        assert packets.tolist() == [[expected["of packets", key, s, row] for s in slices] for row in rows], key
    assert (counts.samples, counts.steps, counts.time_steps, counts.fill_steps) == (5, 4, 20, 2)


def test_sums_over_slices_layers_and_cores() -> None:
    made, inputs, spikes = program(load_chip("loihi1x3"), 4)
    counts = count_events(made, inputs, spikes)
    expected = by_hand(made, inputs, spikes)

    def total(name: str, *senders: Any) -> int:
        return sum(count for key, count in expected.items() if key[0] == name and key[1] in senders)

    own = made.slices
    updates = 20 * 30
    assert counts.totals() == {
        "synops": total("synops", *own),
        "neuron_updates": updates,
        "active_updates": int(counts.active_updates.sum()),
        "spikes": total("spikes", *own),
        "packets": total("packets_in", *own),
        "hops": total("hops_ew", *own, INPUT) + total("hops_ns", *own, INPUT),
        "chip_crossings": total("crossings", *own, INPUT),
        "time_steps": 20,
    }
    layers, cores = counts.by_layer(), counts.by_core()
    assert list(layers) == ["out", "a", "b", "c"]
    assert set(cores) == {s.core for s in own}
    for groups, key in ((layers, "population"), (cores, "core")):
        for group, sums in groups.items():
            members = [s for s in own if getattr(s, key) == group]
            for name in NAMES[:-1]:
                assert sums[name] == total(name, *members), (group, name)
            assert sums["neuron_updates"] == 20 * sum(s.size for s in members)
            assert sums["active_updates"] == sum(counts.active_updates[:, own.index(s)].sum() for s in members)
    said = repr(counts)
    assert said.startswith(f"EventCounts(5 samples: {total('synops', *own):,} synops, 600 neuron_updates")
    assert "time_steps" not in said


def test_a_graded_spike_counts_as_one_and_a_lone_projection_is_not_told_apart() -> None:
    weights = [[1, 0], [2, 3]]
    populations = (Population("a", GradedRelu(), [0, 0]), Population("out", Readout(), [0, 0]))
    projections = (Projection(INPUT, "a", weights), Projection("a", "out", weights))
    slices = (CoreSlice("a", 0, 2, 0), CoreSlice("out", 0, 1, 1), CoreSlice("out", 1, 2, 2))
    made = Program(load_chip("loihi2"), 2, populations, projections, slices)
    counts = count_events(made, np.array([[1, 1]], np.uint8), {"a": np.array([[7, 0]], np.int32)})
    assert counts.arrivals == {}
    assert counts.spikes.tolist() == [[1, 0, 0]]
    assert counts.synops.tolist() == [[3, 1, 1]]
    assert counts.packets_out.tolist() == [[2, 0, 0]]
    assert counts.packets_in.tolist() == [[2, 1, 1]]
    assert (counts.input_spikes.tolist(), counts.input_packets.tolist()) == ([2], [2])
    assert (counts.fill_steps, counts.steps, counts.samples) == (1, 1, 1)


def test_spikes_that_nobody_recorded_are_not_counted() -> None:
    made, inputs, spikes = program(load_chip("loihi1"), 5)
    del spikes["b"]
    expected = by_hand(made, inputs, spikes)
    table = {name: np.zeros((20, 6), int) for name in NAMES}
    for key, count in expected.items():
        if key[0] in table and key[1] != INPUT:
            table[key[0]][key[2], made.slices.index(key[1])] += count
    with pytest.raises(KeyError, match="b"):  # what arrives at c is not known, then
        count_events(made, inputs, spikes)
    counts = count_events(made, inputs, spikes | {"b": np.zeros((20, 5), np.uint8)})
    for name, expected_table in table.items():
        assert getattr(counts, name).tolist() == expected_table.tolist(), name


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("k", [1, 9])
@pytest.mark.parametrize("largest", [3, 2**24 // 4 + 1, 2**31 - 1, 2**31, 2**31 + 5, 2**40])
@pytest.mark.parametrize("how", ["_as_products", "_compiled"])
def test_tallies_are_sums_over_the_sources_that_spike(groups: int, k: int, largest: int, how: str) -> None:
    rng = np.random.default_rng(groups + k)
    spikes = rng.random((9, 12)) < 0.6
    spikes[0] = True
    for group in (np.sort(rng.integers(0, groups, 12)), rng.integers(0, groups, 12)):
        of_all, of_groups = rng.integers(0, largest, (12, k)), rng.integers(0, largest, (12, k))
        of_all[:4], of_groups[:4] = largest, largest
        everywhere, by_group = getattr(tally_module, how)(spikes, group, groups, of_all, of_groups)
        assert everywhere.tolist() == [of_all[row].sum(axis=0).tolist() for row in spikes]
        expected = [[of_groups[row & (group == g)].sum(axis=0).tolist() for g in range(groups)] for row in spikes]
        assert by_group.tolist() == expected
        assert everywhere.dtype == by_group.dtype == np.int64


def test_sums_of_floats_stay_exact_up_to_their_edge() -> None:
    spikes, group = np.ones((1, 2), bool), np.zeros(2, int)
    for total in (2**24 + 1, 2**24 - 1):
        column = np.array([[total - 1], [1]])
        small = np.zeros((2, 1), int)
        for of_all, of_groups in ((column, small), (small, column)):
            everywhere, by_group = tally_module._as_products(spikes, group, 1, of_all, of_groups)
            assert (everywhere.tolist(), by_group.tolist()) == ([[of_all.sum()]], [[[of_groups.sum()]]])


def test_the_compiler_is_loaded_where_that_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "_as_products", lambda *given: "products")
    monkeypatch.setattr(tally_module, "_compiled", lambda *given: "compiled")
    monkeypatch.setattr(tally_module, "_WORTH", 100)
    monkeypatch.setattr(tally_module, "_WORTH_LOADED", 10)

    def used(size: int) -> Any:
        return tallied(np.zeros((1, size), bool), *[None] * 4)  # type: ignore[arg-type]

    monkeypatch.setattr(tally_module, "compiled", lambda: False)
    assert [used(size) for size in (99, 100)] == ["products", "compiled"]
    monkeypatch.setattr(tally_module, "compiled", lambda: True)
    assert [used(size) for size in (9, 10)] == ["products", "compiled"]


def test_few_sums_of_neighbours_go_without_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    for name in ("tally_ranges", "tally_rows"):
        whole = getattr(spike_product_kernel, name)
        seen = lambda *given, name=name, whole=whole: used.append(name) or whole(*given)  # noqa: E731
        monkeypatch.setattr(spike_product_kernel, name, seen)
    monkeypatch.setattr(tally_module, "over_rows", lambda work, rows: work(slice(0, rows)))
    spikes, ones = np.ones((2, 4), bool), np.ones((4, 5), int)
    for k, group, largest, expected in (
        (7, [0, 0, 1, 1], 1, "tally_ranges"),  # 12 sums
        (7, [0, 1, 2, 3], 1, "tally_ranges"),
        (8, [0, 0, 1, 1], 1, "tally_rows"),
        (7, [0, 1, 0, 1], 1, "tally_rows"),
        (7, [0, 0, 1, 1], 2**31 - 1, "tally_ranges"),
        (7, [0, 0, 1, 1], 2**31, "tally_rows"),
    ):
        everywhere, by_group = tally_module._compiled(spikes, np.array(group), 4, np.full((4, k), largest), ones)
        assert everywhere.tolist() == [[4 * largest] * k] * 2
        assert by_group[:, :, 0].tolist() == [[group.count(g) for g in range(4)]] * 2
        assert used == [expected]
        used.clear()

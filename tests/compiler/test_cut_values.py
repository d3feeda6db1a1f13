"""Slices of a population: what each takes, and that no fewer would fit, by trying all. Mutants are tried on it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from conntra_hardware.chip import Chip, load_chip
from conntra_hardware.fit.synapse_memory import encode
from conntra_hardware.neurons import Threshold
from conntra_hardware.program import ConvProjection, Population, Projection, SparseProjection
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.compiler.cut import Demand, Part, Sizing, blocks, cut_evenly, fan_in, image_of

RNG = np.random.default_rng(9)
FLAT = Geometry((1, 1, 6), 3, (1, 2))
IMAGE = Geometry((2, 6, 5), 3, (2, 2))  # 3 channels of 5 x 4


def chip(name: str = "loihi1", **limits: Any) -> Chip:
    return replace(load_chip(name), **limits)


def dense(n: int, n_in: int, share: float = 0.5) -> Projection:
    return Projection("s", "t", RNG.integers(1, 4, (n, n_in)) * (RNG.random((n, n_in)) < share))


def sizing(incoming: list[Any], on: Chip, fans: Any = None, bits: int | None = None) -> Sizing:
    size = incoming[0].shape[0]
    population = Population("t", Threshold(), np.zeros(size, int))
    return Sizing(population, incoming, np.ones(size, int) if fans is None else np.array(fans), on, bits)


def taken(incoming: list[Any], on: Chip, fans: np.ndarray, index: np.ndarray, bits: int | None = None) -> Demand:
    """Return what the neurons ``index`` take, counted source by source; memory as ``synapse_memory`` lays it out."""
    weights = [p.weights[index] for p in incoming]
    axons = sum(int(np.any(column != 0)) for w in weights for column in w.T)
    memory = 0
    for p, w in zip(incoming, weights, strict=True):
        rows = w if isinstance(p, Projection) else sp.csr_array(w)
        memory += encode(rows, on, share=False, bits=bits, delay=p.delay).bits
    out = sum(int(fans[neuron]) for neuron in index)
    memory += len(index) * on.neuron_memory_bits + (axons + out) * on.axon_memory_bits
    return Demand(len(index), axons, out, memory)


def fits(need: Demand, on: Chip, hopeless: tuple[bool, ...] = (False,) * 4) -> bool:
    limits = (on.neurons_per_core, on.input_axons_per_core, on.output_axons_per_core, on.synapse_memory_bits)
    used = (need.neurons, need.axons_in, need.axons_out, need.memory_bits)
    return all(skip or limit is None or u <= limit for u, limit, skip in zip(used, limits, hopeless, strict=True))


def edges(size: int, count: int) -> list[tuple[int, int]]:
    return [(size * k // count, size * (k + 1) // count) for k in range(count)]


def test_demands_add_up_and_are_held_against_limits() -> None:
    assert Demand(1, 2, 3, 4) + Demand(10, 20, 30, 40) == Demand(11, 22, 33, 44)
    on = chip(neurons_per_core=10, input_axons_per_core=20, output_axons_per_core=40, synapse_memory_bits=80)
    assert Demand(1, 2, 3, 4).load(on) == (0.1, 0.1, 0.075, 0.05)
    free = chip(input_axons_per_core=None, output_axons_per_core=None)
    assert Demand(1024, 2, 3, 0).load(free) == (1, 0, 0, 0)


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
@pytest.mark.parametrize("bits", [None, 8])
def test_what_a_part_takes(name: str, bits: int | None) -> None:
    on = chip(name)
    convolution = ConvProjection("s", "t", RNG.integers(-1, 2, IMAGE.kernel_shape), IMAGE)
    sparse = SparseProjection("u", "t", sp.coo_array(RNG.integers(-1, 2, (60, 7))), 2)
    fans = RNG.integers(0, 5, 60)
    for incoming in ([convolution, sparse], [dense(60, 9), sparse], [dense(60, 9)]):
        made = sizing(incoming, on, fans, bits)
        for given, index in (
            ((3, 17), np.arange(3, 17)),
            ((4, 8, 2, 20), np.r_[4:8, 24:28]),
            ((0, 60), np.arange(60)),
        ):
            part = made.part(*given)
            assert part.demand == taken(incoming, on, fans, index, bits)
            np.testing.assert_array_equal(np.arange(60)[part.index], index)
            assert (part.population, part.kind) == ("t", Threshold())
            assert (part.start, part.stop, part.runs, part.stride) == (*given, *(1, 0)[len(given) - 2 :])[:4]


def test_synapses_and_images_of_what_arrives() -> None:
    weights = np.array([[1, 0, 2], [0, 0, 0]])
    two = [Projection("s", "t", weights), SparseProjection("u", "t", sp.coo_array(weights))]
    assert fan_in(two).tolist() == [4, 0]
    assert fan_in(two[:1]).tolist() == fan_in(two[1:]).tolist() == [2, 0]
    convolution = ConvProjection("s", "t", np.ones(IMAGE.kernel_shape, int), IMAGE)
    flat = ConvProjection("s", "t", np.ones(FLAT.kernel_shape, int), FLAT)
    assert image_of([dense(60, 3), convolution]) == (3, 5, 4)
    assert image_of([flat]) is image_of(two) is image_of([flat, convolution]) is None
    assert sizing([convolution], chip()).image == (3, 5, 4)


def test_what_no_cut_can_help_is_left_out() -> None:
    incoming = [Projection("s", "t", [[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])]
    on = chip(input_axons_per_core=3, output_axons_per_core=5)
    made = sizing(incoming, on, [5, 1, 6])
    # The widest neuron takes 4 of 3 axons in; the one with most axons out 6 of 5.
    assert made.fits(Demand(1, 9, 9, 1))
    assert made.fits(Demand(on.neurons_per_core, 1, 1, on.synapse_memory_bits))
    assert not made.fits(Demand(on.neurons_per_core + 1, 1, 1, 1))
    assert not made.fits(Demand(1, 1, 1, on.synapse_memory_bits + 1))
    just = sizing(incoming, chip(input_axons_per_core=4, output_axons_per_core=6), [5, 1, 6])
    assert just.fits(Demand(1, 4, 6, 1))
    assert not just.fits(Demand(1, 5, 6, 1))
    assert not just.fits(Demand(1, 4, 7, 1))
    assert sizing(incoming, chip(neurons_per_core=2), [1, 1, 1]).fits(Demand(2, 1, 1, 1))


@pytest.mark.parametrize("at_least", [1, 3, 7])
@pytest.mark.parametrize(
    "limits",
    [
        {"neurons_per_core": 5},
        {"neurons_per_core": 6},
        {"input_axons_per_core": 11},
        {"output_axons_per_core": 9},
        {"synapse_memory_bits": 64 * 25},
        {"neurons_per_core": 1},
        {},
    ],
    ids=str,
)
def test_the_fewest_equal_runs_that_fit(limits: dict[str, int], at_least: int) -> None:
    on, fans = chip(**limits), RNG.integers(0, 4, 12)
    incoming = [dense(12, 14, 0.3)]
    made = sizing(incoming, on, fans)
    parts = cut_evenly(made, at_least)
    alone = taken(incoming, on, fans, np.array([int(np.count_nonzero(incoming[0].weights, axis=1).argmax())]))
    alone = replace(alone, axons_out=int(fans.max()))
    hopeless = tuple(not fits(alone, on, tuple(i != j for i in range(4))) for j in range(4))
    for count in range(at_least, 13):
        expected = edges(12, count)
        if count == 12 or all(fits(taken(incoming, on, fans, np.arange(a, b)), on, hopeless) for a, b in expected):
            break
    assert [(p.start, p.stop) for p in parts] == expected
    assert all(p.runs == 1 and p.stride == 0 for p in parts)
    if at_least == 1:
        assert [(p.start, p.stop) for p in cut_evenly(made)] == expected


def test_a_neuron_that_fits_nowhere_is_a_slice_of_its_own() -> None:
    incoming = [Projection("s", "t", [[1, 1, 1], [1, 1, 1], [1, 0, 0]])]
    made = sizing(incoming, chip(synapse_memory_bits=1))
    made._hopeless = [False] * 4  # as if it could be helped
    assert [(p.start, p.stop) for p in cut_evenly(made)] == [(0, 1), (1, 2), (2, 3)]


def best_blocks(made: Sizing, on: Chip, at_least: int) -> list[list[int]] | None:
    """Return the neurons of each block, of the fewest that fit, and of those the ones with most channels."""
    channels, height, width = 3, 5, 4
    grid = np.arange(channels * height * width).reshape(channels, height, width)
    found = []
    for c, r in product(range(1, channels + 1), range(1, height + 1)):
        cut = [grid[a:b, d:e].ravel() for a, b in edges(channels, c) for d, e in edges(height, r)]
        if c * r >= at_least and all(fits(taken(list(made.incoming), on, made.fans, part), on) for part in cut):
            found.append((c * r, c, [part.tolist() for part in cut]))
    return min(found)[2] if found else None


@pytest.mark.parametrize("at_least", [1, 2, 5])
@pytest.mark.parametrize(
    "limits",
    [
        {"neurons_per_core": 60},
        {"neurons_per_core": 59},
        {"neurons_per_core": 24},
        {"neurons_per_core": 23},
        {"neurons_per_core": 12},
        {"neurons_per_core": 4},
        {"input_axons_per_core": 25},
        {"input_axons_per_core": 40},
        {"synapse_memory_bits": 64 * 60},
        {"output_axons_per_core": 30},
    ],
    ids=str,
)
def test_the_fewest_blocks_of_an_image_that_fit(limits: dict[str, int], at_least: int) -> None:
    on, fans = chip(**limits), RNG.integers(0, 3, 60)
    made = sizing([ConvProjection("s", "t", RNG.integers(1, 3, IMAGE.kernel_shape), IMAGE)], on, fans)
    found, expected = blocks(made, (3, 5, 4), at_least), best_blocks(made, on, at_least)
    assert found is not None
    assert [np.arange(60)[p.index].tolist() for p in found] == expected
    assert cut_evenly(made, at_least) == found
    for p in found:
        assert p.stride == (20 if p.runs > 1 else 0)
        assert isinstance(p, Part)
    if at_least == 1:
        assert blocks(made, (3, 5, 4)) == found


def test_an_image_whose_rows_are_too_long_is_cut_into_runs() -> None:
    on = chip(neurons_per_core=3)
    made = sizing([ConvProjection("s", "t", RNG.integers(1, 3, IMAGE.kernel_shape), IMAGE)], on)
    assert blocks(made, (3, 5, 4)) is None
    assert [(p.start, p.stop) for p in cut_evenly(made)] == edges(60, 20)
    assert [(p.start, p.stop) for p in cut_evenly(made, 25)] == edges(60, 25)

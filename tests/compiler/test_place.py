import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.chip import load_chip
from conntra_neuro.compiler.lower import lower
from conntra_neuro.compiler.partition import partition
from conntra_neuro.compiler.place import exchange, naive_cores, place, traffic, travel
from conntra_neuro.network import Dense, DiscreteNetwork

LOIHI = load_chip("loihi1")


def cost(flow, pull, distance, entry, cores):
    return (flow * distance[np.ix_(cores, cores)]).sum() / 2 + pull @ entry[cores]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**31))
def test_no_exchange_of_two_is_left_that_saves(groups, seed):
    rng = np.random.default_rng(seed)
    flow = np.triu(rng.integers(0, 9, (groups, groups)), 1).astype(float)
    flow += flow.T
    pull = rng.integers(0, 9, groups).astype(float)
    spots = rng.integers(0, 4, (groups, 2))
    distance = np.abs(spots[:, None] - spots[None]).sum(axis=2).astype(float)
    entry = spots.sum(axis=1).astype(float)
    start = rng.permutation(groups)
    found = exchange(flow, pull, distance, entry, start)
    assert sorted(found) == list(range(groups))
    best = cost(flow, pull, distance, entry, found)
    assert best <= cost(flow, pull, distance, entry, start)
    for r, s in itertools.combinations(range(groups), 2):
        other = found.copy()
        other[[r, s]] = other[[s, r]]
        assert cost(flow, pull, distance, entry, other) >= best


def parts_of(sizes, levels, chip):
    rng = np.random.default_rng(0)
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        kind = "readout" if len(layers) == len(sizes) - 2 else "threshold"
        layers.append(Dense(rng.choice(levels, size=(n_out, n_in)), None, kind))
    lowered = lower(DiscreteNetwork(layers))
    return lowered, partition(lowered, chip)


@pytest.mark.parametrize(
    ("sizes", "name"),
    [([100, 200, 200, 60, 10], "loihi1"), ([80, 600, 600, 10], "loihi1"), ([50, 1600, 400], "loihi1x2")],
)
def test_better_than_row_by_row(sizes, name):
    chip = replace(load_chip(name), neurons_per_core=10)
    lowered, parts = parts_of(sizes, (-1, 0, 1), chip)
    slices = place(lowered, parts, chip)
    where = {(s.population, s.start): s.core for s in slices}
    cores = np.array([where[group[0].population, group[0].start] for group in parts.cores])
    assert len(set(cores)) == len(cores) == len(parts.cores)
    flows = traffic(lowered, parts)
    assert travel(*flows, cores, chip) < 0.9 * travel(*flows, naive_cores(parts), chip)


def test_traffic_by_hand():
    w1 = np.array([[1, 0, 1], [0, 0, 1]])
    w2 = np.array([[1, 0], [1, 1]])
    lowered = lower(DiscreteNetwork([Dense(w1), Dense(w2, None, "readout")]))
    parts = partition(lowered, replace(LOIHI, neurons_per_core=1))
    between, entering = traffic(lowered, parts)
    assert entering.tolist() == [2, 1, 0, 0]
    assert between.tolist() == [[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]

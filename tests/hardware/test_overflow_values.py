"""The overflow proof, number for number: by hand, and against all inputs of small networks. Mutants are tried on it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import conntra_neuro as cn
from conntra_hardware.chip import load_chip
from conntra_hardware.fit.overflow import (
    REGISTERS,
    OverflowProof,
    prove_no_overflow,
    register_bounds,
    register_limit,
    spans_of,
    synaptic_bounds,
)
from conntra_hardware.neurons import GRADED_MAX, SigmaDelta, Span
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection, SparseProjection

CHIP = load_chip("loihi2")


def population(name: str, neuron: Any, bias: list[int]) -> Population:
    return Population(name, neuron, np.array(bias))


def dense(source: str, target: str, weights: Any) -> Projection:
    return Projection(source, target, np.array(weights))


def sparse(source: str, target: str, weights: Any) -> SparseProjection:
    return SparseProjection(source, target, sp.csr_array(np.array(weights)))


def program(populations: list[Population], projections: list[Any], n_inputs: int, steps: int = 1) -> Program:
    slices = tuple(CoreSlice(p.name, 0, p.size, core) for core, p in enumerate(populations))
    return Program(CHIP, n_inputs, tuple(populations), tuple(projections), slices, steps=steps)


def test_registers() -> None:
    assert REGISTERS == {"lava": 131071, "brian2": 2**53, "reference": 2**53}
    for chip in ("loihi1", "loihi2"):
        assert register_limit(load_chip(chip)) == 131071
        assert register_limit(load_chip(chip), cn.Threshold()) == 131071
        assert register_limit(load_chip(chip), cn.GradedRelu()) == 2**23 - 1


@pytest.mark.parametrize("make", [dense, sparse])
def test_sums_of_two_projections_and_the_bias(make: Any) -> None:
    one, two, bias = [[3, -4, 0], [-1, -1, -1], [0, 0, 0]], [[5], [-6], [2]], [-2, 7, 0]
    arriving = [make("a", "t", one), make("b", "t", two)]
    low, high = synaptic_bounds(population("t", cn.Threshold(), bias), arriving)
    assert (low.tolist(), high.tolist()) == ([-6, -9, 0], [8, 7, 2])
    wide = {"b": Span(np.array([-2]), np.array([3]))}
    low, high = synaptic_bounds(population("t", cn.Threshold(), bias), arriving, wide)
    assert (low.tolist(), high.tolist()) == ([-4 - 10 - 2, -3 - 18, -4], [3 + 15, 12 + 7, 6])


def test_graded_spikes_reach_their_bounds() -> None:
    rng = np.random.default_rng(0)
    for make in (dense, sparse):
        weights, low, high = rng.integers(-5, 6, (4, 3)), rng.integers(-4, 1, 3), rng.integers(1, 5, 3)
        sent = np.array(list(itertools.product(*zip(low.tolist(), high.tolist(), strict=True))))
        sums = sent @ weights.T
        found = synaptic_bounds(
            population("t", cn.Threshold(), [0] * 4), [make("s", "t", weights)], {"s": Span(low, high)}
        )
        assert np.array_equal(found[0], sums.min(axis=0))
        assert np.array_equal(found[1], sums.max(axis=0))


def test_what_graded_populations_can_send() -> None:
    populations = [
        population("plain", cn.Threshold(), [0, 0]),
        population("first", cn.GradedRelu(1), [4, 0]),
        population("second", cn.GradedRelu(ceiling=30), [0]),
        population("own", cn.GradedRelu(), [0]),
        population("change", SigmaDelta(2), [1]),
        population("swing", SigmaDelta(2, activation="linear"), [1]),
        population("round", SigmaDelta(2), [1]),
    ]
    into = {
        "first": [dense(INPUT, "first", [[6, -2], [3, 3]])],
        "second": [dense("first", "second", [[2, -1]]), dense(INPUT, "second", [[9, 9]])],
        "own": [dense(INPUT, "own", [[1, 1]]), dense("own", "own", [[1]])],
        "change": [dense(INPUT, "change", [[3, -1]])],
        "swing": [dense(INPUT, "swing", [[3, -1]])],
        "round": [dense("round", "round", [[1]])],
    }
    spans = spans_of(populations, lambda name: into[name], 2)
    ends = {
        name: [None if b is None else b.tolist() for b in (s.low, s.high, s.least, s.most)] for name, s in spans.items()
    }
    assert ends == {
        "first": [[0, 0], [5, 3], None, None],  # (6 + 4) >> 1, 6 >> 1
        "second": [[0], [28], None, None],  # 2 * 5 + 18
        "own": [[0], [GRADED_MAX], None, None],
        # sigma + bias from -2 to 8 with a step's -1 to 4; relu from 0 to 8; a residue of 1
        "change": [[-9], [9], [-1], [9]],
        "swing": [[-11], [11], [-3], [9]],
        "round": [[-GRADED_MAX], [GRADED_MAX], None, None],
    }


def test_what_sums_of_changes_reach() -> None:
    changing = Span(np.array([-9]), np.array([9]), np.array([-1]), np.array([7]))
    above = Span(np.array([-9]), np.array([9]), np.array([2]), np.array([7]))
    below = Span(np.array([-9]), np.array([9]), np.array([-7]), np.array([-2]))
    arriving = [dense("s", "t", [[2], [-3]]), dense(INPUT, "t", [[5, -1], [0, 1]])]

    def reach(neuron: Any, span: Span | None, steps: int) -> list[list[int]]:
        spans = {} if span is None else {"s": span}
        return [b.tolist() for b in register_bounds(population("t", neuron, [10, -4]), arriving, steps, spans)]

    # What has been sent in all counts once; spikes of the input in each of 3 steps; the bias in each, or once.
    assert reach(cn.Readout(), changing, 3) == [[-5, -33], [59, 6]]
    assert reach(SigmaDelta(1), changing, 3) == [[-5, -25], [39, 6]]
    assert reach(SigmaDelta(1), above, 3) == [[-3, -25], [39, 3]]
    assert reach(SigmaDelta(1), below, 3) == [[-17, -4], [25, 24]]
    # Where it is not known, step by step: sums of a step times 3.
    for span in (Span(np.array([0]), np.array([4])), None):
        most = 1 if span is None else 4
        assert reach(cn.Readout(), span, 3) == [[-3, 3 * (-3 * most - 4)], [3 * (2 * most + 5 + 10), 3]]
    assert reach(cn.IntegrateAndFire(100, 3), changing, 3) == [[-57, 3 * (-27 - 4)], [33 + 99, 28 + 99]]
    two = [dense("s", "t", [[1], [1]]), dense("g", "t", [[2], [-2]])]
    spans = {"s": changing, "g": Span(np.array([0]), np.array([5]))}
    found = register_bounds(population("t", SigmaDelta(1), [0, 0]), two, 4, spans)
    assert [b.tolist() for b in found] == [[-1, -1 - 40], [7 + 40, 7]]


def test_nothing_that_runs_leaves_the_bounds() -> None:
    rng = np.random.default_rng(1)
    for seed in range(12):
        neuron = [cn.IntegrateAndFire(3, 4), SigmaDelta(2, 1), cn.Lif(2, voltage_decay=500), cn.GradedRelu(1)][seed % 4]
        hidden = population("h", neuron, rng.integers(-3, 4, 5).tolist())
        out = population("out", cn.Readout(), rng.integers(-3, 4, 2).tolist())
        made = program(
            [hidden, out],
            [dense(INPUT, "h", rng.integers(-3, 4, (5, 3))), dense("h", "out", rng.integers(-3, 4, (2, 5)))],
            n_inputs=3,
            steps=4,
        )
        x = rng.integers(0, 2, (200, 4, 3)).astype(np.uint8)
        logits = made.run(x).logits
        low, high = register_bounds(out, made.incoming("out"), 4, spans_of(made.populations, made.incoming, 4))
        assert (logits >= low).all()
        assert (logits <= high).all()


def proofs(made: Program, **options: Any) -> dict[tuple[str, str], OverflowProof]:
    return {(p.population, p.register): p for p in prove_no_overflow(made, **options)}


def test_proofs_of_each_population_and_register() -> None:
    made = program(
        [population("h", cn.GradedRelu(2), [1, 2]), population("out", cn.Readout(), [0])],
        [dense(INPUT, "h", [[1, 2], [30, -40]]), dense("h", "out", [[-7, 1]])],
        n_inputs=2,
    )
    found = proofs(made)
    assert list(found) == [(p, r) for p in ("h", "out") for r in ("loihi2", "lava", "brian2", "reference")]
    assert {r: p.limit for (name, r), p in found.items() if name == "h"} == {
        "loihi2": GRADED_MAX,
        "lava": GRADED_MAX,  # its sums are not shifted
        "brian2": 2**53,
        "reference": 2**53,
    }
    assert {found["out", r].limit for r in ("loihi2", "lava")} == {131071}
    assert (found["h", "lava"].low, found["h", "lava"].high, found["h", "lava"].neuron) == (-40, 32, 1)
    assert (found["out", "lava"].low, found["out", "lava"].high) == (-7, 8)  # 1 >> 2 of h0, 32 >> 2 of h1
    assert all(p.holds and p.inputs == () and not p.stops for p in found.values())
    assert list(proofs(made, registers=())) == [("h", "loihi2"), ("out", "loihi2")]
    assert found["out", "lava"].to_dict() == {
        "population": "out",
        "register": "lava",
        "limit": 131071,
        "low": -7,
        "high": 8,
        "neuron": 0,
        "inputs": [],
        "stops": False,
        "holds": True,
    }


@pytest.mark.parametrize("make", [dense, sparse])
@pytest.mark.parametrize(
    ("weights", "bias", "neuron", "inputs"),
    [
        ([[1, 0, 0], [200_000, -5, 7]], [0, 0], 1, (0, 2)),
        ([[1, 0, 0], [-200_000, -5, 7]], [0, 0], 1, (0, 1)),
        ([[200_000, -200_000, 0], [1, 1, 1]], [0, 0], 0, (0,)),  # as far either way: upward is shown
        ([[131_072, 0, 0], [0, 0, 0]], [0, 0], 0, (0,)),
        ([[131_071, 0, 0], [0, 0, 0]], [0, 0], 0, None),
        ([[-131_071, 0, 0], [0, 0, 0]], [0, 0], 0, None),
        ([[-131_072, 0, 0], [0, 0, 0]], [0, 0], 0, (0,)),
        ([[131_070, 0, 0], [0, 0, 0]], [2, 0], 0, (0,)),
    ],
)
def test_the_input_that_overflows(make: Any, weights: Any, bias: Any, neuron: int, inputs: Any) -> None:
    made = program([population("out", cn.Readout(), bias)], [make(INPUT, "out", weights)], n_inputs=3)
    found = proofs(made)["out", "lava"]
    assert found.neuron == neuron
    assert found.holds == (inputs is None)
    assert found.inputs == (inputs or ())


def test_proofs_in_words() -> None:
    def say(*inputs: int, low: int = -3, high: int = 9, limit: int = 8, stops: bool = False) -> str:
        return str(OverflowProof("h", "lava", limit, low, high, 4, tuple(inputs), stops))

    where = "h: potentials -3 to 9, register lava +-"
    assert say(limit=9) == f"{where}9: cannot overflow"
    assert say() == f"{where}8: neuron 4 may overflow"
    assert say(stops=True) == f"{where}8: neuron 4 may stop at the ends of its registers, alike wherever it runs"
    assert say(1, 2) == f"{where}8: neuron 4 overflows when its 2 inputs (1, 2) spike"
    assert say(1, 2, 3, 4, 5) == f"{where}8: neuron 4 overflows when its 5 inputs (1, 2, 3, 4, 5) spike"
    assert say(*range(6)) == f"{where}8: neuron 4 overflows when its 6 inputs (0, 1, 2, 3, 4, ...) spike"
    assert OverflowProof("h", "lava", 8, -8, 0, 0).holds
    assert not OverflowProof("h", "lava", 8, -9, 0, 0).holds


def test_several_sources_and_registers_that_stop() -> None:
    big = [[100_000, 100_000]]
    made = program(
        [
            population("h", cn.Lif(1, voltage_decay=0), [0, 0]),
            population("g", cn.Threshold(), [0, 0]),
            population("out", cn.Readout(), [0]),
        ],
        [
            dense(INPUT, "h", [[100000, 100000], [0, 0]]),
            dense(INPUT, "g", [[1, 0], [0, 1]]),
            dense("h", "out", big),
            dense("g", "out", big),
        ],
        n_inputs=2,
        steps=3,
    )
    found = proofs(made)
    assert (found["out", "lava"].holds, found["out", "lava"].inputs) == (False, ())
    assert (found["h", "lava"].holds, found["h", "lava"].inputs, found["h", "lava"].stops) == (False, (), True)
    assert not found["out", "lava"].stops

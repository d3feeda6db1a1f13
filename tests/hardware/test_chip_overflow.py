import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conntra_hardware.chip import load_chip
from conntra_hardware.fit.overflow import prove_no_overflow, register_limit, synaptic_bounds
from conntra_hardware.neurons import Readout
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection

LOIHI = load_chip("loihi1")


def readout(weights, bias):
    population = Population("out", Readout(), bias)
    projection = Projection(INPUT, "out", weights)
    return Program(LOIHI, np.shape(weights)[1], (population,), (projection,), (CoreSlice("out", 0, len(bias), 0),))


@given(st.integers(1, 7), st.integers(0, 2**31))
def test_bounds_are_reached_and_never_passed(n_in, seed):
    rng = np.random.default_rng(seed)
    weights, bias = rng.integers(-9, 10, (3, n_in)), rng.integers(-9, 10, 3)
    program = readout(weights, bias)
    low, high = synaptic_bounds(program.readout, program.projections)
    inputs = np.array(list(itertools.product([0, 1], repeat=n_in)))
    sums = inputs @ weights.T
    assert np.array_equal(low, np.minimum(sums, sums + bias).min(axis=0))
    assert np.array_equal(high, np.maximum(sums, sums + bias).max(axis=0))


def test_the_limit_of_a_24_bit_register():
    assert register_limit(LOIHI) == 131071


def test_what_cannot_overflow_and_what_can():
    weights = np.array([[255] * 514, [-1] * 514])
    assert all(proof.holds for proof in prove_no_overflow(readout(weights, [1, -1])))  # 255 * 514 + 1 = 131071
    proofs = {proof.register: proof for proof in prove_no_overflow(readout(weights, [2, 0]))}
    assert proofs["brian2"].holds
    for register in ("loihi1", "lava"):
        proof = proofs[register]
        assert not proof.holds
        assert proof.neuron == 0
        assert proof.inputs == tuple(range(514))
        assert "neuron 0 overflows when its 514 inputs" in str(proof)


def test_the_input_that_overflows_downward():
    weights = np.zeros((2, 600), dtype=int)
    weights[1, 5:] = -255
    (proof,) = [p for p in prove_no_overflow(readout(weights, [0, 0]), registers=()) if not p.holds]
    assert (proof.neuron, proof.inputs, proof.low) == (1, tuple(range(5, 600)), -255 * 595)

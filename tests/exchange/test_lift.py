"""A program back to a network: the same logits, whatever the compiler folded or relayed."""

from __future__ import annotations

import network_strategies
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_neuro.compiler import compile
from conntra_neuro.exchange.from_program import network_of_program
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Dense, Residual


@settings(max_examples=60, deadline=None)
@given(network=network_strategies.networks(), seed=st.integers(0, 1000))
def test_lifted_networks_have_the_same_logits(network, seed):
    program = compile(network, "loihi2")
    lifted = network_of_program(program)
    samples = network_strategies.inputs(network, 5, seed)
    np.testing.assert_array_equal(lifted.forward(samples), network.forward(samples))
    assert len(lifted.layers) <= len(network.layers)
    assert len(lifted.residuals) <= len(network.residuals)


def test_relays_become_residual_connections_again():
    square = [Dense(np.eye(3) - np.eye(3)[::-1]) for _ in range(4)]
    network = DiscreteNetwork([*square, Dense(np.eye(3), activation="readout")], residuals=[Residual(0, 3, scale=-2)])
    lifted = network_of_program(compile(network, "loihi2"))
    assert [(r.source, r.target, r.scale) for r in lifted.residuals] == [(0, 3, -2)]
    assert len(lifted.layers) == 5

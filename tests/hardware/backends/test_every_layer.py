"""Every kind of layer and neuron on Lava, batched and stock, and on Brian2, against the network itself."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_programs import assert_equal_to_network, spread_program
from network_strategies import KINDS, inputs, networks

from conntra_hardware.backends import load_backend
from conntra_hardware.errors import BackendError
from conntra_hardware.neurons import GradedRelu
from conntra_hardware.program import Program
from conntra_hardware.runtime import RunOptions

SIMULATORS = ("lava", "lava-stock", "brian2")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SIMULATORS)
@settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)  # each starts a simulator
@given(st.data(), st.integers(0, 2**31))
def test_networks_of_every_kind(name, kind, data, seed):
    network = data.draw(networks(kinds=(kind,)))
    simulator = load_backend(name)
    found = simulator.availability()
    if not found.ok:
        pytest.skip(f"{name}: {found.reason}")
    program = spread_program(network)
    spikes = inputs(network, 4, seed)
    if name == "lava-stock" and refused(program):
        with pytest.raises(BackendError, match=r"lava-stock: population .*; use backend lava"):
            simulator.execute(program, program.encode(spikes), RunOptions(60))
        return
    assert_equal_to_network(network, spikes, simulator.execute(program, program.encode(spikes), RunOptions(60)))


def refused(program: Program) -> bool:
    """Whether a graded population has a shift that the sum of its synapses alone cannot do."""
    graded = [p for p in program.populations if isinstance(p.neuron, GradedRelu) and p.neuron.shift]
    return any(len(program.incoming(p.name)) > 1 or (p.bias % 2**p.neuron.shift).any() for p in graded)

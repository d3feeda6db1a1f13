"""Every kind of layer and neuron on Lava, batched and stock, and on Brian2, against the network itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from network_programs import assert_equal_to_network, spread_program
from network_strategies import KINDS, inputs, networks

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import BackendError
from conntra_hardware.neurons import GradedRelu, MultiThreshold
from conntra_hardware.program import ConvProjection, Program
from conntra_neuro.compiler import compile
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, SumPool

SIMULATORS = ("lava", "lava-stock", "brian2")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SIMULATORS)
@settings(  # each example starts a simulator, so that shrinking would take minutes
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
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
            simulator.execute(program, program.encode(spikes), RunOptions(300))
        return
    assert_equal_to_network(network, spikes, simulator.execute(program, program.encode(spikes), RunOptions(300)))


def refused(program: Program) -> bool:
    """Whether a graded population has a shift of several sums, or a neuron several thresholds."""
    if any(isinstance(p.neuron, MultiThreshold) for p in program.populations):
        return True
    graded = [p for p in program.populations if isinstance(p.neuron, GradedRelu) and p.neuron.shift]
    return any(len(program.incoming(p.name)) > 1 for p in graded)


@pytest.mark.parametrize("shift", [3, 9])
def test_biases_that_a_shift_does_not_divide_on_stock_processes(shift):
    """Remainders of up to 2^shift - 1 go into the weights of sources that always send 1, of every kind."""
    rng = np.random.default_rng(shift)
    layers = [
        Conv2d(rng.integers(-1, 2, (2, 1, 3, 3)), rng.integers(-3, 4, 2), input_shape=(1, 6, 6)),
        Conv2d(rng.integers(-40, 80, (3, 2, 2, 2)), rng.integers(0, 400, 3), GradedRelu(shift), input_shape=(2, 4, 4)),
        Dense(rng.integers(-1, 2, (5, 27)), rng.integers(-999, 1000, 5), GradedRelu(shift)),
        Dense(rng.integers(-1, 2, (4, 5)), rng.integers(-3, 1000, 4), GradedRelu(2)),
        Dense(rng.integers(-1, 2, (3, 4)), None, "readout"),
    ]
    network = DiscreteNetwork(layers)
    first = DiscreteNetwork([Dense(rng.integers(-9, 9, (4, 6)), rng.integers(0, 99, 4), GradedRelu(shift)), layers[-1]])
    simulator = load_backend("lava-stock")
    if not simulator.availability().ok:
        pytest.skip("no Lava here")
    for net in (network, first):
        spikes = rng.integers(0, 2, (5, net.n_in))
        program = compile(net, "loihi2")
        assert any((p.bias % 2**p.neuron.shift).any() for p in program.populations if p.neuron.graded)
        assert_equal_to_network(net, spikes, simulator.execute(program, program.encode(spikes), RunOptions(300)))


@pytest.mark.parametrize("name", [*SIMULATORS, "loihi-dry"])
def test_dilated_convolutions(name):
    """Other distances down than across, with strides, padding and groups, and behind a sum over windows."""
    simulator = load_backend(name)
    found = simulator.availability()
    if not found.ok:
        pytest.skip(f"{name}: {found.reason}")
    rng = np.random.default_rng(4)
    first = {"stride": (2, 1), "padding": (1, 2), "dilation": (3, 2), "groups": 2}
    layers = [
        Conv2d(rng.integers(-1, 2, (4, 1, 3, 2)), rng.integers(-1, 3, 4), input_shape=(2, 11, 8), **first),
        SumPool(2, input_shape=(4, 4, 10)),
        Conv2d(rng.integers(-2, 3, (3, 4, 1, 2)), rng.integers(-1, 3, 3), input_shape=(4, 2, 5), dilation=(1, 3)),
        Dense(rng.integers(-1, 2, (3, 12)), None, "readout"),
    ]
    network = DiscreteNetwork(layers)
    program = spread_program(network)
    kernels = [p.geometry for p in program.projections if isinstance(p, ConvProjection)]
    assert [g.dilation for g in kernels] == [(3, 2), (1, 1)]  # windows fill the gaps of the second
    spikes = rng.integers(0, 2, (4, network.n_in))
    assert_equal_to_network(network, spikes, simulator.execute(program, program.encode(spikes), RunOptions(300)))

"""Programs of random networks of every kind of layer and neuron, laid over many small cores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conntra_hardware.backends.protocol import Recording
from conntra_hardware.chip import Chip, load_chip
from conntra_hardware.program import Program
from conntra_neuro.compiler import compile
from conntra_neuro.network import DiscreteNetwork

__all__ = ["assert_equal_to_network", "small_cores", "spread_program"]


def small_cores(neurons: int = 30) -> Chip:
    """Loihi 2 with small cores, so that small networks need many of them."""
    return replace(load_chip("loihi2"), name="small", neurons_per_core=neurons, cores=64, max_chips=16).times(8)


def spread_program(network: DiscreteNetwork, neurons: int = 30) -> Program:
    """Return ``network`` compiled onto cores of ``neurons`` neurons."""
    return compile(network, small_cores(neurons))


def assert_equal_to_network(network: DiscreteNetwork, spikes: np.ndarray, recording: Recording) -> None:
    """Compare logits and every layer with neurons with the network's own."""
    outputs, logits = network.activity(spikes)
    np.testing.assert_array_equal(recording.logits, logits)
    for index, layer in enumerate(network.layers[:-1]):
        if layer.neuron is not None:
            found = recording.spikes[f"hidden{index}"]
            np.testing.assert_array_equal(found, outputs[index], err_msg=f"layer {index}: {layer!r}")
            assert found.dtype == outputs[index].dtype

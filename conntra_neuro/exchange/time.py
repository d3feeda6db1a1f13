"""What formats cannot say of time: refused by name, so that nothing is left out in silence."""

from __future__ import annotations

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import common_steps
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork

__all__ = ["refuse_delays_and_recurrence", "refuse_other_outputs", "refuse_ways_through_time"]


def refuse_delays_and_recurrence(network: DiscreteNetwork, where: str) -> None:
    """Raise InputError for delays and recurrence."""
    for index, layer in enumerate(network.layers):
        if isinstance(layer, (Dense, Conv2d)) and layer.is_delayed:
            raise InputError(f"{where}: layer {index} ({layer!r}): synapses with a delay have no counterpart there")
    if network.recurrent:
        raise InputError(f"{where}: {network.recurrent[0]}: a layer that leads to itself has no counterpart there")


def refuse_ways_through_time(network: DiscreteNetwork, where: str) -> None:
    """Raise InputError for delays, recurrence, outputs other than sums, and steps that no neuron says."""
    refuse_delays_and_recurrence(network, where)
    refuse_other_outputs(network, where)


def refuse_other_outputs(network: DiscreteNetwork, where: str) -> None:
    """Raise InputError for outputs other than sums, and steps that no neuron says."""
    last = network.layers[-1].neuron
    if last is not None and last.spikes:
        raise InputError(f"{where}: the last layer's spikes are counted; a readout is expected there")
    if last is not None and last.facts.form != "readout":
        raise InputError(f"{where}: a readout that leaks, or whose largest value is read, has no counterpart there")
    neurons = {str(index): layer.neuron for index, layer in enumerate(network.layers) if layer.neuron is not None}
    timeless = {index: neuron for index, neuron in neurons.items() if not neuron.needs_steps}
    if len(timeless) == len(neurons) and network.steps != common_steps(timeless):
        raise InputError(f"{where}: {network.steps} time steps of neurons without state have no counterpart there")

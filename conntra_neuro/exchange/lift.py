"""From a compiled program back to a network: what the chip's populations and synapses compute."""

from __future__ import annotations

from conntra_hardware.errors import InputError
from conntra_hardware.program import INPUT, Program
from conntra_neuro.network import Dense, DiscreteNetwork

__all__ = ["network_of_program"]


def network_of_program(program: Program) -> DiscreteNetwork:
    """Return a network with the logits of ``program`` for all inputs; cores and chip are left behind."""
    layers, source = [], INPUT
    for population in program.populations:
        incoming = program.incoming(population.name)
        if len(incoming) != 1 or incoming[0].source != source:
            raise InputError(
                f"population {population.name}: takes from {', '.join(p.source for p in incoming)}; only chains can be "
                "exported from a program: export the model file"
            )
        layers.append(Dense(incoming[0].weights, population.bias, population.neuron))
        source = population.name
    return DiscreteNetwork(layers, program.encoder, program.labels)

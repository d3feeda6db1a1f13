"""From a compiled program back to a network: what the chip's populations and synapses compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GRADED_MAX, Neuron
from conntra_hardware.program import INPUT, AnyProjection, ConvProjection, Population, Program, SparseProjection
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Layer, Residual

__all__ = ["network_of_program"]

_MOST_WEIGHTS = 2**26


def network_of_program(program: Program) -> DiscreteNetwork:
    """Return a network with the logits of ``program`` for all inputs; cores and chip are left behind.

    Relay populations, which only repeat spikes until another path has caught up, become residual connections again.
    """
    layers: list[Layer] = []
    residuals: list[Residual] = []
    index = {INPUT: INPUT_LAYER}
    for population in program.populations:
        incoming = program.incoming(population.name)
        if any(program.lag(p) for p in incoming):
            raise InputError(f"population {population.name}: delays or a way back to itself; export the model file")
        relayed = _relayed(population, incoming)
        if relayed is not None:
            index[population.name] = index[relayed]
            continue
        last = len(layers) - 1
        main = [p for p in incoming if index[p.source] == last]
        if len(main) != 1:
            raise InputError(f"population {population.name}: no chain of layers leads there; export the model file")
        layers.append(_layer(population, main[0]))
        index[population.name] = last + 1
        residuals += [_residual(p, index[p.source], last + 1) for p in incoming if p is not main[0]]
    return DiscreteNetwork(layers, program.encoder, program.labels, residuals, steps=program.steps, value=program.value)


def _relayed(population: Population, incoming: tuple[AnyProjection, ...]) -> str | None:
    """Return whom ``population`` repeats; None where it does more."""
    neuron, (first, *rest) = population.neuron, incoming
    facts = neuron.facts
    repeats = facts.form == "threshold" or (facts.form == "graded" and facts.shift == 0 and facts.ceiling == GRADED_MAX)
    if rest or not repeats or population.bias.any() or _identity(first) != 1:
        return None
    return first.source


def _identity(projection: AnyProjection) -> int:
    """Return the weight of synapses that are one-to-one, all of one weight; 0 where they are not."""
    if not isinstance(projection, SparseProjection) or projection.shape[0] != projection.shape[1]:
        return 0
    matrix = projection.matrix()
    n = projection.shape[0]
    same = matrix.nnz == n and np.array_equal(matrix.indices, np.arange(n)) and len(projection.alphabet) == 1
    return int(projection.alphabet[0]) if same and np.array_equal(np.diff(matrix.indptr), np.ones(n)) else 0


def _layer(population: Population, projection: AnyProjection) -> Layer:
    if isinstance(projection, ConvProjection):
        bias = population.bias.reshape(projection.geometry.out_channels, -1)
        if (bias == bias[:, :1]).all():
            return _conv(projection, bias[:, 0], population.neuron)
    return _dense(projection, population.bias, population.neuron)


def _residual(projection: AnyProjection, source: int, target: int) -> Residual:
    scale = _identity(projection)
    if scale:
        return Residual(source, target, scale=scale)
    if isinstance(projection, ConvProjection):
        return Residual(source, target, _conv(projection, None, "readout"))
    return Residual(source, target, _dense(projection, None, "readout"))


def _conv(projection: ConvProjection, bias: Any, neuron: Neuron | str) -> Conv2d:
    return Conv2d(projection.kernel, bias, neuron, **projection.geometry.window)


def _dense(projection: AnyProjection, bias: Any, neuron: Neuron | str) -> Dense:
    size = projection.shape[0] * projection.shape[1]
    if size > _MOST_WEIGHTS:
        raise InputError(f"population {projection.target}: {size:,} weights in full; export the model file")
    return Dense(projection.weights, bias, neuron)

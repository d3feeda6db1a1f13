"""Layers and neurons once more, as plain loops over single numbers: what the vectorised forward pass is held to."""

from __future__ import annotations

from itertools import product
from typing import Any

from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, MultiThreshold, Neuron, Threshold
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, MaxPool, Residual, SumPool


def forward(network: DiscreteNetwork, sample: list[list[int]]) -> tuple[list[list[list[int]]], list[int]]:
    """Return the outputs [layer][step][unit] of hidden layers, and the logits, of one sample [step][input]."""
    outputs: list[list[list[int]]] = []
    state: dict[tuple[int, int], int] = {}
    logits = [0] * network.n_classes
    for step in sample:
        given = list(step)
        done: list[list[int]] = []
        for index, layer in enumerate(network.layers):
            z = potentials(layer, given)
            for residual in network.residuals:
                if residual.target == index:
                    z = [a + b for a, b in zip(z, added(residual, step, done), strict=True)]
            if index == len(network.layers) - 1:
                logits = [a + b for a, b in zip(logits, z, strict=True)]
            else:
                given = [neuron(layer.neuron, value, state, (index, unit), len(z)) for unit, value in enumerate(z)]
                done.append(given)
        outputs.append(done)
    return [[step[index] for step in outputs] for index in range(len(network.layers) - 1)], logits


def neuron(kind: Neuron | None, z: int, state: dict[tuple[int, int], int], key: tuple[int, int], size: int) -> int:
    if kind is None:
        return z
    if isinstance(kind, Threshold):
        return 1 if z > 0 else 0
    if isinstance(kind, GradedRelu):
        return min(z // 2**kind.shift, kind.ceiling) if z > 0 else 0
    if isinstance(kind, MultiThreshold):
        rows = kind.rows.tolist()  # one for all, or one a neuron, or one a channel, whose places are neighbours
        return sum(z > threshold for threshold in rows[key[1] * len(rows) // size])
    assert isinstance(kind, IntegrateAndFire)
    v = state.get(key, 0) + z
    fired = v >= kind.threshold
    if fired:
        v = 0 if kind.reset == "hard" else v - kind.threshold
    state[key] = v
    return int(fired)


def added(residual: Residual, step: list[int], done: list[list[int]]) -> list[int]:
    given = step if residual.source < 0 else done[residual.source]
    if residual.connection is None:
        return [residual.scale * value for value in given]
    return potentials(residual.connection, given)


def potentials(layer: Any, x: list[int]) -> list[int]:
    if isinstance(layer, Flatten):
        return list(x)
    if isinstance(layer, Dense):
        rows, bias = layer.weight.tolist(), layer.bias.tolist()
        return [b + sum(w * v for w, v in zip(row, x, strict=True)) for row, b in zip(rows, bias, strict=True)]
    if isinstance(layer, (SumPool, MaxPool)):
        return pooled(layer, x)
    return convolved(layer, x)


def pooled(layer: SumPool | MaxPool, x: list[int]) -> list[int]:
    g = layer.geometry
    join = max if isinstance(layer, MaxPool) else sum
    channels, height, width = g.output_shape
    return [
        join(pixel(x, g, c, i * g.stride[0] + a, j * g.stride[1] + b) for a, b in product(*map(range, g.kernel)))
        for c, i, j in product(range(channels), range(height), range(width))
    ]


def convolved(layer: Conv2d, x: list[int]) -> list[int]:
    g, kernel, bias = layer.geometry, layer.weight.tolist(), layer.bias.tolist()
    channels, height, width = g.output_shape
    inner, outer = g.kernel_shape[1], channels // g.groups
    out = []
    for o, i, j in product(range(channels), range(height), range(width)):
        total = bias[o]
        for c, a, b in product(range(inner), *map(range, g.kernel)):
            row, column = i * g.stride[0] + a * g.dilation[0], j * g.stride[1] + b * g.dilation[1]
            value = pixel(x, g, o // outer * inner + c, row, column)
            total += kernel[o][c][a][b] * value
        out.append(total)
    return out


def pixel(x: list[int], g: Any, channel: int, i: int, j: int) -> int:
    """Return the pixel at (i, j) of the padded image."""
    _, height, width = g.input_shape
    i, j = i - g.padding[0], j - g.padding[1]
    return x[(channel * height + i) * width + j] if 0 <= i < height and 0 <= j < width else 0

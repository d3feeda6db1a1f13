"""Small layers and networks for the tests of layers, and the forward pass one number at a time."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import loops
import numpy as np

import conntra_neuro as cn
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, MultiThreshold
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, MaxPool, Recurrent, Residual, SumPool

RNG = np.random.default_rng(7)


def drawn(*shape: int) -> np.ndarray:
    return RNG.integers(-2, 3, shape)


def conv(out: int, shape: tuple[int, int, int], kernel: int = 2, **options: Any) -> Conv2d:
    groups = options.get("groups", 1)
    bias = options.pop("bias", RNG.integers(-2, 3, out))
    activation = options.pop("activation", "threshold")
    return Conv2d(drawn(out, shape[0] // groups, kernel, kernel), bias, activation, input_shape=shape, **options)


def dense(out: int, n_in: int, activation: Any = "threshold", **options: Any) -> Dense:
    return Dense(drawn(out, n_in), options.pop("bias", RNG.integers(-2, 3, out)), activation, **options)


@lru_cache
def matrix(layer: Any) -> list[list[int]]:
    """Return the weights (n_out, n_in) of a layer, from what the loops make of each input alone."""
    silent = loops.potentials(layer, [0] * layer.n_in)
    columns = []
    for index in range(layer.n_in):
        lit = loops.potentials(layer, [int(i == index) for i in range(layer.n_in)])
        columns.append([a - b for a, b in zip(lit, silent, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def by_numbers(network: cn.DiscreteNetwork, sample: list[list[int]]) -> tuple[list[list[list[int]]], list[int]]:
    """Return what each layer sends [layer][step][unit], and the logits, one number at a time; delays and ways back."""
    sent: list[list[list[int]]] = []
    logits = [0] * network.n_classes
    for index, layer in enumerate(network.layers):
        given, out, state = sample if index == 0 else sent[-1], [], {}
        for step in range(len(sample)):
            if isinstance(layer, MaxPool):
                total = loops.pooled(layer, given[step])
            else:
                total = arriving(layer, given, step, 0)
                bias = loops.potentials(layer, [0] * layer.n_in)
                total = [a + b for a, b in zip(total, bias, strict=True)]
            for residual in (r for r in network.residuals if r.target == index):
                done = [layers[step] for layers in sent]
                total = [a + b for a, b in zip(total, loops.added(residual, sample[step], done), strict=True)]
            for back in (r for r in network.recurrent if r.layer == index):
                total = [a + b for a, b in zip(total, arriving(back.connection, out, step, 1), strict=True)]
            if layer.neuron is not None and not layer.neuron.spikes:
                logits = [a + b for a, b in zip(logits, total, strict=True)]
            else:
                now = [
                    loops.neuron(layer.neuron, value, state, (index, i), len(total)) for i, value in enumerate(total)
                ]
                out.append(now)
        sent.append(out)
    if network.layers[-1].neuron.spikes:  # type: ignore[union-attr]
        logits = [sum(step[unit] for step in sent[-1]) for unit in range(network.n_classes)]
    return sent, logits


def arriving(layer: Any, given: list[list[int]], step: int, hop: int) -> list[int]:
    weights = matrix(layer)
    delays = np.broadcast_to(getattr(layer, "delay", 0), (layer.n_out, layer.n_in)).tolist()
    total = [0] * layer.n_out
    for target, source in product(range(layer.n_out), range(layer.n_in)):
        row = step - hop - delays[target][source]
        if row >= 0:
            total[target] += weights[target][source] * given[row][source]
    return total


FIRE, SOFT = IntegrateAndFire(3, 4), IntegrateAndFire(2, 4, "soft")


def in_time(**options: Any) -> cn.DiscreteNetwork:
    return cn.DiscreteNetwork([dense(5, 4, FIRE, **options), dense(3, 5, SOFT), dense(2, 3, "readout")])


def images(*middle: Any) -> cn.DiscreteNetwork:
    size = middle[-1].n_out
    return cn.DiscreteNetwork([conv(2, (1, 5, 4), padding=1), *middle, Flatten((size,)), dense(3, size, "readout")])


def skipping(*residuals: Residual) -> cn.DiscreteNetwork:
    layers = [conv(2, (2, 4, 3), 3, padding=1) for _ in range(3)]
    return cn.DiscreteNetwork([*layers, dense(24, 24), dense(3, 24, "readout")], residuals=residuals)


def to_itself(*recurrent: Recurrent, layer: Any = None) -> cn.DiscreteNetwork:
    return cn.DiscreteNetwork([layer or dense(4, 3, FIRE), dense(2, 4, "readout")], recurrent=recurrent)


def through(n_out: int, n_in: int) -> Dense:
    return Dense(drawn(n_out, n_in), activation="readout")


CASES: dict[str, cn.DiscreteNetwork] = {
    "dense": cn.DiscreteNetwork([dense(5, 4), dense(3, 5, "readout")]),
    "in time": in_time(),
    "all later": in_time(delay=2),
    "inputs later": in_time(delay=[0, 1, 3, 1]),
    "synapses later": in_time(delay=RNG.integers(0, 4, (5, 4))),
    "too late": in_time(delay=[4, 5, 0, 63]),
    "pixels later": to_itself(layer=conv(2, (1, 2, 3), activation=FIRE, delay=[0, 2, 1, 0, 1, 0])),
    "several thresholds": cn.DiscreteNetwork([dense(4, 3, MultiThreshold([-1, 2])), dense(2, 4, "readout")]),
    "graded": cn.DiscreteNetwork([dense(4, 3, GradedRelu(1)), dense(2, 4, "readout")]),
    "it spikes at the end": cn.DiscreteNetwork([dense(4, 3, FIRE), dense(3, 4, SOFT)]),
    "maxima": images(MaxPool(2, input_shape=(2, 6, 5), stride=(2, 1), padding=1)),
    "sums": images(SumPool((3, 2), input_shape=(2, 6, 5))),
    "sums of sums": images(SumPool(2, input_shape=(2, 6, 5)), conv(4, (2, 3, 2), groups=2)),
    "strides": images(conv(3, (2, 6, 5), 3, stride=(2, 1), padding=(0, 1), dilation=(2, 1))),
    "from the input": skipping(Residual(INPUT_LAYER, 1, scale=-2)),
    "from a layer": skipping(Residual(0, 2), Residual(0, 4, through(3, 24)), Residual(1, 3)),
    "through a kernel": skipping(
        Residual(INPUT_LAYER, 2, Conv2d(drawn(2, 2, 1, 1), activation="readout", input_shape=(2, 4, 3)))
    ),
    "back": to_itself(Recurrent(0, drawn(4, 4))),
    "back, later": to_itself(Recurrent(0, drawn(4, 4), [0, 1, 2, 3]), Recurrent(0, drawn(4, 4), drawn(4, 4) % 3)),
    "back through a kernel": to_itself(
        Recurrent(0, Conv2d(drawn(1, 1, 3, 1), activation="readout", input_shape=(1, 4, 1), padding=(1, 0), delay=1))
    ),
}

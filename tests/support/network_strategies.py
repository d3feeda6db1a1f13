"""Random networks of every kind of layer and neuron, with inputs for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from conntra_hardware.neurons import (
    GradedRelu,
    IntegrateAndFire,
    Lif,
    MultiThreshold,
    Neuron,
    SigmaDelta,
    Threshold,
)
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, Layer, MaxPool, Residual, SumPool

__all__ = ["ALL_KINDS", "KINDS", "image_layers", "inputs", "networks", "residuals"]

KINDS = ("threshold", "graded", "multi_threshold", "integrate_and_fire")
IN_TIME = ("lif", "sigma_delta")
ALL_KINDS = (*KINDS, *IN_TIME)


@st.composite
def networks(draw: Any, kinds: tuple[str, ...] = KINDS, residual: bool = True) -> DiscreteNetwork:
    """Small networks of images: convolutions, pooling and dense layers, with or without residual connections."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(kinds))
    steps = draw(st.integers(1, 4)) if kind in ("integrate_and_fire", *IN_TIME) else 1
    shape: tuple[int, ...] = draw(st.tuples(st.integers(1, 4), st.integers(3, 7), st.integers(3, 7)))
    layers: list[Layer] = []
    binary = True
    for _ in range(draw(st.integers(0, 3))):
        layers.append(draw(image_layers(shape, _neuron(draw, kind, steps), rng, binary)))
        binary = isinstance(layers[-1], MaxPool) or (layers[-1].neuron is not None and not layers[-1].neuron.graded)
        shape = layers[-1].output_shape
    if draw(st.booleans()):
        layers.append(Flatten(shape))
    if draw(st.booleans()):
        size = draw(st.integers(1, 6))
        layers.append(Dense(_weights(rng, size, int(np.prod(shape))), _bias(rng, size), _neuron(draw, kind, steps)))
        shape = (size,)
    classes = draw(st.integers(2, 4))
    layers.append(Dense(_weights(rng, classes, int(np.prod(shape))), _bias(rng, classes), "readout"))
    joined = residuals(layers, rng) if residual and draw(st.booleans()) and kind != "sigma_delta" else []
    return DiscreteNetwork(layers, residuals=joined, steps=steps if kind in IN_TIME else None)


@st.composite
def image_layers(draw: Any, shape: tuple[int, ...], neuron: Neuron, rng: np.random.Generator, pool: bool) -> Layer:
    """A convolution or a pooling layer that takes images of ``shape``; a MaxPool only where ``pool``."""
    kind = draw(st.sampled_from(["conv", "conv", "grouped", "depthwise", "sum"] + ["max"] * pool))
    if kind in ("sum", "max"):
        size = draw(st.integers(1, min(3, *shape[1:])))
        stride = draw(st.one_of(st.none(), st.integers(1, 3)))
        layer = SumPool if kind == "sum" else MaxPool
        return layer(size, input_shape=shape, stride=stride, padding=draw(st.integers(0, size // 2)))
    groups = {"conv": 1, "depthwise": shape[0]}.get(kind, 2 if shape[0] % 2 == 0 else 1)
    kernel = [draw(st.integers(1, min(3, side))) for side in shape[1:]]
    room = [max(1, (side - 1) // max(k - 1, 1)) for side, k in zip(shape[1:], kernel, strict=True)]
    dilation = [draw(st.integers(1, min(3, most))) for most in room]
    geometry = Geometry(
        shape,  # type: ignore[arg-type]
        groups * draw(st.integers(1, 3)),
        (kernel[0], kernel[1]),
        (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        (draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        groups,
        (dilation[0], dilation[1]),
    )
    return Conv2d(_weights(rng, *geometry.kernel_shape), _bias(rng, geometry.out_channels), neuron, **geometry.window)


def residuals(layers: list[Layer], rng: np.random.Generator) -> list[Residual]:
    """Return one connection that skips layers, where two of them can be joined."""
    pairs = [(s, t) for t in range(len(layers)) for s in range(INPUT_LAYER, t - 1)]
    pairs = [(s, t) for s, t in pairs if isinstance(layers[t], (Dense, Conv2d))]
    if not pairs:
        return []
    source, target = pairs[int(rng.integers(len(pairs)))]
    given = layers[0].input_shape if source < 0 else layers[source].output_shape
    wanted = layers[target].output_shape
    if given == wanted:
        return [Residual(source, target, scale=int(rng.choice([-1, 1, 2])))]
    connection = Dense(_weights(rng, int(np.prod(wanted)), int(np.prod(given))), activation="readout")
    return [Residual(source, target, connection)]


def inputs(network: DiscreteNetwork, samples: int, seed: int) -> np.ndarray:
    """Return random spikes (samples, steps, n_in)."""
    rng = np.random.default_rng(seed)
    return (rng.random((samples, network.steps, network.n_in)) < rng.uniform(0.2, 0.8)).astype(np.uint8)


def _neuron(draw: Any, kind: str, steps: int) -> Neuron:
    if kind == "graded":
        return draw(st.sampled_from([Threshold(), GradedRelu(), GradedRelu(1), GradedRelu(3)]))
    if kind == "multi_threshold":
        thresholds = st.lists(st.integers(-6, 12), min_size=1, max_size=4)
        return draw(
            st.one_of(
                st.just(Threshold()), st.builds(MultiThreshold, thresholds), st.builds(MultiThreshold, thresholds)
            )
        )
    if kind == "integrate_and_fire":
        return IntegrateAndFire(draw(st.integers(1, 6)), steps, draw(st.sampled_from(["hard", "soft"])))
    if kind == "lif":
        decays = [draw(st.sampled_from([0, 1, 163, 1024, 4095, 4096])) for _ in range(2)]
        reset = draw(st.sampled_from(["hard", "soft"]))
        return Lif(draw(st.integers(1, 6)), voltage_decay=decays[0], current_decay=decays[1], reset=reset)
    if kind == "sigma_delta":
        activation = draw(st.sampled_from(["relu", "linear"]))
        return SigmaDelta(draw(st.integers(0, 9)), draw(st.integers(0, 2)), activation, draw(st.booleans()))
    return Threshold()


def _weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-1, 2, shape) * int(rng.integers(1, 4))


def _bias(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.integers(-3, 4, size)

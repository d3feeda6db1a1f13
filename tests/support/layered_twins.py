"""Random networks of every kind of layer for the trainer, and what their scores are by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import training_twins as twins
from hypothesis import assume
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.task import Task

Array = npt.NDArray[Any]


def layered_task(
    layers: str,
    seed: int = 0,
    neuron: str = "threshold",
    shape: tuple[int, int, int] = (2, 7, 6),
    n: int = 40,
    steps: int = 1,
) -> Task:
    """A task of random images that has something to learn, for a network of ``layers``."""
    n_in = int(np.prod(shape)) * steps
    made = twins.random_task(seed, (), n=n, n_in=n_in, classes=3)
    image = ImageShape(*shape)
    wanted = Wanted(3, layers, neuron, seed=seed, validation_fraction=0.0, image=image, input_steps=steps)
    return make_task(made.spikes, made.y, wanted)


def task_that_fits(layers: str, *given: Any, **options: Any) -> Task:
    """As ``layered_task`` for layers that were drawn: a draw whose layers do not fit on one another does not count."""
    try:
        return layered_task(layers, *given, **options)
    except InputError as error:
        assume(not any(word in str(error) for word in ("added", "stride", "kernel")))
        raise


@st.composite
def layer_texts(draw: Any, graded: bool = False) -> str:
    """Hidden layers for images: convolutions of every kind, pooling, residuals, then dense ones."""
    tokens = [draw(st.sampled_from(["conv4k3p1", "conv3k3s2p1", "dwconvk3p1", "conv4k2g2", "conv2k3p1", "conv3k3p2d2",
                                    "conv4k2s2d3g2"]))]  # fmt: skip
    if draw(st.booleans()):
        tokens.append("sumpool2" if graded else draw(st.sampled_from(["maxpool2", "sumpool2", "maxpool2s1"])))
    if draw(st.booleans()):
        tokens.append(draw(st.sampled_from(["conv4k3p1", "conv4k3p1+1", "conv2k1", "conv6k3s2p1", "conv6k3s2p1+1",
                                             "conv2k3p2d2", "conv4k3p2d2+1"])))  # fmt: skip
    if draw(st.booleans()):
        tokens.append("sumpool2s1")
    if draw(st.booleans()):
        tokens.append("5")
    return ",".join(tokens)


def logits_when(network: DiscreteNetwork, spikes: Array, number: int, unit: int, value: int) -> Array:
    """The logits where unit ``unit`` of layer ``number`` puts out ``value``, by a forward pass of what is above."""
    outputs, _ = network.activity(spikes)
    x = outputs[number].copy()
    x[:, unit] = value
    for layer in network.layers[number + 1 :]:
        z = layer.potentials(x)
        neuron = layer.neuron
        x = z if neuron is None or not neuron.spikes else neuron.respond(z[:, None])[:, 0]
    return x


def kernel_score(network: DiscreteNetwork, task: Task, number: int, scale: float, curve: Array) -> tuple[Array, Array]:
    """Scores of all kernel weights (out, in, height, width) of a threshold layer, biases (out,): place by place.

    For every place of the kernel on its own: what its unit's spike changes the loss by, times the slope, times the
    input that the weight sees there.
    """
    layer: Any = network.layers[number]
    before = task.spikes if number == 0 else network.activity(task.spikes)[0][number - 1]
    z = layer.potentials(before)
    for residual in network.residuals:
        z = z + residual.potentials(task.spikes)  # the tests' only one begins at the inputs
    reach = (len(curve) - 1) // 2
    slope = curve[np.clip(z, -reach, reach) + reach]
    g = layer.geometry
    images = before.reshape(-1, *g.input_shape)
    padded = np.pad(images, ((0, 0), (0, 0), (g.padding[0],) * 2, (g.padding[1],) * 2)).astype(float)
    channels, rows, columns = g.output_shape
    found, biases = np.zeros(g.kernel_shape), np.zeros(channels)
    inner = g.kernel_shape[1]
    for o in range(channels):
        first = o // (channels // g.groups) * inner
        for r in range(rows):
            for c in range(columns):
                unit = (o * rows + r) * columns + c
                on, off = (
                    twins.loss(logits_when(network, task.spikes, number, unit, v), task.y, scale) for v in (1, 0)
                )
                q = (on - off) * slope[:, unit]
                y, x = r * g.stride[0], c * g.stride[1]
                patch = padded[:, first : first + inner, y : y + g.span[0], x : x + g.span[1]]
                patch = patch[:, :, :: g.dilation[0], :: g.dilation[1]]
                found[o] += np.tensordot(q, patch, 1)
                biases[o] += q.sum()
    return found, biases

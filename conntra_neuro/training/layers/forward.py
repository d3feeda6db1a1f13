"""One pass over a mini-batch, every value exact and every value kept: what scores are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import Readout
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.layers.delayed import seen_late
from conntra_neuro.training.layers.maps import pooled
from conntra_neuro.training.layers.products import HostProducts, Products
from conntra_neuro.training.neurons import of_neuron
from conntra_neuro.training.threads import Threads

__all__ = ["Activity", "bias_of", "forward", "images_of", "loop_of", "node_potentials", "respond", "rows_of"]

Floats = npt.NDArray[Any]


@dataclass
class Activity:
    """What happened on n samples, n * steps rows, node by node; channel last.

    outputs  of every node (rows, *shape); its last entry: the logits (n, classes)
    columns  what the units of a node saw; ``skipped`` through its skip connection; None where not kept or none
    z        potentials (rows, *shape); integrate-and-fire: what it had integrated when it was to spike or not
    """

    inputs: Floats
    outputs: list[Floats] = field(default_factory=list)
    columns: list[Floats | None] = field(default_factory=list)
    skipped: list[Floats | None] = field(default_factory=list)
    z: list[Floats] = field(default_factory=list)

    def output(self, number: int) -> Floats:
        """Of a node; -1: the inputs."""
        return self.inputs if number < 0 else self.outputs[number]


def rows_of(arch: Architecture, spikes: Floats, dtype: Any) -> Floats:
    """Return flat samples (n, input_steps * n_in), channel first, as rows (n * steps, *shape), channel last."""
    rows = images_of(arch, spikes, dtype)
    return rows if arch.input_steps == arch.steps else np.repeat(rows, arch.steps, axis=0)


def images_of(arch: Architecture, spikes: Floats, dtype: Any) -> Floats:
    """Return flat samples as ``rows_of`` does, those of one time step not repeated: (n * input_steps, *shape)."""
    shape = arch.inputs
    if len(shape) == 3:
        images = spikes.reshape(len(spikes) * arch.input_steps, shape[2], shape[0], shape[1]).transpose(0, 2, 3, 1)
    else:
        images = spikes.reshape(-1, *shape)
    return np.ascontiguousarray(images, dtype=dtype)


def forward(
    arch: Architecture,
    weights: Sequence[Floats],
    x: Floats,
    threads: Threads,
    keep: bool = True,
    products: Products | None = None,
) -> Activity:
    """Run rows ``x`` through the network of ``weights`` (inputs of a unit + 1, outputs).

    ``products``: where its products are computed; None is here, on ``threads``.
    """
    found, products = Activity(x), products or HostProducts(threads)
    for node in arch.nodes:
        z, columns, skipped = node_potentials(node, found, weights, products, arch.steps)
        z, out = respond(node, z, arch.steps, weights)
        found.outputs.append(out)
        found.z.append(z)
        found.columns.append(columns if keep else None)
        found.skipped.append(skipped if keep else None)
    return found


def node_potentials(
    node: Node, found: Activity, weights: Sequence[Floats], products: Products, steps: int
) -> tuple[Floats, Floats | None, Floats | None]:
    """Return the potentials of the next node, what its units see, and see through its skip connection.

    A sample has ``steps`` rows.
    """
    before = found.output(len(found.outputs) - 1)
    if node.index < 0:
        assert node.geometry is not None
        return pooled(before, node.geometry), None, None
    given = seen_late(before.reshape(len(before), -1), node.delays, steps) if node.delays else before
    columns = products.seen(given, node.geometry)
    z = products.potentials(columns, weights[node.index]).reshape(len(before), *node.shape)
    if node.skip is None:
        return z, columns, None
    source = found.output(node.skip.source)
    if node.skip.geometry is None:
        z += node.skip.scale * source
        return z, columns, None
    skipped = products.seen(source, node.skip.geometry)
    z += products.potentials(skipped, weights[node.skip.index]).reshape(z.shape)
    return z, columns, skipped


def bias_of(node: Node, weights: Sequence[Floats]) -> Floats | float:
    """Return the biases of a node, (channels,)."""
    return weights[node.index][-1] if node.index >= 0 else 0.0


def loop_of(node: Node, weights: Sequence[Floats]) -> Floats | None:
    """Return the weights from each unit of a node to each, (units, units); None where it has none."""
    return weights[node.loop][:-1] if node.loop >= 0 else None


def respond(node: Node, z: Floats, steps: int, weights: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return what the neurons decided by at potentials ``z``, their biases among them, and their outputs.

    ``weights`` are those of all layers. See ``Activity``.
    """
    neuron = node.neuron
    if neuron is None:
        return z, z
    if isinstance(neuron, Readout):
        logits = z if steps == 1 else z.reshape(-1, steps, z.shape[1]).sum(axis=1)
        return z, logits
    return of_neuron(neuron).respond(neuron, z, bias_of(node, weights), steps, loop_of(node, weights))

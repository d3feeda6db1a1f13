"""Where the training of a network with convolutions starts; as ``training.start``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Readout, values
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.layered.architecture import Architecture, Node
from conntra_neuro.training.layered.forward import Activity, node_potentials, respond, rows_of
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters, start_shares
from conntra_neuro.training.threads import Threads

__all__ = ["layered_start"]


def layered_start(
    arch: Architecture,
    levels: Levels,
    rng: np.random.Generator,
    sample: npt.NDArray[np.uint8],
    start: Parameters | None,
    threads: Threads,
) -> tuple[Parameters, list[float]]:
    """Return the parameters to start from and the spread of each node's potentials on ``sample`` (n, inputs).

    Random weights where ``start`` is None, and biases that put thresholds at the median potential. The spread is the
    standard deviation over samples and places, mean over channels, at least 1.
    """
    found = Activity(rows_of(arch, sample, np.float64))
    spreads: list[float] = []
    weights = [np.zeros((rows + 1, columns)) for rows, columns in arch.weight_shapes]
    for index, own in enumerate(weights):
        if start is None:
            own[:-1] = rng.choice(levels.array, size=(len(own) - 1, own.shape[1]), p=start_shares(levels))
        else:
            own[:-1], own[-1] = start.weights[index], start.biases[index]
    for node in arch.nodes:
        z, _, _ = node_potentials(node, found, weights, threads)
        if node.index >= 0:
            flat = z.reshape(-1, node.shape[-1])
            if start is None:
                bias = np.clip(-np.floor(np.median(flat, axis=0)) + _above(node), -BIAS_LIMIT, BIAS_LIMIT)
                weights[node.index][-1] = bias
                z = z + bias
            if isinstance(node.neuron, Readout):
                flat = z.reshape(-1, arch.steps, z.shape[-1]).sum(axis=1)
            spreads.append(max(float(flat.std(axis=0).mean()), 1.0))
        else:
            spreads.append(1.0)
        found.outputs.append(respond(node, z, arch.steps)[1])
    integers = tuple(w.astype(np.int32) for w in weights)
    return Parameters(tuple(w[:-1] for w in integers), tuple(w[-1] for w in integers)), spreads


def _above(node: Node) -> int:
    """Return the bias above the median: a graded unit is to be on in half of the cases, an integrating one to fire."""
    if isinstance(node.neuron, IntegrateAndFire):
        return max(1, values(node.neuron.threshold) // (2 if node.neuron.steps > 1 else 1))
    return 1 << values(node.neuron.shift) if isinstance(node.neuron, GradedRelu) else 0

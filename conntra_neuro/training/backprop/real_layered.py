"""The float64 baseline of networks with convolutions: as ``real``, rectified linear units in every layer.

Beside integrate-and-fire neurons it is the network of their rates: its inputs are the share of a sample's time steps
in which each one spikes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import SpikeArray
from conntra_neuro.training.backprop.load import load_layered_steps, load_steps
from conntra_neuro.training.backprop.real_network import Floats, RealNetwork
from conntra_neuro.training.layered.architecture import Architecture
from conntra_neuro.training.layered.forward import images_of
from conntra_neuro.training.task import Task, generator

__all__ = ["RealLayeredNetwork", "first_layered", "layered_step"]

_ROWS = 256


@dataclass(frozen=True, eq=False)
class RealLayeredNetwork(RealNetwork):
    """Weights (inputs of a unit, outputs) and biases of each layer of ``arch``; sums of windows are their means."""

    arch: Architecture

    @property
    def memory_bytes(self) -> int:
        """8 bytes a parameter; skip connections have no biases."""
        joined = {node.skip.index for node in self.arch.nodes if node.skip is not None}
        biases = (bias.nbytes for index, bias in enumerate(self.biases) if index not in joined)
        return sum(weight.nbytes for weight in self.weights) + sum(biases)

    def forward(self, x: SpikeArray) -> Floats:
        """Return the logits (n, classes) of inputs (n, n_in)."""
        tree = [{"weight": w, "bias": b} for w, b in zip(self.weights, self.biases, strict=True)]
        steps = load_layered_steps()
        with load_steps().double_precision():
            parts = [
                np.asarray(
                    steps.real_layered_logits(tree, _rates_of(self.arch, x[first : first + _ROWS]), arch=self.arch)
                )
                for first in range(0, len(x), _ROWS)
            ]
        return np.concatenate(parts)


def first_layered(task: Task) -> list[dict[str, Floats]]:
    """Return weights of variance 2 / n_in (He et al. 2015), and no bias."""
    assert task.layered is not None
    rng = generator(task.seed, purpose=3)
    return [
        {"weight": rng.normal(0, math.sqrt(2 / shape[0]), shape), "bias": np.zeros(shape[1])}
        for shape in task.layered.weight_shapes
    ]


def layered_step(task: Task, tree: Any, moments: Any, x: npt.NDArray[Any], y: npt.NDArray[np.int64], rate: Any) -> Any:
    """One step of Adam on flat samples; as ``steps.real_step``."""
    assert task.layered is not None
    rows = _rates_of(task.layered, x)
    return load_layered_steps().real_layered_step(tree, moments, rows, y, rate, arch=task.layered)


def _rates_of(arch: Architecture, x: npt.NDArray[Any]) -> Floats:
    """Return flat samples (n, input_steps * n_in) as inputs (n, *shape), the mean over the time steps."""
    images = images_of(arch, x, np.float64)
    return images.reshape(len(x), -1, *images.shape[1:]).mean(axis=1)

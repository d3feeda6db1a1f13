"""Plain NumPy twins of the training kernels, straight from their definitions: the oracles of the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.network.levels import Levels, parse_levels
from conntra_neuro.training.architecture.architecture import architecture_of
from conntra_neuro.training.architecture.words import Neurons
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.task import Task

Array = npt.NDArray[Any]


def random_task(
    seed: int, layers: tuple[int, ...], levels: Any = "ternary", n: int = 120, n_in: int = 20, classes: int = 4
) -> Task:
    """A task with something to learn: the class is the largest of a few random sums of the inputs."""
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n, n_in)) < rng.uniform(0.1, 0.6, n_in)).astype(np.uint8)
    y = (spikes @ rng.integers(-2, 3, (n_in, classes)) + rng.normal(size=(n, classes))).argmax(axis=1)
    y[:classes] = np.arange(classes)
    return dense_task(spikes, y, layers, classes, levels, seed)


def dense_task(
    spikes: Array, y: Array, layers: tuple[int, ...], classes: int, levels: Any = "ternary", seed: int = 0
) -> Task:
    """The task of dense threshold layers of these widths."""
    values = parse_levels(levels)
    arch = architecture_of(layers, Neurons(), spikes.shape[1], None, classes, int(abs(values.array).max()))
    return Task(spikes, y.astype(np.int64), arch, values, seed)


def loss(logits: Array, y: Array, scale: float, margin: int = 0) -> Array:
    """Cross-entropy of each sample in nats, in float64."""
    scaled = scale * (logits - logits[np.arange(len(y)), y][:, None] + margin)
    scaled[np.arange(len(y)), y] = 0
    top = scaled.max(axis=1)
    return top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))


def total(parameters: Parameters, task: Task, objective: Objective) -> int:
    """The summed loss in quanta, by a forward pass."""
    return int(objective.losses(parameters.potentials(task.spikes)[-1], task.y).sum())


def moved(parameters: Parameters, layer: int, unit: int, coordinate: int, step: int) -> Parameters:
    """The parameters with one weight, or the bias (the last coordinate), moved by ``step``."""
    found = parameters.copy()
    if coordinate == found.weights[layer].shape[0]:
        found.biases[layer][unit] += step
    else:
        found.weights[layer][coordinate, unit] += step
    return found


def top_gains(z: Array, logits: Array, weights: Array, y: Array, scale: float, curve: Array) -> Array:
    """Flip gain of every unit times the slope of its threshold, by a forward pass a unit."""
    n, width = z.shape
    gains = np.empty((n, width))
    for i in range(width):
        off = logits - (z[:, i] > 0)[:, None] * weights[i]
        gains[:, i] = loss(off + weights[i], y, scale) - loss(off, y, scale)
    reach = (len(curve) - 1) // 2
    return gains * curve[np.clip(z, -reach, reach).astype(int) + reach]


def shifted(images: Array, shifts: Array) -> Array:
    """Each image (n, channels, rows, columns) moved by its (rows, columns), zeros flowing in."""
    out = np.zeros_like(images)
    height, width = images.shape[2:]
    for n, (down, right) in enumerate(shifts):
        for r in range(height):
            for c in range(width):
                if 0 <= r - down < height and 0 <= c - right < width:
                    out[n, :, r, c] = images[n, :, r - down, c - right]
    return out


def bent(images: Array, moves: Array) -> Array:
    """Each image (n, channels, rows, columns) bent by the displacements (n, 32) of its 4 x 4 control points."""
    out = np.zeros_like(images)
    height, width = images.shape[2:]
    controls = moves.reshape(-1, 2, 4, 4) / 64
    for r in range(height):
        for c in range(width):
            # Where the pixel lies on the grid, to a 64th of a cell.
            v, u = (3 * 64 * at // max(size - 1, 1) / 64 for at, size in ((r, height), (c, width)))
            i, j = min(int(v), 2), min(int(u), 2)
            v, u = v - i, u - j
            corners = controls[:, :, i : i + 2, j : j + 2]
            away = np.einsum("naij,i,j->na", corners, [1 - v, v], [1 - u, u])
            for n, (down, right) in enumerate(np.floor(away + 0.5).astype(int)):
                if 0 <= r + down < height and 0 <= c + right < width:
                    out[n, :, r, c] = images[n, :, r + down, c + right]
    return out


def best_moves(average: Array, square: Array, floor: float, index: Array, levels: Levels, sparsity: float) -> Array:
    """What the better move of each weight gains: the normalised average times the distance, less its price."""
    values = levels.array
    ratio = average / (np.sqrt(square) + floor)
    gains = np.full((2, *average.shape), -np.inf)
    for way, step in ((0, 1), (1, -1)):
        allowed = (index + step >= 0) & (index + step < len(values))
        target = values[np.clip(index + step, 0, len(values) - 1)]
        gain = -ratio * (target - values[index]) - sparsity * (np.abs(target) - np.abs(values[index]))
        gains[way] = np.where(allowed, gain, -np.inf)
    return gains.max(axis=0)


def noisy_change(parameters: Parameters, task: Task, layer: int, unit: int, new: Parameters, p: Any, s: float) -> float:
    """Change of the summed expected loss when a hidden unit's weights become those of ``new``: sum of gain times dP."""

    def losses_with(value: int) -> Array:
        x = task.spikes
        for i, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True)):
            z = x.astype(np.int64) @ weight + bias
            x = (z > 0).astype(np.int64)
            if i == layer:
                x[:, unit] = value
        return loss(z, task.y, s)

    before = parameters.potentials(task.spikes)[layer][:, unit]
    after = new.potentials(task.spikes)[layer][:, unit]
    return float(((losses_with(1) - losses_with(0)) * (p(after) - p(before))).sum())

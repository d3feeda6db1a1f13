"""The paper's baseline: the same architecture with real weights, trained by backpropagation in float64.

Hidden units are rectified linear units (a threshold unit has no gradient), the readout is a softmax, inputs are the
same spikes that the discrete network sees. Its memory is 8 bytes a parameter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.training.augmentation import Augmentation
from conntra_neuro.training.backprop.load import load_folded_steps, load_steps
from conntra_neuro.training.backprop.real_network import Floats, RealNetwork, input_rates
from conntra_neuro.training.inputs.batches import DenseBatch, Inputs, StreamedInputs, inputs_of
from conntra_neuro.training.result import Progress, Record
from conntra_neuro.training.task import Task, generator

__all__ = ["RealFit", "fit_real"]

_RATE = 1e-3  # Adam; falls to zero along a cosine


@dataclass(frozen=True)
class RealFit:
    """The best network found, and how it went; as ``Fit``."""

    network: RealNetwork
    history: tuple[Record, ...]
    seconds: float
    interrupted: bool


def fit_real(
    task: Task,
    *,
    sweeps: int | None = None,
    batch: int | None = None,
    shift: int | None = None,
    elastic: float | None = None,
    time_limit_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RealFit:
    """Train on ``task`` (its levels are of no concern) and return the network that is best on the held-out samples.

    Where nothing is held out the last one counts. Adam, learning rate 0.001 falling along a cosine. ``shift`` and
    ``elastic`` move images as in the other ways of training.
    """
    steps = load_steps()
    n = len(task.y)
    batch = min(batch or max(32, min(200, n // 8)), n)
    sweeps = sweeps or max(20, math.ceil(3000 * batch / n))
    inputs = inputs_of(task.spikes, task.stored_image, dense=True)
    moved = partial(Augmentation.of(shift, elastic, task).draw, n=n)
    begin = time.monotonic()
    history: list[Record] = []
    best, best_error, interrupted = _first(task), math.inf, False
    with steps.double_precision():
        tree, moments = steps.start(best)
        try:
            for sweep in range(sweeps):
                tree, moments, loss, wrong = _sweep(
                    steps, tree, moments, task, inputs, moved, sweep, sweeps, batch, begin, time_limit_s
                )
                network = _network(tree, task)
                held = None if task.held_out is None else network.error(task.held_out[0][:], task.held_out[1])
                history.append(Record(time.monotonic() - begin, sweep + 1, loss, wrong, held))
                if held is None or held <= best_error:
                    best, best_error = _arrays(tree), math.inf if held is None else held
                if progress is not None:
                    shown = None if held is None else best_error
                    progress(Progress(history[-1].seconds, sweep + 1, sweeps, loss, wrong, held, shown))
                if time_limit_s is not None and time.monotonic() - begin >= time_limit_s:
                    break
        except KeyboardInterrupt:
            interrupted = True
    return RealFit(_network(best, task), tuple(history), time.monotonic() - begin, interrupted)


def _sweep(
    steps: Any,
    tree: Any,
    moments: Any,
    task: Task,
    inputs: Inputs | StreamedInputs,
    moved: Callable[[np.random.Generator], IntArray | None],
    sweep: int,
    sweeps: int,
    batch: int,
    begin: float,
    time_limit_s: float | None,
) -> tuple[Any, Any, float, float]:
    """Pass once over the samples; return the parameters, the moments, mean loss and error of the batches."""
    rng = generator(task.seed, 4, sweep)
    order, moves = rng.permutation(len(task.y)), moved(rng)
    count, loss, wrong, seen = len(task.y) // batch, 0.0, 0, 0
    for step in range(count):
        spent = 0.0 if time_limit_s is None else (time.monotonic() - begin) / time_limit_s
        done = max((sweep + step / count) / sweeps, spent)
        if done >= 1:
            break
        part = slice(step * batch, (step + 1) * batch)
        rows = order[part]
        rate = np.float64(_RATE * (1 + math.cos(math.pi * done)) / 2)
        samples = inputs.batch(rows, np.float64, None if moves is None else moves[part])
        assert isinstance(samples, DenseBatch)
        x = samples.x[:, :-1]
        inputs_of_step = input_rates(task.architecture, x)
        args = (tree, moments, inputs_of_step, task.y[rows], rate)
        tree, moments, losses, errors = load_folded_steps().real_step(*args, arch=task.architecture)
        loss, wrong, seen = loss + float(losses), wrong + int(errors), seen + batch
    return tree, moments, loss / max(seen, 1), wrong / max(seen, 1)


def _first(task: Task) -> list[dict[str, Floats]]:
    """Return weights of variance 2 / n_in (He et al. 2015), and no bias."""
    rng = generator(task.seed, purpose=3)
    return [
        {"weight": rng.normal(0, math.sqrt(2 / shape[0]), shape), "bias": np.zeros(shape[1])}
        for shape in task.architecture.weight_shapes
    ]


def _arrays(tree: Any) -> list[dict[str, Floats]]:
    return [{name: np.array(value, dtype=np.float64) for name, value in layer.items()} for layer in tree]


def _network(tree: Any, task: Task) -> RealNetwork:
    layers = _arrays(tree)
    found = tuple(layer["weight"] for layer in layers), tuple(layer["bias"] for layer in layers)
    return RealNetwork(*found, task.architecture)

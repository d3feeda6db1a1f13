"""Where training starts: the parameters, the objective's scale, and the spread of the potentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Readout
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.calibrate import calibrated_scale, slope_of
from conntra_neuro.training.layers.delayed import drawn_delays, spread
from conntra_neuro.training.layers.forward import Activity, node_potentials, respond, rows_of
from conntra_neuro.training.layers.products import HostProducts
from conntra_neuro.training.neurons import of_neuron
from conntra_neuro.training.objective import SMALLEST_SCALE, AnyObjective, Objective, SquaredError
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters, start_shares
from conntra_neuro.training.scoring.plan import exact_float
from conntra_neuro.training.task import Task, generator
from conntra_neuro.training.threads import Threads

__all__ = ["check_exponents", "start_of", "start_of_classes"]

_ONE = Threads(1)
_SAMPLES = 2000  # that place the thresholds and measure the spreads
_COLUMNS = 64  # at a time
_LARGEST_EXPONENT = 40.0  # exp of it and of its negative are both far inside float32
_VALUE_SPREAD = 0.5  # the same where a value is predicted, in standard deviations
_LOGIT_SPREAD = 1.25  # of scaled logits at the start [measured: 0.2 a unit of logit at 784-256-10]


def start_of(task: Task, scale: float | None, margin: int) -> tuple[Parameters, AnyObjective, list[float]]:
    """Return the parameters to start from, the objective, and the spread of each layer's potentials.

    The spread is the standard deviation over samples, mean over units, at least 1. Without a ``scale`` the logits'
    spread at the start decides it; those of a network that is given have a scale already, at which their cross-entropy
    is lowest: another one would pull them away from where they are before it improves them.
    """
    rng, arch = generator(task.seed, purpose=0), task.architecture
    rows = np.sort(rng.permutation(len(task.y))[:_SAMPLES])
    sample = task.spikes[rows][: max(1, _SAMPLES // arch.steps)]
    start, spreads, logits = _start(arch, task.levels, rng, sample, task.start, task.seed)
    if scale is None:
        largest = task.largest_level
        # One weight alone never multiplies an exponential by more than exp(12), whatever the spread of a tiny network.
        usual = (_VALUE_SPREAD if task.values else _LOGIT_SPREAD) / spreads[-1]
        if task.start is not None:
            calibrated = slope_of if task.values else calibrated_scale
            usual = calibrated(logits, task.y[rows][: len(logits)])
        scale = max(min(usual, 12 / largest), SMALLEST_SCALE)
    if task.values and margin:
        raise InputError(f"margin {margin}: is one between classes; leave it out where a value is predicted")
    return start, SquaredError(scale) if task.values else Objective(scale, margin), spreads


def start_of_classes(task: Task, scale: float | None, margin: int) -> tuple[Parameters, Objective, list[float]]:
    """Return what ``start_of`` does, for the gears that do without values: ``fit`` has refused those."""
    start, objective, spreads = start_of(task, scale, margin)
    assert isinstance(objective, Objective)
    return start, objective, spreads


def check_exponents(objective: AnyObjective, levels: Levels) -> None:
    """InputError where a weight of the readout is too large, times the scale, for exponentials in float32."""
    largest = max(abs(levels.values[0]), abs(levels.values[-1]))
    if objective.scale * largest > _LARGEST_EXPONENT:
        limit = _LARGEST_EXPONENT / largest
        raise InputError(f"scale {objective.scale}: at most {limit:g} allowed with levels {levels}")


def _start(
    arch: Architecture,
    levels: Levels,
    rng: np.random.Generator,
    sample: npt.NDArray[np.uint8],
    start: Parameters | None,
    seed: int,
) -> tuple[Parameters, list[float], npt.NDArray[np.int64]]:
    """Return the parameters to start from, the spread of each node's potentials on ``sample`` (n, inputs), the logits.

    Random weights where ``start`` is None, and biases that put thresholds at the median potential; recurrent ones are 0
    where that is a level, for random ones drown what comes in; delays follow from ``seed``. The spread is the
    standard deviation over samples and places, mean over channels, at least 1.
    """
    dtype = exact_float(arch, int(np.abs(levels.array).max()))
    found = Activity(rows_of(arch, sample, dtype))
    spreads: list[float] = []
    weights = [np.zeros((rows + 1, columns), dtype) for rows, columns in arch.weight_shapes]
    loops = {node.loop for node in arch.nodes}
    for index, own in enumerate(weights):
        if start is None and not (index in loops and 0 in levels.values):
            late = arch.delays_of(index)
            n_in = (len(own) - 1) // (late + 1)
            drawn = rng.choice(levels.array, size=(n_in, own.shape[1]), p=start_shares(levels))
            delay = drawn_delays(generator(seed, 6, index), drawn.shape, late)
            own[:-1] = spread(drawn, delay, late) if late else drawn
        elif start is not None:
            own[:-1], own[-1] = start.weights[index], start.biases[index]
    for node in arch.nodes:
        z, _, _ = node_potentials(node, found, weights, HostProducts(_ONE), arch.steps)
        if node.index >= 0:
            flat = z.reshape(-1, node.shape[-1])
            if start is None:
                bias = np.clip(-np.floor(_by_column(np.median, flat)) + _above(node), -BIAS_LIMIT, BIAS_LIMIT)
                weights[node.index][-1] = bias
                z += bias.astype(dtype)
            if isinstance(node.neuron, Readout):
                flat = z.reshape(-1, arch.steps, z.shape[-1]).sum(axis=1)
            spreads.append(max(float(_by_column(np.std, flat).mean()), 1.0))
        else:
            spreads.append(1.0)
        held, out = respond(node, z, arch.steps, weights)
        if node.neuron is not None and node.neuron.needs_steps:
            # What it decides by is what it has integrated, and not what a step adds.
            spreads[-1] = max(float(_by_column(np.std, held.reshape(-1, node.shape[-1])).mean()), 1.0)
        found.outputs.append(out)
    integers = tuple(w.astype(np.int32) for w in weights)
    return (
        Parameters(tuple(w[:-1] for w in integers), tuple(w[-1] for w in integers)),
        spreads,
        found.outputs[-1].astype(np.int64),
    )


def _by_column(what: Callable[..., Any], values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return ``what`` of each column of ``values``, in float64, a few columns at a time."""
    parts = range(0, values.shape[1], _COLUMNS)
    return np.concatenate([what(values[:, i : i + _COLUMNS].astype(np.float64), axis=0) for i in parts])


def _above(node: Node) -> int:
    """Return the bias above the median potential; the readout's are centred."""
    assert node.neuron is not None
    return 0 if isinstance(node.neuron, Readout) else of_neuron(node.neuron).above(node.neuron)

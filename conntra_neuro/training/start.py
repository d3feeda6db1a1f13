"""Where training starts: the parameters, the objective's scale, and the spread of the potentials."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.objective import SMALLEST_SCALE, Objective
from conntra_neuro.training.parameters import Parameters, random_parameters
from conntra_neuro.training.task import Task, generator
from conntra_neuro.training.threads import Threads

__all__ = ["check_exponents", "start_of"]

_SAMPLES = 2000  # that place the thresholds and measure the spreads
_LARGEST_EXPONENT = 40.0  # exp of it and of its negative are both far inside float32
_LOGIT_SPREAD = 1.25  # of scaled logits at the start [measured: 0.2 a unit of logit at 784-256-10]


def start_of(task: Task, scale: float | None, margin: int) -> tuple[Parameters, Objective, list[float]]:
    """Return the parameters to start from, the objective, and the spread of each layer's potentials.

    The spread is the standard deviation over samples, mean over units, at least 1. Without a ``scale`` the logits'
    spread at the start decides it.
    """
    rng = generator(task.seed, purpose=0)
    sample = task.spikes[np.sort(rng.permutation(len(task.y))[:_SAMPLES])]
    if task.layered is not None:
        from conntra_neuro.training.layered.start import layered_start

        rows = max(1, _SAMPLES // task.layered.steps)
        start, spreads = layered_start(task.layered, task.levels, rng, sample[:rows], task.start, Threads(1))
    else:
        start = task.start or random_parameters(task.sizes, task.levels, rng, sample)
        spreads = [max(float(z.std(axis=0).mean()), 1.0) for z in start.potentials(sample)]
    if scale is None:
        largest = max(abs(task.levels.values[0]), abs(task.levels.values[-1]))
        # One weight alone never multiplies an exponential by more than exp(12), whatever the spread of a tiny network.
        scale = max(min(_LOGIT_SPREAD / spreads[-1], 12 / largest), SMALLEST_SCALE)
    return start, Objective(scale, margin), spreads


def check_exponents(objective: Objective, levels: Levels) -> None:
    """InputError where a weight of the readout is too large, times the scale, for exponentials in float32."""
    largest = max(abs(levels.values[0]), abs(levels.values[-1]))
    if objective.scale * largest > _LARGEST_EXPONENT:
        limit = _LARGEST_EXPONENT / largest
        raise InputError(f"scale {objective.scale}: at most {limit:g} allowed with levels {levels}")

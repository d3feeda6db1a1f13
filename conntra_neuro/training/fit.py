"""``fit_spikes``: samples that are spikes already to a ``Fit``.

It holds samples out, drives one gear sweep by sweep, and keeps the best network. What a sweep does is the gear's own
affair.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_hardware.base.arguments import seconds, whole
from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels, parse_levels
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.checkpoint import Checkpoints, load_checkpoint, settings_of
from conntra_neuro.training.inputs.bits import BitSpikes
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.loop import drive
from conntra_neuro.training.neurons import of_word
from conntra_neuro.training.options import parse_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.result import Progress, Record
from conntra_neuro.training.task import Clock, Gear, Task
from conntra_neuro.training.task_of_samples import make_task

if TYPE_CHECKING:
    from conntra_neuro.training.backprop.gear import StraightThrough
    from conntra_neuro.training.gears.blocks import Crew
    from conntra_neuro.training.threads import Threads

__all__ = ["Fit", "fit_spikes"]

GEARS = ("blocks", "annealed", "exact", "straight-through")


@dataclass(frozen=True)
class Fit:
    """What ``fit_spikes`` returns: the best parameters found, and how it went; see ``TrainResult``."""

    parameters: Parameters
    architecture: Architecture
    levels: Levels
    history: tuple[Record, ...]
    validation_error: float | None
    seconds: float
    interrupted: bool

    def network(self, encoder: Encoder | None = None, labels: Sequence[object] | None = None) -> DiscreteNetwork:
        """Return the network."""
        return self.architecture.network(self.parameters, self.levels, encoder, labels)


def fit_spikes(
    spikes: ArrayLike | BitSpikes,
    y: ArrayLike,
    *,
    n_classes: int,
    layers: str | Sequence[Any] = (256,),
    neuron: str = "threshold",
    input_steps: int = 1,
    levels: str | int | Sequence[int] | Levels = "ternary",
    gear: str = "blocks",
    seed: int = 0,
    image: ImageShape | None = None,
    time_limit_s: float | None = None,
    sweeps: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    validation_fraction: float = 0.05,
    threads: int | None = None,
    initial: DiscreteNetwork | None = None,
    cluster: str | None = None,
    **options: Any,
) -> Fit:
    """Train on spikes (n, n_in) of 0/1, bytes or ``bits.stored``, and class indices y (n,). As ``train`` otherwise.

    Spikes given for ``input_steps`` time steps: (n, steps * n_in), one step after the other.
    """
    from conntra_neuro.training.threads import Threads

    _check_numbers(seed, sweeps, time_limit_s, validation_fraction)
    checked = (parse_levels(levels), seed, validation_fraction, initial, image, neuron, input_steps)
    task = make_task(spikes, y, n_classes, layers, *checked)
    if sweeps is not None:
        options["sweeps"] = sweeps
    with Threads(threads) as pool, _crew(cluster, gear) as crew:
        engine, chosen = _gear(gear, task, options, pool, crew)
        checkpoints, resumed = None, None
        folder = resume if checkpoint is None else checkpoint
        if folder is not None:
            settings = settings_of(task, gear, chosen, engine.sweeps, validation_fraction)
            resumed = None if resume is None else load_checkpoint(resume, settings)
            checkpoints = Checkpoints(folder, settings)
        clock = Clock(time_limit_s, resumed.seconds if resumed else 0.0)
        kept, interrupted = drive(engine, task, clock, progress, checkpoints, resumed)
    assert kept.best is not None
    history = tuple(kept.history)
    return Fit(kept.best, task.architecture, task.levels, history, kept.error, clock.seconds, interrupted)


def _crew(cluster: str | None, gear: str) -> AbstractContextManager[Crew | None]:
    """Return who holds the training samples; None is this process."""
    if cluster is None:
        return nullcontext()
    if gear != "blocks":
        raise InputError(f"cluster {cluster!r}: gear {gear} trains on one machine; use gear blocks, or no cluster")
    from conntra_neuro.training.cluster.load import dask_crew

    return dask_crew(cluster)


def _gear(name: str, task: Task, options: dict[str, Any], threads: Threads, crew: Crew | None) -> tuple[Gear, Any]:
    """Return the gear called ``name``, and its options."""
    chain = task.architecture.is_chain
    if name == "blocks":
        from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions

        chosen = parse_options(BlocksOptions, options, name)
        return Blocks(task, chosen, threads, crew), chosen
    if name == "annealed":
        from conntra_neuro.training.gears.annealed import Annealed, AnnealedOptions

        chosen = parse_options(AnnealedOptions, options, name)
        if chain:
            return Annealed(task, chosen, threads), chosen
        from conntra_neuro.training.gears.annealed_layers import AnnealedLayers

        return AnnealedLayers(task, chosen, threads), chosen
    if name == "exact" and chain:
        from conntra_neuro.training.gears.exact_chain import ExactChain, ExactOptions

        chosen = parse_options(ExactOptions, options, name)
        return ExactChain(task, chosen, threads), chosen
    if name == "exact":
        from conntra_neuro.training.gears.exact_layers import ExactLayers, ExactLayersOptions

        chosen = parse_options(ExactLayersOptions, options, name)
        return ExactLayers(task, chosen, threads), chosen
    if name == "straight-through":
        from conntra_neuro.training.backprop.gear import StraightThroughOptions

        chosen = parse_options(StraightThroughOptions, options, name)
        return _straight_through(task)(task, chosen, threads), chosen
    raise InputError(f"gear {name!r}: unknown; allowed: {', '.join(GEARS)}")


def _check_numbers(seed: int, sweeps: int | None, time_limit_s: float | None, validation_fraction: float) -> None:
    whole(seed, "seed", 0)
    if sweeps is not None:
        whole(sweeps, "sweeps", 1)
    if time_limit_s is not None:
        seconds(time_limit_s)
    if not isinstance(validation_fraction, (int, float, np.floating)) or not 0 <= validation_fraction < 1:
        raise InputError(f"validation_fraction {validation_fraction!r}: 0 up to 1 expected")


def _straight_through(task: Task) -> type[StraightThrough]:
    """Return the gear for the network's neurons."""
    if of_word(task.architecture.neurons.kind).folds:
        from conntra_neuro.training.backprop.folded import FoldedStraightThrough

        return FoldedStraightThrough
    from conntra_neuro.training.backprop.whole import WholeStraightThrough

    return WholeStraightThrough

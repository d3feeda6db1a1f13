"""``fit_spikes``: samples that are spikes already to a ``Fit``.

It holds samples out, drives one gear sweep by sweep, and keeps the best network. What a sweep does is the gear's own
affair.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.augmentation import Augmentation
from conntra_neuro.training.checkpoint import Checkpoints, load_checkpoint, settings_of
from conntra_neuro.training.inputs.bits import BitSpikes
from conntra_neuro.training.loop import drive
from conntra_neuro.training.neurons import of_word
from conntra_neuro.training.options import parse_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.request import Run, Wanted, parted
from conntra_neuro.training.result import Record
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.task import Clock, Gear, Task

if TYPE_CHECKING:
    from conntra_neuro.training.backprop.gear import StraightThrough
    from conntra_neuro.training.gears.blocks import Crew
    from conntra_neuro.training.threads import Threads

__all__ = ["Fit", "fit", "fit_spikes"]

_log = logging.getLogger(__name__)

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
    sweeps: float = 0
    stop_after: float | None = None
    moves: Augmentation = field(default_factory=Augmentation)

    def network(self, encoder: Encoder | None = None, labels: Sequence[object] | None = None) -> DiscreteNetwork:
        """Return the network."""
        return self.architecture.network(self.parameters, self.levels, encoder, labels)


def fit_spikes(spikes: ArrayLike | BitSpikes, y: ArrayLike, *, n_classes: int, **given: Any) -> Fit:
    """Train on spikes (n, n_in) of 0/1, bytes or ``bits.stored``, and class indices y (n,).

    given  the fields of ``request.Wanted`` and ``request.Run``, and options of the gear; as ``train`` takes them

    Raises InputError for what cannot be used; see ``train``.
    """
    return fit(spikes, y, *parted({"n_classes": n_classes, **given}))


def fit(spikes: ArrayLike | BitSpikes, y: ArrayLike, wanted: Wanted, run: Run, options: dict[str, Any]) -> Fit:
    """Train what is ``wanted``; see ``fit_spikes``. Spikes of several time steps: (n, steps * n_in)."""
    from conntra_neuro.training.threads import Threads

    task = make_task(spikes, y, wanted)
    if run.sweeps is not None:
        options = {**options, "sweeps": int(run.sweeps) if run.sweeps == run.sweeps // 1 else run.sweeps}
    with Threads(run.threads) as pool, _crew(run.cluster, run.gear) as crew:
        engine, chosen = _gear(run, task, options, pool, crew)
        checkpoints, resumed = None, None
        folder = run.resume if run.checkpoint is None else run.checkpoint
        if folder is not None:
            settings = settings_of(task, run.gear, chosen, engine.sweeps, wanted.validation_fraction)
            resumed = None if run.resume is None else load_checkpoint(run.resume, settings)
            checkpoints = Checkpoints(folder, settings)
        shape = " -> ".join(map(str, (task.spikes.shape[1], *task.architecture.names, wanted.n_classes)))
        _log.info("training %s on %s samples, gear %s, seed %s", shape, len(task.y), run.gear, wanted.seed)
        clock = Clock(run.time_limit_s, resumed.seconds if resumed else 0.0, run.stop_after)
        kept, sweeps, interrupted = drive(engine, task, clock, run.progress, checkpoints, resumed)
    assert kept.best is not None
    history = tuple(kept.history)
    _log.info("trained in %.1f s, %d sweeps", clock.seconds, history[-1].sweep if history else 0)
    found = (kept.best, task.architecture, task.levels, history, kept.error, clock.seconds, interrupted)
    stop_after = None if clock.stopped is None or clock.stopped >= sweeps else clock.stopped
    return Fit(*found, sweeps, stop_after, getattr(engine, "augmentation", Augmentation()))


def _crew(cluster: str | None, gear: str) -> AbstractContextManager[Crew | None]:
    """Return who holds the training samples; None is this process."""
    if cluster is None:
        return nullcontext()
    if gear != "blocks":
        raise InputError(f"cluster {cluster!r}: gear {gear} trains on one machine; use gear blocks, or no cluster")
    from conntra_neuro.training.cluster.load import dask_crew

    return dask_crew(cluster)


def _gear(run: Run, task: Task, options: dict[str, Any], threads: Threads, crew: Crew | None) -> tuple[Gear, Any]:
    """Return the gear of the run, and its options."""
    name, chain = run.gear, task.architecture.is_chain
    if task.values and name in ("annealed", "exact"):
        raise InputError(f"gear {name}: tells classes apart; give blocks where a value is predicted")
    if name == "blocks":
        from conntra_neuro.training.device import products_on
        from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions

        chosen = parse_options(BlocksOptions, options, name)
        return Blocks(task, chosen, threads, crew, products_on(run.device)), chosen
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
    raise InputError(f"gear {name!r}: unknown{did_you_mean(name, GEARS)}; allowed: {', '.join(GEARS)}")


def _straight_through(task: Task) -> type[StraightThrough]:
    """Return the gear for the network's neurons."""
    if of_word(task.architecture.neurons.kind).folds:
        from conntra_neuro.training.backprop.folded import FoldedStraightThrough

        return FoldedStraightThrough
    from conntra_neuro.training.backprop.whole import WholeStraightThrough

    return WholeStraightThrough

"""``train``: a dataset and a few words about the network to a ``TrainResult``.

The trainer encodes, holds out, drives one gear sweep by sweep, keeps the best network, and reports. What a
sweep does
is the gear's own affair.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import ArrayLike, SpikeArray, as_spikes
from conntra_hardware.encoding import Encoder
from conntra_hardware.errors import InputError
from conntra_neuro.levels import Levels, parse_levels
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.training.parameters import Parameters, network_of, parameters_of
from conntra_neuro.training.result import Progress, Record, TrainResult
from conntra_neuro.training.schedule import Keeper
from conntra_neuro.training.task import Clock, Evaluation, Gear, ImageShape, Task, generator

if TYPE_CHECKING:
    from conntra_neuro.datasets import Dataset
    from conntra_neuro.training.threads import Threads

__all__ = ["Fit", "fit_spikes", "train"]

GEARS = ("blocks", "annealed", "exact", "straight-through")
METHODS = ("conntra", "backprop", "warm")
_HOLD_OUT_FROM = 5000  # samples; in smaller sets every sample is needed for training
_HOLD_OUT_MOST = 5000
_TICK_S = 0.5


@dataclass(frozen=True)
class Fit:
    """What ``fit_spikes`` returns: the best parameters found, and how it went; see ``TrainResult``."""

    parameters: Parameters
    levels: Levels
    history: tuple[Record, ...]
    validation_error: float | None
    seconds: float
    interrupted: bool

    def network(self, encoder: Encoder | None = None, labels: Sequence[object] | None = None) -> DiscreteNetwork:
        """Return the network."""
        return network_of(self.parameters, self.levels, encoder, labels)


def train(
    data: Dataset,
    *,
    layers: Sequence[int] = (256,),
    levels: str | int | Sequence[int] | Levels = "ternary",
    method: str = "conntra",
    gear: str = "blocks",
    seed: int = 0,
    encoder: Encoder | Literal["auto"] | None = "auto",
    time_limit_s: float | None = None,
    sweeps: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    validation_fraction: float = 0.05,
    threads: int | None = None,
    initial: DiscreteNetwork | None = None,
    **options: Any,
) -> TrainResult:
    """Train a network of ``layers`` hidden widths on ``data`` and return it with its history.

    layers               widths of the hidden layers; () is logistic regression
    levels               "binary", "ternary", a number, or the values; see ``parse_levels``
    method               "conntra" (no gradient, from random weights), "backprop" (straight-through
                         backpropagation of
                         the same integer network), or "warm" (CoNNTrA from where backpropagation ends); the
                         last two
                         need JAX
    gear                 "blocks" (fast, the default), "annealed", or "exact" (the objective never rises)
    encoder              "auto" fits one to the training data, None takes features that are spikes already
    time_limit_s         seconds; where it cuts the training short, the result depends on the machine's speed
    sweeps               passes over the data (blocks) or over all units; None leaves it to the gear
    progress             called at least every second or so; a KeyboardInterrupt in it, or Ctrl-C, ends the
                         training
                         and returns the best network so far
    validation_fraction  share of the training samples held out to decide which network is the best, at most
                         5,000
                         samples, none in sets of fewer than 5,000; ``data.x_test`` decides nothing
    threads              None takes every core; the network is the same on any number
    initial              a network to start from
    options              the gear's own, e.g. ``BlocksOptions``

    Raises InputError for what cannot be used.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: unknown; allowed: {', '.join(METHODS)}")
    encoder = _encoder_for(data, encoder)
    spikes = encoder.encode(data.x_train) if encoder else as_spikes(_flat(data.x_train), _width(data.x_train))
    fitter = fit_spikes
    if method == "backprop":
        gear = "straight-through"
    elif method == "warm":
        from conntra_neuro.training.warm import fit_warm

        fitter = fit_warm
    fit = fitter(
        spikes,
        data.y_train,
        n_classes=len(data.labels),
        layers=layers,
        levels=levels,
        gear=gear,
        seed=seed,
        image=_image_shape(data.feature_shape, spikes.shape[1]),
        time_limit_s=time_limit_s,
        sweeps=sweeps,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        validation_fraction=validation_fraction,
        threads=threads,
        initial=initial,
        **options,
    )
    network = fit.network(encoder, data.labels)
    tested = len(data.x_test) > 0
    return TrainResult(
        network=network,
        history=fit.history,
        train_error=_error(network, data.x_train, data.y_train),
        test_error=_error(network, data.x_test, data.y_test) if tested else None,
        validation_error=fit.validation_error,
        train_seconds=fit.seconds,
        method=method,
        gear=gear,
        levels=fit.levels,
        layers=tuple(layers),
        seed=seed,
        interrupted=fit.interrupted,
    )


def fit_spikes(
    spikes: ArrayLike,
    y: ArrayLike,
    *,
    n_classes: int,
    layers: Sequence[int] = (256,),
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
    **options: Any,
) -> Fit:
    """Train on spikes (n, n_in) of 0/1 and class indices y (n,). As ``train`` otherwise."""
    from conntra_neuro.training.threads import Threads

    _check_numbers(seed, sweeps, time_limit_s, validation_fraction)
    task = _task(spikes, y, n_classes, layers, parse_levels(levels), seed, validation_fraction, initial, image)
    if checkpoint is not None or resume is not None:
        raise InputError("checkpoint, resume: not there yet; leave them out")
    if sweeps is not None:
        options["sweeps"] = sweeps
    clock = Clock(time_limit_s)
    with Threads(threads) as pool:
        return _drive(_gear(gear, task, options, pool), task, clock, progress)


def _drive(engine: Gear, task: Task, clock: Clock, progress: Callable[[Progress], None] | None) -> Fit:
    """Sweep until the end, the time limit or Ctrl-C; keep the best."""
    keeper = Keeper(task.held_out is not None, engine.decides_by_objective)
    sweeps = engine.sweeps
    interrupted = False
    if task.start is not None:
        keeper.take(engine, 0, clock.seconds, engine.evaluate(held_out=False))  # the result is never worse
    try:
        for number in range(sweeps):
            running = engine.sweep(number, sweeps, clock, _ticker(progress, sweeps, clock, keeper))
            record = keeper.take(engine, number + 1, clock.seconds, running)
            if progress is not None:
                progress(_progress(record, sweeps, keeper))
            if engine.finished or clock.expired:
                break
    except KeyboardInterrupt:
        interrupted = True
    if keeper.best is None:
        keeper.take(engine, 0, clock.seconds, engine.evaluate(held_out=False))
    assert keeper.best is not None
    return Fit(keeper.best, task.levels, tuple(keeper.history), keeper.error, clock.seconds, interrupted)


def _ticker(
    progress: Callable[[Progress], None] | None, sweeps: int, clock: Clock, keeper: Keeper
) -> Callable[[float, Evaluation], None]:
    """Return what a gear calls at every step: it passes on no more than two calls a second."""
    if progress is None:
        return lambda done, running: None
    last = clock.seconds

    def tick(done: float, running: Evaluation) -> None:
        nonlocal last
        now = clock.seconds
        if now - last >= _TICK_S:
            last = now
            error = keeper.history[-1].validation_error if keeper.history else None
            record = Record(now, 0, running.objective, running.error, error)
            progress(dataclasses.replace(_progress(record, sweeps, keeper), sweep=done))

    return tick


def _progress(record: Record, sweeps: int, keeper: Keeper) -> Progress:
    return Progress(
        record.seconds,
        record.sweep,
        sweeps,
        record.objective,
        record.train_error,
        record.validation_error,
        keeper.best_error,
    )


def _gear(name: str, task: Task, options: dict[str, Any], threads: Threads) -> Gear:
    """Return the gear called ``name``."""
    if name == "blocks":
        from conntra_neuro.training.blocks import Blocks, BlocksOptions

        return Blocks(task, _options(BlocksOptions, options, name), threads)
    if name == "annealed":
        from conntra_neuro.training.annealed import Annealed, AnnealedOptions

        return Annealed(task, _options(AnnealedOptions, options, name), threads)
    if name == "exact":
        from conntra_neuro.training.exact import Exact, ExactOptions

        return Exact(task, _options(ExactOptions, options, name), threads)
    if name == "straight-through":
        from conntra_neuro.training.backprop.straight_through import StraightThrough, StraightThroughOptions

        return StraightThrough(task, _options(StraightThroughOptions, options, name))
    raise InputError(f"gear {name!r}: unknown; allowed: {', '.join(GEARS)}")


def _options(kind: type[Any], options: dict[str, Any], gear: str) -> Any:
    """Return ``kind(**options)``; InputError where an option is unknown or of the wrong type."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in options.items():
        if name not in fields:
            raise InputError(f"option {name!r}: unknown to gear {gear}; allowed: {', '.join(fields)}")
        whole = "int" in str(fields[name].type)
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        missing = value is None and "None" in str(fields[name].type)
        if not missing and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"option {name}={value!r}: {'an integer' if whole else 'a number'} expected")
    return kind(**options)


def _check_numbers(seed: int, sweeps: int | None, time_limit_s: float | None, validation_fraction: float) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed {seed!r}: an integer from 0 on expected")
    if sweeps is not None and (not isinstance(sweeps, (int, np.integer)) or sweeps < 1):
        raise InputError(f"sweeps {sweeps!r}: an integer of at least 1 expected")
    if time_limit_s is not None and not time_limit_s > 0:
        raise InputError(f"time limit {time_limit_s!r} s: more than 0 expected")
    if not 0 <= validation_fraction < 1:
        raise InputError(f"validation_fraction {validation_fraction!r}: 0 up to 1 expected")


def _task(
    spikes: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    layers: Sequence[int],
    levels: Levels,
    seed: int,
    validation_fraction: float,
    initial: DiscreteNetwork | None,
    image: ImageShape | None,
) -> Task:
    """Check the samples and split them into training and held-out ones."""
    array = np.asarray(spikes)
    x = as_spikes(array, _width(array))
    targets = np.asarray(y)
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer) or len(targets) != len(x):
        raise InputError(f"y: shape {targets.shape}, type {targets.dtype}; {len(x)} integer class indices expected")
    if len(x) == 0:
        raise InputError("training samples: none; at least one of each of two classes expected")
    if targets.min() < 0 or targets.max() >= n_classes:
        raise InputError(f"y: class indices {targets.min()} to {targets.max()}; 0 to {n_classes - 1} expected")
    if len(np.unique(targets)) < 2:
        raise InputError(f"y: only class {targets[0]} among {len(x)} samples; at least two classes are needed to train")
    wrong = [w for w in layers if isinstance(w, bool) or not isinstance(w, (int, np.integer)) or w < 1]
    if wrong:
        raise InputError(f"layers {list(layers)}: widths are integers of at least 1; got {wrong[0]!r}")
    sizes = (x.shape[1], *(int(w) for w in layers), n_classes)
    targets = targets.astype(np.int64)
    start = None if initial is None else parameters_of(initial, sizes, levels)
    held = _held_out_rows(targets, validation_fraction, int(seed))
    kept = np.setdiff1d(np.arange(len(x)), held)
    held_out = (x[held], targets[held]) if len(held) else None
    x, targets = (x[kept], targets[kept]) if len(held) else (x, targets)
    return Task(x, targets, sizes, levels, int(seed), held_out, start, image)


def _held_out_rows(y: npt.NDArray[np.int64], fraction: float, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows to hold out: the same share of every class, chosen by the seed."""
    if len(y) < _HOLD_OUT_FROM:
        return np.empty(0, dtype=np.int64)
    share = min(fraction, _HOLD_OUT_MOST / len(y))
    rng = generator(seed, purpose=2)
    held = []
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        held.append(rng.permutation(rows)[: int(share * len(rows))])
    return np.sort(np.concatenate(held))


def _encoder_for(data: Dataset, encoder: Encoder | Literal["auto"] | None) -> Encoder | None:
    if encoder != "auto":
        return encoder
    from conntra_neuro.datasets import fit_encoder

    return fit_encoder(data.x_train)


def _image_shape(feature_shape: Sequence[int], n_in: int) -> ImageShape | None:
    """Return how inputs lie in images; None where features are no images."""
    if len(feature_shape) != 2 or n_in % (feature_shape[0] * feature_shape[1]):
        return None
    return ImageShape(n_in // (feature_shape[0] * feature_shape[1]), *feature_shape)


def _flat(x: ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(x)
    return array.reshape(len(array), -1)


def _width(x: ArrayLike) -> int:
    array = np.asarray(x)
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise InputError(f"training samples: shape {array.shape}; (n, inputs) expected")
    return int(np.prod(array.shape[1:]))


def _error(network: DiscreteNetwork, x: ArrayLike, y: ArrayLike) -> float:
    """Return the fraction of wrong predictions, in chunks: encoded inputs are larger than raw ones."""
    samples: SpikeArray = np.asarray(x)
    targets = np.asarray(y)
    wrong = 0
    for first in range(0, len(samples), 5000):
        part = slice(first, first + 5000)
        rows = samples[part] if network.encoder else _flat(samples[part])
        wrong += int(np.count_nonzero(network.predict(rows) != targets[part]))
    return wrong / len(samples)

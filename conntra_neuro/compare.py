"""The paper's table: one architecture trained in four ways, four figures each.

backprop-float64  real weights, rectified linear units, backpropagation in double precision; of inputs over several
                  time steps it sees the share of the steps in which each one spikes
straight-through  the discrete network by quantisation-aware backpropagation
conntra           the discrete network without a gradient, from random weights
warm              CoNNTrA from where straight-through ends

All see the same spikes: encoders are fitted to the training samples of each fold alone.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_neuro.datasets import Dataset, encoder_of
from conntra_neuro.datasets.dataset import refuse_values
from conntra_neuro.network.levels import Levels, parse_levels
from conntra_neuro.network.storage import memory_report
from conntra_neuro.training import Progress, TrainResult, train
from conntra_neuro.training.architecture.words import as_specs, names_of, parse_neurons

__all__ = ["METHODS", "Comparison", "Row", "compare"]

METHODS = ("backprop-float64", "straight-through", "conntra", "warm")
_TRAINED_BY = {"straight-through": "backprop", "conntra": "conntra", "warm": "warm"}
_FOLDS_BELOW = 5000  # samples: smaller sets are cross-validated unless the caller says otherwise
_FOLDS = 5

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Recipe:
    """What all ways of training have in common."""

    levels: Levels
    neuron: str
    encoder: str
    limits: dict[str, Any]  # sweeps, time_limit_s
    images: dict[str, Any]  # shift, elastic


@dataclass(frozen=True)
class Run:
    """One training. Errors are fractions; ``curve`` holds (seconds, error) of each sweep on the deciding samples."""

    train_error: float
    test_error: float
    memory_bytes: int
    seconds: float
    bits: float
    curve: Curve


@dataclass(frozen=True)
class Row:
    """One method on one architecture: a value a seed, each the mean over the folds.

    bits    stored bits a weight
    curve   (seconds, error) after each sweep of the first training, on held-out samples where there are some
    """

    method: str
    levels: str
    layers: tuple[int | str, ...]
    bits: float
    train_errors: tuple[float, ...]
    test_errors: tuple[float, ...]
    seconds: tuple[float, ...]
    memory_bytes: int
    runs: int
    curve: Curve

    @property
    def dtype(self) -> str:
        """How a weight is stored."""
        return "float64" if self.method == METHODS[0] else f"{self.bits:.3g}-bit"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as ``conntra compare --json`` prints it; a spread is the standard deviation over seeds, None
        for one seed.
        """
        found: dict[str, Any] = {
            "method": self.method,
            "levels": self.levels,
            "dtype": self.dtype,
            "layers": list(self.layers),
            "memory_bytes": self.memory_bytes,
            "seeds": len(self.test_errors),
            "runs": self.runs,
        }
        named = {"train_error": self.train_errors, "test_error": self.test_errors, "train_seconds": self.seconds}
        for name, values in named.items():
            found[name] = statistics.fmean(values)
            found[f"{name}_spread"] = statistics.stdev(values) if len(values) > 1 else None
        return found | {"curve": [list(point) for point in self.curve]}


@dataclass(frozen=True)
class Comparison:
    """All rows, architecture by architecture, and in words how they came about."""

    data: str
    protocol: str
    neuron: str
    rows: tuple[Row, ...]


Step = Callable[[int, int, str, "Progress | None"], None]


def compare(
    data: Dataset,
    *,
    architectures: Sequence[Sequence[Any]] = ((), (256,)),
    neuron: str = "threshold",
    levels: str | int | Sequence[int] | Levels = "ternary",
    methods: Sequence[str] = METHODS,
    seeds: int = 3,
    folds: int | None = None,
    encoder: str = "auto",
    time_limit_s: float | None = None,
    sweeps: int | None = None,
    shift: int | None = None,
    elastic: float | None = None,
    progress: Step | None = None,
) -> Comparison:
    """Train ``data`` by every method on every architecture and return the table.

    architectures  hidden layers of each, as in ``train``; () is logistic regression
    neuron         of all hidden layers of the discrete networks, as in ``train``
    seeds          trainings of each (of each fold, too), seeds 0, 1, ...
    folds          stratified folds over all samples; 0 takes the dataset's own split; None takes 5 folds for sets
                   of fewer than 5,000 samples, else the split
    time_limit_s   of one training, seconds
    shift          pixels that every method shifts each training image by, up to; ``elastic`` bends it. None leaves it
                   to the trainer, as in ``train``; 0 leaves images as they are
    progress       called with (trainings done, trainings to do, what runs, its progress or None)

    Raises InputError for what cannot be used, and where a method needs JAX and it is not installed.
    """
    unknown = [method for method in methods if method not in METHODS]
    refuse_values(data, "compare")
    if unknown or not methods:
        given = unknown[0] if unknown else "(none)"
        raise InputError(f"method {given}: unknown{did_you_mean(given, METHODS)}; allowed: {', '.join(METHODS)}")
    if METHODS[0] in methods and encoder.startswith("latency"):
        raise InputError(
            f"encoder {encoder}: {METHODS[0]} sees how often an input spikes, not when; use rate:T, or other methods: "
            f"{','.join(METHODS[1:])}"
        )
    if seeds < 1:
        raise InputError(f"seeds {seeds}: at least 1 expected")
    if any(method != "conntra" for method in methods):
        from conntra_neuro.training.backprop.load import load_steps

        load_steps()  # a missing package is better named now than after half an hour
    limits = {"sweeps": sweeps, "time_limit_s": time_limit_s}
    recipe = _Recipe(
        parse_levels(levels), str(parse_neurons(neuron)), encoder, limits, {"shift": shift, "elastic": elastic}
    )
    n = len(data.x_train) + len(data.x_test)
    folds = (_FOLDS if n < _FOLDS_BELOW else 0) if folds is None else folds
    total = len(architectures) * len(methods) * seeds * max(folds, 1)
    done, rows = 0, []
    for layers in [names_of(as_specs(given)) for given in architectures]:
        for method in methods:
            found: list[list[Run]] = []
            for seed in range(seeds):
                found.append([])
                for number, part in enumerate(_parts(data, folds, seed)):
                    words = f"{method} {_shown(layers)} seed {seed}" + (f" fold {number + 1}" if folds else "")
                    watch = _watch(progress, done, total, words)
                    found[-1].append(_run(method, part, layers, seed, recipe, watch))
                    done += 1
            rows.append(_row(method, layers, recipe.levels, found))
    how = f"{folds}-fold cross-validation" if folds else f"one split ({data.note or 'as given'})"
    protocol = f"{how}, {seeds} seed{'s' if seeds > 1 else ''}"
    return Comparison(data.name, protocol, recipe.neuron, tuple(rows))


def _shown(layers: Sequence[int | str]) -> str:
    return ",".join(map(str, layers)) or "no hidden layer"


def _watch(progress: Step | None, done: int, total: int, words: str) -> Callable[[Progress], None] | None:
    if progress is None:
        return None
    progress(done, total, words, None)
    return lambda state: progress(done, total, words, state)


def _parts(data: Dataset, folds: int, seed: int) -> Iterator[Dataset]:
    """Yield the dataset itself, or its folds: all samples, each a test sample once, every class in its share."""
    if folds == 0:
        if len(data.x_test) == 0:
            raise InputError(f"{data.name}: no test samples; use folds of at least 2")
        yield data
        return
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    smallest = int(np.bincount(y).min(initial=len(y)))
    if not 2 <= folds <= max(smallest, 2) or smallest < 2:
        raise InputError(f"folds {folds}: 2 to {smallest} allowed, the size of the smallest class of {data.name}")
    rng = np.random.default_rng((seed, folds))
    fold = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        fold[rows] = (np.arange(len(rows)) + label) % folds
    for number in range(folds):
        test = fold == number
        name = f"{data.name}, fold {number + 1} of {folds}"
        yield Dataset(name, x[~test], y[~test], x[test], y[test], data.labels, input=data.input)


def _run(
    method: str,
    data: Dataset,
    layers: tuple[int | str, ...],
    seed: int,
    recipe: _Recipe,
    progress: Callable[[Progress], None] | None,
) -> Run:
    fitted = encoder_of(data, recipe.encoder)
    if method == METHODS[0]:
        if fitted is None:
            raise InputError(f"{data.name}: {METHODS[0]} does not see when a spike comes; use {','.join(METHODS[1:])}")
        return _real_run(data, fitted, layers, seed, recipe, progress)
    how: dict[str, Any] = {"method": _TRAINED_BY[method], "levels": recipe.levels, "encoder": fitted}
    how |= {"neuron": recipe.neuron, **recipe.limits, **recipe.images}
    trained = train(data, layers=layers, seed=seed, progress=progress, **how)
    if trained.interrupted:
        raise KeyboardInterrupt
    return _discrete_run(trained)


def _discrete_run(trained: TrainResult) -> Run:
    network = trained.network
    assert trained.test_error is not None
    bits = memory_report(network).weight_bits
    curve = _curve(trained.history)
    return Run(trained.train_error, trained.test_error, network.memory_bytes, trained.train_seconds, bits, curve)


def _real_run(
    data: Dataset,
    encoder: Any,
    layers: tuple[int | str, ...],
    seed: int,
    recipe: _Recipe,
    progress: Callable[[Progress], None] | None,
) -> Run:
    from conntra_neuro.training.backprop.real import fit_real
    from conntra_neuro.training.request import Wanted
    from conntra_neuro.training.samples import image_shape, make_task
    from conntra_neuro.training.trainer import are_images

    train_spikes, test_spikes = (encoder.encode(x).reshape(len(x), -1) for x in (data.x_train, data.x_test))
    image = image_shape(data.feature_shape, train_spikes.shape[1] // encoder.steps)
    fixed = {"seed": seed, "image": image, "input_steps": encoder.steps, "movable": are_images(data)}
    neuron = replace(parse_neurons(recipe.neuron), recurrent=False)  # of rates there is no step before
    task = make_task(train_spikes, data.y_train, Wanted(data.n_classes, layers, neuron, recipe.levels, **fixed))
    fit = fit_real(task, progress=progress, **recipe.limits, **recipe.images)
    if fit.interrupted:
        raise KeyboardInterrupt
    errors = fit.network.error(train_spikes, data.y_train), fit.network.error(test_spikes, data.y_test)
    return Run(*errors, fit.network.memory_bytes, fit.seconds, 64.0, _curve(fit.history))


def _curve(history: Sequence[Any]) -> Curve:
    errors = [r.train_error if r.validation_error is None else r.validation_error for r in history]
    return tuple((float(r.seconds), float(e)) for r, e in zip(history, errors, strict=True) if math.isfinite(e))


def _row(method: str, layers: tuple[int | str, ...], levels: Levels, found: list[list[Run]]) -> Row:
    def by_seed(name: str) -> tuple[float, ...]:
        return tuple(statistics.fmean(getattr(run, name) for run in runs) for runs in found)

    first = found[0][0]
    return Row(
        method=method,
        levels="real" if method == METHODS[0] else str(levels),
        layers=layers,
        bits=first.bits,
        train_errors=by_seed("train_error"),
        test_errors=by_seed("test_error"),
        seconds=by_seed("seconds"),
        memory_bytes=first.memory_bytes,
        runs=sum(map(len, found)),
        curve=first.curve,
    )

"""Warm start: backpropagation finds the basin, CoNNTrA goes on from there on the integer objective.

Backpropagation's latent weights stop where its learning rate does; what it leaves is an integer network like any
other. CoNNTrA then moves a small fraction of its weights by exact flip gains. The start is kept where nothing better
on the deciding samples is found, so the result is never worse on them than where it started.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_neuro.training.calibrate import calibrated_scale, slope_of
from conntra_neuro.training.checkpoint import checkpoint_file
from conntra_neuro.training.fit import Fit
from conntra_neuro.training.fit import fit as fit_stage
from conntra_neuro.training.inputs.bits import BitSpikes
from conntra_neuro.training.request import Folder, Run, Wanted, parted
from conntra_neuro.training.result import Progress

__all__ = ["fit", "fit_warm"]

_POLISH = "polish_"  # prefix of the options that are the second stage's
_SHARE = 0.25  # of the time limit for the second stage, at least
_SAMPLES = 10_000  # that say how to scale the logits
_QUIET: dict[str, float] = {"sigma": 0.19, "sigma_end": 0.19}

# A network that knows its samples by heart generalises better when it is shaken, and its weights are priced.
_SHAKEN = _QUIET | {"fraction": 2e-3, "fraction_readout": 2e-3, "fraction_bias": 0.01}
_SHAKEN_SWEEPS = 0.67  # of those of the first stage

# Any other is lost to steps that are large, rest on a few mini-batches, or price weights: docs/records/training.md.
_CAREFUL = _QUIET | {"memory": 0.99, "memory_square": 0.995, "warmup": 0.25, "sparsity": 0.0}
_CAREFUL_SWEEPS = 0.18
_MOVES = 100  # synapses of the largest layer that change at the first careful step, at most 0.2 % of them


def fit_warm(spikes: ArrayLike | BitSpikes, y: ArrayLike, *, n_classes: int, **given: Any) -> Fit:
    """Train by backpropagation, then by CoNNTrA. Arguments as in ``fit_spikes``; see ``fit``."""
    return fit(spikes, y, *parted({"n_classes": n_classes, **given}))


def fit(spikes: ArrayLike | BitSpikes, y: ArrayLike, wanted: Wanted, run: Run, options: dict[str, Any]) -> Fit:
    """Train by backpropagation, then by the run's gear.

    Options go to the first stage; penalties, and those that start with ``polish_``, e.g. ``polish_sweeps``, to the
    second. Of a time limit the second stage gets a quarter, and what the first has left. Each stage has a checkpoint
    of its own in the folder.
    """
    if wanted.initial is not None:
        raise InputError("initial network: a warm start makes its own; use method conntra to train one further")
    if run.stop_after is not None:
        raise InputError(f"stop_after {run.stop_after}: a warm start has two stages; leave it out, or use conntra")
    polish = {name[len(_POLISH) :]: value for name, value in options.items() if name.startswith(_POLISH)}
    polish |= {name: value for name, value in options.items() if name.startswith("penalty_")}
    options = {name: value for name, value in options.items() if not name.startswith((_POLISH, "penalty_"))}
    limit = run.time_limit_s
    shares = (None, None) if limit is None else (limit * (1 - _SHARE), limit)
    stage = dataclasses.replace(
        run,
        gear="straight-through",
        time_limit_s=shares[0],
        progress=_staged(run.progress, 0, 1 - _SHARE, 0.0),
        **_folders(run, "backprop"),
    )
    first = fit_stage(spikes, y, wanted, stage, options)
    if first.interrupted:
        return first
    recipe = _recipe(first, spikes, y, wanted, run, options) | polish
    stage = dataclasses.replace(
        run,
        sweeps=recipe.pop("sweeps", None),
        time_limit_s=None if shares[1] is None else max(shares[1] - first.seconds, 1e-3),
        progress=_staged(run.progress, 1 - _SHARE, _SHARE, first.seconds),
        **_folders(run, "conntra"),
    )
    second = fit_stage(spikes, y, dataclasses.replace(wanted, initial=first.network()), stage, recipe)
    return _joined(first, second)


def _recipe(
    first: Fit, spikes: ArrayLike | BitSpikes, y: ArrayLike, wanted: Wanted, run: Run, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the second stage's options: the logits keep the scale that their softmax has learned."""
    from conntra_neuro.training.augmentation import MOVES_ALLOWED  # numba comes with both
    from conntra_neuro.training.objective import SMALLEST_SCALE

    part = slice(0, _SAMPLES)
    inputs = spikes if isinstance(spikes, BitSpikes) else np.asarray(spikes)
    network, steps = first.network(), wanted.input_steps
    rows = inputs[part].reshape(len(inputs[part]) * steps, -1)  # the time steps of a sample, one after the other
    logits = network.forward(rows if steps == network.steps else rows.repeat(network.steps, axis=0))
    calibrated = slope_of if wanted.values else calibrated_scale
    scale = calibrated(logits, np.asarray(y)[part])
    # A first stage that has learned nothing has no scale at all.
    recipe: dict[str, Any] = {"scale": scale if wanted.values else max(scale, SMALLEST_SCALE)}
    by_heart, sweeps = _by_heart(first), run.sweeps
    if run.gear == "blocks":
        recipe |= _SHAKEN if by_heart else _CAREFUL | _small_steps(first)
        recipe |= {name: options[name] for name in MOVES_ALLOWED if name in options}
    if sweeps is None and run.gear == "blocks" and not by_heart:
        sweeps = first.history[-1].sweep
    if sweeps is not None:
        recipe["sweeps"] = max(1, round(sweeps * (_SHAKEN_SWEEPS if by_heart else _CAREFUL_SWEEPS)))
    return recipe


def _by_heart(first: Fit) -> bool:
    """Say whether the first stage ended with far fewer errors on what it trained on than on what was held out.

    Where nothing is held out the sets are small, and networks know them.
    """
    last = first.history[-1]
    return last.validation_error is None or last.train_error < last.validation_error / 4


def _small_steps(first: Fit) -> dict[str, float]:
    fraction = min(2e-3, _MOVES / _most_synapses(first))
    return {"fraction": fraction, "fraction_readout": fraction, "fraction_bias": 5 * fraction}


def _most_synapses(fit: Fit) -> int:
    """Return the synapses of the largest layer: a kernel's weight is as many as it has places."""
    nodes = [node for node in fit.architecture.nodes if node.index >= 0]
    places = [1 if node.geometry is None else node.geometry.positions for node in nodes]
    return max(n * fit.parameters.weights[node.index].size for n, node in zip(places, nodes, strict=True))


def _folders(run: Run, stage: str) -> dict[str, Folder | None]:
    """Return where a stage checkpoints; it resumes where there is something to resume."""
    at, resume = run.resume if run.checkpoint is None else run.checkpoint, run.resume
    if at is None:
        return {}
    found = resume is not None and checkpoint_file(Path(resume) / stage).exists()
    if resume is not None and not found and stage == "backprop":
        found = True  # nothing there at all: the trainer's own words are the best
    return {"checkpoint": Path(at) / stage, "resume": Path(resume) / stage if resume is not None and found else None}


def _joined(first: Fit, second: Fit) -> Fit:
    last = first.history[-1].sweep if first.history else 0
    later = tuple(
        dataclasses.replace(record, seconds=record.seconds + first.seconds, sweep=record.sweep + last)
        for record in second.history
        if record.sweep
    )
    seconds = first.seconds + second.seconds
    own = {"sweeps": first.sweeps, "stop_after": first.stop_after}
    return dataclasses.replace(second, history=first.history + later, seconds=seconds, **own)


def _staged(
    progress: Callable[[Progress], None] | None, begin: float, share: float, seconds: float
) -> Callable[[Progress], None] | None:
    """Return ``progress`` for a stage that is ``share`` of the whole and starts at ``begin``, both 0 to 1."""
    if progress is None:
        return None

    def shown(state: Progress) -> None:
        done = begin + share * min(state.sweep / max(state.sweeps, 1), 1)
        progress(dataclasses.replace(state, sweep=100 * done, sweeps=100, seconds=state.seconds + seconds))

    return shown

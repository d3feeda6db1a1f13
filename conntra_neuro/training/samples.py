"""Samples as a task: checked, and split into training and held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import Levels, parse_levels
from conntra_neuro.training.architecture.architecture import Architecture, architecture_of
from conntra_neuro.training.architecture.of_network import with_neurons_of
from conntra_neuro.training.architecture.words import as_specs, parse_neurons
from conntra_neuro.training.inputs.bits import BitSpikes, Spikes, spikes_of, taken
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.task import Task, generator

__all__ = ["default_layers", "image_shape", "make_task", "width_of"]

_HOLD_OUT_FROM = 5000  # samples; in smaller sets every sample is needed for training
_HOLD_OUT_MOST = 5000
_SEEN = 2000  # samples that say how often inputs spike
_WIDE_FROM = 20_000  # samples: fewer do not fill a wide layer [docs/records/training.md]


def default_layers(n: int) -> tuple[int, ...]:
    """Return the hidden widths for ``n`` training samples."""
    return (1024,) if n >= _WIDE_FROM else (256,)


def make_task(spikes: ArrayLike | BitSpikes, y: ArrayLike, wanted: Wanted) -> Task:
    """Check the samples and split them into training and held-out ones.

    Samples given for several time steps hold them one after the other, (n, steps * n_in).
    """
    x = spikes_of(spikes, width_of(spikes))
    targets = np.asarray(y)
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer) or len(targets) != len(x):
        raise InputError(f"y: shape {targets.shape}, type {targets.dtype}; {len(x)} integer class indices expected")
    if len(x) == 0:
        raise InputError("training samples: none; at least one of each of two classes expected")
    if wanted.values and wanted.n_classes != 1:
        raise InputError(f"y: values for {wanted.n_classes} logits; one logit expected")
    if not wanted.values and (targets.min() < 0 or targets.max() >= wanted.n_classes):
        raise InputError(f"y: class indices {targets.min()} to {targets.max()}; 0 to {wanted.n_classes - 1} expected")
    if len(np.unique(targets)) < 2:
        if wanted.values:
            raise InputError(f"y: one value for all of {len(x)} samples; two at least are needed to train")
        raise InputError(f"y: only class {targets[0]} among {len(x)} samples; at least two classes are needed to train")
    levels, seed = parse_levels(wanted.levels), int(wanted.seed)
    arch, targets, start = _architecture(wanted, x, levels), targets.astype(np.int64), None
    if wanted.initial is not None:
        arch = with_neurons_of(arch, wanted.initial)
        start = arch.parameters_of(wanted.initial, levels)
    strata = np.zeros_like(targets) if wanted.values else targets
    held = _held_out_rows(strata, wanted.validation_fraction, seed)
    kept = np.setdiff1d(np.arange(len(x)), held)
    held_out = (taken(x, held), targets[held]) if len(held) else None
    x, targets = (taken(x, kept), targets[kept]) if len(held) else (x, targets)
    more = (wanted.image, wanted.values, wanted.movable, wanted.line)
    return Task(x, targets, arch, levels, seed, held_out, start, *more)


def _architecture(wanted: Wanted, x: Spikes, levels: Levels) -> Architecture:
    """Return the layers; InputError where inputs and neurons have different time steps."""
    specs, neurons, steps = as_specs(wanted.layers), parse_neurons(wanted.neuron), wanted.input_steps
    width = x.shape[1]
    if neurons.kind == "lif":
        rows = np.linspace(0, len(x) - 1, min(len(x), _SEEN)).astype(np.intp)
        neurons = replace(neurons, rate=max(float(x[rows].mean()), 1e-4))
    if steps not in (1, neurons.steps):
        raise InputError(f"encoder of {steps} time steps, neurons ({neurons}) of {neurons.steps}; use neuron if{steps}")
    if neurons.delays and 0 not in levels.values:
        raise InputError(f"levels {levels}: delays need a level 0, as in ternary")
    if steps > 1 and not specs:
        raise InputError(
            f"layers none: no neurons that integrate the encoder's {steps} time steps; give hidden layers, or an "
            "encoder of one time step"
        )
    largest = max(abs(levels.values[0]), abs(levels.values[-1]))
    return architecture_of(specs, neurons, width // steps, wanted.image, wanted.n_classes, largest, steps)


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


def width_of(x: ArrayLike | BitSpikes) -> int:
    """Return the number of inputs of samples (n, ...)."""
    array = x if isinstance(x, BitSpikes) else np.asarray(x)
    if len(array.shape) < 2 or 0 in array.shape[1:]:
        raise InputError(f"training samples: shape {array.shape}; (n, inputs) expected")
    return int(np.prod(array.shape[1:]))


def image_shape(feature_shape: Sequence[int], n_in: int) -> ImageShape | None:
    """Return how inputs lie in images; None where features are no images."""
    if len(feature_shape) not in (2, 3) or n_in % (feature_shape[-2] * feature_shape[-1]):
        return None
    return ImageShape(n_in // (feature_shape[-2] * feature_shape[-1]), *feature_shape[-2:])

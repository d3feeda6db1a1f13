"""``train``: a dataset and a few words about the network to a ``TrainResult``.

The trainer encodes, has the network fitted (``fit``, or ``warm``), and measures its errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, SpikeArray, as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.bits import Spikes, chunks, stored
from conntra_neuro.training.fit import fit_spikes
from conntra_neuro.training.result import Progress, TrainResult
from conntra_neuro.training.samples import default_layers, image_shape, width_of
from conntra_neuro.training.specs import as_specs, names_of
from conntra_neuro.training.warm import fit_warm

if TYPE_CHECKING:
    from conntra_neuro.datasets import Dataset

__all__ = ["train"]

METHODS = ("conntra", "backprop", "warm")


def train(
    data: Dataset,
    *,
    layers: str | Sequence[Any] | None = None,
    neuron: str = "threshold",
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
    cluster: str | None = None,
    **options: Any,
) -> TrainResult:
    """Train a network of hidden ``layers`` on ``data`` and return it with its history.

    layers               the hidden layers: widths, and tokens such as "conv16k5s2" (see ``training.specs``), in a
                         sequence or in one text with commas; () is logistic regression; None decides by the number
                         of samples
    neuron               of all hidden layers: "threshold", "relu" (graded), "if8" (integrate-and-fire over 8 time
                         steps, hard reset) or "if8soft"; others than thresholds not in the annealed gear
    levels               "binary", "ternary", a number, or the values; see ``parse_levels``
    method               "conntra" (no gradient, from random weights), "backprop" (straight-through backpropagation
                         of the same integer network), or "warm" (CoNNTrA from where backpropagation ends); the last
                         two need JAX
    gear                 "blocks" (fast, the default), "annealed", or "exact" (the objective never rises)
    encoder              "auto" fits one to the training data, None takes features that are spikes already
    time_limit_s         seconds; where it cuts the training short, the result depends on the machine's speed
    sweeps               passes over the data (blocks) or over all units; None leaves it to the gear
    checkpoint           a folder to keep the state in, at the end of sweeps
    resume               a folder to go on from: the result is the one an uninterrupted training gives. Everything
                         else has to be as it was; it goes on keeping its state there
    progress             called at least every second or so; a KeyboardInterrupt in it, or Ctrl-C, ends the training
                         and returns the best network so far
    validation_fraction  share of the training samples held out to decide which network is the best, at most 5,000
                         samples, none in sets of fewer than 5,000; ``data.x_test`` decides nothing
    threads              None takes every core; the network is the same on any number
    initial              a network to start from; the result is never worse than it on what decides
    cluster              the address of a Dask scheduler, "tcp://HOST:8786", whose workers hold the training samples,
                         or "local:N" for N worker processes of this machine; the network is the same as without.
                         The blocks gear only
    options              the gear's own, e.g. ``BlocksOptions``

    Raises InputError for what cannot be used, FileFormatError for a checkpoint that is not sound, BackendError for a
    cluster that does not answer.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: unknown; allowed: {', '.join(METHODS)}")
    if cluster is not None and method != "conntra":
        raise InputError(f"cluster {cluster!r}: method {method} trains on one machine; use conntra, or no cluster")
    layers = default_layers(len(data.y_train)) if layers is None else layers
    encoder = _encoder_for(data, encoder)
    spikes = _spikes_of(data, encoder)
    steps = encoder.steps if encoder else 1
    image = image_shape(data.feature_shape, spikes.shape[1] // steps)
    if method == "backprop":
        gear = "straight-through"
    fitter = fit_warm if method == "warm" else fit_spikes
    fit = fitter(
        spikes,
        data.y_train,
        n_classes=len(data.labels),
        layers=layers,
        levels=levels,
        gear=gear,
        seed=seed,
        **({} if neuron == "threshold" and steps == 1 else {"neuron": neuron, "input_steps": steps}),
        image=image,
        time_limit_s=time_limit_s,
        sweeps=sweeps,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        validation_fraction=validation_fraction,
        threads=threads,
        initial=initial,
        **({} if cluster is None else {"cluster": cluster}),
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
        layers=names_of(as_specs(layers)),
        neuron=neuron,
        seed=seed,
        interrupted=fit.interrupted,
    )


def _encoder_for(data: Dataset, encoder: Encoder | Literal["auto"] | None) -> Encoder | None:
    if encoder != "auto":
        return encoder
    from conntra_neuro.datasets import fit_encoder

    return fit_encoder(data.x_train)


def _spikes_of(data: Dataset, encoder: Encoder | None) -> Spikes:
    """Return the training samples as spikes; of samples that are mapped from a file as bits in another."""
    from conntra_neuro.datasets.mapped import is_mapped

    if is_mapped(data.x_train):
        return stored(data.x_train, encoder)
    if encoder is None:
        return as_spikes(_flat(data.x_train), width_of(data.x_train))
    return encoder.encode(data.x_train).reshape(len(data.x_train), -1)


def _flat(x: ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(x)
    return array.reshape(len(array), -1)


def _error(network: DiscreteNetwork, x: ArrayLike, y: ArrayLike) -> float:
    """Return the fraction of wrong predictions, in chunks: encoded inputs are larger than raw ones."""
    samples: SpikeArray = np.asarray(x)
    targets = np.asarray(y)
    wrong = 0
    for part in chunks(len(samples), 4 * samples[:1].size):
        rows = samples[part] if network.encoder else _flat(samples[part])
        wrong += int(np.count_nonzero(network.predict(rows) != targets[part]))
    return wrong / len(samples)

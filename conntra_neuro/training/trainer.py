"""``train``: a dataset and a few words about the network to a ``TrainResult``.

The trainer encodes, has the network fitted (``fit``, or ``warm``), and measures its errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, SpikeArray, as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_hardware.program.input_encoding import (
    CodeEncoder,
    Encoder,
    LatencyEncoder,
    RateEncoder,
    ThermometerEncoder,
    ThresholdEncoder,
)
from conntra_hardware.program.signal_encoding import SignalEncoder
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels
from conntra_neuro.training import warm
from conntra_neuro.training.architecture.words import as_specs, names_of, parse_neurons
from conntra_neuro.training.calibrate import value_scale
from conntra_neuro.training.fit import fit as fit_network
from conntra_neuro.training.inputs.bits import Spikes, chunks, stored
from conntra_neuro.training.inputs.image import looks_like_images
from conntra_neuro.training.objective import VALUE_ONE
from conntra_neuro.training.request import Run, Wanted
from conntra_neuro.training.result import Progress, TrainResult
from conntra_neuro.training.samples import default_layers, image_shape, width_of

if TYPE_CHECKING:
    from conntra_neuro.datasets import Dataset

__all__ = ["are_images", "train"]

METHODS = ("conntra", "backprop", "warm")
_ENCODERS = (ThresholdEncoder, ThermometerEncoder, RateEncoder, LatencyEncoder, CodeEncoder, SignalEncoder)
_LOOKED_AT = 1000  # samples of a set in a file, to say what they are
_CHANNELS = (1, 3, 4)  # of grey, colour, and colour with transparency


def train(
    data: Dataset,
    *,
    layers: str | Sequence[Any] | None = None,
    neuron: str = "threshold",
    steps: int | None = None,
    recurrent: bool = False,
    levels: str | int | Sequence[int] | Levels = "ternary",
    method: str = "conntra",
    gear: str = "blocks",
    seed: int = 0,
    encoder: Encoder | str | None = "auto",
    time_limit_s: float | None = None,
    sweeps: float | None = None,
    stop_after: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    validation_fraction: float = 0.05,
    threads: int | None = None,
    initial: DiscreteNetwork | None = None,
    cluster: str | None = None,
    device: str = "cpu",
    **options: Any,
) -> TrainResult:
    """Train a network of hidden ``layers`` on ``data`` and return it with its history.

    layers               the hidden layers: widths, and tokens such as "conv16k5s2" (see ``training.specs``), in a
                         sequence or in one text with commas; () is logistic regression; None decides by the number
                         of samples
    neuron               of all hidden layers: "threshold", "relu" (graded), "if8" (integrate-and-fire over 8 time
                         steps, hard reset) or "if8soft", "lif:163" or "lif:163:1024soft" (leaky: decays of voltage and
                         current, of 4,096)
    steps                time steps of a sample, of leaky neurons; None takes what the encoder gives, or without one
                         the second dimension of the data
    recurrent            units of dense hidden layers see each other's spikes a step later, through weights that are
                         trained, too; leaky neurons alone
    levels               "binary", "ternary", a number, or the values; see ``parse_levels``
    method               "conntra" (no gradient, from random weights), "backprop" (straight-through backpropagation
                         of the same integer network), or "warm" (CoNNTrA from where backpropagation ends); the last
                         two need JAX
    gear                 "blocks" (fast, the default), "annealed", or "exact" (the objective never rises)
    seed                 of everything that is random: the same seed gives the same network, bit for bit
    encoder              "auto" fits one to the training data, or none to spikes over time; "thermometer:3" and the like
                         one of that kind (see ``fit_encoder``); None takes features that are spikes already, (n, ...),
                         and for neurons of T time steps (n, T, ...)
    time_limit_s         seconds; a limit that is not reached changes nothing. Where it leaves no room for all sweeps,
                         the first steps choose a shorter schedule, once; ``sweeps`` and ``stop_after`` of the result
                         give its network again
    sweeps               passes over the data (blocks) or over all units, below 1 a part of one; None leaves it to the
                         gear
    stop_after           end after so many of the sweeps, as a time limit does that comes before the schedule's end
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
                         "tls://HOST:8786?ca=FILE&cert=FILE&key=FILE" with certificates, or "local:N" for N worker
                         processes of this machine; the network is the same as without. The blocks gear only
    device               where the blocks gear computes its products: "cpu"; "gpu", through JAX, where the same network
                         comes out, bit for bit; "jax", on whatever device JAX takes by itself
    options              the gear's own, e.g. ``BlocksOptions``

    Raises InputError for what cannot be used, FileFormatError for a checkpoint that is not sound, BackendError for a
    cluster that does not answer.
    """
    if method not in METHODS:
        meant = did_you_mean(method, METHODS)
        raise InputError(f"method {method!r}: unknown{meant}; allowed: {', '.join(METHODS)}")
    if cluster is not None and method != "conntra":
        raise InputError(f"cluster {cluster!r}: method {method} trains on one machine; use conntra, or no cluster")
    _check_device(device, method, gear, cluster)
    layers = default_layers(len(data.y_train)) if layers is None else layers
    encoder = _encoder_for(data, encoder)
    neurons = parse_neurons(neuron, _steps_of(data, encoder, neuron, steps), recurrent)
    given = encoder.steps if encoder else neurons.steps
    shape = data.feature_shape if encoder else _shape_of_a_step(data, given)
    if options.get("shift") or options.get("elastic") or not all(isinstance(spec, int) for spec in as_specs(layers)):
        _check_channels_first(data, shape)
    spikes = _spikes_of(data, encoder)
    image = image_shape(shape, spikes.shape[1] // given)
    if method == "backprop":
        gear = "straight-through"
    values = data.target == "value"
    fixed = (layers, neurons, levels, seed, validation_fraction, initial, image, given, values, are_images(data))
    wanted, y = Wanted(data.n_classes, *fixed), _standard(data.y_train) if values else data.y_train
    run = Run(gear, sweeps, time_limit_s, checkpoint, resume, progress, threads, cluster, stop_after, device)
    fit = (warm.fit if method == "warm" else fit_network)(spikes, y, wanted, run, options)
    network = fit.network(encoder, data.labels or None)
    if values:
        network = _of_values(network, data.x_train, data.y_train)
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
        neuron=str(neurons),
        seed=seed,
        interrupted=fit.interrupted,
        sweeps=fit.sweeps,
        stop_after=fit.stop_after,
        shift=fit.moves.shift,
        elastic=fit.moves.elastic,
        moved_unasked=fit.moves.usual,
    )


def are_images(data: Dataset) -> bool:
    """Say whether samples are images, which may be moved: tables, spikes and what sensors say over time are not."""
    from conntra_neuro.datasets.mapped import is_mapped

    if data.input != "features" or not looks_like_images(data.feature_shape, 0):
        return False
    rows = data.x_train[:_LOOKED_AT] if is_mapped(data.x_train) else data.x_train
    return looks_like_images(data.feature_shape, float(rows.min()))


def _check_device(device: str, method: str, gear: str, cluster: str | None) -> None:
    """InputError for a device other than the processor where no gear of this process can use it."""
    if device == "cpu":
        return
    if method == "backprop":
        raise InputError(f"device {device}: backprop runs on the device that JAX takes; leave it out")
    if gear != "blocks":
        raise InputError(f"device {device}: gear {gear} runs on the processor; use gear blocks, or device cpu")
    if cluster is not None:
        raise InputError(f"device {device}: workers of cluster {cluster} use their processors; use device cpu")


def _steps_of(data: Dataset, encoder: Encoder | None, neuron: str, steps: int | None) -> int | None:
    """Return the time steps of leaky neurons where nobody says them: the encoder's, or those of samples over time."""
    if steps is not None:
        if not neuron.startswith("lif"):
            raise InputError(f"steps {steps}: {neuron!r} has its own, as in if8, or none; lif neurons are given steps")
        return steps
    if encoder is not None:
        return encoder.steps if encoder.steps > 1 else None
    return data.feature_shape[0] if len(data.feature_shape) > 1 else None


def _encoder_for(data: Dataset, encoder: Encoder | str | None) -> Encoder | None:
    if isinstance(encoder, str):
        from conntra_neuro.datasets import encoder_of

        return encoder_of(data, encoder)
    if encoder is None or isinstance(encoder, _ENCODERS):
        return encoder
    raise InputError(f"encoder {encoder!r}: an encoder of fit_encoder, the name of one, or None expected")


def _shape_of_a_step(data: Dataset, steps: int) -> tuple[int, ...]:
    """Return the shape of what enters at a time step, of samples that are spikes already."""
    shape = data.feature_shape
    if steps == 1:
        return shape
    if len(shape) < 2 or shape[0] != steps:
        raise InputError(
            f"{data.name}: samples of shape {shape} without an encoder, for neurons of {steps} time steps; "
            f"({steps}, ...) expected, what enters at each step"
        )
    return shape[1:]


def _check_channels_first(data: Dataset, shape: tuple[int, ...]) -> None:
    """Raise InputError for images that seem to have their channels last: they would be taken for something else."""
    if len(shape) == 3 and shape[2] in _CHANNELS and shape[0] not in _CHANNELS:
        height, width, channels = shape
        raise InputError(
            f"{data.name}: images of shape {shape}, channels last; ({channels}, {height}, {width}) expected: "
            "move the channels first, as by x.transpose(0, 3, 1, 2)"
        )


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
    """Return what ``network.error`` does, in chunks: encoded inputs are larger than raw ones."""
    samples: SpikeArray = np.asarray(x)
    targets = np.asarray(y)
    total = 0.0
    for part in chunks(len(samples), 4 * samples[:1].size):
        rows = samples[part]
        total += len(rows) * network.error(rows, targets[part])
    return total / len(samples)


def _standard(y: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return targets as ``Task`` takes them: whole numbers of 2^-16 standard deviations from their mean."""
    return np.rint((y - y.mean()) / y.std() * VALUE_ONE).astype(np.int64)


def _of_values(network: DiscreteNetwork, x: ArrayLike, y: npt.NDArray[np.float64]) -> DiscreteNetwork:
    """Return ``network`` with what its logit stands for: the line that is nearest to the targets of training."""
    samples: SpikeArray = np.asarray(x)
    parts = list(chunks(len(samples), 4 * samples[:1].size))
    logits = np.concatenate([network.forward(network.encode(samples[part])) for part in parts])
    said = {"steps": network.steps, "recurrent": network.recurrent, "value": value_scale(logits, y)}
    return DiscreteNetwork(network.layers, network.encoder, None, network.residuals, **said)

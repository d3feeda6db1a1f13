"""What training returns and reports: values only."""

from __future__ import annotations

from dataclasses import dataclass

from conntra_hardware.base.values import Shown
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels

__all__ = ["Progress", "Record", "TrainResult"]


@dataclass(frozen=True)
class Record:
    """One line of the history, at the end of a sweep. Errors are fractions; of values mean squared errors, in variances
    of the training targets.

    seconds           since training began, resumed time included
    sweep             sweeps done; in blocks a sweep is one pass over the training samples
    objective         mean cross-entropy of the training samples, in nats (blocks: the sweep's running mean)
    train_error       on the training samples (blocks: the sweep's running mean)
    validation_error  on the held-out part of the training set; None where nothing is held out
    """

    seconds: float
    sweep: int
    objective: float
    train_error: float
    validation_error: float | None


@dataclass(frozen=True)
class Progress:
    """Where training stands, for a progress bar; as ``Record``, and

    sweeps  how many there will be
    sweep   sweeps done, with its fraction
    best    the error of the best network so far on the samples that decide, None before the first sweep ends
    """

    seconds: float
    sweep: float
    sweeps: float
    objective: float
    train_error: float
    validation_error: float | None
    best: float | None


@dataclass(frozen=True)
class TrainResult(Shown):
    """A trained network and how it came about. Errors are fractions of samples; of a network that answers with a value
    ``train_error`` and ``test_error`` are mean squared errors, in the square of the targets' unit.

    network           the best network, which ``validation_error`` has decided
    history           a ``Record`` for each sweep
    train_error       over all training samples, a held-out part included; it has decided nothing
    test_error        over the test samples, None where there are none; it has decided nothing
    validation_error  over the held-out part of the training samples, None where nothing is held out
    train_seconds     wall time of the training, resumed time included
    method, gear, levels, layers, seed, neuron   as ``train`` took them
    interrupted       whether Ctrl-C ended the training early
    sweeps            the sweeps of the schedule: a time limit may have chosen fewer than the gear's usual ones
    stop_after        the sweeps after which a time limit or Ctrl-C cut the schedule short; None where nothing did.
                      ``train`` with both gives this network again, bit for bit, from conntra's gears (in a warm
                      start both are the first stage's)
    shift, elastic    pixels that training images were shifted by, up to, and bent by, about
    moved_unasked     whether that, or a part of it, was the trainer's choice
    """

    network: DiscreteNetwork
    history: tuple[Record, ...]
    train_error: float
    test_error: float | None
    validation_error: float | None
    train_seconds: float
    method: str
    gear: str
    levels: Levels
    layers: tuple[int | str, ...]
    seed: int
    interrupted: bool = False
    neuron: str = "threshold"
    sweeps: float = 0
    stop_after: float | None = None
    shift: int = 0
    elastic: float = 0.0
    moved_unasked: bool = False

    def __repr__(self) -> str:
        error = "" if self.test_error is None else f", test error {100 * self.test_error:.2f} %"
        if self.network.value is not None:
            error = "" if self.test_error is None else f", test MSE {self.test_error:.6g}"
        return f"TrainResult({self.method}, {self.gear}: {self.network!r}{error}, {self.train_seconds:.3g} s)"

"""``ConntraClassifier`` and ``ConntraRegressor``: the trainer under scikit-learn's conventions. The module that imports
scikit-learn's base.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets import Dataset, fit_encoder
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels
from conntra_neuro.training import Record, TrainResult, train
from conntra_neuro.training.calibrate import calibrated_scale

__all__ = ["ConntraClassifier", "ConntraRegressor"]


class _Trained(BaseEstimator):
    """What both estimators are given, and how they train."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (256,),
        levels: str | int | Sequence[int] | Levels = "ternary",
        *,
        neuron: str = "threshold",
        steps: int | None = None,
        recurrent: bool = False,
        delays: int = 0,
        method: str = "conntra",
        gear: str = "blocks",
        encoder: str = "auto",
        sweeps: int | None = None,
        time_limit_s: float | None = None,
        random_state: Any = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.levels = levels
        self.neuron = neuron
        self.steps = steps
        self.recurrent = recurrent
        self.delays = delays
        self.method = method
        self.gear = gear
        self.encoder = encoder
        self.sweeps = sweeps
        self.time_limit_s = time_limit_s
        self.random_state = random_state
        self.options = options

    def _train(self, data: Dataset) -> TrainResult:
        x = data.x_train
        return train(
            data,
            layers=tuple(self.hidden_layer_sizes),
            neuron=self.neuron,
            steps=self.steps,
            recurrent=self.recurrent,
            delays=self.delays,
            levels=self.levels,
            method=self.method,
            gear=self.gear,
            seed=_seed(self.random_state),
            encoder=None if self.encoder == "spikes" else fit_encoder(x, self.encoder),
            sweeps=self.sweeps,
            time_limit_s=self.time_limit_s,
            **(self.options or {}),
        )


class ConntraClassifier(ClassifierMixin, _Trained):
    """A network of discrete weights as a scikit-learn classifier.

    Parameters
    ----------
    hidden_layer_sizes  widths of the hidden layers; () is logistic regression
    levels              "binary", "ternary", a number of levels, or the values
    method              "conntra", "backprop" or "warm"; see ``train``
    gear                "blocks", "annealed" or "exact"
    neuron              of the hidden layers: "threshold", "relu", "if8", "lif:163" and the like; see ``train``
    steps               time steps of a sample, of leaky neurons; None takes what the encoder or X says
    recurrent           whether hidden layers of leaky neurons see their own spikes a step later
    delays              the longest delay, in steps, of the synapses to hidden layers of leaky neurons; 0: none
    encoder             features to spikes: "auto", "threshold", "thermometer", "thermometer:K", "rate:T", "latency:T",
                        or "spikes" for X that is 0 and 1 already: (n, inputs), or over time (n, steps, inputs)
    sweeps              passes over the data; None leaves it to the gear
    time_limit_s        seconds of training at most; None for no limit
    random_state        seed, generator, or None
    options             further options of the gear as a dictionary, or None

    Attributes
    ----------
    classes_            class labels (n_classes,)
    network_            the ``DiscreteNetwork``, its encoder and labels included: save and compile it
    history_            a ``Record`` a sweep
    scale_              what logits are multiplied by in ``predict_proba``
    n_features_in_      number of features; of samples over time, number of steps
    feature_names_in_   their names, where X has names that are all strings
    """

    def fit(self, X: Any, y: Any) -> ConntraClassifier:
        """Train on features X (n, n_features), finite numbers, and labels y (n,) of at least two classes.

        With encoder "spikes" X may be samples over time, (n, steps, inputs).

        Raises InputError for parameters that cannot be used, ValueError for features or labels that cannot.
        """
        checked: Any = validate_data(self, X, y, dtype="numeric", allow_nd=self.encoder == "spikes")
        x, labels = checked
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"y: one class only ({self.classes_[0]}) in {len(x)} samples; at least 2 classes expected")
        trained = self._train(_dataset(x, targets, len(self.classes_)))
        network = trained.network
        self.network_ = DiscreteNetwork(
            network.layers,
            network.encoder,
            self.classes_.tolist(),
            network.residuals,
            steps=network.steps,
            recurrent=network.recurrent,
        )
        self.history_: tuple[Record, ...] = trained.history
        self.scale_ = calibrated_scale(self._logits(x), targets)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return labels (n,): the largest logit, the first class of those that tie."""
        best = self._checked_logits(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return class probabilities (n, n_classes): the softmax of the logits times ``scale_``."""
        logits = self._checked_logits(X)
        return _softmax(logits * self.scale_)

    def _checked_logits(self, X: Any) -> IntArray:
        check_is_fitted(self)
        checked: Any = validate_data(self, X, dtype="numeric", reset=False, allow_nd=self.encoder == "spikes")
        return self._logits(checked)

    def _logits(self, x: npt.NDArray[Any]) -> IntArray:
        return self.network_.forward(self.network_.encode(x))


class ConntraRegressor(RegressorMixin, _Trained):
    """A network of discrete weights as a scikit-learn regressor: its one logit stands for a value.

    Parameters
    ----------
    hidden_layer_sizes  widths of the hidden layers; () is linear in the input spikes
    gear                "blocks"
    levels, method      as in ``ConntraClassifier``
    neuron, steps, recurrent, delays, encoder, sweeps, time_limit_s, random_state, options: as there, too

    Attributes
    ----------
    network_            the ``DiscreteNetwork``, its encoder and what its logit stands for included
    history_            a ``Record`` a sweep
    n_features_in_      number of features; of samples over time, number of steps
    feature_names_in_   their names, where X has names that are all strings
    """

    def fit(self, X: Any, y: Any) -> ConntraRegressor:
        """Train on features X (n, n_features), finite numbers, and targets y (n,) of at least two values.

        With encoder "spikes" X may be samples over time, (n, steps, inputs).

        Raises InputError for parameters that cannot be used, ValueError for features or targets that cannot.
        """
        checked: Any = validate_data(self, X, y, dtype="numeric", allow_nd=self.encoder == "spikes", y_numeric=True)
        x, targets = checked
        if len(x) < 2:
            raise InputError("y: 1 sample; at least 2 with different values expected")
        trained = self._train(Dataset("X, y", x, targets, x[:0], targets[:0], target="value"))
        self.network_ = trained.network
        self.history_: tuple[Record, ...] = trained.history
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return values (n,) of features X (n, n_features)."""
        check_is_fitted(self)
        checked: Any = validate_data(self, X, dtype="numeric", reset=False, allow_nd=self.encoder == "spikes")
        return self.network_.predict(checked)


def _dataset(x: npt.NDArray[Any], y: npt.NDArray[Any], n_classes: int) -> Dataset:
    """Return the samples as a dataset without test samples; labels are attached to the network afterwards."""
    return Dataset("X, y", x, y, x[:0], y[:0], tuple(range(n_classes)))


def _seed(random_state: Any) -> int:
    """Return ``random_state`` as the trainer's seed; an integer is itself."""
    if isinstance(random_state, (int, np.integer)):
        check_random_state(random_state)
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)

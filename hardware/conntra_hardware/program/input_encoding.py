"""Input encoders: from raw features to the 0/1 spikes that enter a chip.

An encoder is a value that is part of a network and of its program and is saved with both, so that raw features mean
the same everywhere. Fitting one to data is ``conntra_neuro.datasets``' work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike, SpikeArray, frozen
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import FORGETS, MAX_STEPS, Lif
from conntra_hardware.neurons.compiled import spikes_of
from conntra_hardware.program.change_encoding import ChangeEncoder
from conntra_hardware.program.features import as_features
from conntra_hardware.program.signal_encoding import SignalEncoder

__all__ = [
    "ChangeEncoder",
    "CodeEncoder",
    "DrivenEncoder",
    "Encoder",
    "LatencyEncoder",
    "RateEncoder",
    "ThermometerEncoder",
    "ThresholdEncoder",
    "as_features",
    "encoder_from_dict",
]


@dataclass(frozen=True, eq=False)
class ThresholdEncoder:
    """One spike a feature: ``spike = x > threshold``. ``thresholds`` has shape (n_features,)."""

    thresholds: npt.NDArray[np.float64]
    kind: ClassVar[str] = "threshold"
    steps: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", _thresholds(self.thresholds, ndim=1))

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return len(self.thresholds)

    @property
    def n_out(self) -> int:
        """Number of input spikes."""
        return len(self.thresholds)

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n, n_out) of raw features (n, n_features)."""
        return (as_features(x, self.n_features) > self.thresholds).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class ThermometerEncoder:
    """k spikes a feature: ``spike[c] = x > thresholds[c]``, channel c for all features before channel c + 1.

    ``thresholds`` has shape (k, n_features), rising along the first axis.
    """

    thresholds: npt.NDArray[np.float64]
    kind: ClassVar[str] = "thermometer"
    steps: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", _thresholds(self.thresholds, ndim=2))

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return self.thresholds.shape[1]

    @property
    def n_out(self) -> int:
        """Number of input spikes, channels times features."""
        return self.thresholds.size

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n, n_out) of raw features (n, n_features)."""
        features = as_features(x, self.n_features)
        spikes = np.empty((len(features), *self.thresholds.shape), dtype=np.uint8)
        for channel, thresholds in enumerate(self.thresholds):
            np.greater(features, thresholds, out=spikes[:, channel, :].view(bool))
        return spikes.reshape(len(features), self.n_out)


class CodeEncoder:
    """The binary digits of a feature: ``code = clip(round((x - low) / step), 0, 2**bits - 1)``, halves to even.

    low, step  numbers, or one a feature; steps above 0
    n_features how many features
    bits       1 to 8; digit 0 (the least) of all features comes first, then digit 1, one spike each

    Neurons of weights 1, 2, 4, ... put a code together again. InputError for anything else.
    """

    kind: ClassVar[str] = "code"
    steps: ClassVar[int] = 1

    def __init__(self, low: ArrayLike, step: ArrayLike, n_features: int, bits: int = 8) -> None:
        self.n_features = whole(n_features, "code encoder: features", 1)
        self.bits = whole(bits, "code encoder: bits", 1, 8)
        lows, sizes = np.asarray(low, np.float64), np.asarray(step, np.float64)
        if any(part.ndim > 1 or part.size not in (1, self.n_features) for part in (lows, sizes)):
            raise InputError(f"code encoder: low {lows.shape}, step {sizes.shape}; one, or {self.n_features} expected")
        if not np.isfinite(lows).all() or not np.isfinite(sizes).all() or not (sizes > 0).all():
            raise InputError("code encoder: finite numbers, and steps above 0, expected")
        self.low = frozen(np.broadcast_to(lows, self.n_features).copy())
        self.step = frozen(np.broadcast_to(sizes, self.n_features).copy())

    @property
    def n_out(self) -> int:
        """Number of input spikes, digits times features."""
        return self.bits * self.n_features

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """Its numbers as files hold them, (3, n_features): low, step, bits."""
        return np.stack([self.low, self.step, np.full(self.n_features, float(self.bits))])

    @classmethod
    def of_numbers(cls, numbers: npt.NDArray[np.float64]) -> CodeEncoder:
        """Return the encoder whose ``thresholds`` are ``numbers``, (3, n_features); InputError for anything else."""
        if numbers.ndim != 2 or len(numbers) != 3 or not numbers.size or (numbers[2] != numbers[2, 0]).any():
            raise InputError(
                f"code encoder: numbers of shape {numbers.shape}; (3, features) expected, one number of bits"
            )
        bits = float(numbers[2, 0])
        return cls(numbers[0], numbers[1], numbers.shape[1], int(bits) if bits.is_integer() else -1)

    def codes(self, x: ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the codes (n, n_features) of raw features (n, n_features)."""
        scaled = (as_features(x, self.n_features) - self.low) / self.step
        return np.clip(np.rint(scaled), 0, 2**self.bits - 1).astype(np.uint8)

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n, n_out) of raw features (n, n_features)."""
        codes = self.codes(x)
        spikes = np.empty((len(codes), self.bits, self.n_features), np.uint8)
        for digit in range(self.bits):
            spikes[:, digit] = codes >> digit & 1
        return spikes.reshape(len(codes), self.n_out)


@dataclass(frozen=True, eq=False)
class _Stepwise:
    """What encoders over several time steps share: ``thresholds`` of shape (steps, n_features)."""

    thresholds: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", _thresholds(self.thresholds, ndim=2))

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return len(self.thresholds)

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return self.thresholds.shape[1]

    @property
    def n_out(self) -> int:
        """Number of input spikes at a step."""
        return self.thresholds.shape[1]

    def _over(self, x: ArrayLike) -> SpikeArray:
        """Return whether raw features (n, n_features) exceed the thresholds, uint8 (n, steps, n_features)."""
        features = as_features(x, self.n_features)
        over = np.empty((len(features), *self.thresholds.shape), dtype=np.uint8)
        for step, thresholds in enumerate(self.thresholds):
            np.greater(features, thresholds, out=over[:, step].view(bool))
        return over


@dataclass(frozen=True, eq=False)
class RateEncoder(_Stepwise):
    """As many spikes as a feature is large, on average: at step t ``spike = x > thresholds[t]``.

    ``thresholds`` (steps, n_features) are random numbers, ``RateEncoder.random``'s uniform from the features' least to
    their greatest value. They are drawn once and are part of the encoder: the same features are the same spikes on
    every machine, in training and on the chip.
    """

    kind: ClassVar[str] = "rate"

    @classmethod
    def random(cls, low: ArrayLike, high: ArrayLike, n_features: int, steps: int, seed: int) -> RateEncoder:
        """Return an encoder for features from ``low`` to ``high``, numbers or one for each feature."""
        draw = np.random.Generator(np.random.Philox(seed)).random((steps, n_features))
        return cls(np.asarray(low) + draw * (np.asarray(high, np.float64) - np.asarray(low)))

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n * steps, n_out) of raw features (n, n_features), a sample's steps in a row."""
        return self._over(x).reshape(-1, self.n_out)


@dataclass(frozen=True, eq=False)
class LatencyEncoder(_Stepwise):
    """The larger a feature, the earlier its only spike: at the first step t where ``x > thresholds[t]``, else none.

    ``thresholds`` has shape (steps, n_features), falling along the first axis.
    """

    kind: ClassVar[str] = "latency"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (np.diff(self.thresholds, axis=0) > 0).any():
            raise InputError("latency encoder: thresholds rise from one time step to the next; falling ones expected")

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n * steps, n_out) of raw features (n, n_features), a sample's steps in a row."""
        over = self._over(x)
        over[:, 1:] -= over[:, :-1].copy()
        return over.reshape(-1, self.n_out)


class DrivenEncoder:
    """Neurons that features drive: one each, to which a feature is a bias, the same at every step of a sample.

    neuron      leaky neurons of one kind, whose parameters are numbers
    n_features  as many features, and input spikes
    steps       time steps of a sample

    Features are integers in weight units, up to 2^16 in magnitude. The neurons stand outside the chip, and do what
    ``Lif`` does: lava-dl's input blocks. InputError for anything else.
    """

    kind: ClassVar[str] = "driven"

    def __init__(self, neuron: Lif, n_features: int, steps: int) -> None:
        if not isinstance(neuron, Lif) or neuron.facts.per_neuron:
            raise InputError(f"driven encoder: neuron {neuron!r}; a Lif whose parameters are numbers expected")
        self.neuron = neuron
        self.n_features = whole(n_features, "driven encoder: features", 1)
        self.steps = whole(steps, "driven encoder: steps", 1, MAX_STEPS)

    @property
    def n_out(self) -> int:
        """Number of input spikes at a step."""
        return self.n_features

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """Its numbers as files hold them, (8, n_features): the neuron's, then the steps; the same for all features."""
        n = self.neuron
        rule = [n.threshold, n.voltage_decay, n.current_decay, n.reset == "soft", n.strict, n.refractory, self.steps]
        column = np.array([*rule, 0], np.float64)[:, None]
        return np.broadcast_to(column, (len(column), self.n_features))

    @classmethod
    def of_numbers(cls, numbers: npt.NDArray[np.float64]) -> DrivenEncoder:
        """Return the encoder whose ``thresholds`` are ``numbers``, (8, n_features); InputError for anything else."""
        whole_numbers = (
            numbers.ndim == 2 and numbers.shape[0] == 8 and numbers.size and (numbers == np.rint(numbers)).all()
        )
        if not whole_numbers or (numbers != numbers[:, :1]).any():
            raise InputError(f"driven encoder: numbers of shape {numbers.shape}; (8, features) whole ones expected")
        threshold, voltage, current, soft, strict, refractory, steps, _ = (int(n) for n in numbers[:, 0])
        neuron = Lif(
            threshold,
            voltage_decay=voltage,
            current_decay=current,
            reset="soft" if soft else "hard",
            strict=bool(strict),
            refractory=refractory,
        )
        return cls(neuron, numbers.shape[1], steps)

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n * steps, n_out) of features (n, n_features), a sample's steps in a row."""
        features = as_features(x, self.n_features)
        if features.size and (np.any(features != np.rint(features)) or np.abs(features).max() > _LARGEST_DRIVE):
            raise InputError(
                f"features: whole numbers from -{_LARGEST_DRIVE} to {_LARGEST_DRIVE} drive the input neurons"
            )
        out = np.empty((len(features), self.steps, self.n_features), np.uint8)
        if self.neuron.current_decay == FORGETS:
            # A current that is forgotten at every step does what a bias does: all samples at once.
            driven = np.broadcast_to(features[:, None].astype(np.int32), out.shape)
            spikes_of(self.neuron.facts, np.zeros(self.n_features, np.int64), driven, [], out)
            return out.reshape(-1, self.n_out)
        sums = np.zeros((1, self.steps, self.n_features), np.int64)
        for row, feature in enumerate(features.astype(np.int64)):
            out[row] = self.neuron.advance(sums, feature).sent[0]
        return out.reshape(-1, self.n_out)


_LARGEST_DRIVE = 2**16

Encoder: TypeAlias = (
    ThresholdEncoder
    | ThermometerEncoder
    | RateEncoder
    | LatencyEncoder
    | DrivenEncoder
    | CodeEncoder
    | ChangeEncoder
    | SignalEncoder
)
_KINDS: tuple[type[Any], ...] = (ThresholdEncoder, ThermometerEncoder, RateEncoder, LatencyEncoder)
_OF_NUMBERS: tuple[type[Any], ...] = (DrivenEncoder, CodeEncoder, ChangeEncoder, SignalEncoder)


def encoder_from_dict(kind: str, thresholds: ArrayLike) -> Encoder:
    """Return the encoder of a file's ``kind`` and ``thresholds``."""
    for encoder in _OF_NUMBERS:
        if kind == encoder.kind:
            return encoder.of_numbers(np.asarray(thresholds, np.float64))
    for encoder in _KINDS:
        if encoder.kind == kind:
            return encoder(np.asarray(thresholds))
    raise InputError(f"encoder {kind!r}: unknown; allowed: {', '.join(k.kind for k in (*_KINDS, *_OF_NUMBERS))}")


def _thresholds(values: ArrayLike, ndim: int) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"encoder thresholds: shape {array.shape}; finite numbers in {ndim} dimension(s) expected")
    return frozen(array)

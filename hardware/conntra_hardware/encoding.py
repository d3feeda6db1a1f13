"""Input encoders: from raw features to the 0/1 spikes that enter a chip.

An encoder is a value that is part of a network and of its program and is saved with both, so that raw features mean
the same everywhere. Fitting one to data is ``conntra_neuro.datasets``' work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import ArrayLike, SpikeArray, as_array, frozen
from conntra_hardware.errors import InputError

__all__ = ["Encoder", "ThermometerEncoder", "ThresholdEncoder", "as_features", "encoder_from_dict"]


def as_features(x: ArrayLike, n_features: int | None = None) -> npt.NDArray[Any]:
    """Return ``x`` as finite numbers of shape (n, n_features); trailing axes are flattened."""
    array = as_array(x, "features")
    if array.dtype.kind not in "biuf":
        raise InputError(f"features: type {array.dtype}; numbers expected")
    if array.ndim < 2:
        raise InputError(f"features: shape {array.shape}; (n, features) expected")
    array = array.reshape(len(array), -1) if array.size else array.reshape(len(array), int(np.prod(array.shape[1:])))
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"features: NaN or infinite in sample {row}; drop or impute such samples")
    if n_features is not None and array.shape[1] != n_features:
        raise InputError(f"features: {array.shape[1]} a sample; {n_features} expected")
    return array


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


Encoder: TypeAlias = ThresholdEncoder | ThermometerEncoder


def encoder_from_dict(kind: str, thresholds: ArrayLike) -> Encoder:
    """Return the encoder of a file's ``kind`` and ``thresholds``."""
    for encoder in (ThresholdEncoder, ThermometerEncoder):
        if encoder.kind == kind:
            return encoder(np.asarray(thresholds))
    raise InputError(f"encoder {kind!r}: unknown; allowed: threshold, thermometer")


def _thresholds(values: ArrayLike, ndim: int) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"encoder thresholds: shape {array.shape}; finite numbers in {ndim} dimension(s) expected")
    return frozen(array)

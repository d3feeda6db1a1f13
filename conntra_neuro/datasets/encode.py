"""Fitting input encoders to training data: from numbers to the 0/1 spikes that enter a chip."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_hardware.program.input_encoding import (
    Encoder,
    LatencyEncoder,
    RateEncoder,
    ThermometerEncoder,
    ThresholdEncoder,
    as_features,
)
from conntra_neuro.datasets.dataset import Dataset
from conntra_neuro.datasets.mapped import is_mapped

__all__ = ["encoder_of", "fit_encoder", "is_image"]

_FITTED_BYTES = 2**26
_KINDS = ("auto", "threshold", "thermometer", "rate", "latency")
_STEPS = 8
_MAX_CHANNELS = 255
_FEW_PIXELS = 400
"""Up to about 20 x 20 pixels a grey level tells what no neighbour does; larger images say it with pixels."""

# Test errors of CoNNTrA, means of five seeds: digits (256 hidden) 4.9 % with one threshold, 3.0 % with 3 channels,
# 2.4 % with 7, 2.6 % with 15; Iris (32 hidden) 5.3 % with 3 and 7, 4.0 % with 15, 4.7 % with 31.
_IMAGE_CHANNELS, _CHANNELS = 7, 15

Array = npt.NDArray[Any]


def fit_encoder(x: ArrayLike, kind: str = "auto", channels: int | None = None, seed: int = 0) -> Encoder:
    """Return an encoder of one ``kind``, fitted to the training samples ``x`` (n, ...) alone.

    threshold    one spike a feature: images (samples of two or more dimensions, or bytes) at the middle of
                 their range, 127.5 for bytes from 0 to 255; other features each at its median
    thermometer  ``channels`` spikes a feature: images at evenly spaced grey levels, other features each at
                 its own quantiles
    rate         one spike a feature and time step, the more likely the larger the feature is between its least and
                 its greatest value (of an image: of all); random by ``seed``
    latency      one spike a feature, the earlier the larger it is; thresholds as of a thermometer
    auto         threshold for images of more than 400 numbers, else thermometer

    "thermometer:K" gives K channels; without a number it is 7 for images and 15 for other features. "rate:T" and
    "latency:T" give T time steps, 8 without a number, for integrate-and-fire neurons of as many. Of an array that is
    mapped from a file it sees evenly spaced samples, some 64 MB. Raises InputError for a kind that is not known, a
    number of channels or steps that is not allowed, and samples without features.
    """
    kind, channels = _parse(kind, channels)
    image = is_image(x)
    if is_mapped(x):
        array = np.asarray(x)
        x = array[:: max(1, array.nbytes // _FITTED_BYTES)]
    features = as_features(x)
    if features.size == 0:
        raise InputError(
            f"encoder: samples of shape {features.shape}; at least one with features expected to fit it to"
        )
    if kind == "auto":
        kind = "threshold" if image and features.shape[1] > _FEW_PIXELS else "thermometer"
    if kind == "threshold":
        return ThresholdEncoder(_levels(features, 1, image)[0])
    if kind == "rate":
        axis = None if image else 0
        return RateEncoder.random(features.min(axis), features.max(axis), features.shape[1], channels or _STEPS, seed)
    if kind == "latency":
        return LatencyEncoder(_levels(features, channels or _STEPS, image)[::-1])
    return ThermometerEncoder(_levels(features, channels or (_IMAGE_CHANNELS if image else _CHANNELS), image))


def encoder_of(data: Dataset, kind: str = "auto") -> Encoder | None:
    """Return the encoder for ``data``, fitted to its training samples; none for spikes.

    ``kind`` is "none", or as in ``fit_encoder``. InputError for a kind that ``data`` does not take.
    """
    if kind == "none":
        return None
    if data.input == "features":
        return fit_encoder(data.x_train, kind)
    if kind != "auto":
        what = "spikes over time already" if data.input == "spikes" else "a signal, which has its own"
        raise InputError(f"encoder {kind!r}: {data.name} is {what}; auto expected")
    return None if data.input == "spikes" else data.input.fit(data.x_train)


def is_image(x: ArrayLike) -> bool:
    """Say whether samples (n, ...) are pixels on one scale: bytes, or samples of two or more dimensions."""
    array = np.asarray(x)
    return array.ndim > 2 or array.dtype == np.uint8


def _parse(kind: str, channels: int | None) -> tuple[str, int | None]:
    name, colon, number = kind.partition(":")
    if colon and number.isdecimal() and channels is None:
        channels = int(number)
    elif colon:
        name = kind
    if name not in _KINDS or (colon and name in ("auto", "threshold")):
        meant = did_you_mean(name, _KINDS)
        allowed = f"{', '.join(_KINDS)}, thermometer:K, rate:T, latency:T"
        raise InputError(f"encoder {kind!r}: unknown{meant}; allowed: {allowed}")
    if channels is not None and not 1 <= channels <= _MAX_CHANNELS:
        raise InputError(f"encoder: {channels} channels or steps; 1 to {_MAX_CHANNELS} allowed")
    return name, channels


def _levels(features: Array, channels: int, image: bool) -> npt.NDArray[np.float64]:
    """Return ``channels`` rising thresholds a feature, shape (channels, n_features)."""
    shares = np.arange(1, channels + 1) / (channels + 1)
    if image:
        low, high = float(features.min()), float(features.max())
        return np.repeat((low + shares * (high - low))[:, None], features.shape[1], axis=1)
    return np.quantile(features.astype(np.float64), shares, axis=0)

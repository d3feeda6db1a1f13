"""Input encoders in C: thresholds of features, at one time step or at several, and the filter bank of signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import (
    Encoder,
    LatencyEncoder,
    RateEncoder,
    ThermometerEncoder,
    ThresholdEncoder,
)
from conntra_hardware.program.signal_encoding import SignalEncoder
from conntra_neuro.exchange.c.layers import table
from conntra_neuro.exchange.c.plan import words
from conntra_neuro.exchange.c.signals import signal_code

__all__ = ["FEATURES", "EncoderCode", "encoder_code", "feature_type"]

FEATURES = ("double", "float", "uint8", "int16", "int32")
"""What a raw feature may be in C."""


@dataclass(frozen=True)
class EncoderCode:
    """Tables and functions of an encoder, the bytes of the tables, and what static memory it takes, in bytes."""

    tables: list[str]
    functions: list[str]
    table_bytes: int
    static: list[str]
    static_bytes: int = 0


def feature_type(encoder: Encoder | None, features: str | None) -> str:
    """Return the type of raw features: as given, or doubles, of signals what 16 bits hold.

    InputError for a type that is not known, or that the encoder does not take.
    """
    signal = isinstance(encoder, SignalEncoder)
    if features is None:
        return "int16" if signal else "double"
    if features not in FEATURES:
        raise InputError(f"export to C: features {features!r}: unknown; allowed: {', '.join(FEATURES)}")
    if signal and features not in ("int16", "int32"):
        raise InputError(f"export to C: features {features!r} of a signal; its samples are int16, or int32")
    return features


def encoder_code(encoder: Encoder, name: str, features: str) -> EncoderCode:
    """Return the C of an encoder; InputError for a kind that has none."""
    if isinstance(encoder, SignalEncoder):
        return EncoderCode(*signal_code(encoder, name))
    if not isinstance(encoder, (ThresholdEncoder, ThermometerEncoder, RateEncoder, LatencyEncoder)):
        raise InputError(
            f"export to C: encoder {encoder.kind}: only thresholds and signals can be exported; encode outside"
        )
    text, size = _thresholds(encoder, name, features)
    encode = _over_time(encoder, name) if isinstance(encoder, (RateEncoder, LatencyEncoder)) else _encode(encoder, name)
    return EncoderCode([text], encode, size, [])


def _encode(encoder: ThresholdEncoder | ThermometerEncoder, name: str) -> list[str]:
    channels, n = np.atleast_2d(encoder.thresholds).shape
    index = "c" if _shared(encoder) else f"c * {n} + f"
    return [
        f"void {name}_encode(const {name}_feature *x, uint32_t *spikes)",
        "{",
        "    int c, f, i = 0;",
        f"    for (i = 0; i < {words(encoder.n_out)}; i++)",
        "        spikes[i] = 0;",
        "    i = 0;",
        f"    for (c = 0; c < {channels}; c++)",
        f"        for (f = 0; f < {n}; f++, i++)",
        f"            if (x[f] > {name}_thresholds[{index}])",
        "                spikes[i >> 5] |= (uint32_t)1 << (i & 31);",
        "}",
    ]


def _over_time(encoder: RateEncoder | LatencyEncoder, name: str) -> list[str]:
    """A spike at each step whose threshold a feature exceeds; of latencies at the first of them only."""
    steps, n = encoder.thresholds.shape
    now, before = ("t", "t - 1") if _shared(encoder) else (f"t * {n} + f", f"(t - 1) * {n} + f")
    first = f" && (t == 0 || !(x[f] > {name}_thresholds[{before}]))" if isinstance(encoder, LatencyEncoder) else ""
    return [
        f"void {name}_encode(const {name}_feature *x, uint32_t *spikes)",
        "{",
        "    int t, f;",
        f"    for (f = 0; f < {steps * words(n)}; f++)",
        "        spikes[f] = 0;",
        f"    for (t = 0; t < {steps}; t++)",
        f"        for (f = 0; f < {n}; f++)",
        f"            if (x[f] > {name}_thresholds[{now}]{first})",
        f"                spikes[t * {words(n)} + (f >> 5)] |= (uint32_t)1 << (f & 31);",
        "}",
    ]


def _thresholds(encoder: Any, name: str, features: str) -> tuple[str, int]:
    """Return the table of thresholds t for which ``x > t`` in C is ``x > threshold`` in Python, and its bytes."""
    values: npt.NDArray[np.float64] = np.atleast_2d(encoder.thresholds)
    values = (values[:, :1] if _shared(encoder) else values).ravel()
    if features == "double":
        return table("double", f"{name}_thresholds", values), 8 * len(values)
    if features == "float":
        with np.errstate(over="ignore"):
            near = values.astype(np.float32)
        # The largest float that is no larger: between it and the threshold there is no float.
        below = np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
        below = np.clip(below, np.finfo(np.float32).min, np.finfo(np.float32).max)
        return table("float", f"{name}_thresholds", below), 4 * len(values)
    info = np.iinfo(features)
    whole = np.clip(np.floor(values), int(info.min) - 1, int(info.max))
    kind = {"uint8": "int16_t", "int16": "int32_t", "int32": "int64_t"}[features]
    return table(kind, f"{name}_thresholds", whole.astype(np.int64)), int(kind[3:5]) // 8 * len(values)


def _shared(encoder: Any) -> bool:
    """Return whether all features have the same thresholds, as the pixels of an image."""
    return bool((encoder.thresholds == encoder.thresholds[..., :1]).all())

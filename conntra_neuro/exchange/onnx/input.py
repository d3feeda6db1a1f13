"""The input of an ONNX graph as 0/1 spikes: its binarisation is found as a threshold of each feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import ThresholdEncoder
from conntra_neuro.exchange.onnx.values import Raw, Settled, Tensor

__all__ = ["INPUTS", "spikes_of"]

INPUTS = {"binary": (0.0, 1.0), "bipolar": (-1.0, 1.0)}
"""What inputs are that the graph does not binarise: the value without a spike, and with one."""

_PROBES = 64


def spikes_of(raw: Raw, size: int, inputs: str, reorder: bool) -> tuple[Tensor, ThresholdEncoder | None]:
    """Return the graph's input as spikes, and the encoder that its first operators are; None where there are none.

    ``reorder``: the spikes are numbered as the elements lie now, rather than as features lie in the graph's input.
    """
    order = raw.index.ravel() if reorder else np.arange(size)
    index = np.arange(size).reshape(raw.index.shape) if reorder else raw.index
    base = Settled(-1, size, size)
    if not raw.steps:
        low, high = INPUTS[inputs]
        return Tensor(base, index, np.array([[low] * size, [high] * size])), None
    thresholds, low, high = _threshold(raw, size)
    table = np.stack([low[order], high[order]])
    return Tensor(base, index, table), ThresholdEncoder(thresholds[order])


def _threshold(raw: Raw, size: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return by feature the threshold of x > threshold, and the values below and above it."""

    def value(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        found = np.empty(size)
        found[raw.index.ravel()] = raw.evaluate(x.astype(np.float64)).ravel()
        return found

    bottom, top = np.full(size, -(2**31 - 2**23 - 1)), np.full(size, 2**31 - 2**23 - 1)
    low, high = value(_floats(bottom)), value(_floats(top))
    # Bisection over the float32 numbers in order: after it no float lies between bottom and top.
    for _ in range(33):
        middle = (bottom + top) // 2
        below = value(_floats(middle)) == low
        bottom, top = np.where(below, middle, bottom), np.where(below, top, middle)
    last, first = _floats(bottom).astype(np.float64), _floats(top).astype(np.float64)
    _check_step(value, last, first, low, high)
    if (low == high).any():
        raise InputError(f"input: feature {int(np.flatnonzero(low == high)[0])} is the same whatever its value")
    # Between two neighbouring floats, where doubles are rounded to the one or the other.
    return last / 2 + first / 2, low, high


def _check_step(value: Any, last: Any, first: Any, low: Any, high: Any) -> None:
    rng = np.random.default_rng(0)
    for probe in range(_PROBES):
        distance = np.abs(rng.normal(size=len(last))) * 2.0 ** (probe % 32 - 16)
        for x, expected in ((last - distance, low), (first + distance, high)):
            found = value(x.astype(np.float32))
            if not np.array_equal(found, expected):
                wrong = int(np.flatnonzero(found != expected)[0])
                raise InputError(
                    f"input: feature {wrong} takes more than two values at the first layer; inputs are spikes of 0 and "
                    "1: binarise them in the graph (sign, step, 1-bit quantisation), or before it"
                )


def _floats(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the float32 numbers of integer keys in the same order: 0 for 0.0, 1 for the least above it."""
    bits = np.where(keys < 0, (-keys) | 2**31, keys).astype(np.uint32)
    return bits.view(np.float32)

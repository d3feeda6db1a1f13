"""Neurons that see their own spikes: a step at a time, for what arrives at a step was sent before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.neurons.base import Neuron

__all__ = ["Loop", "later", "respond_recurrently"]

Loop: TypeAlias = tuple[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]]
"""A way back: the steps from a spike to its arrival, at least 1, and the sums (n, size) of what was sent, (n, size)."""


def later(values: npt.NDArray[Any], lag: int) -> npt.NDArray[Any]:
    """Return ``values`` (n, steps, size) ``lag`` steps later within their samples; what is too late is lost."""
    if lag == 0:
        return values
    moved = np.zeros_like(values)
    moved[:, lag:] = values[:, : values.shape[1] - lag] if lag < values.shape[1] else values[:, :0]
    return moved


def respond_recurrently(neuron: Neuron, sums: IntArray, bias: IntArray | int, loops: Sequence[Loop]) -> IntArray:
    """Return what neurons of the kind ``neuron`` send, (n, steps, size), that see their own spikes by ``loops``.

    They come beside ``sums`` (n, steps, size) and ``bias``, (size,) or one number.
    """
    sums, state = sums.astype(np.int64), None
    sent: list[IntArray] = []
    for step in range(sums.shape[1]):
        now = sums[:, step]
        for lag, arriving in loops:
            if step >= lag:
                now += arriving(sent[step - lag])
        found = neuron.advance(now[:, None], bias, state)
        state = found.state
        sent.append(found.sent[:, 0])
    return np.stack(sent, axis=1) if sent else sums

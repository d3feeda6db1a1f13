"""Signals to spikes as they come: a ``SignalEncoder``'s own integers, a step at a time.

A step is encoded as soon as all samples of its frames are there, which are up to ``frame`` less a hop beyond its own.
What the encoder counts from the recording's largest value, for which the whole recording would have to be there, is
counted from the largest of the last ``window`` steps instead.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike, SpikeArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.signal_encoding import SignalEncoder

__all__ = ["SignalStream"]


class SignalStream:
    """Spikes of an endless recording, from its first sample on.

    For a recording that ends within the encoder's steps, its spikes are those of ``encoder.encode``, all of them, where
    the coding is not ``relative`` or sends on delta, in which a loudness common to all steps cancels out. Where it is
    ``relative``, a value of step s is counted from the largest value of all bands in the steps from s - window + 1 to
    s: softer than in the whole recording until the loudest step has been heard, equal from then on while it is in the
    window.

    encoder  of the program
    window   steps that loudness is counted over; None: as many as the encoder's sample has

    InputError for a window below 1.
    """

    def __init__(self, encoder: SignalEncoder, window: int | None = None) -> None:
        self.encoder, coding = encoder, encoder.coding
        self.window = coding.steps if window is None else whole(window, "signal: window", 1)
        self._relative = coding.relative and coding.bands > 0 and coding.code != "delta"
        frames = 0 if coding.bands == 0 else (coding.hops - 1) * (coding.per_step // coding.hops) + coding.frame
        self._needed = max(coding.per_step, frames)
        self.reset()

    def reset(self) -> None:
        """Begin a recording anew."""
        self._waiting: npt.NDArray[np.int32] = np.zeros((self.encoder.coding.channels, 0), np.int32)
        self._loudest: deque[int] = deque(maxlen=self.window)
        self._before: Any = None
        self.steps = 0

    @property
    def latency(self) -> int:
        """Samples beyond a step that have to be there before it is encoded."""
        return self._needed - self.encoder.coding.per_step

    def push(self, samples: ArrayLike) -> SpikeArray:
        """Take more ``samples`` (k,) or (k, channels); return the spikes (steps, n_out) of steps that are complete.

        InputError for samples of another shape, or of more than 16 bits.
        """
        return self._coded(self.values(samples))

    def finish(self, multiple: int = 1) -> SpikeArray:
        """Return the spikes of what is left, followed by silence up to a whole step, and a ``multiple`` of all steps.

        The recording is over; ``reset`` begins another.
        """
        return self._coded(self.rest(multiple))

    def values(self, samples: ArrayLike) -> npt.NDArray[np.int64]:
        """Take more ``samples`` as ``push``, and return the values (steps, values) of steps that are complete, not
        counted from any other; InputError as there.
        """
        rows = self._checked(samples)
        self._waiting = np.concatenate([self._waiting, rows], axis=1)
        there, per_step = self._waiting.shape[1], self.encoder.coding.per_step
        return self._steps(max(0, (there - self._needed) // per_step + 1))

    def rest(self, multiple: int = 1) -> npt.NDArray[np.int64]:
        """Return the values (steps, values) of what is left, as ``finish`` has it."""
        left = -(-self._waiting.shape[1] // self.encoder.coding.per_step)
        return self._steps(left + -(self.steps + left) % whole(multiple, "signal: multiple", 1))

    def _checked(self, samples: ArrayLike) -> npt.NDArray[np.int32]:
        channels = self.encoder.coding.channels
        array = np.asarray(samples)
        shaped = array[:, None] if array.ndim == 1 else array
        if shaped.ndim != 2 or shaped.shape[1] != channels:
            raise InputError(f"stream: samples of shape {array.shape}; (k,) or (k, {channels}) expected")
        if array.dtype.kind not in "iu" or (array.size and (array.min() < -(2**15) or array.max() >= 2**15)):
            raise InputError(f"stream: samples of type {array.dtype}; whole numbers of 16 bits expected")
        return np.ascontiguousarray(shaped.T, np.int32)

    def _steps(self, count: int) -> npt.NDArray[np.int64]:
        """Return the values of the next ``count`` steps; samples that are not there are silence."""
        coding = self.encoder.coding
        size = count * coding.per_step + self.latency
        rows = self._waiting[:, :size]
        rows = np.pad(rows, ((0, 0), (0, size - rows.shape[1])))
        self._waiting = self._waiting[:, count * coding.per_step :]
        self.steps += count
        return coding.values_of(rows, count)[0] if count else np.zeros((0, coding.values), np.int64)

    def _coded(self, found: npt.NDArray[np.int64]) -> SpikeArray:
        rows = []
        for values in found:
            if self._relative:
                self._loudest.append(int(values.max()))
                values = values - max(self._loudest)
            rows.append(self._of_step(values))
        return np.stack(rows) if rows else np.zeros((0, self.encoder.n_out), np.uint8)

    def _of_step(self, values: npt.NDArray[np.int64]) -> SpikeArray:
        if self.encoder.coding.code == "delta":
            return self._deltas(values)
        above = (values > self.encoder.levels_of).ravel().view(np.uint8)
        if self.encoder.coding.code == "levels":
            return above
        before = above if self._before is None else self._before
        self._before = above
        return np.concatenate([above > before, before > above]).astype(np.uint8)

    def _deltas(self, values: npt.NDArray[np.int64]) -> SpikeArray:
        delta = self.encoder.levels_of[0]
        sent = values if self._before is None else self._before
        moved = values - sent
        up, down = moved >= delta, -moved >= delta
        self._before = sent + up * (moved // delta * delta) - down * (-moved // delta * delta)
        return np.concatenate([up, down]).astype(np.uint8)

"""Changes of whole numbers as spikes: what sigma-delta networks of lava-dl take in."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike, SpikeArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS
from conntra_hardware.program.features import as_features

__all__ = ["ChangeEncoder"]

_DIGITS = 7
_LOW, _HIGH = -256, 255
_PART, _MINUS = 64, 128


class ChangeEncoder:
    """How much whole numbers change from step to step, in spikes of fixed weights: ``weights`` of the lines of a value.

    values   how many numbers a frame has, each from -256 to 255
    steps    time steps of a sample
    frames   1 (the same frame at all steps: only the first one sends spikes), or ``steps``, one for each
    channels parts of equal size that a frame is made of

    A sample's features are its frames, one after the other. Each value has a line for each of the digits 1 to 64, some
    lines of 64 more and some of -128: together they say any change. Within each channel lines come one after the
    other, all values of the first, then all of the second. Neurons with these weights that add up what arrives hold the
    values again.
    InputError for anything else.
    """

    kind: ClassVar[str] = "changes"

    def __init__(self, values: int, steps: int, frames: int = 1, channels: int = 1) -> None:
        self.values = whole(values, "change encoder: values", 1)
        self.steps = whole(steps, "change encoder: steps", 1, MAX_STEPS)
        self.frames = whole(frames, "change encoder: frames", 1, MAX_STEPS)
        self.channels = whole(channels, "change encoder: channels", 1)
        if self.values % self.channels:
            raise InputError(
                f"change encoder: {self.values} values in {self.channels} channels; parts of one size expected"
            )
        if self.frames not in (1, self.steps):
            raise InputError(f"change encoder: {self.frames} frames in {self.steps} steps; 1, or one a step, expected")

    @property
    def n_features(self) -> int:
        """Number of features of a sample, values times frames."""
        return self.values * self.frames

    @property
    def weights(self) -> npt.NDArray[np.int64]:
        """What a spike of each line of a value says, (lines,)."""
        further, minus = (2, 2) if self.frames == 1 else (6, 4)
        return np.array([*(2**digit for digit in range(_DIGITS)), *[_PART] * further, *[-_MINUS] * minus])

    @property
    def n_out(self) -> int:
        """Number of input spikes at a step, lines times values."""
        return len(self.weights) * self.values

    @property
    def most_in_all(self) -> npt.NDArray[np.int64]:
        """Bounds of what each input sends in a sample, (n_out,), for neurons that put values together by ``weights``.

        Of one frame it is what each sends at most. However often values change, they stay from -256 to 255, which is
        what the digits, two lines of 64 and two of -128 say.
        """
        further = int((self.weights[_DIGITS:] > 0).sum())
        most = np.ones(len(self.weights), np.int64)
        most[_DIGITS + 2 : _DIGITS + further] = 0
        most[_DIGITS + further + 2 :] = 0
        lines = np.broadcast_to(most[None, :, None], (self.channels, len(most), self.values // self.channels))
        return lines.ravel()

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """Its numbers as files hold them, (4, n_features): values, steps, frames, channels; alike for all features."""
        column = np.array([self.values, self.steps, self.frames, self.channels], np.float64)[:, None]
        return np.broadcast_to(column, (len(column), self.n_features))

    @classmethod
    def of_numbers(cls, numbers: npt.NDArray[np.float64]) -> ChangeEncoder:
        """Return the encoder whose ``thresholds`` are ``numbers``, (4, n_features); InputError for anything else."""
        sound = numbers.ndim == 2 and len(numbers) == 4 and numbers.size and (numbers == np.rint(numbers)).all()
        if not sound or (numbers != numbers[:, :1]).any() or not (numbers[:, 0] > 0).all():
            raise InputError(f"change encoder: numbers of shape {numbers.shape}; (4, features) whole ones expected")
        if numbers[0, 0] * numbers[2, 0] != numbers.shape[1]:
            raise InputError(f"change encoder: {numbers.shape[1]} features; values times frames expected")
        return cls(*(int(n) for n in numbers[:, 0]))

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n * steps, n_out) of features (n, n_features), a sample's steps in a row."""
        features = as_features(x, self.n_features)
        if features.size and (np.any(features != np.rint(features)) or features.min() < _LOW or features.max() > _HIGH):
            raise InputError(f"features: whole numbers from {_LOW} to {_HIGH} expected, whose changes are sent")
        shown = features.reshape(len(features), self.frames, self.values).astype(np.int64)
        changes = np.diff(shown, axis=1, prepend=0)
        changes = changes.reshape(len(features), self.frames, self.channels, -1)
        spikes = np.zeros((*changes.shape[:3], len(self.weights), changes.shape[3]), np.uint8)
        minus = -(np.minimum(changes, 0) // _MINUS)
        rest = changes + _MINUS * minus
        further = np.maximum(-(-(rest - 2**_DIGITS + 1) // _PART), 0)
        rest -= _PART * further
        for digit in range(_DIGITS):
            spikes[:, :, :, digit] = rest >> digit & 1
        parts = int((self.weights[_DIGITS:] > 0).sum())
        for line in range(parts):
            spikes[:, :, :, _DIGITS + line] = further > line
        for line in range(len(self.weights) - _DIGITS - parts):
            spikes[:, :, :, _DIGITS + parts + line] = minus > line
        sent = np.zeros((len(features), self.steps, self.n_out), np.uint8)
        sent[:, : self.frames] = spikes.reshape(len(features), self.frames, self.n_out)
        return sent.reshape(-1, self.n_out)

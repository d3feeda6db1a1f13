"""Samples of WAV files, 16 bits of one channel."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError

__all__ = ["read_wav", "wav_parts"]

_DAMAGED = (OSError, EOFError, wave.Error, RuntimeError, struct.error)  # `wave` seeks as a file says


def read_wav(path: Path) -> tuple[npt.NDArray[np.int16], int]:
    """Return the samples (n,), and how many there are in a second; channels are averaged, other widths made 16 bits.

    FileFormatError for a file that is no WAV of whole numbers, damaged or cut off, InputError for one without samples.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            data = file.readframes(frames)
    except _DAMAGED as error:
        raise _refused(path, error) from None
    if len(data) != frames * channels * width:
        raise FileFormatError(
            f"{path}: damaged or truncated, {len(data)} bytes of {frames * channels * width}; get the file anew"
        )
    if frames == 0:
        raise InputError(f"{path}: no samples; take the recording out of the set")
    return _mono(data, channels, width), rate


def wav_parts(path: Path, rate: int, seconds: float) -> Iterator[npt.NDArray[np.int16]]:
    """Yield the samples of a WAV file (k,), so many ``seconds`` at a time; errors as ``read_wav``, and InputError for
    another ``rate``.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, found, frames = file.getparams()[:4]
            if found != rate:
                raise InputError(f"{path}: {found} samples a second, the network takes {rate}; bring it to that rate")
            at_once, left = max(1, round(rate * seconds)), frames
            while left:
                count = min(at_once, left)
                data = file.readframes(count)
                if len(data) != count * channels * width:
                    raise EOFError(f"it ends {left * channels * width - len(data)} bytes too early")
                left -= count
                yield _mono(data, channels, width)
    except _DAMAGED as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: BaseException) -> FileFormatError:
    said = " ".join(str(error).split()) or "it ends too early"
    return FileFormatError(f"{path}: no WAV of whole numbers (PCM), or damaged ({said}); convert it")


def _mono(data: bytes, channels: int, width: int) -> npt.NDArray[np.int16]:
    """Return the average of the channels (n,)."""
    return (_whole(data, width).reshape(-1, channels).sum(axis=1) // channels).astype(np.int16)


def _whole(data: bytes, width: int) -> npt.NDArray[Any]:
    """Return samples of 8 bits (from 0 to 255), 16, 24 or 32 bits as numbers of 16 bits."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.int64) - 128) << 8
    if width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        high = parts[:, 2].astype(np.int8).astype(np.int64)
        return high << 8 | parts[:, 1]
    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.int64)
    return np.frombuffer(data, "<i4").astype(np.int64) >> 16

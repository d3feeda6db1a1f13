"""Samples of a microphone or a file, for ``conntra run PROGRAM --stream``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from conntra_hardware.base.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from conntra_hardware.program import Program

__all__ = ["samples_of"]

_PART_S = 0.02  # of a WAV file is read at once
_AT_ONCE = 1 << 16  # bytes of raw samples at most


def samples_of(program: Program, stream: str) -> Iterator[Any]:
    """Yield samples (k, channels) of ``stream``: a .wav file, or raw ones of 16 bits, least byte first, of a file or,
    by the name -, of standard input, channels side by side.

    FileFormatError for a file that cannot be read, is damaged, or ends within a sample; InputError for another rate.
    """
    coding: Any = program.encoder.coding  # type: ignore[union-attr]
    if Path(stream).suffix.lower() == ".wav":
        if coding.channels != 1:
            raise InputError(f"{stream}: a WAV file for {coding.channels} channels; raw samples expected")
        from conntra_neuro.datasets.signals.wav import wav_parts

        yield from wav_parts(Path(stream), coding.rate, _PART_S)
        return
    name = "--stream" if stream == "-" else stream
    if stream == "-":
        yield from _raw(sys.stdin.buffer, coding.channels, name)
        return
    try:
        with open(stream, "rb") as file:
            yield from _raw(file, coding.channels, name)
    except OSError as error:
        raise FileFormatError(f"{stream}: cannot be read ({error.strerror}); check its name and permissions") from None


def _raw(file: BinaryIO, channels: int, name: str) -> Iterator[Any]:
    read = getattr(file, "read1", file.read)  # what is there already, so that a pipe is heard as it comes
    left, first, width = b"", True, 2 * channels
    while data := read(_AT_ONCE):
        left += data
        if first and len(left) >= 4:
            if left.startswith(b"RIFF"):
                raise InputError(f"{name}: a WAV header in raw samples; name the file .wav, or send samples alone")
            first = False
        count = len(left) // width
        if count:
            yield np.frombuffer(left[: count * width], "<i2").reshape(count, channels)
            left = left[count * width :]
    if left:
        raise FileFormatError(f"{name}: ends within a sample; {width} bytes each expected, 16 bits a channel")

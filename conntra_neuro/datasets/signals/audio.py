"""``audio:DIR``: WAV files in folders called as their classes, under train/ and test/ (or val/), or without these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.datasets.files import existing
from conntra_neuro.datasets.folders import prefix_of, split_folders
from conntra_neuro.datasets.options import check_known, duration_us, number, split_options
from conntra_neuro.datasets.signals.sampled import Sampled, code_options
from conntra_neuro.datasets.signals.wav import read_wav
from conntra_neuro.datasets.split import split_of

__all__ = ["read_audio"]

_NAMES = ("steps", "step", "bands", "low", "high", "code", "levels", "relative", "group", "held")
_FRAME_S = 0.025  # at least so long is what is transformed at once
_HOP_US = 10_000

Array = npt.NDArray[Any]


def read_audio(spec: str, test_fraction: float, seed: int) -> Sampled:
    """Read ``DIR?steps=40&step=20ms``: recordings int16 (n, samples), cut to the steps, or followed by silence.

    Without ``steps``, as many as the longest training recording needs, up to a second; 20 ms a step. FileFormatError
    for files that are missing or damaged, InputError for options and recordings that cannot be used.
    """
    name = f"audio:{spec}"
    text, options = split_options(spec)
    check_known(name, options, _NAMES)
    folder = existing(text)
    parts = split_folders(folder) or (folder, None)
    files = [_files(part) for part in parts if part is not None]
    everything = [file for part in files for file in part]
    labels = np.array([file.parent.name for file in everything])
    groups = _groups(name, options.get("group"), everything)
    given = len(files[1]) if len(files) > 1 else None
    split = split_of(name, labels, given, groups, options.get("held"), test_fraction, seed)
    read = [read_wav(file) for file in everything]
    rate = read[0][1]
    for file, (_, other) in zip(everything, read, strict=True):
        if other != rate:
            raise InputError(
                f"{file}: {other} samples a second, {everything[0].name} has {rate}; bring all to one rate"
            )
    coding = _coding(name, options, rate, max(len(read[i][0]) for i in split.train))
    x = np.zeros((len(read), coding.n_features), np.int16)
    for row, (samples, _) in zip(x, read, strict=True):
        row[: len(samples)] = samples[: len(row)]
    arrays = {"x_train": x[split.train], "y_train": labels[split.train]}
    return Sampled(arrays | {"x_test": x[split.test], "y_test": labels[split.test]}, coding, split.note)


def _coding(name: str, options: dict[str, str], rate: int, longest: int) -> SignalCoding:
    step_us = duration_us(options.get("step", "20ms"), "step")
    if rate * step_us % 1_000_000:
        raise InputError(f"{name}: a step of {step_us} us at {rate} samples a second is no whole number of samples")
    per_step = rate * step_us // 1_000_000
    steps = number(options["steps"], "steps") if "steps" in options else min(-(-longest // per_step), rate // per_step)
    frame = 1 << int(np.ceil(np.log2(_FRAME_S * rate)))
    hops = max(1, -(-step_us // _HOP_US))
    while per_step % hops:
        hops += 1
    return SignalCoding(
        steps=steps,
        per_step=per_step,
        bands=number(options.get("bands", "40"), "bands"),
        frame=frame,
        hops=hops,
        rate=rate,
        low=number(options.get("low", "80"), "low"),
        high=number(options["high"], "high") if "high" in options else min(rate // 2, 8000),
        relative=_yes(name, options.get("relative", "yes")),
        **code_options(name, options),
    )


def _yes(name: str, text: str) -> bool:
    if text not in ("yes", "no"):
        raise InputError(f"{name}: relative={text}; yes or no expected")
    return text == "yes"


def _files(folder: Path) -> list[Path]:
    files = [file for file in sorted(folder.glob("*/*")) if file.suffix.lower() == ".wav"]
    if not files:
        raise FileFormatError(f"{folder}: no recordings in it; CLASS/*.wav expected, or train/CLASS and val/CLASS")
    return files


def _groups(name: str, group: str | None, files: Sequence[Path]) -> Array | None:
    if group is None:
        return None
    if group != "prefix":
        raise InputError(f"{name}: group={group}: no such grouping; prefix expected, a file's name up to its first _")
    return np.array([prefix_of(file) for file in files])

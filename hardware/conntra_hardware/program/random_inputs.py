"""Random input of a program, for proofs without data.

Whether simulators agree does not depend on what the inputs mean, but on how much of a network they reach: each sample
has an activity of its own, from almost none to almost all spikes, and every level of an encoder occurs.

Only integers are drawn and compared, so one seed is the same input on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.program.input_encoding import ChangeEncoder, CodeEncoder, DrivenEncoder
from conntra_hardware.program.program import Program
from conntra_hardware.program.signal_encoding import SignalEncoder

__all__ = ["random_inputs"]

_MOST_VALUES = 2**32
"""More in one array than a machine holds beside simulators' recordings of it."""

_MOST_DRAWS = 4
"""The largest or smallest of so many draws: the most that a sample's features lean to one end of their levels."""


def random_inputs(program: Program, samples: int, seed: int) -> npt.NDArray[Any]:
    """Return ``samples`` random samples as ``program`` takes them.

    Raw features (n, n_features) where it has an encoder: numbers between its thresholds, and beyond the outermost;
    codes of a code encoder; whole numbers of all magnitudes for driven neurons and signals. Else 0/1 spikes (n, steps,
    n_inputs). InputError for a number of samples below 1 or beyond what fits, and for a negative seed.
    """
    most = max(1, _MOST_VALUES // (program.n_inputs * program.steps))
    samples = whole(samples, "random inputs: samples", 1, most)
    rng = np.random.Generator(np.random.Philox(whole(seed, "random inputs: seed", 0)))
    encoder = program.encoder
    if encoder is None:
        return _spikes(rng, (samples, program.steps, program.n_inputs))
    if isinstance(encoder, DrivenEncoder):
        return _whole(rng, samples, encoder.n_features, 16)
    if isinstance(encoder, ChangeEncoder):
        return np.clip(_whole(rng, samples, encoder.n_features, 8), -256, 255)
    if isinstance(encoder, SignalEncoder):
        return _whole(rng, samples, encoder.n_features, 15)
    if isinstance(encoder, CodeEncoder):
        codes = _levels(rng, (samples, encoder.n_features), 2**encoder.bits)
        return encoder.low + codes * encoder.step
    return _between(rng, samples, np.atleast_2d(encoder.thresholds))


def _spikes(rng: np.random.Generator, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return spikes of ``shape``, a sample's as dense as the product of two draws: few more often than many."""
    density = rng.integers(0, 2**16, (2, shape[0]), dtype=np.int64).prod(axis=0) >> 16
    spikes = np.empty(shape, np.uint8)
    for sample, dense in zip(spikes, density, strict=True):
        sample[:] = rng.integers(0, 2**16, shape[1:], dtype=np.uint16) < dense
    return spikes


def _whole(rng: np.random.Generator, samples: int, features: int, bits: int) -> npt.NDArray[np.int64]:
    """Return whole numbers (samples, features) of either sign, a sample's up to a power of two of its own."""
    largest = 2 ** rng.integers(0, bits + 1, (samples, 1))
    return rng.integers(-largest, largest + 1, (samples, features))


def _between(rng: np.random.Generator, samples: int, thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return features (samples, n) of all levels that ``thresholds`` (k, n) tell apart."""
    rising = np.sort(thresholds, axis=0)
    outside = 1 + np.abs(rising[[0, -1]])
    values = np.concatenate([rising[:1] - outside[:1], (rising[1:] + rising[:-1]) / 2, rising[-1:] + outside[1:]])
    levels = _levels(rng, (samples, rising.shape[1]), len(values))
    return np.take_along_axis(values, levels, axis=0)


def _levels(rng: np.random.Generator, shape: tuple[int, int], n: int) -> npt.NDArray[np.int64]:
    """Return levels below ``n`` (samples, features), most of a sample's low or most of them high."""
    levels = np.empty(shape, np.int64)
    for sample in levels:
        draws = rng.integers(0, n, (int(rng.integers(1, _MOST_DRAWS + 1)), shape[1]))
        sample[:] = draws.max(axis=0) if rng.integers(0, 2) else draws.min(axis=0)
    return levels

"""Signals to spikes over time, in integers: what a microphone or another sensor samples, as a network sees it.

A ``SignalEncoder`` is a value, part of a network and of its program as other encoders are. It takes raw samples, and
every number from there on is an integer: what was trained on is what runs, on any machine.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike, SpikeArray, frozen
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS

__all__ = ["CODES", "SignalCoding", "SignalEncoder", "filter_bank", "log_table"]

CODES = ("levels", "crossings", "delta")
_LARGEST_SAMPLE = 2**15
_LARGEST_FRAME = 2**12
_LOG_STEPS = 256  # parts of a power of two, and entries of the table of logarithms
_STRETCH = 0.8  # a delta is what so large a share of the changes from a step to the next stays below
_AT_ONCE = 256  # samples encoded at once

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SignalCoding:
    """How samples become spikes; what is left open is fitted to data (``fit``).

    steps     time steps
    per_step  samples of a step, of each channel; a sample has steps * per_step of them
    channels  of the sensor
    bands     of a filter bank: a Hann window and a Fourier transform in fixed point, whose power is weighed by
              triangles that are evenly spaced on the mel scale; the value of a band and step is its energy's logarithm
              to base 2, times 256. 0: no bank, the value is the mean of a channel's samples in the step
    frame     samples that are transformed at once, 2^k, with a bank; a step has ``hops`` of them
    rate, low, high  samples a second, and the lowest and highest frequency of the bank, in Hz
    relative  whether values of a bank are counted from the recording's largest: how loud it is makes no difference
    code      "levels": a spike a threshold and step where the value is above it; "crossings": a spike where it comes to
              be above, another where it no longer is; "delta" (send on delta): a spike where the value has risen by a
              delta since the last spike, another where it has fallen by one
    levels    thresholds of a value; of "delta" always 1

    InputError for numbers that do not belong together.
    """

    steps: int
    per_step: int
    channels: int = 1
    bands: int = 0
    frame: int = 0
    hops: int = 1
    rate: int = 1
    low: int = 0
    high: int = 0
    relative: bool = False
    code: str = "levels"
    levels: int = 3

    def __post_init__(self) -> None:
        whole(self.steps, "signal: steps", 2, MAX_STEPS)
        whole(self.per_step, "signal: samples of a step", 1, 2**20)
        whole(self.channels, "signal: channels", 1, 2**16)
        whole(self.levels, "signal: levels", 1, 255)
        whole(self.bands, "signal: bands", 0, 1024)
        if self.code not in CODES:
            raise InputError(f"signal: code {self.code!r}; allowed: {', '.join(CODES)}")
        if self.code == "delta" and self.levels != 1:
            raise InputError(f"signal: {self.levels} levels with code delta; 1 expected, the delta")
        if self.bands == 0:
            return
        whole(self.frame, "signal: frame", 16, _LARGEST_FRAME)
        whole(self.hops, "signal: hops", 1, 64)
        if self.frame & (self.frame - 1) or self.per_step % self.hops:
            raise InputError(
                f"signal: frames of {self.frame} samples, {self.hops} in a step of {self.per_step}; a power of two, "
                "and a divisor expected"
            )
        if not 0 <= self.low < self.high <= self.rate / 2:
            raise InputError(
                f"signal: bands from {self.low} to {self.high} Hz of {self.rate} samples a second; rising ones up to "
                f"{self.rate // 2} Hz expected"
            )

    @property
    def values(self) -> int:
        """Numbers of a step that are coded."""
        return self.channels * (self.bands or 1)

    @property
    def n_features(self) -> int:
        """Samples of a recording, all channels."""
        return self.channels * self.steps * self.per_step

    @property
    def n_out(self) -> int:
        """Input spikes of a step."""
        return self.values * self.levels * (1 if self.code == "levels" else 2)

    def fit(self, x: ArrayLike) -> SignalEncoder:
        """Return the encoder whose thresholds are quantiles of the values in samples ``x`` (n, channels * samples).

        The values of silence, before and after what was recorded, are left out.
        """
        found = self.analyse(x)
        flat = found.reshape(-1, self.values)
        if self.code == "delta":
            moved = np.abs(np.diff(found, axis=1)).reshape(-1, self.values)
            deltas = [np.quantile(column[column > 0], _STRETCH) if column.any() else 1 for column in moved.T]
            return SignalEncoder(self, np.maximum(np.rint(deltas), 1).astype(np.int64)[None])
        shares = np.arange(1, self.levels + 1) / (self.levels + 1)
        heard = self._heard(x).reshape(-1)
        chosen = flat[heard] if heard.any() else flat
        return SignalEncoder(self, np.floor(np.quantile(chosen, shares, axis=0)).astype(np.int64))

    def _heard(self, x: ArrayLike) -> npt.NDArray[np.bool_]:
        """Return in which steps (n, steps) a sample is not 0; all of them without a bank."""
        samples = self._samples(x)
        if self.bands == 0:
            return np.ones((len(samples), self.steps), bool)
        return (samples != 0).reshape(len(samples), self.channels, self.steps, -1).any((1, 3))

    def analyse(self, x: ArrayLike) -> Integers:
        """Return the values (n, steps, values) of samples (n, channels * samples): what is coded."""
        found = self.values_of(self._samples(x).reshape(-1, self.steps * self.per_step), self.steps)
        return found - found.max((1, 2), keepdims=True) if self.relative and self.bands else found

    def values_of(self, rows: npt.NDArray[np.int32], steps: int) -> Integers:
        """Return the values (n, steps, values) of ``rows`` (n * channels, samples), not counted from any other.

        Frames look into samples beyond the steps where there are any, and into silence behind these.
        """
        if self.bands == 0:
            parts = rows[:, : steps * self.per_step].reshape(-1, self.channels, steps, self.per_step)
            return np.ascontiguousarray((parts.sum(axis=3, dtype=np.int64) // self.per_step).transpose(0, 2, 1))
        from conntra_hardware.program.signal_kernel import band_energies

        out = np.empty((len(rows), steps, self.bands), np.int64)
        loops: Any = band_energies
        loops(np.ascontiguousarray(rows), self.per_step // self.hops, self.hops, *filter_bank(self), out)
        found = log2(out).reshape(-1, self.channels, steps, self.bands).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(found).reshape(-1, steps, self.values)

    def _samples(self, x: ArrayLike) -> npt.NDArray[np.int32]:
        # Here, because input_encoding knows this module.
        array = np.asarray(x)
        if array.ndim < 2 or array[:1].size != self.n_features * len(array[:1]):
            raise InputError(f"signal: samples of shape {array.shape}; (n, {self.n_features}) expected")
        if array.dtype.kind not in "iub" and not (array.dtype.kind == "f" and np.all(array == np.rint(array))):
            raise InputError(f"signal: samples of type {array.dtype}; whole numbers of 16 bits expected")
        if array.size and (array.min() < -_LARGEST_SAMPLE or array.max() > _LARGEST_SAMPLE):
            raise InputError(f"signal: samples from {array.min()} to {array.max()}; whole numbers of 16 bits expected")
        return array.reshape(len(array), self.n_features).astype(np.int32)


class SignalEncoder:
    """A ``SignalCoding`` with its ``levels_of`` (levels, values), integers that rise along the first axis."""

    kind: ClassVar[str] = "signal"

    def __init__(self, coding: SignalCoding, levels_of: ArrayLike) -> None:
        found = np.asarray(levels_of)
        if found.shape != (coding.levels, coding.values) or found.dtype.kind not in "iu":
            raise InputError(
                f"signal encoder: {found.dtype} {found.shape}; integers ({coding.levels}, {coding.values}) expected"
            )
        if coding.code == "delta" and found.min() < 1:
            raise InputError(f"signal encoder: a delta of {found.min()}; at least 1 expected")
        if (np.diff(found, axis=0) < 0).any():
            raise InputError("signal encoder: levels fall from one to the next; rising ones expected")
        self.coding = coding
        self.levels_of: Integers = frozen(found.astype(np.int64))

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return self.coding.steps

    @property
    def n_features(self) -> int:
        """Number of raw samples of a recording, all channels."""
        return self.coding.n_features

    @property
    def n_out(self) -> int:
        """Number of input spikes at a step."""
        return self.coding.n_out

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the spikes (n * steps, n_out) of raw samples (n, n_features), a recording's steps in a row.

        The channels are one behind the other. InputError for samples of another shape, or of more than 16 bits.
        """
        array = np.asarray(x)
        parts = [self._encode(array[i : i + _AT_ONCE]) for i in range(0, max(len(array), 1), _AT_ONCE)]
        return np.concatenate(parts).reshape(-1, self.n_out)

    def _encode(self, x: npt.NDArray[Any]) -> SpikeArray:
        return self.coded(self.coding.analyse(x))

    def coded(self, found: Integers) -> SpikeArray:
        """Return the spikes (n, steps, n_out) of values (n, steps, values), as ``SignalCoding.analyse`` gives them."""
        if self.coding.code == "delta":
            from conntra_hardware.program.signal_kernel import send_on_delta

            out = np.empty((*found.shape[:2], self.n_out), np.uint8)
            send_on_delta(found, self.levels_of[0], out)
            return out
        above = (found[:, :, None, :] > self.levels_of).reshape(*found.shape[:2], -1).view(np.uint8)
        if self.coding.code == "levels":
            return above
        before = np.concatenate([above[:, :1], above[:, :-1]], axis=1)
        return np.concatenate([above > before, before > above], axis=2).astype(np.uint8)

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """Its numbers as files hold them, (k, n_features): the coding's, then the levels; the same for all samples."""
        c = self.coding
        rule = [int(value) for value in astuple(c)[:_CODE_AT]] + [CODES.index(c.code), c.levels]
        column = np.array([*rule, *self.levels_of.ravel().tolist()], np.float64)[:, None]
        return np.broadcast_to(column, (len(column), self.n_features))

    @classmethod
    def of_numbers(cls, numbers: npt.NDArray[np.float64]) -> SignalEncoder:
        """Return the encoder whose ``thresholds`` are ``numbers``; InputError for anything else."""
        rule = len(fields(SignalCoding))
        sound = numbers.ndim == 2 and len(numbers) > rule and numbers.shape[1] > 0 and np.isfinite(numbers).all()
        if not sound or (numbers != np.rint(numbers)).any() or (numbers != numbers[:, :1]).any():
            raise InputError(f"signal encoder: numbers of shape {numbers.shape}; whole ones of a coding expected")
        found = [int(number) for number in numbers[:, 0]]
        if not 0 <= found[_CODE_AT] < len(CODES):
            raise InputError(f"signal encoder: code {found[_CODE_AT]}; 0 to {len(CODES) - 1} expected")
        first = [*found[: _CODE_AT - 1], bool(found[_CODE_AT - 1])]
        coding = SignalCoding(*first, code=CODES[found[_CODE_AT]], levels=found[_CODE_AT + 1])
        if numbers.shape[1] != coding.n_features or len(found) - rule != coding.levels * coding.values:
            raise InputError(f"signal encoder: numbers of shape {numbers.shape} for {coding}; another file's")
        return cls(coding, np.array(found[rule:]).reshape(coding.levels, coding.values))


_CODE_AT = [field.name for field in fields(SignalCoding)].index("code")


def log2(energies: Integers) -> Integers:
    """Return 256 times the logarithm to base 2, by the highest bit and a table of the 8 bits after it; 0 of 0."""
    e = np.maximum(energies, 1)
    high = np.zeros(e.shape, np.int64)
    for bits in (32, 16, 8, 4, 2, 1):
        high += np.where(e >> (high + bits) > 0, bits, 0)
    after = np.where(high >= 8, e >> np.maximum(high - 8, 0), e << np.maximum(8 - high, 0)) & (_LOG_STEPS - 1)
    return _LOG_STEPS * high + log_table()[after]


def log_table() -> Integers:
    """Return 256 times the logarithms to base 2 of 1, 1 + 1/256, ... (256,), rounded."""
    return np.rint(_LOG_STEPS * np.log2(1 + np.arange(_LOG_STEPS) / _LOG_STEPS)).astype(np.int64)


def filter_bank(coding: SignalCoding) -> tuple[Any, ...]:
    """Return window, bit-reversed order, cosines and sines, first lines and weights of the bands, and a shift."""
    from conntra_hardware.program.signal_kernel import FACTOR_BITS, WINDOW_BITS

    n, bits = coding.frame, coding.frame.bit_length() - 1
    angle = 2 * np.pi * np.arange(n) / n
    window = np.rint((1 << WINDOW_BITS) * (0.5 - 0.5 * np.cos(angle))).astype(np.int64)
    order = np.zeros(n, np.int64)
    for bit in range(bits):
        order |= (np.arange(n) >> bit & 1) << (bits - 1 - bit)
    cosine, sine = (np.rint((1 << FACTOR_BITS) * wave(angle[: n // 2])).astype(np.int64) for wave in (np.cos, np.sin))
    first, weights = _bands(coding)
    return window, order, cosine, sine, first, weights, max(0, 2 * bits - 17)


def _bands(coding: SignalCoding) -> tuple[Integers, Integers]:
    """Return the first line (bands,) and the weights (bands, width), of 256, of triangles on the mel scale."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (coding.low, coding.high))
    edges = 700 * (10 ** (np.linspace(low, high, coding.bands + 2) / 2595) - 1)
    lines = np.arange(coding.frame // 2 + 1) * coding.rate / coding.frame
    rising = (lines - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - lines) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.rint(_LOG_STEPS * np.clip(np.minimum(rising, falling), 0, None)).astype(np.int64)
    for band in np.flatnonzero(~weights.any(axis=1)):  # narrower than the lines are apart
        weights[band, np.abs(lines - edges[band + 1]).argmin()] = _LOG_STEPS
    first = (weights > 0).argmax(axis=1)
    last = weights.shape[1] - (weights[:, ::-1] > 0).argmax(axis=1)
    width = int((last - first).max())
    padded = np.pad(weights, ((0, 0), (0, width)))
    return first, np.stack([row[at : at + width] for row, at in zip(padded, first, strict=True)])

"""How synapses are laid out in a core's memory, and what that takes.

The layout is the one nengo-loihi accounts for (``SynapseConfig.bits_per_axon``): each input axon has a list of
synapses, stored in blocks of at most 64; a block has a header of 10 bits (4 for the format, 6 for the number of
synapses) and is rounded up to whole 64-bit words. A synapse takes its weight bits and, in the sparse encoding, the
index of its target. How many synapses make a block is free, and chosen here for each projection and core, as is the
encoding: the cheapest is taken.

A projection that is not dense may also be stored as a convolution: an input axon then carries the first target and the
list holds targets relative to it, so that one list serves all sources whose synapses are the same up to a shift
(nengo-loihi: ``Synapse.set_population_weights`` with ``compartment_bases``, which it uses for convolutions). Where the
rows of an image stand together on a core, all positions inside it share their lists, and those at its border have more.

Which weights a width of n bits can hold follows Lava's and nengo-loihi's rounding: weights of one sign from 0 to 2^n
- 1, weights of both signs from -2^(n-1) to 2^(n-1) - 1 (the lowest of 9 bits is dropped), each times a power of two
that all weights share. Where no width holds weights of both signs, those above 0 and those below have lists of their
own: as many synapses as before, and up to two lists an axon. Weights that need more bits than that are the sum of two
synapses, of a high and of a low part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.chip import Chip

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Encoding", "WeightFormat", "encode", "halves", "list_bits", "synapses_of", "weight_format"]

BLOCK_HEADER_BITS = 4 + 6
MAX_BLOCK = 64
_EXPONENT_MIN, _EXPONENT_MAX = -8, 7
_LARGEST_HIGH, _LARGEST = 127, 2**15 - 1

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WeightFormat:
    """A width that holds a set of weights: ``bits`` a weight, on the chip where ``allowed``.

    Each weight is a ``bits``-wide integer times 2^``shift``; ``mixed`` tells whether both signs occur in a list, and
    ``apart`` whether there are lists for both. With ``two`` a weight is two synapses: see ``halves``.
    """

    bits: int
    shift: int
    mixed: bool
    allowed: bool
    apart: bool = False
    two: bool = False


@dataclass(frozen=True)
class Encoding:
    """The synapses of one projection on one core, as stored.

    name         "dense" (no index; zeros are stored), "sparse" (an index a synapse), "conv" (relative indices)
    weight_bits  bits a weight;  ``index_bits`` bits an index, 0 where dense
    block        synapses a block
    axons        input axons: sources with at least one synapse here
    lists        synapse lists stored: axons whose synapses are the same (conv: up to a shift) share one
    synapses     nonzero weights;  ``stored`` entries in the lists
    bits         what all of it takes, in whole words
    delay        time steps that its spikes take longer; each stored synapse has ``Chip.delay_bits`` for it
    """

    source: str
    target: str
    name: str
    weight_bits: int
    index_bits: int
    block: int
    axons: int
    lists: int
    synapses: int
    stored: int
    bits: int
    delay: int = 0

    @property
    def bits_per_synapse(self) -> float:
        """Memory bits for each nonzero weight, overheads included."""
        return self.bits / self.synapses if self.synapses else 0.0


def weight_format(weights: IntArray | sp.csr_array, chip: Chip) -> WeightFormat:
    """Return the narrowest width of ``chip`` that holds ``weights`` exactly; where there is none, the width it would
    take.
    """
    values: IntArray = weights if isinstance(weights, np.ndarray) else np.asarray(weights.data, np.int64)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    return format_of_range(low, high, _common_shift(values), chip)


def format_of_range(low: int, high: int, shift: int, chip: Chip) -> WeightFormat:
    """Return the format for weights from ``low`` to ``high`` that are all multiples of 2^``shift``."""
    mixed = low < 0 < high
    if mixed and not _held(low, high, shift, mixed, chip).allowed:
        sides = [_held(low, 0, shift, False, chip), _held(0, high, shift, False, chip)]
        if all(side.allowed for side in sides):
            return replace(max(sides, key=lambda side: side.bits), apart=True)
    whole = _held(low, high, shift, mixed, chip)
    if whole.allowed or low < -_LARGEST or high > _LARGEST:
        return whole
    upper = _upper_shift(low, high, shift)
    least, most = (_upper_part(end, upper) for end in (low, high))
    parts = [
        _held(least, most, upper, mixed, chip),
        _held(-(2 ** (upper - 1)), 2 ** (upper - 1) - 1, shift, True, chip),
    ]
    return replace(parts[0], two=True) if all(part.allowed for part in parts) else whole


def _upper_shift(low: int, high: int, shift: int) -> int:
    """Return the power of two that the high part of two synapses is a multiple of: it has 7 bits and a sign."""
    upper = shift + 1
    while _upper_part(max(-low, high), upper) >> upper > _LARGEST_HIGH:
        upper += 1
    return upper


def _upper_part(weights: Any, upper: int) -> Any:
    return (weights + 2 ** (upper - 1) >> upper) << upper


def halves(weights: Any) -> tuple[Any, Any]:
    """Return weights, an array or a sparse one, as the sum of two: multiples of a power of two, and what is left."""
    values = weights if isinstance(weights, np.ndarray) else weights.data
    wide = values.astype(np.int64)
    upper = _upper_shift(int(wide.min(initial=0)), int(wide.max(initial=0)), _common_shift(wide))
    high = _upper_part(wide, upper)
    if isinstance(weights, np.ndarray):
        return high, wide - high
    parts = weights.astype(np.int64), weights.astype(np.int64)
    for part, data in zip(parts, (high, wide - high), strict=True):
        part.data = data
        part.eliminate_zeros()
    return parts


def synapses_of(weights: Any, chip: Chip) -> Counts:
    """Return how many synapses each source has with the rows of ``weights`` (n_target, n_source): two where one cannot
    hold a weight.
    """
    parts = halves(weights) if weight_format(weights, chip).two else (weights,)
    return np.sum([np.bincount(part.nonzero()[1], minlength=part.shape[1]) for part in parts], axis=0, dtype=np.int64)


def _held(low: int, high: int, shift: int, mixed: bool, chip: Chip) -> WeightFormat:
    """Return the format for weights in lists of both signs, where ``mixed``, or of one."""
    largest = max(-(low >> shift) - 1, high >> shift) if mixed else max(-low, high) >> shift
    needed = max(1, largest.bit_length() + mixed)
    fitting = [bits for bits in chip.weight_bits if bits >= needed]
    bits = min(fitting, default=needed)
    # The chip left-aligns a weight in 8 bits (9 with the sign); its exponent brings it back to our units.
    exponent = shift - (8 - bits + mixed)
    in_range = (chip.weight_min <= low and high <= chip.weight_max) or shift > 0
    return WeightFormat(bits, shift, mixed, bool(fitting) and in_range and _EXPONENT_MIN <= exponent <= _EXPONENT_MAX)


def list_bits(lengths: Counts | int, entry_bits: int, block: int, word: int = 64) -> Counts:
    """Return the memory bits of synapse lists of ``lengths`` entries in blocks of ``block``."""
    full, rest = np.divmod(np.asarray(lengths, dtype=np.int64), block)
    return full * _words(block * entry_bits, word) + np.where(rest > 0, _words(rest * entry_bits, word), 0)


def encode(
    weights: IntArray | sp.csr_array,
    chip: Chip,
    *,
    source: str = "",
    target: str = "",
    share: bool = True,
    bits: int | None = None,
    delay: int = 0,
) -> Encoding:
    """Return the cheapest encoding of ``weights`` (n_target, n_source), the rows that stand on one core.

    ``share`` stores equal lists once; ``bits`` overrides the weight width, to price another level set. Sparse weights
    may be stored as a convolution, where the chip can. ``delay`` is that of all of them.
    """
    held = weight_format(weights, chip)
    if held.two and bits is None:
        given: dict[str, Any] = {"source": source, "target": target, "share": share, "delay": delay}
        return _both(*(encode(part, chip, **given) for part in halves(weights)))
    weight_bits = held.bits if bits is None else bits
    apart = held.apart and bits is None
    width = weight_bits + (chip.delay_bits if delay else 0)
    n_target: int = weights.shape[0]  # type: ignore[index]
    if isinstance(weights, np.ndarray):
        lengths = np.count_nonzero(weights, axis=0)
        connected = np.flatnonzero(lengths)
        own = np.concatenate([_own_lists(part, share) for part in (_by_sign(weights) if apart else (weights,))])
        candidates = list(_candidates(own, n_target, width, chip))
    else:
        columns = weights.tocsc()
        lengths = np.diff(columns.indptr)
        connected = np.flatnonzero(lengths)
        parts = [part.tocsc() for part in _by_sign(weights)] if apart else [columns]
        equal = np.concatenate([_own_lists(part, share) for part in parts])
        candidates = list(_candidates(equal, n_target, width, chip))
        if "conv" in chip.encodings:
            shared = np.concatenate([_unique_lists(part, relative=True) for part in parts])
            candidates.append(_indexed("conv", shared, n_target, width, chip))
    best = min(candidates, key=lambda c: c.bits)
    return Encoding(
        source,
        target,
        best.name,
        weight_bits,
        best.index_bits,
        best.block,
        len(connected),
        best.lists,
        int(lengths.sum()),
        best.stored,
        best.bits,
        delay,
    )


def _both(high: Encoding, low: Encoding) -> Encoding:
    """Return the encoding of two synapses a weight; an axon has lists for both."""
    added = {name: getattr(high, name) + getattr(low, name) for name in ("lists", "synapses", "stored", "bits")}
    return replace(high, axons=max(high.axons, low.axons), **added)


def _by_sign(weights: Any) -> tuple[Any, Any]:
    """Return the weights above 0 and those below, zeros elsewhere."""
    if isinstance(weights, np.ndarray):
        return np.maximum(weights, 0), np.minimum(weights, 0)
    return weights.maximum(0), weights.minimum(0)


def _own_lists(weights: Any, share: bool) -> Counts:
    """Return the lengths of the lists of a matrix; ``share``: equal ones are one."""
    if isinstance(weights, np.ndarray):
        lengths = np.count_nonzero(weights, axis=0)
        connected = np.flatnonzero(lengths)
        return lengths[_distinct(weights, connected) if share else connected]
    if share:
        return _unique_lists(weights, relative=False)
    lengths = np.diff(weights.indptr)
    return lengths[lengths > 0]


@dataclass(frozen=True)
class _Candidate:
    name: str
    index_bits: int
    block: int
    lists: int
    stored: int
    bits: int


def _candidates(lengths: Counts, n_target: int, width: int, chip: Chip) -> Iterable[_Candidate]:
    """Yield the encodings of lists of ``lengths`` synapses, the best block size of each taken."""
    if "dense" in chip.encodings:
        block, bits = _best_block(np.array([n_target]), np.array([len(lengths)]), width, chip)
        yield _Candidate("dense", 0, block, len(lengths), len(lengths) * n_target, bits)
    if "sparse" in chip.encodings:
        yield _indexed("sparse", lengths, n_target, width, chip)


def _indexed(name: str, lengths: Counts, n_target: int, width: int, chip: Chip) -> _Candidate:
    sizes, repeats = np.unique(lengths, return_counts=True)
    index_bits = _index_bits(n_target, chip)
    block, bits = _best_block(sizes, repeats, width + index_bits, chip)
    return _Candidate(name, index_bits, block, len(lengths), int(lengths.sum()), bits)


def _best_block(sizes: Counts, repeats: Counts, entry_bits: int, chip: Chip) -> tuple[int, int]:
    if not sizes.size or not repeats.sum():
        return MAX_BLOCK, 0
    blocks = np.arange(1, MAX_BLOCK + 1)
    bits = list_bits(sizes[:, None], entry_bits, blocks, chip.memory_word_bits)  # type: ignore[arg-type]
    totals = repeats @ bits
    best = int(totals.argmin())
    return int(blocks[best]), int(totals[best])


def _words(payload: Counts | int, word: int) -> Counts:
    return -(-(np.asarray(payload) + BLOCK_HEADER_BITS) // word) * word


def _index_bits(n_target: int, chip: Chip) -> int:
    needed = max(n_target - 1, 0).bit_length()
    return min((bits for bits in chip.index_bits if bits >= needed), default=needed)


def _common_shift(weights: IntArray) -> int:
    """Return the largest s such that 2^s divides every weight."""
    joined = int(np.bitwise_or.reduce(weights, axis=None)) if weights.size else 0
    return (joined & -joined).bit_length() - 1 if joined else 0


def _distinct(weights: IntArray, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the first of each set of equal columns among ``columns``."""
    # A random linear hash finds the columns that may be equal; those are then compared.
    keys = np.random.default_rng(0).integers(1, 2**62, size=len(weights), dtype=np.int64)
    hashes = keys @ weights[:, columns].astype(np.int64)
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    if len(first) == len(columns):
        return columns
    representative = columns[first][group]
    same = (weights[:, columns] == weights[:, representative]).all(axis=0)
    return columns[~same | (columns == representative)]


def _unique_lists(columns: sp.csc_array, relative: bool) -> Counts:
    """Return the lengths of the distinct lists among the columns; ``relative``: one of all that differ by a shift."""
    columns.sort_indices()
    lengths: dict[tuple[bytes, bytes], int] = {}
    for first, last in pairwise(columns.indptr.tolist()):
        if first < last:
            targets = columns.indices[first:last]
            key = ((targets - targets[0] if relative else targets).tobytes(), columns.data[first:last].tobytes())
            lengths[key] = last - first
    return np.array(list(lengths.values()), dtype=np.int64)

"""Which neurons a chip must update at a step, and not just look at.

A neuron is active when it received a synaptic event, has a nonzero bias, or carries a potential from the step before:
the rule of SANA-FE's Loihi neuron, which its cost of an update belongs to. (A neuron that fires received an event, or
has a bias or a potential.) A neuron with state that is cleared for the next sample is updated, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.bit_words import Words, words
from conntra_hardware.base.cores import cores
from conntra_hardware.neurons import later
from conntra_hardware.neurons.compiled import FORMS, count_active
from conntra_hardware.program import CoreSlice, Population, Program, Projection
from conntra_hardware.program.arrivals import arriving_sums

__all__ = ["active_neurons", "active_updates"]

Mask = npt.NDArray[np.bool_]
_DENSE_WORDS = 2
_BLOCK_VALUES = 2**20
_WORTH = 2**24  # pairs of spikes and synapses from which the compiler is worth loading
_CACHED = 2**18  # pairs of a block, so that its words stay in the cache


def active_updates(
    program: Program,
    population: Population,
    sent: Mapping[str, npt.NDArray[Any]],
    traces: npt.NDArray[np.uint8] | None = None,
) -> list[npt.NDArray[np.int64]]:
    """Return for each slice of ``population`` the number of its neurons that are active at each time step, (rows,).

    ``sent`` maps sources of spikes to what they sent (rows, size). The samples are taken to repeat: the last one comes
    before the first. ``traces`` are those of a Recording, where there are some.
    """
    slices = program.slices_of(population.name)
    incoming = program.incoming(population.name)
    if traces is not None and len(incoming) == 1 and isinstance(incoming[0], Projection) and not incoming[0].delay:
        return _traced(population, incoming[0], slices, sent[incoming[0].source], traces)
    memoryless = program.steps == 1 and population.neuron.facts.form in ("threshold", "readout")
    if (
        memoryless
        and len(incoming) == 1
        and isinstance(incoming[0], Projection)
        and incoming[0].source not in (*_graded(program), population.name)
    ):
        source = sent[incoming[0].source]
        active = active_neurons(population, incoming[0].weights, source, sent.get(population.name))
        return [active(s.start, s.stop) for s in slices]
    return _in_blocks(program, population, slices, sent)


def _groups(population: Population, slices: Sequence[CoreSlice]) -> npt.NDArray[np.int64]:
    groups = np.zeros(population.size, np.int64)
    for index, s in enumerate(slices):
        groups[s.index] = index
    return groups


def _traced(
    population: Population,
    projection: Projection,
    slices: Sequence[CoreSlice],
    spikes: npt.NDArray[Any],
    traces: npt.NDArray[np.uint8],
) -> list[npt.NDArray[np.int64]]:
    """Return what ``active_updates`` does where it is known already which neurons have something left or arriving."""
    from conntra_hardware.base.word_overlap import count_traced  # loads the compiler

    groups, biased = _groups(population, slices), population.bias != 0
    counts = np.empty((len(traces), len(slices)), np.int64)
    counts[:] = [s.size for s in slices]
    wired = words(projection.weights != 0)
    spiking = words(spikes != 0)
    edges = np.linspace(0, len(traces), cores() + 1).astype(int).tolist()
    with ThreadPoolExecutor(cores()) as pool:
        list(
            pool.map(lambda a, b: count_traced(traces, a, b, spiking, wired, biased, groups, counts), edges, edges[1:])
        )
    return [np.ascontiguousarray(counts[:, index]) for index in range(len(slices))]


def _graded(program: Program) -> set[str]:
    return {p.name for p in program.populations if p.neuron.graded}


def _in_blocks(
    program: Program, population: Population, slices: Sequence[CoreSlice], sent: Mapping[str, npt.NDArray[Any]]
) -> list[npt.NDArray[np.int64]]:
    steps, incoming = program.steps, program.incoming(population.name)
    samples = len(sent[incoming[0].source]) // steps
    counts = np.empty((samples, steps, len(slices)), np.int64)
    size = max(1, _BLOCK_VALUES // (steps * population.size))
    groups = _groups(population, slices)
    for start in range(0, samples, size):
        # The sample before comes along, for what it leaves behind.
        block = np.arange(start - 1, min(start + size, samples)) % samples
        sources = {p.source: sent[p.source].reshape(samples, steps, -1)[block] for p in incoming}
        sums = arriving_sums(program, population.name, sources)
        reached = _reached_by(program, population, sources, sums)
        counts[start : start + len(block) - 1] = _counted(population, sums, reached, groups, len(slices))
    return [np.ascontiguousarray(counts[:, :, index]).reshape(-1) for index in range(len(slices))]


def _counted(
    population: Population, sums: npt.NDArray[np.int64], reached: Mask, groups: npt.NDArray[np.int64], n_groups: int
) -> npt.NDArray[np.int64]:
    """Return the active neurons of each group, (samples - 1, steps, n_groups), from the second sample on."""
    neuron = population.neuron
    if neuron.facts.form in FORMS:
        return count_active(neuron.facts, population.bias, sums, reached, groups, n_groups)
    n, steps, size = sums.shape
    kept = (neuron.left(sums, population.bias) != 0).reshape(n * steps, size)
    active = reached.reshape(n * steps, size)[steps:] | kept[steps - 1 : -1] | (population.bias != 0)
    shares = [np.count_nonzero(active[:, groups == group], axis=1) for group in range(n_groups)]
    return np.stack(shares, axis=1).reshape(n - 1, steps, n_groups)


def _reached_by(
    program: Program, population: Population, sources: Mapping[str, npt.NDArray[Any]], sums: npt.NDArray[np.int64]
) -> Mask:
    """Return whether a spike meets a synapse of each neuron at each step, (n, steps, size).

    Where the sums are not 0 one did; few neurons are left to look at.
    """
    found = sums != 0
    for projection in program.incoming(population.name):
        spikes, lag = sources[projection.source], program.lag(projection)
        n, steps, size = spikes.shape
        flat = spikes.reshape(n * steps, size)
        if isinstance(projection, Projection) and len(flat) * projection.weights.size >= _WORTH:
            met = np.zeros_like(found) if lag else found
            _mark_overlaps(words(flat != 0), words(projection.weights != 0), met.reshape(n * steps, -1))
        else:
            met = (projection.events(flat) > 0).reshape(found.shape)
        found |= later(met, lag)
    return found


def _mark_overlaps(spiking: Words, wired: Words, met: Mask) -> None:
    """Set in ``met`` (rows, neurons) the pairs that share a bit in some word."""
    from conntra_hardware.base.word_overlap import overlaps  # loads the compiler

    edges = np.linspace(0, len(spiking), cores() + 1).astype(int).tolist()
    with ThreadPoolExecutor(cores()) as pool:
        parts = map(slice, edges[:-1], edges[1:])
        list(pool.map(lambda part: overlaps(spiking[part], wired, met[part]), parts))


def active_neurons(
    population: Population, weights: IntArray, source: SpikeArray, fired: SpikeArray | None
) -> Callable[[int, int], npt.NDArray[np.int64]]:
    """Return a function from a range of neurons to their active number at each sample, shape (n,).

    ``weights`` (size, n_source), ``source`` (n, n_source) 0/1, ``fired`` (n, size) 0/1 or None for a readout. The
    samples are taken to repeat: the last one comes before the first.
    """
    quiet = np.flatnonzero(population.bias == 0)
    reached = _reached(source, weights[quiet])
    row, column = np.nonzero(~reached)
    if len(row):
        left = _potential_left(weights[quiet], source, fired if fired is None else fired[:, quiet], row - 1, column)
        reached[row[left], column[left]] = True

    def count(start: int, stop: int) -> npt.NDArray[np.int64]:
        first, last = np.searchsorted(quiet, [start, stop])
        return stop - start - (last - first) + np.count_nonzero(reached[:, first:last], axis=1)

    return count


def _reached(source: SpikeArray, weights: IntArray) -> Mask:
    """Return whether a spike meets a nonzero weight, shape (n, neurons), without multiplying: by words of 64
    sources.
    """
    spiking, wired = words(source), words(weights != 0)
    # Busy words first: after a few of them nearly every pair is decided.
    order = np.argsort(-np.count_nonzero(spiking, axis=0), kind="stable")
    reached = np.zeros((len(source), len(weights)), dtype=bool)
    rows = max(1, _CACHED // max(len(weights), 1))
    for start in range(0, len(source), rows):
        here = slice(start, start + rows)
        _mark(reached[here], spiking[here], wired, order)
    return reached


def _mark(reached: Mask, spiking: Words, wired: Words, order: npt.NDArray[np.intp]) -> None:
    """Set in ``reached`` (rows, neurons) the pairs that share a bit in some word."""
    for word in order[:_DENSE_WORDS]:
        reached |= (spiking[:, word, None] & wired[None, :, word]) != 0
    sample, neuron = np.nonzero(~reached)
    for word in order[_DENSE_WORDS:]:
        if not len(sample):
            return
        hit = (spiking[sample, word] & wired[neuron, word]) != 0
        reached[sample[hit], neuron[hit]] = True
        sample, neuron = sample[~hit], neuron[~hit]


def _potential_left(
    weights: IntArray,
    source: SpikeArray,
    fired: SpikeArray | None,
    sample: npt.NDArray[np.intp],
    neuron: npt.NDArray[np.intp],
) -> Mask:
    """Return for each pair whether the neuron, without a bias, kept a potential: it did not fire and its sum was not
    0.
    """
    rows, row = np.unique(sample, return_inverse=True)
    columns, column = np.unique(neuron, return_inverse=True)
    # Sums of weights stay far below 2^53, so float64 is exact.
    sums = source[rows].astype(np.float64) @ weights[columns].T.astype(np.float64)
    kept = sums[row, column] != 0
    return kept if fired is None else kept & (fired[sample, neuron] == 0)

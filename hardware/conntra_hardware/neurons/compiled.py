"""Neurons with state, compiled: their spikes, and how many of them are active at each step, on every core.

Written apart from ``Neuron.advance``, which defines it: numbers one after the other, no arrays of states, no decay of
what is 0. Tests hold one to the other. Loading the compiler takes a while, so it is loaded where something is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.cores import cores
from conntra_hardware.neurons.base import FORGETS, FRACTION_BITS, Facts, values

__all__ = ["FORMS", "count_active", "counts_of", "spikes_of"]

FORMS = ("threshold", "integrating", "leaky", "readout", "leaky readout")
"""The forms of neuron that are compiled."""

_LEAST = 2**15
"""Neuron steps below which a further thread is not worth its start."""

Loops = Sequence[tuple[int, Any]]
"""Ways back: the lag of each in steps, at least 1, and its weights, a sparse matrix (size, size)."""


def spikes_of(
    facts: Facts,
    bias: npt.NDArray[Any],
    sums: npt.NDArray[Any],
    loops: Loops,
    out: npt.NDArray[np.uint8],
    traces: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Write into ``out`` (n, steps, size) the spikes at ``sums``, of that shape, whole numbers of any type.

    ``traces`` of that shape, where there are no loops: 1 where a neuron carries u or v on, plus 2 where its sum is not
    0.
    """
    from conntra_hardware.neurons import compiled_loops

    rules, hard, pauses = _rules(facts, bias, sums.shape[2])
    if not loops and facts.form == "integrating" and _reach(facts, bias, sums) < 2**31:
        biases, theta, least = (np.ascontiguousarray(rules[index], np.int32) for index in (3, 4, 5))
        marks = np.empty(sums.shape, np.uint8) if traces is None else traces
        whole = compiled_loops.integrated
        _on_every_core(lambda part: whole(sums[part], biases, theta, least, hard, out[part], marks[part]), sums)
        return
    if not loops and traces is not None:
        run = compiled_loops.traced
        _on_every_core(lambda part: run(sums[part], rules, hard, pauses, out[part], traces[part]), sums)
        return
    if not loops:
        _on_every_core(lambda part: compiled_loops.feed_forward(sums[part], rules, hard, pauses, out[part]), sums)
        return
    lags = np.array([lag for lag, _ in loops], np.int64)
    columns = [matrix.tocsc() for _, matrix in loops]
    starts = np.stack([c.indptr.astype(np.int64) for c in columns])
    first = np.cumsum([0, *(c.nnz for c in columns)])[:-1]
    targets = np.concatenate([c.indices.astype(np.int64) for c in columns])
    weights = np.concatenate([c.data.astype(np.int64) for c in columns])
    wired = (lags, starts + first[:, None], targets, weights)
    _on_every_core(lambda part: compiled_loops.recurrent(sums[part], rules, hard, pauses, *wired, out[part]), sums)


def counts_of(facts: Facts, bias: npt.NDArray[Any], sums: npt.NDArray[Any], out: npt.NDArray[np.int32]) -> None:
    """Write into ``out`` (rows, size) how many of their ``thresholds`` neurons exceed at ``sums`` (rows, size)."""
    from conntra_hardware.neurons import compiled_loops

    # With the bias taken off a sum is compared as it is, whatever its type: less memory to go through.
    rows = np.array(facts.thresholds, np.int64) - np.asarray(bias, np.int64)[:, None]
    levels = np.ascontiguousarray(rows.T)  # (k, size), so that neurons side by side fill a vector
    _on_every_core(lambda part: compiled_loops.counted(sums[part], levels, out[part]), sums)


def _reach(facts: Facts, bias: npt.NDArray[Any], sums: npt.NDArray[Any]) -> int:
    """Return what no potential of neurons without a leak exceeds on the way through a sample, nor a threshold."""
    step = max(int(sums.max(initial=0)), -int(sums.min(initial=0))) + int(np.abs(bias).max(initial=0))
    return (sums.shape[1] + 1) * step + 2 * int(np.max(facts.threshold or 0)) + 1


def count_active(
    facts: Facts,
    bias: npt.NDArray[Any],
    sums: npt.NDArray[Any],
    reached: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    n_groups: int,
) -> npt.NDArray[np.int64]:
    """Return the active neurons of each group at each step, (n - 1, steps, n_groups), from the second sample on.

    ``sums`` and ``reached`` (n, steps, size): what arrives of all sources, and whether any of it meets a synapse.
    ``groups`` (size,): the group of each neuron. What a sample leaves behind is there when the next one begins.
    """
    from conntra_hardware.neurons import compiled_loops

    rules, hard, pauses = _rules(facts, bias, sums.shape[2])
    out = np.zeros((len(sums) - 1, sums.shape[1], n_groups), np.int64)

    def run(part: slice) -> None:
        seen = slice(part.start, part.stop + 1)
        compiled_loops.active(sums[seen], reached[seen], rules, hard, pauses, groups, out[part])

    _on_every_core(run, sums[1:])
    return out


def _rules(facts: Facts, bias: npt.NDArray[Any], size: int) -> tuple[tuple[Any, ...], bool, bool]:
    """Return what the loops need of each neuron, whether a spike clears v, and whether any is refractory.

    Of each neuron, (size,) each: the parts of 4,096 that u and v keep, the unit of a weight, the bias and the threshold
    in it, the least v with a spike, the refractory steps, and the end at which registers wrap round or stop.
    """
    shift = facts.fraction_bits
    never = facts.threshold is None
    threshold = 0 if never else values(facts.threshold) << shift  # type: ignore[arg-type]
    rules = (
        FORGETS - values(facts.current_decay),
        FORGETS - values(facts.voltage_decay),
        1 << shift,
        np.asarray(bias, np.int64) << shift,
        threshold,
        _NEVER if never else threshold + int(facts.strict),
        values(facts.refractory),
        2**23 if shift == FRACTION_BITS else _NEVER,
    )
    wide = tuple(np.array(np.broadcast_to(rule, size), np.int64) for rule in rules)
    return wide, facts.reset == "hard", bool(np.any(wide[6]))


_NEVER = 2**60


def _on_every_core(run: Callable[[slice], None], samples: npt.NDArray[Any]) -> None:
    """Call ``run`` with slices that cover ``samples``, one a core."""
    # Threads of ours and not numba's: those must not be entered from two threads at once.
    shares = min(cores(), 1 + samples.size // _LEAST, len(samples))
    if shares <= 1:
        run(slice(0, len(samples)))
        return
    edges = np.linspace(0, len(samples), shares + 1).astype(int).tolist()
    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(run, map(slice, edges[:-1], edges[1:])))

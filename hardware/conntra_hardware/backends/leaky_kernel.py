"""The reference's kernel of Loihi's leaky neurons: compiled, on every core, a sample at a time.

It is written apart from ``Lif.advance``, which defines it: no arrays of states, no decay of what is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.cores import cores
from conntra_hardware.neurons import FORGETS, FRACTION_BITS, Facts, values

__all__ = ["leaky"]

_LEAST = 2**15
"""Neuron steps below which a further thread is not worth its start."""


def leaky(
    facts: Facts,
    bias: npt.NDArray[Any],
    sums: npt.NDArray[Any],
    loops: Sequence[tuple[int, Any]],
    out: npt.NDArray[np.uint8],
) -> None:
    """Write into ``out`` (n, steps, size) the spikes at ``sums``, of that shape, whole numbers of any type.

    ``loops`` holds for each way back its lag in steps, at least 1, and its weights, a sparse matrix (size, size).
    """
    from conntra_hardware.backends import leaky_loops  # loads the compiler

    parameters = np.empty((6, sums.shape[2]), np.int64)
    parameters[0] = FORGETS - values(facts.current_decay)
    parameters[1] = FORGETS - values(facts.voltage_decay)
    parameters[2] = values(facts.threshold) << FRACTION_BITS  # type: ignore[operator]
    parameters[3] = values(facts.refractory)
    parameters[4] = bias << FRACTION_BITS
    parameters[5] = parameters[2] + int(facts.strict)
    hard = facts.reset == "hard"
    if not loops:
        _on_every_core(leaky_loops.feed_forward, sums, parameters, hard, out)
        return
    lags = np.array([lag for lag, _ in loops], np.int64)
    columns = [matrix.tocsc() for _, matrix in loops]
    starts = np.stack([c.indptr.astype(np.int64) for c in columns])
    first = np.cumsum([0, *(c.nnz for c in columns)])[:-1]
    targets = np.concatenate([c.indices.astype(np.int64) for c in columns])
    weights = np.concatenate([c.data.astype(np.int64) for c in columns])
    wired = (lags, starts + first[:, None], targets, weights)
    _on_every_core(leaky_loops.recurrent, sums, parameters, hard, *wired, out)


def _on_every_core(run: Any, sums: npt.NDArray[Any], *given: Any) -> None:
    """Call ``run`` with the samples of ``sums`` and of the last argument, a share to each core."""
    *others, out = given
    shares = min(cores(), 1 + sums.size // _LEAST, len(sums))
    if shares <= 1:
        run(sums, *others, out)
        return
    edges = np.linspace(0, len(sums), shares + 1).astype(int)
    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(lambda a, b: run(sums[a:b], *others, out[a:b]), edges[:-1], edges[1:]))

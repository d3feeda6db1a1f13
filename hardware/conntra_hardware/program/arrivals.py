"""What arrives at a population, step by step, of spikes that are known: delays and its own spikes included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import later
from conntra_hardware.program.program import Program

__all__ = ["arriving_events", "arriving_sums"]

Sent = Mapping[str, npt.NDArray[Any]]
"""By source (a population, or ``INPUT``) what it sent, (n, steps, size)."""


def arriving_sums(program: Program, name: str, sent: Sent) -> npt.NDArray[np.int64]:
    """Return the synaptic sums of the population ``name`` at each step, without its bias, (n, steps, size)."""
    return _added(program, name, sent, "apply")


def arriving_events(program: Program, name: str, sent: Sent) -> npt.NDArray[np.int64]:
    """Return how many spikes meet a synapse of each neuron of ``name`` at each step, (n, steps, size)."""
    return _added(program, name, sent, "events")


def _added(program: Program, name: str, sent: Sent, what: str) -> npt.NDArray[np.int64]:
    total: npt.NDArray[np.int64] | None = None
    for projection in program.incoming(name):
        spikes = sent[projection.source]
        n, steps, size = spikes.shape
        values = getattr(projection, what)(spikes.reshape(n * steps, size)).reshape(n, steps, -1)
        values = later(values, program.lag(projection))
        total = values if total is None else total + values
    assert total is not None  # every population has one
    return total

"""Backends that are wrong in one known way, for ``verify`` to catch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.program import Program, Projection
from conntra_hardware.runtime import Availability, Recording, RunOptions


class WrongBackend:
    """The reference on a changed program, or with its recording changed."""

    def __init__(
        self,
        name: str,
        program: Callable[[Program], Program] = lambda program: program,
        recording: Callable[[Recording], Recording] = lambda recording: recording,
    ) -> None:
        self.name = name
        self._program = program
        self._recording = recording

    def availability(self) -> Availability:
        return Availability(ok=True)

    def execute(self, program: Program, inputs: np.ndarray, options: RunOptions) -> Recording:
        return self._recording(ReferenceBackend().execute(self._program(program), inputs, options))


def off_by_one(layer: str, neuron: int) -> WrongBackend:
    """A neuron whose threshold is one too low."""

    def change(program: Program) -> Program:
        populations = list(program.populations)
        at = [p.name for p in populations].index(layer)
        bias = populations[at].bias.copy()
        bias[neuron] += 1
        populations[at] = replace(populations[at], bias=bias)
        return replace(program, populations=tuple(populations))

    return WrongBackend("off-by-one", program=change)


def changed_weight(layer: str, neuron: int, source: int, weight: int = 0, name: str = "dropped") -> WrongBackend:
    """A synapse that is missing, or has another weight."""

    def change(program: Program) -> Program:
        projections = list(program.projections)
        at = [p.target for p in projections].index(layer)
        weights = projections[at].weights.astype(np.int64)
        weights[neuron, source] = weight
        projections[at] = Projection(projections[at].source, layer, weights)
        return replace(program, projections=tuple(projections))

    return WrongBackend(name, program=change)


def delayed(layer: str) -> WrongBackend:
    """Spikes of a layer (or the logits) that are recorded one time step late."""

    def late(values: np.ndarray) -> np.ndarray:
        return np.vstack([np.zeros_like(values[:1]), values[:-1]])

    def change(recording: Recording) -> Recording:
        if layer in recording.spikes:
            spikes = {name: late(v) if name == layer else v for name, v in recording.spikes.items()}
            return replace(recording, spikes=spikes)
        return replace(recording, logits=late(recording.logits))

    return WrongBackend("delayed", recording=change)


def saturated(limit: int) -> WrongBackend:
    """Logits that saturate."""
    return WrongBackend("saturated", recording=lambda r: replace(r, logits=np.clip(r.logits, -limit, limit)))

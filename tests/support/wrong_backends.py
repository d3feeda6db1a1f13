"""Backends that are wrong in one known way, for ``verify`` to catch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.program import Program, Projection


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


def changed_weights(layer: str, change: Callable[[np.ndarray], np.ndarray], name: str) -> WrongBackend:
    """A layer whose weights (size, n_source) are all changed by a function."""

    def changed(program: Program) -> Program:
        projections = [
            Projection(p.source, p.target, change(p.weights.astype(np.int64)), p.delay) if p.target == layer else p
            for p in program.projections
        ]
        return replace(program, projections=tuple(projections))

    return WrongBackend(name, program=changed)


def changed_bias(layer: str, change: Callable[[np.ndarray], np.ndarray], name: str) -> WrongBackend:
    """A layer whose biases (size,) are all changed by a function."""

    def changed(program: Program) -> Program:
        populations = [replace(p, bias=change(p.bias)) if p.name == layer else p for p in program.populations]
        return replace(program, populations=tuple(populations))

    return WrongBackend(name, program=changed)


class SlowMutant:
    """A time-stepped simulator of its own with a mistake in one layer's potentials, which later layers then see.

    ``mistake(sums, bias, before)`` returns a step's potentials from its synaptic sums, the biases and the potentials of
    the step before (None at the first), all (size,).
    """

    def __init__(self, name: str, layer: str, mistake: Callable[..., np.ndarray]) -> None:
        self.name = name
        self._layer = layer
        self._mistake = mistake

    def availability(self) -> Availability:
        return Availability(ok=True)

    def execute(self, program: Program, inputs: np.ndarray, options: RunOptions) -> Recording:
        spikes, source = {}, inputs.astype(np.int64)
        logits = np.empty((0, 0), np.int64)
        for population in program.populations:
            (projection,) = program.incoming(population.name)
            sums = source @ projection.weights.T.astype(np.int64)
            potentials = sums + population.bias
            if population.name == self._layer:
                before = None
                for row, these in enumerate(sums):
                    before = potentials[row] = self._mistake(these, population.bias, before)
            if population.neuron.spikes:
                source = (potentials > 0).astype(np.int64)
                spikes[population.name] = source.astype(np.uint8)
            else:
                logits = potentials
        return Recording(spikes, logits, 0.0)


class Delaying(SlowMutant):
    """A layer that really sends its spikes a step late, so that all later layers are late, too."""

    def __init__(self, layer: str) -> None:
        self._held: np.ndarray | None = None
        super().__init__("late", layer, self._hold)

    def _hold(self, sums: np.ndarray, bias: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        sent = np.zeros_like(sums) if before is None or self._held is None else self._held
        self._held = sums + bias
        return sent

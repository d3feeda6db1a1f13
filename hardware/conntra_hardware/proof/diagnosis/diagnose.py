"""The search: layer by layer, whole-layer mistakes before those of single neurons and synapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.program import INPUT, Program
from conntra_hardware.proof.diagnosis.layer import Layer, layer_of
from conntra_hardware.proof.diagnosis.layer_faults import Hypothesis, explains, only_the_start, whole_layer
from conntra_hardware.proof.diagnosis.time_faults import time_faults
from conntra_hardware.proof.diagnosis.unit_faults import Fault, faults, swapped_neurons

if TYPE_CHECKING:
    from conntra_hardware.backends.protocol import Recording

__all__ = ["Diagnosis", "Finding", "diagnose"]

_NEURONS = 16
_ALSO = 3


@dataclass(frozen=True)
class Finding:
    """One layer that went wrong on its own, and the mistake that explains every value of it.

    cause       "weight rounding", "threshold", "one step late", "missing synapse", ...; None where none is known
    neurons     where it was made; empty where it is the whole layer's
    wrong       values that it explains
    potential   what the first wrong value's potential was with this mistake, beside ``right_potential``
    also        other mistakes that would give the very same values, so that these samples cannot tell them apart
    """

    layer: str
    cause: str | None
    text: str
    neurons: tuple[int, ...]
    wrong: int
    potential: int | None
    right_potential: int
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"layer {self.layer}: {self.text}"


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with ``backend``; ``explained`` where its findings account for every difference."""

    backend: str
    explained: bool
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        listed = "; ".join(map(str, self.findings))
        return f"{self.backend}: {listed}" if listed else f"{self.backend}: no cause found"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def diagnose(program: Program, inputs: SpikeArray, backend: str, expected: Recording, got: Recording) -> Diagnosis:
    """Return why ``got`` differs from ``expected``, both recordings of ``inputs`` (rows, n_inputs)."""
    below = {INPUT: inputs, **got.spikes}
    findings = []
    for population in program.populations:
        spikes = population.neuron.spikes
        ours, theirs = (r.spikes[population.name] if spikes else r.logits for r in (expected, got))
        if np.array_equal(ours, theirs):
            continue  # whatever was recorded below, this layer is right
        layer = layer_of(program, population, below, theirs, program.steps)
        if layer.wrong.any():
            findings.append(_finding(layer))
    explained = bool(findings) and all(finding.cause is not None for finding in findings)
    return Diagnosis(backend, explained, tuple(findings))


def _finding(layer: Layer) -> Finding:
    whole = _whole(layer)
    if whole is not None:
        return whole
    found = _neurons(layer)
    if found.cause is None and only_the_start(layer):
        text = (
            "it is one time step late, as far as can be seen: only its first value is wrong, and no other ever changes"
        )
        return _made(layer, "one step late", text, (), None, [])
    return found


def _whole(layer: Layer) -> Finding | None:
    found: list[Hypothesis] = []
    for hypothesis in chain(whole_layer(layer), time_faults(layer)):
        if explains(hypothesis, layer):
            found.append(hypothesis)
        if len(found) > _ALSO:
            break
    pair = swapped_neurons(layer)
    if pair is not None:
        one, other = (int(i) for i in layer.wrong_neurons)
        text = f"neurons {one} and {other} are exchanged"
        return _made(layer, "swapped pair", text, (one, other), pair, [h.text for h in found])
    if not found:
        return None
    first, *others = found
    sample, step, neuron = layer.first()
    potential = int(first.potentials(layer, np.array([sample]))[0, step, neuron])
    return _made(layer, first.cause, first.text, (), potential, [h.text for h in others])


def _neurons(layer: Layer) -> Finding:
    """Explain each wrong neuron; of several mistakes that would, take the kind that explains all of them."""
    wrong = [int(i) for i in layer.wrong_neurons]
    each = [faults(layer, neuron) for neuron in wrong[:_NEURONS]]
    if len(wrong) > _NEURONS or not all(each):
        unknown = [n for n, found in zip(wrong, each, strict=False) if not found] or wrong
        text = f"no known cause explains {len(wrong)} wrong neuron(s), such as {unknown[0]}"
        return _made(layer, None, text, tuple(wrong), None, [])
    common = _common(each)
    chosen = [next(f for f in found if f in kept) for found, kept in zip(each, common, strict=True)]
    parts = [f"neuron {neuron}: {fault.text}" for neuron, fault in zip(wrong, chosen, strict=True)]
    others = [f.text for f in each[0] if f is not chosen[0]] if len(wrong) == 1 else []
    first = wrong.index(layer.first()[2])
    cause = chosen[0].cause if len({f.cause for f in chosen}) == 1 else "several"
    return _made(layer, cause, "; ".join(parts), tuple(wrong), chosen[first].potential, others)


def _common(each: Sequence[list[Fault]]) -> list[list[Fault]]:
    """Keep the faults that all neurons share: the same synapses, else the same kind; else keep them all."""
    for key in (lambda f: (f.cause, f.sources), lambda f: (f.cause, ())):
        shared = set.intersection(*({key(f) for f in found} for found in each))
        if shared:
            order = [key(f) for f in each[0] if key(f) in shared]
            return [[f for f in found if key(f) == order[0]] for found in each]
    return list(each)


def _made(
    layer: Layer, cause: str | None, text: str, neurons: tuple[int, ...], potential: int | None, also: Sequence[str]
) -> Finding:
    return Finding(
        layer=layer.population.name,
        cause=cause,
        text=text,
        neurons=neurons,
        wrong=int(np.count_nonzero(layer.wrong)),
        potential=potential,
        right_potential=int(layer.potentials[layer.first()]),
        also=tuple(also[:_ALSO]),
    )

"""Mutants of random programs: one known mistake each, drawn from a seed, and what verification made of them.

``python tests/support/mutants.py`` prints the table of docs/verification.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from wrong_backends import Delaying, SlowMutant, WrongBackend, changed_bias, changed_weight, changed_weights, off_by_one

from conntra_hardware.backends.protocol import Backend, RunOptions
from conntra_hardware.program import Program
from conntra_hardware.proof.fuzz_case import _inputs, dense_case
from conntra_hardware.proof.verify import verify

PROGRAMS = 30
SAMPLES = 300


@dataclass(frozen=True)
class Mutant:
    """``make(program, layer, rng)`` is a backend with the mistake, None where the layer has no place for it.

    ``cause`` is what ``diagnose`` calls it, ``words`` are in what it says.
    """

    name: str
    cause: str
    words: str
    make: Callable[[Program, str, np.random.Generator], Backend | None]


def _one_threshold(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
    population = program.population(layer)
    return off_by_one(layer, int(rng.integers(population.size))) if population.neuron.spikes else None


def _all_thresholds(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
    by = int(rng.choice([-1, 1]))
    return changed_bias(layer, lambda b: b + by, "mutant") if program.population(layer).neuron.spikes else None


def _lowest_bit(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
    weights = _weights(program, layer)
    return changed_weights(layer, lambda w: w & ~1, "mutant") if (weights & 1).any() else None


def _delay(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
    return Delaying(layer)


def _missing_synapse(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
    places = np.argwhere(_weights(program, layer))
    if not len(places):
        return None
    neuron, source = places[rng.integers(len(places))]
    return changed_weight(layer, int(neuron), int(source))


def _swapped_pair(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
    size = program.population(layer).size
    if size < 2:
        return None
    one, other = (int(i) for i in rng.choice(size, 2, replace=False))

    def swap(values: np.ndarray) -> np.ndarray:
        swapped = values.copy()
        swapped[[one, other]] = swapped[[other, one]]
        return swapped

    weights, bias = changed_weights(layer, swap, "mutant"), changed_bias(layer, swap, "mutant")
    return WrongBackend("mutant", program=lambda p: bias._program(weights._program(p)))


def _register(clip: bool) -> Callable[[Program, str, np.random.Generator], Backend | None]:
    """A register half as wide as the potentials need, which saturates or wraps round."""

    def make(program: Program, layer: str, rng: np.random.Generator) -> Backend | None:
        magnitude = np.abs(_weights(program, layer)).sum(axis=1) + np.abs(program.population(layer).bias)
        bits = int(magnitude.max()).bit_length() - 1
        half = 2 ** (bits - 1)
        if bits < 4:
            return None

        def mistake(sums: np.ndarray, bias: np.ndarray, before: np.ndarray | None) -> np.ndarray:
            return np.clip(sums + bias, 1 - half, half - 1) if clip else (sums + bias + half) % (2 * half) - half

        return SlowMutant("mutant", layer, mistake)

    return make


def _weights(program: Program, layer: str) -> np.ndarray:
    (projection,) = program.incoming(layer)
    return projection.weights.astype(np.int64)


MUTANTS = (
    Mutant("all thresholds of a layer one too low or high", "threshold", "the threshold is", _all_thresholds),
    Mutant("one threshold one too low", "threshold", "the threshold is", _one_threshold),
    Mutant("lowest weight bit dropped", "weight rounding", "lowest weight bit", _lowest_bit),
    Mutant("a layer one step late", "one step late", "one time step late", _delay),
    Mutant("one synapse missing", "missing synapse", "is missing", _missing_synapse),
    Mutant("two neurons exchanged", "swapped pair", "are exchanged", _swapped_pair),
    Mutant("saturation where there should be none", "saturation", "saturates at", _register(clip=True)),
    Mutant("wrap-around where there should be none", "overflow", "wraps round", _register(clip=False)),
)


@dataclass
class Tally:
    """Of the mutants made: ``visible`` ones gave another value than they should on some sample."""

    made: int = 0
    visible: int = 0
    caught: int = 0
    named: int = 0
    listed: int = 0


def tally(mutant: Mutant, programs: int = PROGRAMS) -> Tally:
    """Return what became of ``mutant`` in a random layer of each of ``programs`` random programs."""
    found = Tally()
    for index in range(programs):
        rng = np.random.default_rng([7, index])
        program = dense_case(7, index).program
        for place in rng.permutation(len(program.populations)):
            layer = program.populations[place].name
            backend = mutant.make(program, layer, rng)
            if backend is not None:
                found.made += 1
                _judge(mutant, program, layer, backend, _inputs(rng, SAMPLES, program.n_inputs), found)
                break
    return found


def _judge(mutant: Mutant, program: Program, layer: str, backend: Backend, inputs: np.ndarray, found: Tally) -> None:
    plain = SlowMutant("plain", "none", lambda *_: np.empty(0))  # integer products, without the mistake
    right, wrong = (b.execute(program, inputs, RunOptions()) for b in (plain, backend))
    same = all(np.array_equal(right.spikes[name], wrong.spikes[name]) for name in right.spikes)
    found.visible += not (same and np.array_equal(right.logits, wrong.logits))
    certificate = verify(program, inputs, ["reference", backend])
    if certificate.equal:
        return
    found.caught += 1
    findings = {f.layer: f for f in certificate.diagnoses[0].findings}
    if set(findings) != {layer}:
        return
    finding = findings[layer]
    found.named += finding.cause == mutant.cause
    found.listed += finding.cause != mutant.cause and any(mutant.words in text for text in finding.also)


def row(mutant: Mutant, t: Tally) -> str:
    """Return the line of docs/verification.md about ``mutant``, ``t`` being its tally."""
    return f"| {mutant.name} | {t.made} | {t.visible} | {t.caught} | {t.named} | {t.listed} |"


if __name__ == "__main__":
    print("| mutant | made | visible | caught | named | named as another possibility |")
    print("|---|---:|---:|---:|---:|---:|", *(row(m, tally(m)) for m in MUTANTS), sep="\n")

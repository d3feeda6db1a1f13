"""One random program with inputs, drawn from a seed: any number of layers, weights, biases, cores that are accepted.

Most are chains of dense layers of threshold neurons, with all forms of weights; the others are in ``fuzz_layers`` and
``fuzz_time``.

Sums on the threshold are what goes wrong: biases are set so that most neurons have a potential of -1, 0 or 1 on some
sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.chip import Chip, load_chip
from conntra_hardware.fit.overflow import register_limit
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection
from conntra_hardware.proof.fuzz_layers import layered_case
from conntra_hardware.proof.fuzz_time import sigma_delta_case, timed_case

__all__ = ["FuzzCase", "dense_case", "random_case"]

_WIDEST, _DEEPEST, _MOST_SAMPLES = 300, 4, 24
_WIDE_ONE_IN = 10
_SYNAPSE_BITS = 20  # at most, with its index and its share of headers: keeps slices within a core's memory
_SLICES = 8
_LAYERED_ONE_IN = 3
_TIMED_ONE_IN = 4
_CHANGING_ONE_IN = 12
_COUNTING_ONE_IN = 12


@dataclass(frozen=True, eq=False)
class FuzzCase:
    """Program ``index`` of a run, and its input spikes (samples * steps, n_inputs)."""

    program: Program
    inputs: SpikeArray
    index: int = 0

    def describe(self) -> Mapping[str, int]:
        """Return numbers that say where in the space it lies."""
        weights = [p.alphabet for p in self.program.projections if p.alphabet.size]
        return {
            "layers": len(self.program.populations),
            "inputs": self.program.n_inputs,
            "widest": max(p.size for p in self.program.populations),
            "samples": len(self.inputs) // self.program.steps,
            "steps": self.program.steps,
            "least_weight": min((int(w.min()) for w in weights), default=0),
            "largest_weight": max((int(w.max()) for w in weights), default=0),
            "least_bias": min(int(p.bias.min()) for p in self.program.populations),
            "largest_bias": max(int(p.bias.max()) for p in self.program.populations),
            "cores": self.program.cores_used,
        }


def random_case(
    seed: int,
    index: int,
    dilated: bool = False,
    timed: bool = False,
    changing: bool = False,
    counting: bool = False,
) -> FuzzCase:
    """Return program ``index`` of the run with ``seed``: always the same.

    ``dilated`` has some convolutions dilated, ``timed`` some programs live in time, ``changing`` some have sigma-delta
    neurons, and ``counting`` some have neurons of several thresholds, of which earlier versions knew nothing; no other
    program changes.
    """
    if timed and index % _TIMED_ONE_IN == _TIMED_ONE_IN - 1:
        program, inputs = timed_case(np.random.default_rng([seed, index, 2]))
        return FuzzCase(program, inputs, index)
    if changing and index % _CHANGING_ONE_IN == 0:
        program, inputs = sigma_delta_case(np.random.default_rng([seed, index, 3]))
        return FuzzCase(program, inputs, index)
    if counting and index % _COUNTING_ONE_IN == _COUNTING_ONE_IN // 2:
        program, inputs = layered_case(
            np.random.default_rng([seed, index, 4]), np.random.default_rng([seed, index, 5]), counting=True
        )
        return FuzzCase(program, inputs, index)
    if index % _LAYERED_ONE_IN == _LAYERED_ONE_IN - 1:
        gaps = np.random.default_rng([seed, index, 1]) if dilated else None
        program, inputs = layered_case(np.random.default_rng([seed, index]), gaps)
        return FuzzCase(program, inputs, index)
    return dense_case(seed, index)


def dense_case(seed: int, index: int) -> FuzzCase:
    """Return a chain of dense layers of threshold neurons: always the same."""
    rng = np.random.default_rng([seed, index])
    chip = load_chip("loihi1" if rng.random() < 0.7 else "loihi2")
    sizes = _sizes(rng)
    inputs = _inputs(rng, int(rng.integers(1, _MOST_SAMPLES + 1)), sizes[0])
    populations, projections, source = [], [], inputs
    for depth, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        last = depth == len(sizes) - 1
        name = "out" if last else f"h{depth}"
        weights = _weights(rng, n_out, n_in, chip)
        sums = source.astype(np.int64) @ weights.T
        bias = _bias(rng, sums, weights, chip)
        populations.append(Population(name, Readout() if last else Threshold(), bias))
        projections.append(Projection(INPUT if depth == 1 else f"h{depth - 1}", name, weights))
        source = (sums + bias > 0).astype(np.uint8)
    slices = _slices(rng, sizes, [p.name for p in populations], chip)
    program = Program(chip, sizes[0], tuple(populations), tuple(projections), slices)
    return FuzzCase(program, inputs, index)


def _sizes(rng: np.random.Generator) -> list[int]:
    """Draw inputs, hidden layers and readout; small sizes are as likely as large ones, and one in ten is very wide."""

    def width(largest: int) -> int:
        return int(np.exp(rng.uniform(0, np.log(largest + 1))))

    wide = rng.integers(_WIDE_ONE_IN) == 0
    first = int(rng.integers(_WIDEST, 4097)) if wide else width(_WIDEST)
    hidden = [width(60 if wide else _WIDEST) for _ in range(rng.integers(_DEEPEST + 1))]
    return [first, *hidden, width(20)]


def _inputs(rng: np.random.Generator, samples: int, n_inputs: int) -> SpikeArray:
    """Draw spikes: each sample with its own density, and none or all of them now and then."""
    density = rng.choice([0.0, 0.02, 0.1, 0.3, 0.5, 0.9, 1.0], (samples, 1), p=[0.05, 0.1, 0.3, 0.2, 0.2, 0.1, 0.05])
    return (rng.random((samples, n_inputs)) < density).astype(np.uint8)


def _weights(rng: np.random.Generator, n_out: int, n_in: int, chip: Chip) -> IntArray:
    """Draw weights of one of the forms that a chip stores, small enough that no sum can overflow."""
    room = (register_limit(chip) - 2**12) // n_in
    levels = [v for v in _levels(rng) if abs(v) <= room]
    weights = rng.choice(levels or [-1, 1], (n_out, n_in))
    if rng.random() < 0.3:  # sparse synapses, whatever the levels
        weights = np.where(rng.random(weights.shape) < rng.random(), weights, 0)
    return weights


def _levels(rng: np.random.Generator) -> list[int]:
    form = rng.integers(7)
    if form < 3:
        return [[-1, 1], [-1, 0, 1], [0, 1]][form]
    if form == 3:
        most = int(rng.integers(2, 9))
        return list(range(-most, most + 1))
    if form == 4:  # both signs: -128 to 127, or twice that in even numbers
        scale = int(rng.choice([1, 1, 2]))
        return [int(v) * scale for v in rng.choice(np.arange(-128, 128), rng.integers(2, 17), replace=False)]
    sign = 1 if form == 5 else -1
    return [int(v) * sign for v in rng.choice(256, rng.integers(2, 17), replace=False)]


def _bias(rng: np.random.Generator, sums: IntArray, weights: IntArray, chip: Chip) -> IntArray:
    """Put most neurons on the threshold for a sample; of 13-bit mantissas, larger biases are even."""
    samples, n_out = sums.shape
    chosen = sums[rng.integers(samples, size=n_out), np.arange(n_out)]
    near = rng.choice([-1, 0, 0, 1, 1, 2], n_out) - chosen
    free = np.rint(rng.uniform(-1, 1, n_out) * rng.choice([3, 100, 4095])).astype(np.int64)
    bias = np.where(rng.random(n_out) < 0.9, near, free)
    if rng.random() < 0.1:
        bias = np.zeros_like(bias)
    largest = 2 ** (chip.bias_mantissa_bits - 1)
    reach = np.maximum(register_limit(chip) - np.abs(weights).sum(axis=1), 0)
    wide = np.clip(bias, -2 * largest, 2 * largest - 2)
    bias = np.where((bias < -largest) | (bias >= largest), wide // 2 * 2, bias)
    return np.where(np.abs(bias) <= reach, bias, 0)


def _slices(rng: np.random.Generator, sizes: list[int], names: list[str], chip: Chip) -> tuple[CoreSlice, ...]:
    """Cut populations into slices that fit a core and put each on a core of its own; tiny programs share one."""
    memory = chip.synapse_memory_bits // 2
    needs = sum(n_in * n_out * _SYNAPSE_BITS for n_in, n_out in pairwise(sizes))
    if needs < memory and sum(sizes[1:]) < chip.neurons_per_core // 2 and rng.random() < 0.3:
        return tuple(CoreSlice(name, 0, size, 0) for name, size in zip(names, sizes[1:], strict=True))
    cores = iter(rng.permutation(chip.cores).tolist())
    slices: list[CoreSlice] = []
    for name, n_in, size in zip(names, sizes, sizes[1:], strict=False):
        fits = max(1, min(size, memory // (n_in * _SYNAPSE_BITS + 1)))
        least = min(fits, -(-size // _SLICES))
        step = int(rng.integers(least, fits + 1))
        slices += [CoreSlice(name, s, min(s + step, size), next(cores)) for s in range(0, size, step)]
    return tuple(slices)

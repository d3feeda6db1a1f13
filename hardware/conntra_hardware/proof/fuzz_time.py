"""Random programs that live in time: leaky neurons of all parameters, delays, ways back, outputs of every kind.

And chains of sigma-delta neurons, with graded spikes of both signs.

Weights and thresholds are of a size at which some neurons spike and others do not; now and then they are as large as
registers, so that currents wrap round and voltages stop at their ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Lif, Neuron, Readout, SigmaDelta, Threshold
from conntra_hardware.program import (
    INPUT,
    AnyProjection,
    ConvProjection,
    CoreSlice,
    Population,
    Program,
    Projection,
    SparseProjection,
)
from conntra_hardware.program.convolution import Geometry

__all__ = ["sigma_delta_case", "timed_case"]

_DEEPEST, _WIDEST, _MOST_ROWS, _LONGEST = 3, 24, 60, 12
_LARGE_ONE_IN = 8
_GRADED_BITS = 7


def timed_case(rng: np.random.Generator) -> tuple[Program, SpikeArray]:
    """Return a random program over time and its input spikes (samples * steps, n_inputs)."""
    steps = int(rng.integers(1, _LONGEST + 1))
    samples = int(rng.integers(1, max(2, _MOST_ROWS // steps)))
    shape = tuple(int(n) for n in rng.integers((1, 3, 3), (3, 6, 6)))
    n_inputs = int(np.prod(shape))
    large = rng.integers(_LARGE_ONE_IN) == 0
    plain = bool(rng.random() < 0.4)  # of what Lava's own neurons can do
    sizes = [n_inputs]
    populations: list[Population] = []
    projections: list[AnyProjection] = []
    source = INPUT
    for depth in range(int(rng.integers(0, _DEEPEST + 1)) + 1):
        last = (depth > 0 and rng.random() < 0.4) or depth == _DEEPEST
        name = "out" if last else f"h{depth}"
        convolved = depth == 0 and not last and rng.random() < 0.3
        into = [_convolution(rng, shape, name)] if convolved else _into(rng, source, name, sizes[-1], large)
        size = into[0].shape[0]
        neuron = _readout(rng, size, plain) if last else _neuron(rng, size, steps, plain, large)
        if neuron.spikes and rng.random() < 0.5:
            into += _synapses(rng, name, name, size, size, large)
        populations.append(Population(name, neuron, rng.integers(-2, 3, size) * (127 if large else 1)))
        projections += into
        sizes.append(size)
        source = name
        if last:
            break
    chip = load_chip("loihi1" if rng.random() < 0.5 else "loihi2")
    cores = rng.permutation(chip.cores)
    slices = tuple(CoreSlice(p.name, 0, p.size, int(core)) for p, core in zip(populations, cores, strict=False))
    program = Program(chip, n_inputs, tuple(populations), tuple(projections), slices, steps=steps)
    density = rng.choice([0.05, 0.2, 0.5, 0.9], (samples, 1, 1))
    inputs = (rng.random((samples, steps, n_inputs)) < density).astype(np.uint8)
    return program, inputs.reshape(-1, n_inputs)


def sigma_delta_case(rng: np.random.Generator) -> tuple[Program, SpikeArray]:
    """Return a random chain of sigma-delta neurons, now and then with graded ReLUs or threshold neurons between them,
    and its input spikes (samples * steps, n_inputs).

    Shifts keep spikes below 2^7, so that sums of the next layer stay within every register.
    """
    steps, n_inputs = int(rng.integers(1, _LONGEST + 1)), int(rng.integers(1, _WIDEST + 1))
    samples = int(rng.integers(1, max(2, _MOST_ROWS // steps)))
    inputs = (rng.random((samples, steps, n_inputs)) < rng.choice([0.05, 0.2, 0.5, 0.9], (samples, 1, 1))).astype(
        np.uint8
    )
    populations: list[Population] = []
    projections: list[AnyProjection] = []
    source, sent = INPUT, inputs.astype(np.int64)
    for name in [*(f"h{depth}" for depth in range(int(rng.integers(1, _DEEPEST + 1)))), "out"]:
        size = int(rng.integers(1, _WIDEST + 1))
        weights = _weights(rng, (size, sent.shape[2]), False)
        sums, bias = sent @ weights.T, rng.integers(-20, 21, size)
        reached = int(np.abs(sums.cumsum(axis=1)).max()) + 20
        neuron = Readout() if name == "out" and rng.random() < 0.5 else _changing(rng, reached)
        populations.append(Population(name, neuron, bias))
        projections.append(Projection(source, name, weights))
        source, sent = name, neuron.advance(sums, bias).sent.astype(np.int64)
    chip = load_chip("loihi2")
    cores = rng.permutation(chip.cores)
    slices = tuple(CoreSlice(p.name, 0, p.size, int(core)) for p, core in zip(populations, cores, strict=False))
    program = Program(chip, n_inputs, tuple(populations), tuple(projections), slices, steps=steps)
    return program, inputs.reshape(-1, n_inputs)


def _changing(rng: np.random.Generator, reached: int) -> Neuron:
    """Return neurons whose potentials are up to ``reached``."""
    shift = max(0, (4 * reached).bit_length() - _GRADED_BITS)
    kind = rng.random()
    if kind < 0.1:
        return Threshold()
    if kind < 0.2:
        return GradedRelu(shift)
    threshold = int(rng.choice([0, 1, 2, 5, 1 << shift, max(1, reached // 4)]))
    activation = "relu" if rng.random() < 0.6 else "linear"
    return SigmaDelta(threshold, shift, activation, cumulative_error=bool(rng.random() < 0.4))


def _weights(rng: np.random.Generator, shape: tuple[int, ...], large: bool) -> IntArray:
    if large:
        return rng.integers(-128, 128, shape)
    levels = ([-1, 1], [-1, 0, 1], [-3, -1, 0, 1, 2], [0, 1, 2], list(range(-8, 9)))[rng.integers(5)]
    return rng.choice(levels, shape)


def _delay(rng: np.random.Generator) -> int:
    return 0 if rng.random() < 0.5 else int(rng.choice([1, 2, 3, 7, 63], p=[0.4, 0.25, 0.2, 0.1, 0.05]))


def _into(rng: np.random.Generator, source: str, target: str, n_in: int, large: bool) -> list[AnyProjection]:
    return _synapses(rng, source, target, n_in, int(rng.integers(1, _WIDEST + 1)), large)


def _synapses(
    rng: np.random.Generator, source: str, target: str, n_in: int, n_out: int, large: bool
) -> list[AnyProjection]:
    """Return projections of one delay or several, dense or sparse."""
    import scipy.sparse as sp

    delays = {_delay(rng) for _ in range(int(rng.integers(1, 4)))}
    found: list[AnyProjection] = []
    for delay in sorted(delays):
        weights = _weights(rng, (n_out, n_in), large)
        if rng.random() < 0.3:
            entries = sp.coo_array(np.where(rng.random(weights.shape) < 0.3, weights, 0))
            found.append(SparseProjection(source, target, entries, delay))
        else:
            found.append(Projection(source, target, weights, delay))
    return found


def _convolution(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> ConvProjection:
    kernel = tuple(int(rng.integers(1, min(3, side) + 1)) for side in shape[1:])
    geometry = Geometry(
        (shape[0], shape[1], shape[2]), int(rng.integers(1, 4)), (kernel[0], kernel[1]), (1, 1), (0, 0), 1
    )
    return ConvProjection(INPUT, name, _weights(rng, geometry.kernel_shape, False), geometry, _delay(rng))


def _lif(rng: np.random.Generator, size: int, plain: bool, large: bool) -> Lif:
    def drawn(values: Any) -> Any:
        return rng.choice(values) if plain or rng.random() < 0.5 else rng.choice(values, size)

    decays = np.array([1, 2, 163, 410, 1024, 2048, 3000, 4095, 4096] + ([] if plain else [0, 0]))
    thresholds = np.array([131_071, 60_000, 1_000, 300]) if large else np.array([1, 2, 3, 4, 6, 10])
    if plain:
        voltage_decay = int(rng.choice([0, *decays]))
        return Lif(int(rng.choice(thresholds)), voltage_decay=voltage_decay, current_decay=int(rng.choice(decays)))
    return Lif(
        drawn(thresholds),
        voltage_decay=drawn(decays),
        current_decay=drawn(decays),
        reset="soft" if rng.random() < 0.5 else "hard",
        strict=bool(rng.random() < 0.5),
        refractory=drawn(np.array([0, 0, 0, 1, 2, 5])),
    )


def _neuron(rng: np.random.Generator, size: int, steps: int, plain: bool, large: bool) -> Neuron:
    kind = rng.random()
    if kind < 0.75 or large:
        return _lif(rng, size, plain, large)
    return Threshold() if kind < 0.88 else IntegrateAndFire(int(rng.integers(1, 8)), steps, "hard")


def _readout(rng: np.random.Generator, size: int, plain: bool) -> Neuron:
    form = rng.integers(4)
    if form == 0:
        return Readout()
    if form == 1:
        return _lif(rng, size, plain, False)
    decays = [int(d) for d in rng.choice([1, 163, 410, 2048, 4096], 2)]
    read = "last" if plain or form == 2 else "max"
    return Readout(read, voltage_decay=decays[0], current_decay=decays[1])

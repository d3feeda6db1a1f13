"""Random programs of all that is not a chain of dense layers of threshold neurons.

Convolutions with strides, padding, groups and dilation, sparse synapses, graded and integrate-and-fire neurons,
neurons of several thresholds, several time steps a sample, and connections that skip a layer, handed on by a population
beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.chip import Chip, load_chip
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, MultiThreshold, Neuron, Readout, Threshold
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
from conntra_hardware.program.projection import one_to_one

__all__ = ["COUNTING_MIXES", "DRAWS", "MIXES", "Draw", "layered_case"]

_DEEPEST, _MOST_ROWS, _MOST_SLICES, _FURTHEST = 4, 48, 4, 3
_GRADED_BITS = 7
"""Graded spikes stay below 2^7, so that sums of a later layer stay within every register."""


@dataclass
class _Drawn:
    """A program in the making; ``spikes`` (samples, steps, size) are what each source sends.

    ``gaps`` draws dilations, apart from all else: without it programs are those of the time before there were any.
    """

    rng: np.random.Generator
    steps: int
    kinds: tuple[str, ...]
    spikes: dict[str, IntArray]
    shape: tuple[int, int, int] | None
    gaps: np.random.Generator | None
    populations: list[Population] = field(default_factory=list)
    projections: list[AnyProjection] = field(default_factory=list)


def layered_case(
    rng: np.random.Generator, gaps: np.random.Generator | None = None, counting: bool = False
) -> tuple[Program, SpikeArray]:
    """Return a random program and its input spikes (samples * steps, n_inputs); dilations are drawn from ``gaps``.

    ``counting``: of kinds that ``COUNTING_MIXES`` names, rather than ``MIXES``.
    """
    mixes = COUNTING_MIXES if counting else MIXES
    kinds = mixes[rng.integers(len(mixes))]
    steps = int(rng.integers(2, 7)) if any(DRAWS[kind].over_time for kind in kinds) else 1
    shape = tuple(int(n) for n in rng.integers((1, 3, 3), (4, 10, 10)))
    samples = int(rng.integers(1, _MOST_ROWS // steps + 1))
    density = rng.choice([0.05, 0.2, 0.5, 0.9], (samples, 1, 1))
    inputs = (rng.random((samples, steps, int(np.prod(shape)))) < density).astype(np.uint8)
    drawn = _Drawn(rng, steps, kinds, {INPUT: inputs.astype(np.int64)}, (shape[0], shape[1], shape[2]), gaps)
    before, source = None, INPUT
    for depth in range(1, int(rng.integers(0, _DEEPEST)) + 1):
        before, source = source, _layer(drawn, f"h{depth}", source, before)
    _add(drawn, "out", Readout(), [_dense(drawn, source, "out", int(rng.integers(2, 8)))])
    graded = not {"graded_relu", "multi_threshold"}.isdisjoint(kinds)
    chip = load_chip("loihi2" if graded or rng.random() < 0.3 else "loihi1")
    slices = _slices(rng, drawn.populations, chip)
    populations, projections = tuple(drawn.populations), tuple(drawn.projections)
    return Program(chip, inputs.shape[2], populations, projections, slices), inputs.reshape(samples * steps, -1)


def _layer(drawn: _Drawn, name: str, source: str, before: str | None) -> str:
    """Add a layer behind ``source``, now and then with what the layer ``before`` it sent; return its name."""
    rng, shape = drawn.rng, drawn.shape
    form = rng.integers(4)
    if form < 2 and shape is not None:
        incoming: list[AnyProjection] = [_convolution(drawn, shape, source, name)]
    elif form == 2:
        incoming = [_sparse(drawn, source, name)]
        drawn.shape = None
    else:
        incoming = [_dense(drawn, source, name, int(rng.integers(1, 40)))]
        drawn.shape = None
    relay = None if before is None or rng.random() < 0.6 else _relay(drawn, before, source)
    if relay is not None:
        incoming.append(_sparse(drawn, relay, name, incoming[0].shape[0]))
    _add(drawn, name, None, incoming)
    return name


def _relay(drawn: _Drawn, before: str, beside: str) -> str:
    """Add a population beside ``beside`` that hands on what ``before`` sends, a step later."""
    name, size = f"{beside}_relay", drawn.spikes[before].shape[2]
    graded = before != INPUT and next(p for p in drawn.populations if p.name == before).neuron.graded
    place = [p.name for p in drawn.populations].index(beside)
    drawn.populations.insert(place, Population(name, GradedRelu() if graded else Threshold(), np.zeros(size, int)))
    drawn.projections.append(one_to_one(before, name, size))
    drawn.spikes[name] = drawn.spikes[before]
    return name


def _weights(drawn: _Drawn, shape: tuple[int, ...]) -> IntArray:
    rng = drawn.rng
    levels = ([-1, 1], [-1, 0, 1], [-3, -1, 0, 1, 2], [0, 1, 2])[rng.integers(4)]
    return rng.choice(levels, shape)


def _convolution(drawn: _Drawn, shape: tuple[int, int, int], source: str, name: str) -> ConvProjection:
    rng = drawn.rng
    kernel = tuple(int(rng.integers(1, min(4, side) + 1)) for side in shape[1:])
    stride, padding = (tuple(int(n) for n in rng.integers(low, low + 2, 2)) for low in (1, 0))
    groups = int(rng.choice([g for g in (1, 2, 3) if shape[0] % g == 0]))
    padding = tuple(min(p, k - 1) for p, k in zip(padding, kernel, strict=True))
    outputs = groups * int(rng.integers(1, 4))
    window = ((stride[0], stride[1]), (padding[0], padding[1]), groups, _dilation(drawn, shape, (kernel[0], kernel[1])))
    geometry = Geometry(shape, outputs, (kernel[0], kernel[1]), *window)
    drawn.shape = geometry.output_shape
    return ConvProjection(source, name, _weights(drawn, geometry.kernel_shape), geometry)


def _sparse(drawn: _Drawn, source: str, name: str, size: int | None = None) -> SparseProjection:
    import scipy.sparse as sp

    n_out = int(drawn.rng.integers(1, 40)) if size is None else size
    weights = _weights(drawn, (n_out, drawn.spikes[source].shape[2]))
    return SparseProjection(source, name, sp.coo_array(np.where(drawn.rng.random(weights.shape) < 0.3, weights, 0)))


def _dilation(drawn: _Drawn, shape: tuple[int, int, int], kernel: tuple[int, int]) -> tuple[int, int]:
    """Draw distances of the kernel's weights that leave it within the image."""
    if drawn.gaps is None:
        return 1, 1
    most = [min(_FURTHEST, (side - 1) // max(size - 1, 1)) for side, size in zip(shape[1:], kernel, strict=True)]
    down, right = (int(drawn.gaps.integers(1, max(n, 1) + 1)) for n in most)
    return down, right


def _dense(drawn: _Drawn, source: str, name: str, n_out: int) -> Projection:
    return Projection(source, name, _weights(drawn, (n_out, drawn.spikes[source].shape[2])))


def _add(drawn: _Drawn, name: str, neuron: Neuron | None, incoming: list[AnyProjection]) -> None:
    """Add a population with its projections, biased to the threshold, and what it sends."""
    rng = drawn.rng
    sums = np.zeros((*drawn.spikes[INPUT].shape[:2], incoming[0].shape[0]), np.int64)
    for projection in incoming:
        sent = drawn.spikes[projection.source]
        sums += projection.apply(sent.reshape(-1, sent.shape[2])).reshape(sums.shape)
    chosen = sums[rng.integers(sums.shape[0]), rng.integers(sums.shape[1])]
    bias = np.where(rng.random(sums.shape[2]) < 0.7, rng.integers(-1, 3, sums.shape[2]) - chosen, 0)
    bias = np.clip(bias, -4096, 4095)
    potentials = sums + bias
    neuron = _neuron(drawn, int(np.abs(potentials).max()), _bound(drawn, incoming, bias)) if neuron is None else neuron
    drawn.populations.append(Population(name, neuron, bias))
    drawn.projections += incoming
    drawn.spikes[name] = neuron.respond(potentials).astype(np.int64)


def _bound(drawn: _Drawn, incoming: list[AnyProjection], bias: IntArray) -> int:
    """Return a potential that no input exceeds."""
    spikes = {p.name: 2**_GRADED_BITS if p.neuron.graded else 1 for p in drawn.populations}
    total = sum(projection.magnitudes() * spikes.get(projection.source, 1) for projection in incoming)
    return int((total + np.abs(bias)).max())


def _neuron(drawn: _Drawn, largest: int, bound: int) -> Neuron:
    kind = str(drawn.rng.choice(drawn.kinds))
    return DRAWS[kind].neuron(drawn.rng, drawn.steps, largest, bound)


@dataclass(frozen=True)
class Draw:
    """How neurons of a kind are drawn: ``neuron(rng, steps, largest, bound)``, from the steps of a sample, the largest
    potential of the samples drawn, and one that no input exceeds. ``over_time``: a sample takes several steps.
    """

    neuron: Callable[[np.random.Generator, int, int, int], Neuron]
    over_time: bool = False


def _graded(rng: np.random.Generator, steps: int, largest: int, bound: int) -> GradedRelu:
    shift = max(0, bound.bit_length() - _GRADED_BITS) + int(rng.integers(2))
    # An odd bound is as good as a coin, and leaves what is drawn after it as it was.
    return GradedRelu(shift, ceiling=max(1, bound >> (shift + 2))) if bound % 2 else GradedRelu(shift)


def _integrating(rng: np.random.Generator, steps: int, largest: int, bound: int) -> IntegrateAndFire:
    reset = "soft" if rng.random() < 0.5 else "hard"
    return IntegrateAndFire(int(rng.integers(1, largest + 2)), steps, reset)


def _counting(rng: np.random.Generator, steps: int, largest: int, bound: int) -> MultiThreshold:
    """Thresholds about the potentials that there are, some of them equal, some never reached, some always."""
    k = int(rng.choice([1, 2, 3, 7, 15, 100]))
    return MultiThreshold(rng.integers(-largest - 2, largest + 3, k))


DRAWS: dict[str, Draw] = {
    "threshold": Draw(lambda rng, steps, largest, bound: Threshold()),
    "graded_relu": Draw(_graded),
    "multi_threshold": Draw(_counting),
    "integrate_and_fire": Draw(_integrating, over_time=True),
}
MIXES: tuple[tuple[str, ...], ...] = (
    ("threshold",),
    ("threshold", "graded_relu"),
    ("integrate_and_fire", "threshold"),
)
"""The kinds that hidden populations of one program are drawn from."""

COUNTING_MIXES: tuple[tuple[str, ...], ...] = (
    ("multi_threshold",),
    ("multi_threshold", "threshold", "graded_relu"),
    ("integrate_and_fire", "multi_threshold"),
)
"""Those of programs with neurons of several thresholds, apart, so that other programs stay what they were."""


def _slices(rng: np.random.Generator, populations: list[Population], chip: Chip) -> tuple[CoreSlice, ...]:
    """Cut each population into a few runs of neurons, each on a core of its own."""
    cores = iter(rng.permutation(chip.cores).tolist())
    slices = []
    for population in populations:
        parts = int(rng.integers(1, min(_MOST_SLICES, population.size) + 1))
        edges = np.linspace(0, population.size, parts + 1).astype(int).tolist()
        slices += [CoreSlice(population.name, edges[k], edges[k + 1], next(cores)) for k in range(parts)]
    return tuple(slices)

"""Random programs built by hand, and the plain integer oracle they are held to.

``cases()`` draws the structure with hypothesis, so that failures shrink; the arrays come from a drawn seed. Biases are
put on the boundary: for some sample, most neurons have a potential of exactly 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection

LEVEL_SETS: tuple[tuple[int, ...], ...] = (
    (-1, 1),
    (-1, 0, 1),
    (0, 1),
    (-1, 0),
    (-2, -1, 0, 1, 2),
    (-3, 0, 5),
    tuple(range(-4, 5)),
    (-128, -1, 0, 1, 127),
    (0, 1, 254, 255),
    (-255, -3, 0),
    (-254, 0, 2, 250),
)
_BIAS = (-4096, 4095)
_LARGEST_SUM = 2**17 - 1 - 4096


@dataclass(frozen=True)
class Case:
    """A program, input spikes (n, n_inputs) for it, and what it does: spikes by population, and logits."""

    sizes: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]
    seed: int
    samples: int
    program: Program = field(repr=False)
    inputs: np.ndarray = field(repr=False)
    spikes: dict[str, np.ndarray] = field(repr=False)
    logits: np.ndarray = field(repr=False)


def build_program(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> Program:
    """Return a program of dense layers, weights (n_out, n_in), on loihi1; layers h1, h2, ..., out, a core each."""
    names = [f"h{depth}" for depth in range(1, len(weights))] + ["out"]
    sources = [INPUT, *names[:-1]]
    neurons = [Threshold()] * (len(weights) - 1) + [Readout()]
    populations = tuple(Population(*parts) for parts in zip(names, neurons, biases, strict=True))
    projections = tuple(Projection(*parts) for parts in zip(sources, names, weights, strict=True))
    slices = tuple(
        CoreSlice(name, 0, len(bias), core) for core, (name, bias) in enumerate(zip(names, biases, strict=True))
    )
    return Program(load_chip("loihi1"), int(np.shape(weights[0])[1]), populations, projections, slices)


def build_case(sizes: Sequence[int], levels: Sequence[tuple[int, ...]], seed: int, samples: int) -> Case:
    """Return the case of layer ``sizes`` (inputs first, readout last), a level set for each layer, and a seed."""
    rng = np.random.default_rng(seed)
    inputs = (rng.random((samples, sizes[0])) < rng.choice([0.1, 0.5, 0.9])).astype(np.uint8)
    weights, biases, activity, source = [], [], [], inputs
    for n_in, n_out, values in zip(sizes, sizes[1:], levels, strict=False):
        usable = [v for v in values if abs(v) * n_in <= _LARGEST_SUM]
        weight = rng.choice(usable, (n_out, n_in))
        sums = source.astype(np.int64) @ weight.T
        chosen = sums[rng.integers(samples, size=n_out), np.arange(n_out)]
        bias = np.clip(rng.choice([0, 0, 1, 1, -1, 7], n_out) - chosen, *_BIAS)
        activity.append(sums + bias)
        source = (activity[-1] > 0).astype(np.uint8)
        weights.append(weight)
        biases.append(bias)
    program = build_program(weights, biases)
    spikes = {p.name: (v > 0).astype(np.uint8) for p, v in zip(program.populations[:-1], activity, strict=False)}
    return Case(tuple(sizes), tuple(levels), seed, samples, program, inputs, spikes, activity[-1])


@st.composite
def cases(draw: st.DrawFn, max_width: int = 300, max_hidden: int = 4, max_samples: int = 12) -> Case:
    """Draw a case: 0 to ``max_hidden`` hidden layers of 1 to ``max_width``; one in eight has a fan-in of up to 4096."""
    width = st.integers(1, max_width)
    n_inputs = draw(st.integers(3000, 4096) if draw(st.integers(0, 7)) == 7 else width)
    hidden = draw(st.lists(width, max_size=max_hidden))
    sizes = (n_inputs, *hidden, draw(st.integers(1, 20)))
    levels = tuple(draw(st.sampled_from(LEVEL_SETS)) for _ in sizes[1:])
    return build_case(sizes, levels, draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, max_samples)))


def random_case(seed: int, n_inputs: int | None = None, samples: int = 60) -> Case:
    """Return one case that depends on ``seed`` alone, for simulators too slow for hypothesis."""
    rng = np.random.default_rng(seed)
    sizes = (n_inputs or int(rng.integers(1, 301)), *rng.integers(1, 301, rng.integers(0, 5)).tolist(), 10)
    levels = tuple(LEVEL_SETS[i] for i in rng.integers(len(LEVEL_SETS), size=len(sizes) - 1))
    return build_case(sizes, levels, seed, samples)

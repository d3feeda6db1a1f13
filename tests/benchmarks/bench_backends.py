"""Ratios between the backends on a random ternary 784-256-10 program, both sides measured in turns in one run.

Times per sample leave out starting the simulator, which is shown apart, except in "restarted", which is what one image
a run costs. Nothing here is a test: machines differ, ratios less so.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from conntra_hardware.backends import load_backend
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection
from conntra_hardware.runtime import Recording, RunOptions

SIZES = (784, 256, 10)
DENSITY = 0.15


def make_program(rng: np.random.Generator) -> Program:
    """Return a random ternary program of ``SIZES`` on loihi1."""
    n_in, hidden, out = SIZES
    populations = (
        Population("hidden", Threshold(), rng.integers(-8, 9, hidden)),
        Population("out", Readout(), rng.integers(-8, 9, out)),
    )
    projections = (
        Projection(INPUT, "hidden", rng.integers(-1, 2, (hidden, n_in))),
        Projection("hidden", "out", rng.integers(-1, 2, (out, hidden))),
    )
    slices = (CoreSlice("hidden", 0, hidden, 0), CoreSlice("out", 0, out, 1))
    return Program(load_chip("loihi1"), n_in, populations, projections, slices)


def measure(name: str, program: Program, inputs: np.ndarray, batch: int | None) -> tuple[float, float, Recording]:
    """Return the seconds of a sample, those of starting and stopping, and the recording."""
    start = time.perf_counter()
    recording = load_backend(name).execute(program, inputs, RunOptions(batch_size=batch))
    total = time.perf_counter() - start
    return recording.run_seconds / len(inputs), total - recording.run_seconds, recording


def compare(
    title: str,
    program: Program,
    fast: tuple[str, np.ndarray, int | None],
    slow: tuple[str, np.ndarray, int | None],
    repeats: int,
) -> None:
    """Measure both sides in turns and print the ratio of their medians."""
    sides: list[list[tuple[float, float]]] = [[], []]
    for _ in range(repeats):
        logits = []
        for side, (name, inputs, batch) in enumerate((fast, slow)):
            seconds, starting, recording = measure(name, program, inputs, batch)
            sides[side].append((seconds, starting))
            logits.append(recording.logits)
        common = min(map(len, logits))
        assert np.array_equal(logits[0][:common], logits[1][:common]), f"{title}: logits differ"
    (quick, quick_start), (plain, plain_start) = (
        [statistics.median(v) for v in zip(*side, strict=True)] for side in sides
    )
    print(
        f"{title:<46} {plain / quick:8.1f}x   {quick * 1e6:9.1f} us   {plain * 1e6:9.1f} us   "
        f"{quick_start:5.2f} s   {plain_start:5.2f} s"
    )


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4000, help="for the fast sides; the slow ones take a fraction")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    program = make_program(rng)
    many = (rng.random((arguments.samples, SIZES[0])) < DENSITY).astype(np.uint8)
    few, one = many[: max(1, arguments.samples // 10)], many[:1]
    print(
        f"random ternary {'-'.join(map(str, SIZES))}, {DENSITY:.0%} of inputs spike, {len(many)} and {len(few)} samples"
    )
    print(f"{'faster : slower, a sample':<46} {'ratio':>9}   {'faster':>12}   {'slower':>12}   {'starts':>7}")
    pairs = (("reference", "lava", many), ("reference", "brian2", many), ("lava", "lava-stock", few))
    for fast, slow, inputs in pairs:
        compare(f"{fast} : {slow}", program, (fast, many, None), (slow, inputs, None), arguments.repeats)
    side_by_side = ("brian2", many, None)
    compare("brian2 side by side : one image a step", program, side_by_side, ("brian2", few, 1), arguments.repeats)
    restarted("brian2", program, many, one, arguments.repeats)
    restarted("lava", program, many, one, arguments.repeats)


def restarted(name: str, program: Program, many: np.ndarray, one: np.ndarray, repeats: int) -> None:
    """Compare a whole run of many samples with a whole run of one, starts included."""
    whole, single = [], []
    for _ in range(repeats):
        seconds, starting, _ = measure(name, program, many, None)
        whole.append(seconds + starting / len(many))
        seconds, starting, _ = measure(name, program, one, None)
        single.append(seconds + starting)
    title = f"{name} batched : restarted for each image"
    quick, plain = statistics.median(whole), statistics.median(single)
    print(f"{title:<46} {plain / quick:8.1f}x   {quick * 1e6:9.1f} us   {plain * 1e6:9.1f} us   (starts included)")


if __name__ == "__main__":
    main()

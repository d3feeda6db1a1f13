"""Simulators against each other and against their plain use, on random ternary programs, in turns in one run.

"A sample" is the time of the simulation without starting the simulator, which is shown apart. "Restarted" is what a
simulator costs that is started for every image: a whole run of one image, its start included, against a whole run of
many. Programs and inputs are random: no simulator here is quicker or slower for trained ones of the same rates. Nothing
here is a test: machines differ, ratios less so. Ratios and times of a sample are a table in Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Recording, RunOptions
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import markdown_tables

SMALL, LARGE = (784, 512, 10), (784, 1024, 1024, 10)
DENSITY = 0.15
PER_CORE = 256


def make_program(sizes: tuple[int, ...]) -> Program:
    """Return a random ternary program of ``sizes`` on loihi1, 256 neurons a core."""
    rng = np.random.default_rng(0)
    populations, projections, slices, core = [], [], [], 0
    for depth, (n_in, n_out) in enumerate(pairwise(sizes)):
        last = depth == len(sizes) - 2
        name = "out" if last else f"h{depth}"
        populations.append(Population(name, Readout() if last else Threshold(), rng.integers(-8, 9, n_out)))
        weights = rng.integers(-1, 2, (n_out, n_in))
        projections.append(Projection(INPUT if depth == 0 else f"h{depth - 1}", name, weights))
        for start in range(0, n_out, PER_CORE):
            slices.append(CoreSlice(name, start, min(start + PER_CORE, n_out), core))
            core += 1
    return Program(load_chip("loihi1"), sizes[0], tuple(populations), tuple(projections), tuple(slices))


def measure(
    name: str, program: Program, inputs: np.ndarray, batch: int | None = None
) -> tuple[float, float, Recording]:
    """Return the seconds of a sample, those of starting and stopping, and the recording."""
    start = time.perf_counter()
    recording = load_backend(name).execute(program, inputs, RunOptions(batch_size=batch))
    total = time.perf_counter() - start
    return recording.run_seconds / len(inputs), total - recording.run_seconds, recording


def medians(name: str, program: Program, inputs: np.ndarray, batch: int | None, repeats: int) -> tuple[float, float]:
    """Return the medians of the seconds of a sample and of starting; the logits must be the reference's."""
    right = load_backend("reference").execute(program, inputs, RunOptions()).logits
    times = []
    for _ in range(repeats):
        seconds, starting, recording = measure(name, program, inputs, batch)
        assert np.array_equal(recording.logits, right), name
        times.append((seconds, starting))
    each, starts = zip(*times, strict=True)
    return statistics.median(each), statistics.median(starts)


def plain_numpy(program: Program, inputs: np.ndarray) -> float:
    """Return the seconds of a sample of the forward pass as one would write it down: integer matrix products."""
    weights = [p.weights.T.astype(np.int64) for p in program.projections]
    start = time.perf_counter()
    source = inputs.astype(np.int64)
    for matrix, population in zip(weights, program.populations, strict=True):
        source = source @ matrix + population.bias
        if population.neuron.spikes:
            source = (source > 0).astype(np.int64)
    return (time.perf_counter() - start) / len(inputs)


def throughput(title: str, sizes: tuple[int, ...], name: str, inputs: np.ndarray, repeats: int) -> tuple[float, float]:
    """Print how long many samples take on a backend that chooses its batch itself."""
    found = medians(name, make_program(sizes), inputs, None, repeats)
    seconds, starting = found
    print(f"{title:<44} {len(inputs):>7,} samples in {seconds * len(inputs):7.3f} s, started in {starting:5.2f} s")
    return found


def ratio(title: str, quick: float, plain: float) -> tuple[str, ...]:
    """Return how many times longer a sample takes in the plain way, and both times."""
    times = plain / quick
    return title, f"{times:,.1f}x" if times < 10 else f"{times:,.0f}x", _time(quick), _time(plain)


def _time(seconds: float) -> str:
    for unit, factor in (("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000:
            return f"{seconds * factor:.{1 if seconds * factor < 100 else 0}f} {unit}"
    return f"{seconds:.2f} s"


def main() -> None:
    """Print how long 10,000 samples take, then a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000, help="for the fast sides; the slow ones take a fraction")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    n, repeats = arguments.samples, arguments.repeats
    many = (np.random.default_rng(1).random((n, SMALL[0])) < DENSITY).astype(np.uint8)
    few, some, one = many[: max(1, n // 10)], many[: max(1, n // 100)], many[:1]
    small = make_program(SMALL)
    names = ["-".join(map(str, sizes)) for sizes in (SMALL, LARGE)]
    print(f"random ternary programs, {DENSITY:.0%} of inputs spike, medians of {repeats}\n")
    load_backend("reference").execute(make_program(LARGE), many, RunOptions())  # compiles its kernel
    large = throughput(f"reference, {names[1]}", LARGE, "reference", many, repeats)
    quick = {"reference": throughput(f"reference, {names[0]}", SMALL, "reference", many, repeats)}
    quick["lava"] = throughput(f"lava, batched, {names[0]}", SMALL, "lava", many, repeats)
    quick["brian2"] = throughput(f"brian2, side by side, {names[0]}", SMALL, "brian2", few, repeats)
    plain = {
        "lava": medians("lava-stock", small, few, None, repeats),
        "brian2": medians("brian2", small, some, 1, repeats),
    }
    has_sanafe = load_backend("sanafe").availability().ok
    if has_sanafe:
        sanafe = throughput(f"sanafe, {names[0]}", SMALL, "sanafe", some, repeats)
    rows = [
        ratio(f"`reference` : integer products in NumPy, {names[1]}", large[0], plain_numpy(make_program(LARGE), few)),
        ratio("`reference` : integer products in NumPy", quick["reference"][0], plain_numpy(small, few)),
        ratio("`lava` batched : stock Lava, one image a step", quick["lava"][0], plain["lava"][0]),
        ratio("`brian2` side by side : one image a step", quick["brian2"][0], plain["brian2"][0]),
    ]
    for name, inputs in (("lava", many), ("brian2", few)):
        seconds, starting, _ = measure("lava-stock" if name == "lava" else name, small, one)
        whole = quick[name][0] + quick[name][1] / len(inputs)
        rows.append(ratio(f"`{name}` for {len(inputs):,} : restarted for each image", whole, seconds + starting))
    rows.append(ratio("`reference` : `lava` batched", quick["reference"][0], quick["lava"][0]))
    rows.append(ratio("`reference` : `brian2` side by side", quick["reference"][0], quick["brian2"][0]))
    if has_sanafe:
        rows += [ratio(f"`{name}` : `sanafe`", quick[name][0], sanafe[0]) for name in ("reference", "lava", "brian2")]
    print("\n" + markdown_tables.as_markdown(f"a sample, {names[0]}|ratio|quicker|slower", rows))


if __name__ == "__main__":
    main()

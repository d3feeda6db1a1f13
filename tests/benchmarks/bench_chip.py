"""The chip model: placement against a naive one, compiling large networks, counting events.

Packets x hops is the sum over the axons of a program of the hops they travel, as if each source spiked alike.
"Naive" puts the same slices on cores 0, 1, 2, ... in the order of the pipeline, row by row.
"""

from __future__ import annotations

import resource
import time
from itertools import pairwise

import numpy as np

from conntra_hardware.chip import Chip, load_chip
from conntra_hardware.cost.events import INPUT_CORE, count_events
from conntra_hardware.runtime import run
from conntra_neuro.compiler import compile
from conntra_neuro.compiler.lower import lower
from conntra_neuro.compiler.partition import partition
from conntra_neuro.compiler.place import naive_cores, place, traffic
from conntra_neuro.network import Dense, DiscreteNetwork

TERNARY, EIGHT_BITS = (-1, 0, 1), tuple(range(-64, 64))
PLACED = [
    ("784-1024-1024-10, ternary", (784, 1024, 1024, 10), TERNARY, "loihi1"),
    ("2048-2048-1024-10, 8 bits", (2048, 2048, 1024, 10), EIGHT_BITS, "loihi1"),
    ("4096-6 x 1024-10, 8 bits", (4096, *[1024] * 6, 10), EIGHT_BITS, "loihi1"),
    ("3072-4 x 1536-10, 8 bits", (3072, *[1536] * 4, 10), EIGHT_BITS, "loihi1"),
    ("4000-4 x 2000-10, 8 bits", (4000, *[2000] * 4, 10), EIGHT_BITS, "loihi1x2"),
]


def network(sizes: tuple[int, ...], levels: tuple[int, ...]) -> DiscreteNetwork:
    """Return a random network."""
    rng = np.random.default_rng(0)
    layers = []
    for n_in, n_out in pairwise(sizes):
        kind = "readout" if len(layers) == len(sizes) - 2 else "threshold"
        layers.append(Dense(rng.choice(np.array(levels, np.int8), size=(n_out, n_in)), None, kind))
    return DiscreteNetwork(layers)


def placement(name: str, net: DiscreteNetwork, chip: Chip) -> None:
    """Print one row: packets x hops of the naive placement and of ours."""
    lowered = lower(net)
    parts = partition(lowered, chip)
    start = time.perf_counter()
    slices = place(lowered, parts, chip)
    seconds = time.perf_counter() - start
    where = {(s.population, s.start): s.core for s in slices}
    cores = np.array([where[group[0].population, group[0].start] for group in parts.cores])
    flows = traffic(lowered, parts)
    (naive, naive_links), (ours, links) = (hops(*flows, places, chip) for places in (naive_cores(parts), cores))
    ratio = f"{naive / ours:.2f}" if ours else "-"
    row = f"| {name} | {chip.name} | {len(cores)} | {naive:,.0f} | {ours:,.0f} | {ratio}"
    print(f"{row} | {naive_links:,.0f} | {links:,.0f} | {seconds:.2f} |", flush=True)


def hops(between: np.ndarray, entering: np.ndarray, cores: np.ndarray, chip: Chip) -> tuple[float, float]:
    """Return axons times hops of a placement, and axons times links between chips."""
    total = links = 0.0
    flows = [(int(cores[i]), int(cores[j]), between[i, j]) for i, j in zip(*np.nonzero(between), strict=True)]
    flows += [(INPUT_CORE, int(core), axons) for core, axons in zip(cores, entering, strict=True)]
    for source, target, axons in flows:
        total += axons * sum(chip.hops(source, target))
        links += axons * chip.crossings(source, target)
    return total, links


def compiling(name: str, net: DiscreteNetwork, chip: str) -> None:
    """Print how long one network takes to compile."""
    start = time.perf_counter()
    program = compile(net, chip)
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    where = f"{program.chip.name}, {program.cores_used} cores"
    print(f"{name:28} {net.n_weights:>12,} synapses  {where:22} {seconds:5.1f} s, process at {megabytes:.0f} MB")


def counting(sizes: tuple[int, ...]) -> None:
    """Print how long counting the events of 10,000 samples takes, beside the run itself."""
    program = compile(network(sizes, TERNARY))
    inputs = (np.random.default_rng(1).random((10_000, sizes[0])) < 0.13).astype(np.uint8)
    result = run(program, inputs)
    start = time.perf_counter()
    count_events(program, inputs, result.spikes)
    counted = time.perf_counter() - start
    name = "-".join(map(str, sizes))
    print(f"{name:28} run {result.seconds:.2f} s, counting {counted:.2f} s, ratio {counted / result.seconds:.2f}")


def main() -> None:
    """Print a table of placements, then times of compiling and counting."""
    networks = {sizes: network(sizes, levels) for _, sizes, levels, _ in PLACED}
    heads = ("network", "chip", "cores", "row by row", "placed", "ratio", "between chips, row by row", "placed")
    print(f"| {' | '.join(heads)} | placing, s |\n|{'---|' * 2}{'---:|' * 7}")
    for name, sizes, _, chip in PLACED:
        placement(name, networks[sizes], load_chip(chip))
    print("\ncompiling")
    for name, sizes, _, chip in PLACED[2:]:
        compiling(name, networks[sizes], chip)
    print("\ncounting events of 10,000 samples")
    counting((784, 256, 10))
    counting((784, 1024, 1024, 10))


if __name__ == "__main__":
    main()

"""What a step of the blocks gear sends over the network, and what a cluster of this machine's processes costs in time.

Bytes are those of the asks and answers, serialised as Dask does it, beside what docs/cluster.md's formula says. With
``--wire`` a training on local:N follows: all bytes on the loopback interface (Linux; the machine should be quiet), and
the seconds a step with the cluster over those without. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from distributed import protocol
from distributed.utils import nbytes

from conntra_neuro.training import fit_spikes
from conntra_neuro.training.cluster.samples import PartedSamples
from conntra_neuro.training.cluster.shards import Answer, Ask, Packed, Shard, merged
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task as task_of
from conntra_neuro.training.scoring.plan import Plan
from conntra_neuro.training.task import Clock, Task
from conntra_neuro.training.threads import Threads

START = {"samples": 8000, "side": 28, "units": 256, "workers": 2, "batch": 500}
CHANGES = ({}, {"samples": 16000}, {"side": 56}, {"units": 1024}, {"workers": 8}, {"batch": 2000})


class Counting:
    """Holders in this process that count what would travel."""

    def __init__(self, count: int) -> None:
        self.count, self.loading, self.asked, self.answered, self.rounds = count, 0, 0, 0, 0
        self._shards: list[Shard] = []

    def share(self, plan: Plan, task: Task, weights: Sequence[Floats]) -> PartedSamples:
        """Give the samples out."""
        return PartedSamples(self, plan, task, weights)

    def load(self, part: int, packed: Packed, plan: Plan) -> None:
        """Load a part."""
        self.loading += _size(packed)
        self._shards.append(Shard(packed, plan, 1))

    def answer(self, asks: Sequence[Ask]) -> Answer:
        """Answer, and count."""
        answers = [self._shards[ask.part].answer(ask) for ask in asks]
        self.rounds += 1
        self.asked += sum(map(_size, asks))
        self.answered += sum(map(_size, answers))
        return merged(answers)


def _size(value: object) -> int:
    return sum(nbytes(frame) for frame in protocol.dumps(protocol.to_serialize(value)))


def make_task(samples: int, side: int, units: int) -> Task:
    """Random spikes of one density in eight, as images."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((samples, side * side)) < 0.125).astype(np.uint8)
    y = np.arange(samples) % 10
    image = ImageShape(1, side, side)
    return task_of(spikes, y, Wanted(10, (units,), validation_fraction=0.0, image=image))


def count(samples: int, side: int, units: int, workers: int, batch: int) -> None:
    """Print a line of the table: one sweep after the first step, which sends whole weights."""
    task, holders = make_task(samples, side, units), Counting(workers)
    weights = sum((n_in + 1) * n_out for n_in, n_out in pairwise(task.sizes))
    with Threads(1) as threads:
        gear = Blocks(task, BlocksOptions(batch=batch, shift=1, elastic=0.0), threads, holders)
        gear.evaluate(held_out=False)
        holders.asked = holders.answered = holders.rounds = 0
        gear.sweep(0, 10, Clock(), lambda done, running: None)
    steps, layers = holders.rounds, list(pairwise(task.sizes))
    shares = [0.004, 0.005]
    moved = sum(0.95 * share * n_in * n_out for share, (n_in, n_out) in zip(shares, layers, strict=True))
    moved += 0.95 * 0.05 * sum(task.sizes[1:])
    formula = workers * (4 * weights + 6 * moved) + 8 * samples / steps
    found = (holders.asked + holders.answered) / steps
    print(
        f"| {samples:,} | {side * side:,} | {units:,} | {workers} | {batch:,} | {holders.loading / 1e6:.2f} "
        f"| {holders.asked / steps / 1e3:.1f} | {holders.answered / steps / 1e3:,.0f} | {found / formula:.2f} |",
        flush=True,
    )


def wire(workers: int) -> None:
    """Train with and without a cluster, and print bytes and seconds a step."""
    task = make_task(8000, 28, 256)
    figures = []
    for cluster in (None, f"local:{workers}"):
        used = []
        for sweeps in (1, 5):
            before, moments = _loopback(), [time.perf_counter()]
            fit_spikes(
                task.spikes, task.y, n_classes=10, sweeps=sweeps, batch=500, validation_fraction=0.0, cluster=cluster,
                progress=lambda state, moments=moments: moments.append(time.perf_counter()), gear="blocks",
            )  # fmt: skip
            used.append((_loopback() - before, moments[-1] - moments[1]))
        figures.append([(used[1][i] - used[0][i]) / 64 for i in range(2)])
    (_, alone), (sent, together) = figures
    print(f"\nlocal:{workers}: {sent / 1e3:.0f} kB a step on the wire")
    print(f"seconds a step: {alone:.4f} alone, {together:.4f} on the cluster, ratio {together / alone:.1f}")


def _loopback() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == "lo:")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wire", type=int, metavar="N", help="train on local:N, too")
    given = parser.parse_args()
    steps = "to workers, kB a step | from workers, kB a step | sum over formula"
    print(f"| samples | inputs | units | workers | batch | start, MB | {steps} |\n|{'---:|' * 9}")
    for change in CHANGES:
        count(**(START | change))
    if given.wire:
        wire(given.wire)


if __name__ == "__main__":
    main()

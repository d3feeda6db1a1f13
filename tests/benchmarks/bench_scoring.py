"""Scoring every single-weight move of 784-256-10 exactly: CoNNTrA against a forward pass for each candidate.

CoNNTrA's side is measured whole: the exact change of the objective of all moves to any other level, of all units. The
naive side is a forward pass of all samples in float32 with BLAS on both cores and the same compiled loss, measured on
a sample of the candidates and extrapolated to all; on each of them the two answers are compared, to the last quantum.
Nothing here is a test: machines differ, ratios less so.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from conntra_neuro.datasets import load_dataset
from conntra_neuro.training.gears.exact_chain import ExactChain, ExactOptions
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task as task_of
from conntra_neuro.training.task import Task
from conntra_neuro.training.threads import Threads

SIZES = (784, 256, 10)


def make_task(data: str | None, n: int, levels: str) -> Task:
    """Return a task on ``data``, or on random spikes of MNIST's density where it is None."""
    rng = np.random.default_rng(0)
    if data is None:
        spikes = (rng.random((n, SIZES[0])) < 0.13).astype(np.uint8)
        y = rng.integers(0, SIZES[-1], n)
    else:
        dataset = load_dataset(data)
        spikes = (dataset.x_train[:n].reshape(-1, SIZES[0]) > 127).astype(np.uint8)
        y = dataset.y_train[:n]
    return task_of(spikes, y.astype(np.int64), Wanted(SIZES[-1], SIZES[1:-1], levels=levels, validation_fraction=0.0))


class Forward:
    """The objective by a forward pass, as fast as plain NumPy makes it."""

    def __init__(self, task: Task, objective: Objective) -> None:
        self._x, self._y, self._objective = task.spikes.astype(np.float32), task.y, objective

    def total(self, parameters: Parameters) -> int:
        """Return the summed loss in quanta."""
        (w1, w2), (b1, b2) = parameters.weights, parameters.biases
        hidden = (self._x @ w1.astype(np.float32) > -b1.astype(np.float32)).astype(np.float32)
        logits = (hidden @ w2.astype(np.float32)).astype(np.int32) + b2
        return int(self._objective.losses(logits, self._y).sum())


def score_all(gear: ExactChain) -> tuple[float, dict[tuple[int, int], npt.NDArray[np.int64]]]:
    """Return the seconds that scoring all moves takes, and the scores of each unit."""
    gear.scores(0, 0)  # compiled before the clock starts
    gear.scores(1, 0)
    begin = time.perf_counter()
    found = {(layer, unit): gear.scores(layer, unit) for layer, unit in gear.network.units.tolist()}
    return time.perf_counter() - begin, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="mnist:PATH; random spikes without it")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--candidates", type=int, default=12, help="forward passes measured")
    parser.add_argument("--levels", default="ternary")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    task = make_task(given.data, given.samples, given.levels)
    weights = sum(n_in * n_out for n_in, n_out in pairwise(SIZES))
    moves = weights * (len(task.levels) - 1)
    rng = np.random.default_rng(1)
    with Threads(given.threads) as threads:
        gear = ExactChain(task, ExactOptions(), threads)
        seconds, scores = score_all(gear)
        forward, start = Forward(task, gear.network.objective), gear.parameters()
        base, times, equal = forward.total(start), [], 0
        for _ in range(given.candidates):
            layer, unit = gear.network.units[rng.integers(len(gear.network.units))].tolist()
            j, target = int(rng.integers(SIZES[layer])), int(rng.choice(task.levels.array))
            old = int(start.weights[layer][j, unit])
            start.weights[layer][j, unit] = target
            begin = time.perf_counter()
            change = forward.total(start) - base
            times.append(time.perf_counter() - begin)
            start.weights[layer][j, unit] = old
            at = int(np.searchsorted(gear.network.steps.values, target - old))
            equal += change == (0 if target == old else scores[layer, unit][j, at])
    each = statistics.median(times)
    print(f"{'-'.join(map(str, SIZES))}, levels {task.levels}, {len(task.y)} samples, {moves} moves")
    print(f"CoNNTrA, all moves exactly: {seconds:.2f} s ({seconds / moves * 1e6:.2f} us a move)")
    print(
        f"forward pass: {each:.3f} s a move, median of {len(times)}; all of them would take {each * moves / 3600:.1f} h"
    )
    heads = ("network", "samples", "moves", "all moves, s", "a forward pass, s", "ratio", "equal")
    print(f"\n| {' | '.join(heads)} |\n|---|{'---:|' * 6}")
    name = f"{'-'.join(map(str, SIZES))}, {task.levels}"
    counts = f"{len(task.y):,} | {moves:,} | {seconds:.2f} | {each:.3f} | {each * moves / seconds:,.0f}"
    print(f"| {name} | {counts} | {equal} of {len(times)} |")


if __name__ == "__main__":
    main()

"""Networks over time steps on the reference, events counted, against plain NumPy and, if asked, sinabs: in turns.

    python tests/benchmarks/bench_time.py [--samples 1000] [--repeats 7] [--sinabs PYTHON]

784-512-10, random ternary weights. ``--sinabs`` names an interpreter that has sinabs and torch; what it runs is the
same network in sinabs' own layers, dense float32 products on all cores. Each side's fastest run counts.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from functools import partial

import numpy as np

import conntra_neuro as cn

SIZES = (784, 512, 10)
REFERENCE = "reference, all events counted"

SINABS = """
import sys, time
import numpy as np, torch, sinabs.layers as sl
from sinabs.activation import MembraneReset, SingleSpike
samples, steps, density = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
rng = np.random.default_rng(0)
weights = [torch.tensor(rng.integers(-1, 2, s).astype(np.float32)) for s in ((512, 784), (10, 512))]
layer = sl.IAF(spike_threshold=8.0, spike_fn=SingleSpike, reset_fn=MembraneReset())
x = torch.tensor((rng.random((samples, steps, 784)) < density).astype(np.float32))
with torch.no_grad():
    for _ in range(4):
        start = time.perf_counter()
        layer.reset_states()
        (layer(x @ weights[0].T) @ weights[1].T).sum(1)
        print(time.perf_counter() - start, flush=True)
"""


def network(neuron: cn.Lif | cn.IntegrateAndFire, steps: int) -> cn.DiscreteNetwork:
    """A network of random ternary weights."""
    rng = np.random.default_rng(0)
    hidden = cn.Dense(rng.integers(-1, 2, (SIZES[1], SIZES[0])), activation=neuron)
    readout = cn.Dense(rng.integers(-1, 2, (SIZES[2], SIZES[1])), activation="readout")
    return cn.DiscreteNetwork([hidden, readout], steps=steps)


def plain(net: cn.DiscreteNetwork, x: np.ndarray) -> Callable[[], None]:
    """The forward pass of an integrate-and-fire network as one would write it down in NumPy."""
    first, second = (layer.weight.T.astype(np.float32) for layer in net.layers)

    def run() -> None:
        v, logits = np.zeros((len(x), SIZES[1]), np.float32), np.zeros((len(x), SIZES[2]), np.float32)
        for step in range(x.shape[1]):
            v += x[:, step].astype(np.float32) @ first
            spikes = v >= 8
            v[spikes] = 0
            logits += spikes.astype(np.float32) @ second

    return run


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sinabs", metavar="PYTHON")
    asked = parser.parse_args()
    cases = (
        ("integrate-and-fire, 8 steps, 20 % of inputs spike", cn.IntegrateAndFire(8, 8), 8, 0.2),
        ("Lif, 20 steps, 5 % of inputs spike", cn.Lif(8, voltage_decay=256, current_decay=1024), 20, 0.05),
    )
    for title, neuron, steps, density in cases:
        net = network(neuron, steps)
        program = cn.compile(net, chip="loihi1")
        x = (np.random.default_rng(1).random((asked.samples, steps, SIZES[0])) < density).astype(np.uint8)
        sides: dict[str, list[float]] = {REFERENCE: []}
        numpy_run = plain(net, x)
        program.run(x)
        for _ in range(asked.repeats):
            sides[REFERENCE].append(timed(partial(program.run, x)))
            if steps == 8:
                sides.setdefault("plain NumPy", []).append(timed(numpy_run))
            if steps == 8 and asked.sinabs:
                words = [asked.sinabs, "-c", SINABS, str(asked.samples), str(steps), str(density)]
                said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
                sides.setdefault("sinabs, nothing counted", []).extend(float(line) for line in said.split()[1:])
        best = {side: min(times) / asked.samples for side, times in sides.items()}
        if len(best) == 1:
            print(f"{title}: {best[REFERENCE] * 1e6:.1f} us a sample")
            continue
        print(f"| {title} | us a sample | time by the reference's |\n|---|---:|---:|")
        for side, seconds in best.items():
            ratio = seconds / best[REFERENCE]
            print(f"| {side} | {seconds * 1e6:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()

"""Events a second, from recordings to decisions: binning and a 34 x 34 x 2 convolutional network, in turns with others.

    python tests/benchmarks/bench_events.py [--recordings 200] [--events 4000] [--repeats 5] [--lava] [--tonic PYTHON]

Recordings are as long and as busy as N-MNIST's, 300 ms and 4,000 events, their events at random pixels in 20 steps of
15 ms. The network, with random ternary weights, is conv8k5s2, conv16k3s2 and 10 classes of integrate-and-fire neurons.
The reference counts all events of the chip. ``--lava`` runs the same program on Lava's simulator, batched, its start
included. ``--tonic`` names an interpreter with tonic, snnTorch and torch: ToFrame, then a network of the same layers,
without counts. Each side's fastest run counts.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import conntra_neuro as cn

STEPS, STEP_US = 20, 15_000
SENSOR = (34, 34, 2)
REFERENCE = "reference, all events of the chip counted"
EVENT = np.dtype([("t", "<i8"), ("x", "<i8"), ("y", "<i8"), ("p", "<i8")])

TONIC = """
import sys, time
import numpy as np, torch, tonic, snntorch as snn
data = np.load(sys.argv[1])
recordings, steps, repeats = data["recordings"], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
frames = tonic.transforms.ToFrame(sensor_size=(34, 34, 2), n_time_bins=steps)
layers = [torch.nn.Conv2d(2, 8, 5, 2), torch.nn.Conv2d(8, 16, 3, 2), torch.nn.Linear(16 * 49, 10)]
for layer in layers:
    layer.weight.data = torch.tensor(rng.integers(-1, 2, layer.weight.shape).astype(np.float32))
    layer.bias.data.zero_()
cells = [snn.Leaky(beta=1.0, threshold=8.0, reset_mechanism="zero") for _ in layers[:2]]
with torch.no_grad():
    for _ in range(repeats + 1):
        start = time.perf_counter()
        x = torch.tensor(np.stack([frames(r) for r in recordings]).clip(0, 1).astype(np.float32)).transpose(0, 1)
        states, logits = [cell.init_leaky() for cell in cells], 0
        for row in x:
            for i, cell in enumerate(cells):
                row, states[i] = cell(layers[i](row), states[i])
            logits = logits + layers[2](row.flatten(1))
        print(time.perf_counter() - start, flush=True)
"""


class Recordings(list):
    """(events, label), as tonic's data sets."""

    sensor_size = SENSOR


def recordings(n: int, events: int) -> Recordings:
    """Seeded recordings, labels in turns."""
    rng = np.random.default_rng(0)
    found = Recordings()
    for number in range(n):
        one = np.zeros(events, EVENT)
        one["t"] = np.sort(rng.integers(0, STEPS * STEP_US, events))
        one["t"] -= one["t"][0]
        one["x"], one["y"], one["p"] = (rng.integers(0, side, events) for side in SENSOR)
        found.append((one, number % 10))
    return found


def network() -> cn.DiscreteNetwork:
    """A network of random ternary weights."""
    rng, neuron = np.random.default_rng(0), cn.IntegrateAndFire(8, STEPS)
    first = cn.Conv2d(rng.integers(-1, 2, (8, 2, 5, 5)), input_shape=(2, 34, 34), stride=2, activation=neuron)
    second = cn.Conv2d(rng.integers(-1, 2, (16, 8, 3, 3)), input_shape=first.output_shape, stride=2, activation=neuron)
    readout = cn.Dense(rng.integers(-1, 2, (10, second.n_out)), activation="readout")
    return cn.DiscreteNetwork([first, second, readout], steps=STEPS)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lava", action="store_true")
    parser.add_argument("--tonic", metavar="PYTHON")
    asked = parser.parse_args()
    data, program = recordings(asked.recordings, asked.events), cn.compile(network(), chip="loihi2")

    def ours(backend: str) -> float:
        """Bin all recordings and run them; the test set is ten recordings of an event."""
        start = time.perf_counter()
        seen = cn.from_events(data, held_out, steps=STEPS, step_us=STEP_US)
        program.run(seen.x_train, backend=backend)
        return time.perf_counter() - start

    held_out = recordings(10, 1)
    sides: dict[str, list[float]] = {REFERENCE: []}
    ours("reference")  # compiles
    for _ in range(asked.repeats):
        sides[REFERENCE].append(ours("reference"))
        if asked.tonic:
            sides.setdefault("tonic and snnTorch, nothing counted", []).extend(theirs(asked.tonic, data))
    if asked.lava:
        sides["Lava, batched"] = [ours("lava")]
    total = asked.recordings * asked.events
    first = min(sides[REFERENCE])
    print("| | events a second | time by the reference's |\n|---|---:|---:|")
    for side, seconds in sides.items():
        print(f"| {side} | {total / min(seconds):,.0f} | {min(seconds) / first:.2f} |")


def theirs(python: str, data: Recordings) -> list[float]:
    """Seconds of two runs of tonic and snnTorch, after one that is not counted."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "recordings.npz")
        np.savez(path, recordings=np.stack([events for events, _ in data]))
        words = [python, "-c", TONIC, str(path), str(STEPS), "2"]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [float(line) for line in said.split()[1:]]


if __name__ == "__main__":
    main()

"""A LeNet-size ternary network on 10,000 images: the reference, Lava batched, and the ratio to Lava's own Conv.

    python tests/benchmarks/bench_conv.py [mnist:mnist.npz]

Without a data set the images are random, with as many pixels on as MNIST has. Weights are random: times and ratios do
not depend on what they are. Prints seconds (median and range of the runs), the ratios of images a second of
simulation, and the modelled energy of each layer under sanafe2025.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Recording, RunOptions
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.cost.energy import EnergyEstimate, estimate
from conntra_hardware.cost.events import count_events
from conntra_hardware.program import Program
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, SumPool

IMAGES, STOCK_IMAGES = 10_000, 100
_DENSITY = 0.13  # of MNIST's pixels that are above 127


def lenet(rng: np.random.Generator) -> DiscreteNetwork:
    """Return LeNet-5's layers, ternary, with binary spikes: 44,190 weights on images of 28 by 28."""

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-1, 2, shape)

    return DiscreteNetwork(
        [
            Conv2d(weights(6, 1, 5, 5), input_shape=(1, 28, 28)),
            SumPool(2, input_shape=(6, 24, 24)),
            Conv2d(weights(16, 6, 5, 5), input_shape=(6, 12, 12)),
            SumPool(2, input_shape=(16, 8, 8)),
            Flatten((16, 4, 4)),
            Dense(weights(120, 256)),
            Dense(weights(84, 120)),
            Dense(weights(10, 84), None, "readout"),
        ]
    )


def images(name: str | None, rng: np.random.Generator) -> SpikeArray:
    """Return 10,000 rows of input spikes."""
    if name is None:
        return (rng.random((IMAGES, 784)) < _DENSITY).astype(np.uint8)
    return (cn.load_dataset(name).x_test[:IMAGES].reshape(IMAGES, -1) > 127).astype(np.uint8)


def timed(backend: str, program: Program, inputs: SpikeArray, repeats: int) -> tuple[Recording, list[float], float]:
    """Run some times; return a recording, the seconds with all that a run takes, images a second of simulation."""
    recordings, seconds = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        recordings.append(load_backend(backend).execute(program, inputs, RunOptions(3600)))
        seconds.append(time.perf_counter() - start)
    rates = [len(inputs) / recording.run_seconds for recording in recordings]
    return recordings[0], seconds, statistics.median(rates)


def main() -> None:
    """Time the backends on the same images, and compare what they recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    network = lenet(rng)
    program = cn.compile(network, chip="loihi1")
    inputs = images(asked.data, rng)
    synapses = sum(p.n_synapses for p in program.projections)
    print(f"{network.n_weights:,} weights, {synapses:,} synapses, {program.cores_used} cores")
    shown = {"reference": IMAGES, "lava": IMAGES, "lava-stock": STOCK_IMAGES}
    runs = {name: timed(name, program, inputs[:count], asked.repeats) for name, count in shown.items()}
    reference, stock = runs["reference"][0], runs["lava-stock"][2]
    print("\n| | images | with all, s | range | images a second, by `lava-stock`'s |\n|---|---:|---:|---:|---:|")
    for name, (recording, seconds, rate) in runs.items():
        assert np.array_equal(recording.logits, reference.logits[: shown[name]])
        spread = f"{statistics.median(seconds):.2f} | {min(seconds):.2f} to {max(seconds):.2f}"
        print(f"| `{name}` | {shown[name]:,} | {spread} | {rate / stock:,.0f} |")
    start = time.perf_counter()
    counts = count_events(program, inputs, reference.spikes)
    print(f"counting events {time.perf_counter() - start:.2f} s")
    table(estimate(counts, program, "sanafe2025"), len(inputs))


def table(energy: EnergyEstimate, images: int) -> None:
    """Print the modelled energy by layer, and the latency."""
    print(f"{energy.latency_s * 1e6:,.0f} us latency, {energy.throughput_hz:,.0f} images a second, modelled")
    kinds = ("synapse", "neuron", "spike", "network")
    print(f"\n| layer | uJ an image | {' | '.join(kinds)} |\n|---|{'---:|' * 5}")
    for layer, found in energy.by_layer.items():
        rest = set(found) - set(kinds)
        assert not any(found[kind] for kind in rest - {"input"}), rest
        parts = [found.get(kind, 0.0) + (found.get("input", 0.0) if kind == "network" else 0.0) for kind in kinds]
        cells = [f"{1e6 * joules / images:.3f}" for joules in (sum(found.values()), *parts)]
        print(f"| {layer} | {' | '.join(cells)} |")
    print(f"| all | {energy.per_inference_j * 1e6:.2f} | | | | |")


if __name__ == "__main__":
    main()

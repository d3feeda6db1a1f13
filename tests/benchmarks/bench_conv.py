"""A LeNet-size ternary network on 10,000 images: the reference, Lava batched, and the ratio to Lava's own Conv.

    python tests/benchmarks/bench_conv.py [mnist:mnist.npz]

Without a data set the images are random, with as many pixels on as MNIST has. Weights are random: times and ratios do
not depend on what they are. Prints seconds, images a second, the ratio of batched to stock Lava in images a second, and
the modelled energy of each layer.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Recording, RunOptions
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.cost.energy import estimate
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


def timed(backend: str, program: Program, inputs: SpikeArray) -> tuple[Recording, float]:
    """Run and print the seconds, all included; return the recording and the images a second."""
    start = time.perf_counter()
    recording = load_backend(backend).execute(program, inputs, RunOptions(3600))
    seconds = time.perf_counter() - start
    rate = len(inputs) / recording.run_seconds
    print(f"{backend:12s} {len(inputs):6d} images {seconds:8.2f} s, simulation {recording.run_seconds:8.2f} s")
    return recording, rate


def main() -> None:
    """Time the backends on the same images, and compare what they recorded."""
    rng = np.random.default_rng(0)
    network = lenet(rng)
    program = cn.compile(network, chip="loihi1")
    inputs = images(sys.argv[1] if len(sys.argv) > 1 else None, rng)
    print(
        f"{network.n_weights} weights, {sum(p.n_synapses for p in program.projections)} synapses, "
        f"{program.cores_used} cores"
    )
    reference, _ = timed("reference", program, inputs)
    start = time.perf_counter()
    counts = count_events(program, inputs, reference.spikes)
    print(f"counting events {time.perf_counter() - start:6.2f} s")
    batched, batched_rate = timed("lava", program, inputs)
    assert np.array_equal(batched.logits, reference.logits)
    stock, stock_rate = timed("lava-stock", program, inputs[:STOCK_IMAGES])
    assert np.array_equal(stock.logits, reference.logits[:STOCK_IMAGES])
    print(f"lava batched against stock, images a second: {batched_rate / stock_rate:.0f} to 1")
    energy = estimate(counts, program, "sanafe2025")
    print(
        f"modelled, not measured: {energy.per_inference_j * 1e6:.2f} uJ dynamic an image, "
        f"{energy.latency_s * 1e6:.0f} us latency, {energy.throughput_hz:.0f} images a second"
    )
    for layer, kinds in energy.by_layer.items():
        listed = ", ".join(f"{kind} {joules / len(inputs) * 1e6:.3f}" for kind, joules in kinds.items())
        print(f"  {layer:9s} {sum(kinds.values()) / len(inputs) * 1e6:7.3f} uJ: {listed}")


if __name__ == "__main__":
    main()

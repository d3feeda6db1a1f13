"""A network on more and more cores: dynamic energy, energy with leakage, and latency. All of it is modelled.

    python examples/spread_over_cores.py [--cores 1,2,8,16,32] [--coefficients sanafe2025]

784-256-10 with random ternary weights, 1,000 samples with 13 % of their inputs spiking (as many as pixels of MNIST are
bright), on loihi1.
"""

from __future__ import annotations

import argparse

import numpy as np

import conntra_neuro as cn

SIZES, SAMPLES, DENSITY = (784, 256, 10), 1000, 0.13


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default="1,2,8,16,32")
    parser.add_argument("--coefficients", default="sanafe2025")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    hidden = cn.Dense(rng.integers(-1, 2, SIZES[1::-1]))
    network = cn.DiscreteNetwork([hidden, cn.Dense(rng.integers(-1, 2, SIZES[:0:-1]), activation="readout")])
    spikes = (rng.random((SAMPLES, SIZES[0])) < DENSITY).astype(np.uint8)
    print("| cores | dynamic, uJ | with leakage, uJ | latency, us |\n|---:|---:|---:|---:|")
    for cores in map(int, args.cores.split(",")):
        program = cn.compile(network, chip="loihi1", cores=cores)
        found = cn.estimate(program.run(spikes).counts, program, args.coefficients)
        row = (
            f"{1e6 * found.per_inference_j:.3f} | {1e6 * found.per_inference_total_j:.2f} | {1e6 * found.latency_s:.1f}"
        )
        print(f"| {program.cores_used} | {row} |", flush=True)


if __name__ == "__main__":
    main()

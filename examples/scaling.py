"""How training time grows with samples, hidden units, inputs and classes: seconds a sweep, and the exponents.

Each quantity is doubled alone from a common start, on random spikes of one density in eight; the exponent is the
slope of log(seconds) over log(quantity). Training is the default gear, one thread or as many as are asked for.

python examples/scaling.py --threads 1
"""

from __future__ import annotations

import argparse

import numpy as np

import conntra_neuro as cn

START = {"samples": 8000, "units": 256, "inputs": 512, "classes": 10}
FACTORS = (1, 2, 4)


def seconds_a_sweep(samples: int, units: int, inputs: int, classes: int, threads: int) -> float:
    """Return the seconds of one sweep over random data, best of three; the first run, which compiles, apart."""
    rng = np.random.default_rng(0)
    x = (rng.random((samples, inputs)) < 0.125).astype(np.uint8)
    y = np.arange(samples) % classes
    data = cn.Dataset("random", x, y, x[:classes], y[:classes], tuple(range(classes)))
    times = []
    for sweeps in (1, 1, 3, 1, 3, 1, 3):
        run = cn.train(data, layers=[units], sweeps=sweeps, batch=500, validation_fraction=0.0, threads=threads)
        times.append((sweeps, run.train_seconds))
    long = min(seconds for sweeps, seconds in times[1:] if sweeps == 3)
    short = min(seconds for sweeps, seconds in times[1:] if sweeps == 1)
    return (long - short) / 2


def main() -> None:
    """Print seconds a sweep for each size, and the exponent of each quantity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    print("| quantity | sizes | seconds a sweep | exponent |\n|---|---|---|---|")
    for name, first in START.items():
        sizes = [first * factor for factor in FACTORS]
        seconds = [seconds_a_sweep(**(START | {name: size}), threads=threads) for size in sizes]
        slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        print(f"| {name} | {sizes} | {np.round(seconds, 3).tolist()} | {slope:.2f} |", flush=True)


if __name__ == "__main__":
    main()

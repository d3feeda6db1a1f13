"""How training time grows with samples, hidden units, inputs and classes: processor seconds a sweep, and the exponents.

Each quantity is doubled alone from a common start, on random spikes of one density in eight; the exponent is the
slope of log(seconds) over log(quantity). Training is the default gear on one thread; the seconds are the processor's,
which other work on the machine hardly changes.

python examples/scaling.py
"""

from __future__ import annotations

import time

import numpy as np
from threadpoolctl import threadpool_limits

import conntra_neuro as cn

START = {"samples": 4000, "units": 256, "inputs": 512, "classes": 10}
FACTORS = (1, 2, 4)


def seconds_a_sweep(samples: int, units: int, inputs: int, classes: int) -> float:
    """Return the seconds of one sweep over random data, best of two; the first run, which compiles, apart."""
    rng = np.random.default_rng(0)
    x = (rng.random((samples, inputs)) < 0.125).astype(np.uint8)
    y = np.arange(samples) % classes
    data = cn.Dataset("random", x, y, x[:classes], y[:classes], tuple(range(classes)))
    times = []
    for sweeps in (1, 1, 3, 1, 3):
        begin = time.process_time()
        with threadpool_limits(1):
            cn.train(data, layers=[units], sweeps=sweeps, batch=500, validation_fraction=0.0, threads=1)
        times.append((sweeps, time.process_time() - begin))
    long = min(seconds for sweeps, seconds in times[1:] if sweeps == 3)
    short = min(seconds for sweeps, seconds in times[1:] if sweeps == 1)
    return (long - short) / 2


def main() -> None:
    """Print seconds a sweep for each size, and the exponent of each quantity."""
    print("| quantity | sizes | seconds a sweep | exponent |\n|---|---|---|---|")
    for name, first in START.items():
        sizes = [first * factor for factor in FACTORS]
        seconds = [seconds_a_sweep(**(START | {name: size})) for size in sizes]
        slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        shown = ", ".join(f"{size:,}" for size in sizes), ", ".join(f"{value:.3f}" for value in seconds)
        print(f"| {name} | {' | '.join(shown)} | {slope:.2f} |", flush=True)


if __name__ == "__main__":
    main()

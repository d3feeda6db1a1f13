"""A simulator that ends in a way of its own: it crashes, hangs, floods, or succeeds and leaves nonsense.

The number of neurons of the first population decides on the way.
"""

import os
import sys
import time

import numpy as np

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve

WAYS = ("crash", "hang", "flood", "seconds", "cut", "shape", "type", "twos", "pickle")


def simulate(job: Job) -> float:
    way = WAYS[job.populations[0].size % len(WAYS)]
    if way == "crash":
        os.abort()
    if way == "hang":
        time.sleep(600)
    while way == "flood":
        print("and again " * 100_000, file=sys.stderr)
    path, values = job.logits_file, np.load(job.logits_file)
    if way == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif way == "shape":
        np.save(path, values[:, :0])
    elif way == "type":
        np.save(path, values.astype(np.float64) + np.nan)
    elif way == "twos":
        spikes = next(iter(job.spike_files.values()))
        np.save(spikes, np.load(spikes) + np.uint8(2))
    elif way == "pickle":
        np.save(path, np.array([[print]], dtype=object), allow_pickle=True)
    return float("nan") if way == "seconds" else 0.0


if __name__ == "__main__":
    serve(simulate)

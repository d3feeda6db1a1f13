"""A small task that needs memory: a pulse that moves over the inputs, and its direction is to be told."""

from __future__ import annotations

import numpy as np

from conntra_neuro.datasets import Dataset

__all__ = ["moving_pulses"]


def moving_pulses(n: int = 300, inputs: int = 12, steps: int = 8, seed: int = 1) -> Dataset:
    """Samples (n, steps, inputs): a pulse goes up or down a ring of inputs, one each two steps, from a random place.

    Each input spikes as often in one class as in the other, at each step and in all: what sees no more than one step at
    a time, and adds up what it makes of it, tells nothing. Two thirds of the samples are for training.
    """
    rng = np.random.default_rng(seed)
    y, begins = np.arange(n) % 2, rng.integers(0, inputs, n)
    x = np.zeros((n, steps, inputs), np.uint8)
    for step in range(steps):
        at = (begins + np.where(y == 1, 1, -1) * (step // 2)) % inputs
        x[np.arange(n), step, at] = 1
    cut = 2 * n // 3
    return Dataset("pulses", x[:cut], y[:cut], x[cut:], y[cut:], labels=("down", "up"))

"""Draw the membrane trace of a leaky neuron on a Loihi chip beside ours: docs/lif_trace.png.

    python scripts/plot_lif_trace.py [--out docs/lif_trace.png]

The chip's trace stands in tests/data/lif_trace, from the NIR paper's repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import conntra_neuro as cn

TRACE = Path(__file__).resolve().parent.parent / "tests" / "data" / "lif_trace" / "loihi.csv"
WEIGHT, NEURON = 10, cn.Lif(25, voltage_decay=163)


def ours(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V after each step, in units of a 64th of a weight, and the spikes; a step later, as the chip shows them."""
    state, v, fired = None, [0], [0]
    for spike in inputs[:-1]:
        found = NEURON.advance(np.array([[[WEIGHT * spike]]]), 0, state)
        state = found.state
        v.append(int(state[1][0, 0]))
        fired.append(int(found.sent[0, 0, 0]))
    return np.array(v), np.array(fired)


def main() -> None:
    """Draw, and print how many steps are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/lif_trace.png"))
    out = parser.parse_args().out
    inputs, chip, fired = np.loadtxt(TRACE, delimiter=",").astype(int).T
    v, spikes = ours(inputs)
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(9, 4.6), sharex=True, height_ratios=[4, 1], layout="constrained"
    )
    top.plot(chip / 64, color="#b5b5b5", linewidth=4, label="Loihi chip")
    top.plot(v / 64, color="#0b5fa5", linewidth=1, label="Lif(25, voltage_decay=163)")
    top.axhline(25, color="#a33", linewidth=0.8, linestyle="--", label="threshold")
    top.set_ylabel("v, weight units")
    top.legend(loc="upper left", frameon=False)
    bottom.eventplot(
        [np.flatnonzero(inputs), np.flatnonzero(fired), np.flatnonzero(spikes)],
        colors=["#444444", "#b5b5b5", "#0b5fa5"],
        linewidths=1.2,
    )
    bottom.set_yticks([0, 1, 2], ["input", "chip", "ours"])
    bottom.set_xlabel("time step")
    figure.savefig(out, dpi=110)
    lava, lava_fired = np.loadtxt(TRACE.with_name("lava_fixed.csv"), delimiter=",").astype(int).T[1:]
    print("| trace | steps | v equal here | spikes equal here |\n|---|---:|---:|---:|")
    for name, theirs, sent in (("Loihi chip", chip, fired), ("Lava's fixed-point model", lava, lava_fired)):
        print(f"| {name} | {len(v):,} | {np.sum(theirs == v):,} | {np.sum(sent == spikes):,} |")
    other = np.flatnonzero(chip != v)
    print(f"v differs at steps {other.tolist()}, where the probe shows {set(chip[other].tolist())}")


if __name__ == "__main__":
    main()

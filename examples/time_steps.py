"""Integrate-and-fire neurons over 1 to 16 time steps against threshold neurons: error, synops, latency, energy.

Each network is trained anew, for the neurons that it ships with, from the same seeds. The input spikes of a sample are
repeated at every time step, unless the encoder says otherwise. Energies and latencies are modelled, not measured.

python examples/time_steps.py digits --layers 128 --seeds 3 --plot time-steps.png
"""

from __future__ import annotations

import argparse
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

import conntra_neuro as cn
from conntra_hardware.cost.energy import estimate

STEPS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Row:
    """What a network takes for one sample, mean over the test split."""

    error_percent: float
    synops: float
    spikes: float
    energy_uj: float
    latency_us: float


def measure(data: cn.Dataset, arguments: argparse.Namespace, neuron: str, seed: int) -> Row:
    """Train with ``neuron``, compile, and run the test split on the reference backend."""
    trained = cn.train(data, layers=arguments.layers, neuron=neuron, seed=seed, sweeps=arguments.sweeps, shift=0)
    program = cn.compile(trained.network, chip="loihi1")
    result = program.run(data.x_test, data.y_test)
    energy = estimate(result.counts, program, arguments.coefficients)
    totals = result.counts.totals()
    assert result.accuracy is not None
    return Row(
        100 * (1 - result.accuracy),
        totals["synops"] / result.samples,
        totals["spikes"] / result.samples,
        energy.per_inference_j * 1e6,
        energy.latency_s * 1e6,
    )


def main() -> None:
    """Print a row for each number of time steps, medians over seeds, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--layers", default="128")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sweeps", type=int)
    parser.add_argument("--soft", action="store_true", help="a soft reset instead of a hard one")
    parser.add_argument("--coefficients", default="sanafe2025")
    parser.add_argument("--plot", help="a .png or .svg file")
    arguments = parser.parse_args()
    data = cn.load_dataset(arguments.data)
    names = ["threshold", *(f"if{steps}{'soft' if arguments.soft else ''}" for steps in STEPS)]
    rows: dict[str, Row] = {}
    print("| neuron | error, % | from, to | synops | spikes | dynamic, uJ | latency, us |")
    print(f"|---|{'---:|' * 6}")
    for name in names:
        runs = [astuple(measure(data, arguments, name, seed)) for seed in range(arguments.seeds)]
        rows[name] = row = Row(*(float(value) for value in np.median(runs, axis=0)))
        spread = [run[0] for run in runs]
        print(
            f"| {name} | {row.error_percent:.2f} | {min(spread):.2f} to {max(spread):.2f} | {row.synops:,.0f} "
            f"| {row.spikes:.1f} | {row.energy_uj:.3f} | {row.latency_us:.1f} |",
            flush=True,
        )
    if arguments.plot:
        draw(rows, arguments.plot)


def draw(rows: dict[str, Row], path: str) -> None:
    """Draw error, energy and latency over time steps, with the threshold network as a line across."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels: Any = figure.subplots(1, 3)
    threshold, spiking = rows["threshold"], [row for name, row in rows.items() if name != "threshold"]
    fields = ("error_percent", "energy_uj", "latency_us")
    titles = ("Test error, %", "Dynamic energy, µJ a sample (modelled)", "Latency, µs (modelled)")
    for axes, field, title in zip(panels, fields, titles, strict=True):
        values = [getattr(row, field) for row in spiking]
        axes.plot(STEPS, values, "o-", label="integrate-and-fire")
        axes.axhline(getattr(threshold, field), color="black", linestyle="--", label="threshold, one step")
        axes.set_xscale("log", base=2)
        axes.set_xticks(STEPS, [str(steps) for steps in STEPS])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("time steps a sample")
        axes.set_title(title, fontsize=10)
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()

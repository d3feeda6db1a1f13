"""Error against modelled energy: a sweep over the weight of the energy penalty, its table and its Pareto plot.

    python tests/benchmarks/bench_penalty.py --data mnist:mnist.npz --weights 0,0.5,1,1.3,2 --seeds 3 --plot front.png

The table has means over seeds, and their standard deviations; each training goes to stderr as a line of JSON.
Energies are those of the compiled program on Loihi 1, coefficients sanafe2025: modelled, not measured. Weight 0 is
the ordinary recipe, which the ratios are taken against.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conntra_neuro as cn
from conntra_hardware.cost.energy import estimate
from conntra_neuro.cli.options import hidden_layers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--layers", default="256", type=hidden_layers)
    parser.add_argument("--weights", default="0,2,5,10,20", help="nats per microjoule, with commas")
    parser.add_argument("--sweeps", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--samples", type=int, default=2000, help="test samples that are run for their energy")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    data = cn.load_dataset(given.data)
    rows = []
    for weight in map(float, given.weights.split(",")):
        for seed in range(given.seeds):
            rows.append(_row(data, given, weight, seed))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    summary = _summary(rows)
    print("\n".join(_table(rows, summary)))
    if given.plot:
        _plot(
            summary,
            rows,
            f"{Path(given.data).stem}, hidden {','.join(map(str, given.layers))}, {given.sweeps} sweeps",
            given.plot,
        )
        print(f"plot: {given.plot}", file=sys.stderr)


def _row(data: cn.Dataset, given: argparse.Namespace, weight: float, seed: int) -> dict[str, Any]:
    trained = cn.train(data, layers=given.layers, seed=seed, sweeps=given.sweeps, penalty_energy=weight)
    program = cn.compile(trained.network, chip="loihi1")
    result = program.run(data.x_test[: given.samples], data.y_test[: given.samples])
    found = estimate(result.counts, program, "sanafe2025")
    counts = result.counts.totals()
    return {
        "weight": weight,
        "seed": seed,
        "test_error": trained.test_error,
        "energy_uj": 1e6 * found.per_inference_j,
        "synops": counts["synops"] / result.counts.samples,
        "spikes": counts["spikes"] / result.counts.samples,
        "cores": len({s.core for s in program.slices}),
        "seconds": trained.train_seconds,
        "modelled": True,
    }


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    for weight in dict.fromkeys(row["weight"] for row in rows):
        group = [row for row in rows if row["weight"] == weight]
        names = ("weight", "test_error", "energy_uj", "synops", "spikes", "cores")
        found.append({name: statistics.fmean(row[name] for row in group) for name in names})
        found[-1]["times_less"] = found[0]["energy_uj"] / found[-1]["energy_uj"]
        found[-1]["points_of_error"] = 100 * (found[-1]["test_error"] - found[0]["test_error"])
    return found


def _table(rows: list[dict[str, Any]], summary: list[dict[str, float]]) -> Iterator[str]:
    columns = ("nats a microjoule", "test error", "energy an image", "times less", "synaptic operations", "spikes")
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for mean in summary:
        group = [row for row in rows if row["weight"] == mean["weight"]]
        error, energy = (_spread([row[name] for row in group]) for name in ("test_error", "energy_uj"))
        yield (
            f"| {mean['weight']:g} | {100 * mean['test_error']:.2f}{_with(100 * error, 2)} % "
            f"| {mean['energy_uj']:.3f}{_with(energy, 3)} uJ | {mean['times_less']:.1f} "
            f"| {mean['synops']:,.0f} | {mean['spikes']:,.0f} |"
        )


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else math.nan


def _with(spread: float, digits: int) -> str:
    return "" if math.isnan(spread) else f" ± {spread:.{digits}f}"


def _plot(summary: list[dict[str, float]], rows: list[dict[str, Any]], title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axis = figure.subplots()
    first = summary[0]
    axis.axhspan(0, 100 * first["test_error"] + 0.3, color="#2c9a5a", alpha=0.08, lw=0)
    axis.axvspan(0, first["energy_uj"] / 3, color="#1f6fb4", alpha=0.08, lw=0)
    energy, error = [row["energy_uj"] for row in rows], [100 * row["test_error"] for row in rows]
    axis.plot(energy, error, "o", color="#1f6fb4", ms=4, alpha=0.4, label="a training")
    mean = [(row["energy_uj"], 100 * row["test_error"]) for row in summary]
    axis.plot(*zip(*mean, strict=True), "o-", color="#1f6fb4", ms=7, label="mean over seeds")
    for row, at in zip(summary, mean, strict=True):
        text = "no penalty" if row["weight"] == 0 else f"{row['weight']:g}"
        axis.annotate(text, at, (7, 5), textcoords="offset points", fontsize=9)
    axis.set_xlim(0, 1.15 * max(energy))
    axis.set_ylim(0.9 * min(error), 1.05 * max(error))
    axis.set_xlabel("modelled dynamic energy per inference, µJ (Loihi 1, sanafe2025)")
    axis.set_ylabel("test error, %")
    axis.set_title(f"{title}\nlabels: nats per µJ; shaded: a third of the energy, 0.3 points of error", fontsize=10)
    axis.legend(frameon=False, fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()

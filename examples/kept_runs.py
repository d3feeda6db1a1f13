"""What examples share that train many networks run by run: what is measured of one, the file of runs, their table."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import conntra_neuro as cn

__all__ = ["keep", "kept", "measured", "table"]

Run = dict[str, Any]

COLUMNS = {
    "train_error": ("train", ".1f"),
    "synops": ("synops", ",.0f"),
    "spikes": ("spikes", ",.0f"),
    "latency_us": ("latency, us", ".1f"),
    "dynamic_uj": ("dynamic, uJ", ".2f"),
    "seconds": ("s", ".0f"),
}
"""What a table has of a figure beside the test error: its head and its format."""


def measured(data: cn.Dataset, settings: dict[str, Any], seed: int) -> dict[str, float]:
    """Train one network; return its errors and what its program takes of a test sample on loihi2, modelled.

    Spikes go in as they are; other data by an encoder, which is then a part of the network.
    """
    start = time.perf_counter()
    encoder = None if data.input == "spikes" else "auto"
    trained = cn.train(data, seed=seed, encoder=encoder, **settings)
    seconds = time.perf_counter() - start
    program = cn.compile(trained.network, chip="loihi2")
    result = program.run(data.x_test, data.y_test)
    assert result.accuracy is not None
    estimate = cn.estimate(result.counts, program, "loihi2-proxy")
    totals = result.counts.totals()
    return {
        "test_error": 100 * (1 - result.accuracy),
        "train_error": 100 * trained.train_error,
        "synops": totals["synops"] / result.samples,
        "spikes": totals["spikes"] / result.samples,
        "latency_us": 1e6 * estimate.latency_s,
        "dynamic_uj": 1e6 * estimate.dynamic_j / result.samples,
        "seconds": seconds,
    }


def kept(path: Path) -> dict[str, Run]:
    """Return the runs of a file by their keys; none where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(path: Path, key: str, run: Run) -> dict[str, Run]:
    """Add a run to the file, to which another process may have added some, and say so; return all."""
    runs = kept(path) | {key: run}
    path.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    print(key, {name: round(value, 2) for name, value in run["found"].items()}, flush=True)
    return runs


def table(runs: Iterable[Run], heads: tuple[str, str], of: Callable[[Run], tuple[str, str]]) -> None:
    """Print medians over the seeds of what ``of`` gives the same two cells, and the least and the largest error."""
    groups: dict[tuple[str, str], list[dict[str, float]]] = {}
    for run in runs:
        groups.setdefault(of(run), []).append(run["found"])
    shown = [name for name in COLUMNS if all(name in one for found in groups.values() for one in found)]
    print(f"| {' | '.join([*heads, 'seeds', 'test error, %', *(COLUMNS[name][0] for name in shown)])} |")
    print(f"|---|---|---:|---|{'---:|' * len(shown)}")
    for cells, found in groups.items():
        middle = {name: statistics.median(one[name] for one in found) for name in ("test_error", *shown)}
        errors = [one["test_error"] for one in found]
        spread = f"{middle['test_error']:.1f} ({min(errors):.1f} to {max(errors):.1f})"
        rest = [format(middle[name], COLUMNS[name][1]) for name in shown]
        print(f"| {' | '.join([*cells, str(len(found)), spread, *rest])} |", flush=True)

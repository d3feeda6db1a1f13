"""Error against modelled energy: networks over penalties, levels and layers, and the front of those that none beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conntra_hardware.base.errors import DoesNotFit, InputError
from conntra_neuro.datasets import Dataset
from conntra_neuro.datasets.dataset import refuse_values
from conntra_neuro.search.trials import Trials, tuning_split

__all__ = ["Point", "Target", "front_of", "pareto"]

_RUN = 1000  # tuning samples whose events are counted
_FIRST = 0.05  # nats a microjoule, where no penalty has been tried
_FACTOR = 3.0


@dataclass(frozen=True)
class Point:
    """A network: what was asked for, its errors (fractions), and what an inference costs, modelled, not measured.

    error        on the tuning split, which decides
    test_error   on the test samples, which decide nothing; None where there are none
    energy_j, latency_s   an inference; None where the network does not fit the chip, as is ``cores``
    model        the file of the network
    """

    layers: str
    levels: str
    penalty: float
    error: float
    test_error: float | None
    energy_j: float | None
    latency_s: float | None
    cores: int | None
    seconds: float
    model: str


@dataclass(frozen=True)
class Target:
    """The network that is wanted: the lowest error within ``energy_j``, or the lowest energy within ``error``."""

    energy_j: float | None = None
    error: float | None = None

    def __post_init__(self) -> None:
        if (self.energy_j is None) == (self.error is None):
            raise InputError("target: an energy or an error expected, one of both")
        for what, value in (("energy", self.energy_j), ("error", self.error)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"target {what} {value}: more than 0 expected")

    def met_by(self, point: Point) -> bool:
        """Say whether ``point`` is within what is allowed."""
        if point.energy_j is None:
            return False
        return point.energy_j <= self.energy_j if self.energy_j is not None else point.error <= (self.error or 0)

    def best(self, points: Sequence[Point]) -> Point | None:
        """Return the best of the points that meet it; None where none does."""
        met = [point for point in points if self.met_by(point)]
        return min(met, key=self._key) if met else None

    def nearest(self, points: Sequence[Point]) -> Point:
        """Return the best point, or the one that comes nearest to what is allowed."""
        priced = [point for point in points if point.energy_j is not None]
        missing = (lambda p: p.energy_j or 0) if self.energy_j is not None else (lambda p: p.error)
        return self.best(points) or min(priced, key=missing)

    def _key(self, point: Point) -> tuple[float, float]:
        energy = point.energy_j or 0.0
        return (point.error, energy) if self.energy_j is not None else (energy, point.error)


def front_of(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that no other one beats in error and energy, by energy."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (math.inf if p.energy_j is None else p.energy_j, p.error)):
        if point.energy_j is not None and (not found or point.error < found[-1].error):
            found.append(point)
    return tuple(found)


def pareto(
    data: Dataset,
    folder: Path,
    *,
    layers: Sequence[str],
    levels: Sequence[str] = ("ternary",),
    penalties: Sequence[float] = (0.0, 0.3, 1.0),
    chip: str = "loihi1",
    target: Target | None = None,
    more: int = 4,
    seed: int = 0,
    recipe: Mapping[str, Any] | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> tuple[Point, ...]:
    """Train a network for each of ``layers``, ``levels`` and ``penalties`` (nats a microjoule); return all of them.

    folder    keeps models and trials; what is there already is not trained again
    target    up to ``more`` further penalties are tried to come near it, each between those on either side of it
    recipe    further arguments of ``train``
    progress  called before each training with its number and its words

    Raises InputError for what cannot be used, FileFormatError for a folder that cannot be written.
    """
    refuse_values(data, "pareto")
    if not layers or not levels or not penalties:
        raise InputError("pareto: layers, levels and penalties, at least one of each, expected")
    if any(not (math.isfinite(penalty) and penalty >= 0) for penalty in penalties):
        raise InputError(f"penalties {', '.join(map(str, penalties))}: numbers from 0 on expected")
    search = _Search(data, Trials(folder, data), chip, seed, dict(recipe or {}), progress)
    points = [search.point(a, b, c) for a in layers for b in levels for c in penalties]
    for _ in range(0 if target is None else more):
        assert target is not None
        near = target.nearest(points) if any(p.energy_j is not None for p in points) else points[0]
        alike = [p for p in points if (p.layers, p.levels) == (near.layers, near.levels)]
        penalty = _between(alike, target)
        if penalty is None:
            break
        points.append(search.point(near.layers, near.levels, penalty))
    return tuple(points)


def _between(points: Sequence[Point], target: Target) -> float | None:
    """Return the penalty to try next; None where nothing is left to try."""
    met = [p.penalty for p in points if target.met_by(p)]
    missed = [p.penalty for p in points if not target.met_by(p)]
    # A high penalty meets an energy and misses an error.
    low, high = (missed, met) if target.energy_j is not None else (met, missed)
    if not high:
        return max(max(low) * _FACTOR, _FIRST)
    if not low:
        return min(high) / _FACTOR if min(high) > 0 else None
    least = min(high)
    below = [penalty for penalty in low if penalty < least]
    if not below:
        return None
    most = max(below)
    return round(math.sqrt(most * least) if most else least / _FACTOR, 6)


@dataclass
class _Search:
    data: Dataset
    trials: Trials
    chip: str
    seed: int
    recipe: dict[str, Any]
    progress: Callable[[int, str], None] | None
    done: int = 0

    def point(self, layers: str, levels: str, penalty: float) -> Point:
        """Return the network's point, from its file where it is there."""
        settings = {"layers": layers, "levels": levels, "penalty": penalty, "chip": self.chip, "seed": self.seed}
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, f"{layers}, {levels}, penalty {penalty:g}")
        found = self.trials.get(settings | self.recipe, lambda name: asdict(self._train(name, layers, levels, penalty)))
        return Point(**found)

    def _train(self, name: str, layers: str, levels: str, penalty: float) -> Point:
        from conntra_hardware.cost.energy import estimate_all
        from conntra_neuro.compiler import compile
        from conntra_neuro.network.storage import save
        from conntra_neuro.training import train

        tuning = tuning_split(self.data, self.seed)
        priced: dict[str, Any] = {"penalty_energy": penalty} if penalty else {}
        trained = train(tuning, layers=layers, levels=levels, seed=self.seed, **self.recipe, **priced)
        model = self.trials.folder / f"{name}.conntra"
        save(trained.network, model, info={"data": self.data.name, "layers": layers, "levels": levels})
        tested, n = len(self.data.x_test) > 0, min(_RUN, len(tuning.x_test))
        assert trained.test_error is not None
        try:
            program = compile(trained.network, self.chip)
        except DoesNotFit:
            energy = latency = cores = None
        else:
            result = program.run(tuning.x_test[:n], tuning.y_test[:n])
            found = estimate_all(result.counts, program)
            if not found:
                raise InputError(f"chip {self.chip}: no energy coefficients; see `conntra chips`")
            energy, latency, cores = found[0].per_inference_j, found[0].latency_s, program.cores_used
        return Point(
            layers=layers,
            levels=levels,
            penalty=penalty,
            error=trained.test_error,
            test_error=trained.network.error(self.data.x_test, self.data.y_test) if tested else None,
            energy_j=energy,
            latency_s=latency,
            cores=cores,
            seconds=trained.train_seconds,
            model=str(model),
        )

"""Search over recipes by successive halving: many short trainings, fewer longer ones, the best by a tuning split.

Jamieson and Talwalkar, AISTATS 2016. A training anneals along its schedule, so that a longer one is trained from its
start and not gone on with. The usual recipe is a candidate as well, and is never left behind: what is found is no worse
than it on what tunes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets import Dataset
from conntra_neuro.search.space import Vary, default_space, draw
from conntra_neuro.search.trials import Trials, tuning_split
from conntra_neuro.search.work import Job, Work, workers

__all__ = ["Candidate", "Tuning", "tune"]

_ETA = 3  # one in so many goes on to trainings so many times as long
_SPLITS_BELOW = 5000  # training samples: smaller sets tune on several splits
_SPLITS = 3


@dataclass(frozen=True)
class Candidate:
    """A recipe and how it did. Errors are fractions, of tuning samples.

    number   0 is the usual recipe
    recipe   arguments of ``train`` and options of its gear
    errors   after each rung that it took part in, the mean over the tuning splits
    seconds  that its trainings took in all
    """

    number: int
    recipe: Mapping[str, Any]
    errors: tuple[float, ...]
    seconds: float

    @property
    def rank(self) -> tuple[int, float, int]:
        """What candidates are sorted by: the best one has the smallest."""
        return -len(self.errors), self.errors[-1], self.number


@dataclass(frozen=True)
class Tuning:
    """What ``tune`` returns.

    candidates  the best one first
    rungs       sweeps of the trainings on each rung
    splits      tuning splits whose errors were averaged, of ``tuned_on`` samples each
    """

    candidates: tuple[Candidate, ...]
    rungs: tuple[int, ...]
    splits: int
    tuned_on: int

    @property
    def best(self) -> Candidate:
        """The candidate with the lowest error on the longest trainings."""
        return self.candidates[0]

    @property
    def usual(self) -> Candidate:
        """The usual recipe."""
        return next(candidate for candidate in self.candidates if candidate.number == 0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``conntra tune --json`` prints it."""
        found = [asdict(candidate) for candidate in self.candidates]
        return {
            "candidates": found,
            "best": asdict(self.best),
            "usual": asdict(self.usual),
            "rungs": list(self.rungs),
            "splits": self.splits,
            "tuned_on": self.tuned_on,
        }


def tune(
    data: Dataset,
    folder: Path,
    *,
    layers: Sequence[str | None] = (None,),
    levels: Sequence[str] = ("ternary",),
    vary: Mapping[str, Vary] | None = None,
    fixed: Mapping[str, Any] | None = None,
    trials: int = 27,
    sweeps: int | None = None,
    splits: int | None = None,
    seed: int = 0,
    cluster: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Tuning:
    """Search for the recipe with the lowest error on tuning splits of the training samples; test samples are not used.

    folder         keeps a file for each training: a search that was cut short goes on there, and gives the same
    layers, levels values that are tried, as ``train`` takes them; the first ones are the usual recipe's
    vary           options of the blocks gear and what is drawn for each; None takes ``default_space``
    fixed          options that all recipes have
    trials         recipes on the first rung
    sweeps         of the longest trainings; None takes the gear's own
    splits         tuning splits; None takes 3 for sets of fewer than 5,000 training samples, else 1
    cluster        Dask workers that train, as in ``train``; None takes the cores of this machine
    progress       called with trainings done, trainings to do, and words, after each training

    Raises InputError for what cannot be used, FileFormatError for a folder that cannot be written or is damaged,
    BackendError for a cluster that does not answer.
    """
    whole(trials, "trials", 2)
    splits = (_SPLITS if len(data.y_train) < _SPLITS_BELOW else 1) if splits is None else whole(splits, "splits", 1)
    tuned = tuning_split(data, seed)
    recipes = _recipes(data, layers, levels, vary, dict(fixed or {}), trials, seed)
    longest = _usual_sweeps(tuned, fixed or {}) if sweeps is None else whole(sweeps, "sweeps", 1)
    rungs = _rungs(longest, len(recipes))
    total = splits * sum(_counts(len(rungs), len(recipes)))
    candidates, seconds = list(range(len(recipes))), [0.0] * len(recipes)
    errors: list[tuple[float, ...]] = [()] * len(recipes)
    with workers(data, cluster) as work:
        search = _Search(Trials(folder, data), recipes, splits, seed, work, total, progress)
        for count, length in zip(_counts(len(rungs), len(recipes)), rungs, strict=True):
            candidates = _best(candidates, errors, count)
            for number, error, took in search.rung(candidates, length):
                errors[number] = (*errors[number], error)
                seconds[number] += took
    found = [Candidate(i, recipes[i], errors[i], seconds[i]) for i in range(len(recipes))]
    return Tuning(tuple(sorted(found, key=lambda c: c.rank)), rungs, splits, len(tuned.y_test))


def _recipes(
    data: Dataset,
    layers: Sequence[str | None],
    levels: Sequence[str],
    vary: Mapping[str, Vary] | None,
    fixed: dict[str, Any],
    trials: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the recipes of the first rung, the usual one first, all different; InputError for one that cannot be."""
    from conntra_neuro.training.gears.blocks import BlocksOptions
    from conntra_neuro.training.options import parse_options
    from conntra_neuro.training.samples import default_layers

    layers = [",".join(map(str, default_layers(len(data.y_train)))) if one is None else one for one in layers]
    space: dict[str, Vary] = dict(default_space(_image_of(data)) if vary is None else vary)
    twice = sorted(space.keys() & fixed.keys()) if vary is not None else []
    if twice:
        raise InputError(f"option {twice[0]}: fixed and varied as well; leave one of both out")
    space = {name: values for name, values in space.items() if name not in fixed}
    first = {"layers": layers[0], "levels": levels[0], **fixed}
    wide = {name: tuple(v) for name, v in (("layers", layers), ("levels", levels)) if len(v) > 1}
    recipes = [first]
    for drawn in draw({**wide, **space}, trials, seed):
        recipe = {**first, **drawn}
        if recipe not in recipes and len(recipes) < trials:
            recipes.append(recipe)
    if len(recipes) < 2:
        raise InputError("tune: nothing is varied; give options with values to choose from, as in decay=1,2,3")
    for recipe in recipes:
        parse_options(BlocksOptions, {k: v for k, v in recipe.items() if k not in ("layers", "levels")}, "blocks")
    return recipes


def _image_of(data: Dataset) -> tuple[int, int] | None:
    """Return rows and columns where samples are images."""
    from conntra_neuro.training.trainer import are_images

    shape = data.feature_shape
    return (shape[-2], shape[-1]) if are_images(data) else None


def _usual_sweeps(data: Dataset, fixed: Mapping[str, Any]) -> int:
    """Return the sweeps that the gear takes for images that are not moved, so that no search is longer than need be."""
    from conntra_neuro.training.augmentation import Augmentation
    from conntra_neuro.training.gears.blocks import BlocksOptions

    return math.ceil(BlocksOptions(batch=fixed.get("batch")).with_defaults(len(data.y_train), Augmentation())[0])


def _rungs(sweeps: int, trials: int) -> tuple[int, ...]:
    """Return the sweeps of each rung: each ``_ETA`` times those before, whole, the last one ``sweeps``."""
    most = 0
    while _ETA ** (most + 1) <= min(sweeps, trials):
        most += 1
    return tuple(max(1, round(sweeps / _ETA ** (most - rung))) for rung in range(most + 1))


def _counts(rungs: int, trials: int) -> list[int]:
    """Return how many recipes take part in each rung: a third goes on, and the usual one beside them."""
    counts = [trials]
    while len(counts) < rungs:
        counts.append(min(counts[-1], math.ceil(counts[-1] / _ETA) + 1))
    return counts


def _best(candidates: list[int], errors: Sequence[tuple[float, ...]], count: int) -> list[int]:
    """Return the usual recipe and, of the others, those with the lowest errors: ``count`` in all."""
    others = [number for number in candidates if number]
    if count < len(candidates):
        others.sort(key=lambda number: (errors[number][-1], number))
    return [0, *others[: count - 1]]


@dataclass
class _Search:
    trials: Trials
    recipes: list[dict[str, Any]]
    splits: int
    seed: int
    work: Work
    total: int
    progress: Callable[[int, int, str], None] | None
    done: int = 0

    def rung(self, candidates: Sequence[int], sweeps: int) -> Iterator[tuple[int, float, float]]:
        """Yield the number, the mean error and the seconds of each candidate, trained for ``sweeps``."""
        jobs = {
            (number, split): Job(self.recipes[number], sweeps, self.seed + split)
            for number in candidates
            for split in range(self.splits)
        }
        found = {key: self.trials.find(job.settings) for key, job in jobs.items()}
        missing = [key for key in jobs if found[key] is None]
        self._say(len(jobs) - len(missing), "found in the folder")
        for at, result in self.work([jobs[key] for key in missing]):
            self.trials.keep(jobs[missing[at]].settings, result)
            found[missing[at]] = result
            number, wrong = missing[at][0], 100 * result["error"]
            self._say(1, f"recipe {number}, {sweeps} sweep{'s' if sweeps > 1 else ''}: {wrong:.2f} % wrong")
        for number in candidates:
            rows = [found[number, split] or {} for split in range(self.splits)]
            yield number, statistics.fmean(row["error"] for row in rows), sum(row["seconds"] for row in rows)

    def _say(self, done: int, words: str) -> None:
        self.done += done
        if self.progress is not None and done:
            self.progress(self.done, self.total, words)

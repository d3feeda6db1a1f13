"""Repair: mini-batches score the moves of all weights, the best are made, and held-out samples decide what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.repair.moves import Mover
from conntra_neuro.training.repair.stage import Stage
from conntra_neuro.training.threads import Threads

__all__ = ["Repaired", "Samples", "repaired"]

Floats = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]
_BATCH, _BATCH_OF_IMAGES = 256, 64  # a kernel sees each image at many places
_LOOKS, _SHARE = 25, 0.25  # at the held-out samples: so many, and of the time
_FEW = 500  # held-out samples, which there are at least where the time is short
_WARM = 8  # mini-batches before the first move
_PATIENCE = 4  # looks without a better network before the best is taken up again, with half the moves


@dataclass(frozen=True)
class Repaired:
    """How it went: errors and objectives (nats) ``before`` and ``after`` on ``held_out`` samples, ``seconds``, and
    ``sweeps``, passes over the others.
    """

    before: tuple[float, float]
    after: tuple[float, float]
    held_out: int
    seconds: float
    sweeps: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "before": list(self.before), "after": list(self.after)}


@dataclass(frozen=True, eq=False)
class Samples:
    """What weights move by, and what decides.

    inputs  gives what the first stage takes of samples, by their indices
    y       class indices (n,); ``wanted`` (n, classes) are the probabilities that are aimed at
    kept    indices of the samples that weights move by; ``held``: of those that decide, the first where time is short
    scale   of logits, at which their softmax is a probability
    """

    inputs: Callable[[Rows], Floats]
    y: Rows
    wanted: Floats
    kept: Rows
    held: Rows
    scale: float


def repaired(
    stages: Sequence[Stage],
    samples: Samples,
    *,
    seconds: float | None = None,
    batches: int | None = None,
    seed: int = 0,
    fraction: float | None = None,
) -> Repaired:
    """Move the weights of ``stages`` in place, for about ``seconds`` or so many mini-batches; the best are left there.

    ``fraction`` of a stage's weights move at the first step, falling to zero; None decides by how many steps there are.
    With ``batches`` a seed gives the same network; with seconds it depends on the machine's speed.
    """
    rng = np.random.default_rng(seed)
    movers = [Mover(stage) for stage in stages]
    batch = _BATCH if stages[0].geometry is None else _BATCH_OF_IMAGES
    with Threads() as threads:
        look = _Look(stages, samples, threads)
        held = samples.held if seconds is None else look.affordable(seconds)
        begin = time.monotonic()  # what was compiled on the way is no repair
        key = first = look.at(held)
        looking = time.monotonic() - begin
        best = [stage.weight.copy() for stage in stages]
        done, worse, looked = 0, 0, 0
        while True:
            spent = done / (batches or 1) if seconds is None else (time.monotonic() - begin) / seconds
            if spent >= 1:
                break
            rows = rng.choice(samples.kept, min(batch, len(samples.kept)))
            _score(stages, movers, samples, rows, threads)
            done += 1
            if fraction is None and done == _WARM:
                each = (time.monotonic() - begin - looking) / _WARM
                fraction = _fraction(batches or (1 - _SHARE) * (seconds or 0) / max(each, 1e-6))
            if fraction is not None and done > _WARM:
                for mover in movers:
                    mover.move(fraction * (1 - spent), 20 * fraction * (1 - spent), rng)
            if spent * _LOOKS < looked + 1:
                continue
            looked = int(spent * _LOOKS)
            found = look.at(held)
            if found[0] <= key[0] and found[1] <= key[1]:
                key, worse = found, 0
                best = [stage.weight.copy() for stage in stages]
                continue
            worse += 1
            if worse == _PATIENCE:
                worse, fraction = 0, None if fraction is None else fraction / 2
                _take(stages, best)
    _take(stages, best)
    sweeps = done * min(batch, len(samples.kept)) / len(samples.kept)
    return Repaired(first, key, len(held), time.monotonic() - begin, sweeps)


def _fraction(steps: float) -> float:
    """Return the share of weights to move at the first of so many steps [784-28-10, ternary: 0.001 of 1,500]."""
    return float(np.clip(0.001 * (1500 / max(steps, 1)) ** 0.5, 3e-4, 5e-3))


class _Look:
    """Errors and cross-entropy of the stages as they are."""

    def __init__(self, stages: Sequence[Stage], samples: Samples, threads: Threads) -> None:
        self.stages, self.samples, self.threads = stages, samples, threads

    def at(self, held: Rows) -> tuple[float, float]:
        """Return the share of wrong classes and the cross-entropy of the samples ``held``."""
        samples, wrong, nats = self.samples, 0, 0.0
        for first in range(0, len(held), _BATCH):
            rows = held[first : first + _BATCH]
            x = samples.inputs(rows)
            for stage in self.stages:
                x, _ = stage.forward(x, self.threads)
            wrong += int(np.count_nonzero(x.argmax(axis=1) != samples.y[rows]))
            p = _softmax(x.astype(np.float64) * samples.scale)
            nats -= float((samples.wanted[rows] * np.log(np.maximum(p, 1e-30))).sum())
        return wrong / len(held), nats / len(held)

    def affordable(self, seconds: float) -> Rows:
        """Return as many of the held-out samples as can be looked at in their share of the time."""
        held = self.samples.held
        few = held[:_BATCH]
        self.at(few)  # once for what is compiled
        begin = time.monotonic()
        self.at(few)
        each = (time.monotonic() - begin) / len(few)
        return held[: max(_FEW, int(_SHARE * seconds / _LOOKS / max(each, 1e-9)))]


def _take(stages: Sequence[Stage], weights: Sequence[Floats]) -> None:
    for stage, weight in zip(stages, weights, strict=True):
        stage.weight[...] = weight


def _score(stages: Sequence[Stage], movers: Sequence[Mover], samples: Samples, rows: Rows, threads: Threads) -> None:
    """Give every mover the scores of its stage on a mini-batch."""
    x, traces, shapes = samples.inputs(rows), [], []
    for stage in stages:
        shapes.append(x.shape)
        x, trace = stage.forward(x, threads)
        traces.append(trace)
    gain = (_softmax(x * samples.scale) - samples.wanted[rows]).astype(np.float32)
    for index in range(len(stages) - 1, -1, -1):
        stage, trace = stages[index], traces[index]
        terms = stage.backward(gain, trace, threads)
        movers[index].remember(stage.scores(terms, trace), len(rows))
        if index:
            gain = stage.down(terms, shapes[index][0], shapes[index], threads)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)

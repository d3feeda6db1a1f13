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

__all__ = ["Repaired", "repaired"]

Floats = npt.NDArray[Any]
Held = tuple[Floats, npt.NDArray[np.int64], Floats]
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


def repaired(
    stages: Sequence[Stage],
    inputs: Callable[[npt.NDArray[np.int64]], Floats],
    wanted: Floats,
    held: Held,
    scale: float,
    seconds: float,
    seed: int,
    fraction: float | None = None,
) -> Repaired:
    """Move the weights of ``stages`` in place for about ``seconds``; they are left as the best network was.

    inputs   gives the first stage's inputs of rows of the training samples; ``wanted`` (n, classes) are probabilities
    held     held-out inputs, classes and wanted probabilities, which decide: the first of them where time is short
    scale    of logits, at which their softmax is a probability
    fraction of a stage's weights that move at the first step, falling to zero; None decides by how many steps there are
    """
    rng = np.random.default_rng(seed)
    movers = [Mover(stage) for stage in stages]
    with Threads() as threads:
        held = _affordable(stages, held, scale, seconds, threads)
        batch = _BATCH if stages[0].geometry is None else _BATCH_OF_IMAGES
        begin = time.monotonic()  # what was compiled on the way is no repair
        key = first = _evaluate(stages, held, scale, threads)
        looking = time.monotonic() - begin
        best = [stage.weight.copy() for stage in stages]
        done, worse, looked, n = 0, 0, 0, len(wanted)
        while True:
            spent = (time.monotonic() - begin) / seconds
            if spent >= 1:
                break
            rows = rng.integers(0, n, min(batch, n))
            _score(stages, movers, inputs(rows), wanted[rows], scale, threads)
            done += len(rows)
            if fraction is None and movers[0].seen == _WARM:
                fraction = _fraction(_WARM * (1 - _SHARE) / max(time.monotonic() - begin - looking, 1e-3) * seconds)
            if fraction is not None and movers[0].seen > _WARM:
                left = 1 - spent
                for mover in movers:
                    mover.move(fraction * left, 20 * fraction * left, rng)
            if spent * _LOOKS < looked + 1:
                continue
            looked = int(spent * _LOOKS)
            found = _evaluate(stages, held, scale, threads)
            if found[0] <= key[0] and found[1] <= key[1]:
                key, worse = found, 0
                best = [stage.weight.copy() for stage in stages]
                continue
            worse += 1
            if worse == _PATIENCE:
                worse, fraction = 0, None if fraction is None else fraction / 2
                _take(stages, best)
    _take(stages, best)
    return Repaired(first, key, len(held[1]), time.monotonic() - begin, done / n)


def _fraction(steps: float) -> float:
    """Return the share of weights to move at the first of so many steps [784-28-10, ternary: 0.001 of 1,500]."""
    return float(np.clip(0.001 * (1500 / max(steps, 1)) ** 0.5, 3e-4, 5e-3))


def _affordable(stages: Sequence[Stage], held: Held, scale: float, seconds: float, threads: Threads) -> Held:
    """Return as many of the held-out samples as can be looked at in their share of the time."""
    few = tuple(part[:_BATCH] for part in held)
    _evaluate(stages, few, scale, threads)  # type: ignore[arg-type]  # once for what is compiled
    begin = time.monotonic()
    _evaluate(stages, few, scale, threads)  # type: ignore[arg-type]
    each = (time.monotonic() - begin) / len(few[0])
    count = max(_FEW, int(_SHARE * seconds / _LOOKS / max(each, 1e-9)))
    inputs, y, wanted = held
    return inputs[:count], y[:count], wanted[:count]


def _take(stages: Sequence[Stage], weights: Sequence[Floats]) -> None:
    for stage, weight in zip(stages, weights, strict=True):
        stage.weight[...] = weight


def _score(
    stages: Sequence[Stage], movers: Sequence[Mover], x: Floats, wanted: Floats, scale: float, threads: Threads
) -> None:
    """Give every mover the scores of its stage on a mini-batch."""
    traces, shapes = [], []
    for stage in stages:
        shapes.append(x.shape)
        x, trace = stage.forward(x, threads)
        traces.append(trace)
    gain = (_softmax(x * scale) - wanted).astype(np.float32)
    for index in range(len(stages) - 1, -1, -1):
        stage, trace = stages[index], traces[index]
        terms = stage.backward(gain, trace, threads)
        movers[index].remember(stage.scores(terms, trace), len(wanted))
        if index:
            gain = stage.down(terms, len(wanted), shapes[index], threads)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _evaluate(stages: Sequence[Stage], held: Held, scale: float, threads: Threads) -> tuple[float, float]:
    """Return the share of wrong classes and the cross-entropy on held-out samples."""
    inputs, y, wanted = held
    wrong, nats = 0, 0.0
    for first in range(0, len(y), _BATCH):
        rows = slice(first, first + _BATCH)
        x = inputs[rows].astype(np.float32)
        for stage in stages:
            x, _ = stage.forward(x, threads)
        wrong += int(np.count_nonzero(x.argmax(axis=1) != y[rows]))
        p = _softmax(x.astype(np.float64) * scale)
        nats -= float((wanted[rows] * np.log(np.maximum(p, 1e-30))).sum())
    return wrong / len(y), nats / len(y)

"""The straight-through gear: quantisation-aware backpropagation of the very network that is deployed.

Latent float weights are rounded to the nearest level in the forward pass and take the gradient as if they were not;
units are threshold units whose derivative is taken to be that of a logistic curve. What it returns is an integer
network: weights are the rounded ones, normalised thresholds are folded exactly into integer biases (see ``fold``),
readout biases are integers in training already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.training.augment import ELASTIC_LIMIT, Augmentation
from conntra_neuro.training.backprop.fold import Normalisation, fold
from conntra_neuro.training.backprop.load import load_steps
from conntra_neuro.training.bits import BitSpikes
from conntra_neuro.training.inputs import DenseBatch, Inputs, StreamedInputs
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator

__all__ = ["StraightThrough", "StraightThroughOptions"]

_STATISTICS = 10_000  # samples that give the means and variances to fold
_ROWS = 2048  # samples at a time when evaluating
_EPSILON = 1e-3  # as in ``steps``

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StraightThroughOptions:
    """The recipe. None lets the data decide.

    sweeps       passes over the training samples
    batch        samples in a mini-batch
    rate_weight  learning rate of the latent weights (Adam), which lie in -1 .. 1; falls to zero along a cosine; by
                 default 0.1 where potentials are normalised, else 0.03; trainings of 50 sweeps and more gain from 0.05
    rate         learning rate of biases and of the logit scale
    width        scale of the logistic curve whose derivative stands for that of the step, in units of the
                 potential's spread
    normalise    1: batch normalisation of the potentials, folded exactly at the end (graded and integrate-and-fire
                 neurons: its mean alone, see ``integer``); 0: none; by default from two hidden layers on, and
                 wherever not all are dense layers of threshold neurons
    shift        each image is shifted by up to so many pixels, anew in each sweep
    elastic      each image is bent by about so many pixels, anew in each sweep; see ``augment``. By default
                 as in ``BlocksOptions``
    """

    sweeps: int | None = None
    batch: int | None = None
    rate_weight: float | None = None
    rate: float = 0.003
    width: float = 0.35
    normalise: int | None = None
    shift: int | None = None
    elastic: float | None = None

    def __post_init__(self) -> None:
        allowed = {
            "rate_weight": (0, 10),
            "rate": (0, 10),
            "width": (1e-3, 1e3),
            "normalise": (0, 1),
            "shift": (0, 1000),
            "elastic": (0, ELASTIC_LIMIT),
        }
        for name, (low, high) in allowed.items():
            if getattr(self, name) is not None and not low <= getattr(self, name) <= high:
                raise InputError(f"{name} {getattr(self, name)}: {low} to {high} allowed")
        for name in ("sweeps", "batch"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: 1 or more allowed")

    def with_defaults(self, n: int, augmented: bool) -> tuple[int, int]:
        """Return (sweeps, batch) for ``n`` training samples: at least 1,000 steps, 20 sweeps, 40 of moved images."""
        batch = min(self.batch or max(32, min(200, n // 8)), n)
        return self.sweeps or max(40 if augmented else 20, math.ceil(1000 * batch / n)), batch


class StraightThrough:
    """The straight-through gear. Memory: inputs as bytes, 12 bytes a weight (the latent weight and two averages)."""

    finished = False
    decides_by_objective = False
    statistics = _STATISTICS
    sample_type: Any = np.float64

    def __init__(self, task: Task, options: StraightThroughOptions) -> None:
        self._steps = load_steps()
        if task.start is not None:
            raise InputError(
                "initial network: backpropagation starts from latent weights; leave it out, or use conntra"
            )
        self._task, self._options = task, options
        self._augmentation = Augmentation.of(options.shift, options.elastic, task)
        self.sweeps, self._batch = options.with_defaults(len(task.y), bool(self._augmentation))
        deep = len(task.sizes) > 3 or task.layered is not None
        self._normalise = deep if options.normalise is None else bool(options.normalise)
        usual = 0.1 if self._normalise else 0.03
        self._rate_weight = usual if options.rate_weight is None else options.rate_weight
        self._inputs = self._inputs_of(task)
        rng = generator(task.seed, purpose=3)
        rows = np.sort(rng.permutation(len(task.y))[: self.statistics])
        self._sample = self._gather(rows, self._shifts(rng, len(rows))).astype(self.sample_type)
        self._tree, self._moments = self._steps.start(self._first(rng))
        self._found: tuple[Parameters, list[Normalisation], float] | None = None

    def sweep(self, number: int, sweeps: int, clock: Clock, tick: Tick) -> Evaluation:
        """Pass once over the training samples in an order of the sweep's own; a rest smaller than a batch waits."""
        n, batch = len(self._task.y), self._batch
        rng = generator(self._task.seed, 4, number)
        order, shifts = rng.permutation(n), self._shifts(rng, n)
        loss, wrong, seen, steps = 0.0, 0, 0, n // batch
        for step in range(steps):
            done = number + step / steps
            time = max(done / sweeps, clock.fraction)
            if time >= 1:
                break
            part = slice(step * batch, (step + 1) * batch)
            decay = np.float32((1 + math.cos(math.pi * time)) / 2)
            x = self._gather(order[part], None if shifts is None else shifts[part])
            losses, errors = self._train(x, self._task.y[order[part]], decay)
            self._found = None
            loss, wrong, seen = loss + float(losses), wrong + int(errors), seen + batch
            tick(done, Evaluation(loss / seen, wrong / seen))
        return Evaluation(loss / max(seen, 1), wrong / max(seen, 1))

    def _train(self, x: Array, y: Array, decay: np.float32) -> tuple[Any, Any]:
        """Take one step; return the sum of the losses and the number of errors."""
        self._tree, self._moments, losses, errors = self._steps.straight_through_step(
            self._tree,
            self._moments,
            x,
            y,
            decay * np.float32(self._rate_weight),
            decay * self._options.rate,
            np.float32(self._options.width * self._unit),
            levels=self._task.levels.values,
            normalise=self._normalise,
        )
        return losses, errors

    def evaluate(self, held_out: bool) -> Evaluation:
        """Evaluate the integer network on all held-out or all training samples."""
        spikes, y = self._task.spikes, self._task.y
        if held_out:
            assert self._task.held_out is not None
            spikes, y = self._task.held_out
        parameters, _, scale = self._folded()
        objective = Objective(scale)
        total, wrong = 0, 0
        for first in range(0, len(y), _ROWS):
            part = slice(first, first + _ROWS)
            logits = parameters.potentials(spikes[part])[-1]
            total += int(objective.losses(logits, y[part]).sum())
            wrong += int(np.count_nonzero(logits.argmax(axis=1) != y[part]))
        return Evaluation(objective.nats(total, len(y)), wrong / len(y))

    def parameters(self) -> Parameters:
        """Return the integer network's parameters."""
        return self._folded()[0]

    @property
    def scale(self) -> float:
        """The logit scale that was learned."""
        return self._folded()[2]

    @property
    def normalisations(self) -> list[Normalisation]:
        """The batch normalisation of each hidden layer, the float side of what ``parameters`` returns."""
        return self._folded()[1]

    def state(self) -> dict[str, Array]:
        """Latent weights and Adam's averages."""
        found = self._steps.leaves((self._tree, self._moments))
        return {f"leaf.{i:03d}": np.array(leaf) for i, leaf in enumerate(found)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up a state."""
        values = [state[key] for key in sorted(state) if key.startswith("leaf.")]
        self._tree, self._moments = self._steps.restored((self._tree, self._moments), values)
        self._found = None

    def _first(self, rng: np.random.Generator) -> list[dict[str, Array]]:
        """Return latent weights, uniform over the levels' range, thresholds at the median, and the logit scale.

        Sets the unit of ``width``: 1, or the potentials' spread where they are not normalised.
        """
        values = self._task.levels.array
        largest = np.abs(values).max()
        spikes, found, spread = self._sample, [], 1.0
        for sizes in zip(self._task.sizes[:-1], self._task.sizes[1:], strict=True):
            latent = rng.uniform(values[0] / largest, values[-1] / largest, sizes).astype(np.float32)
            z = spikes @ self._nearest(latent)
            bias = np.zeros(sizes[1], dtype=np.float32)
            if not self._normalise and len(found) < len(self._task.sizes) - 2:
                bias = -np.median(z, axis=0).astype(np.float32)
            found.append({"weight": latent, "bias": bias})
            middle = z.mean(axis=0) if self._normalise else -bias
            spikes, spread = (z > middle).astype(np.float64), max(float(z.std(axis=0).mean()), 1.0)
            if len(found) == 1:
                self._unit = 1.0 if self._normalise else spread
        found[-1]["log_scale"] = np.float32(math.log(1.75 / spread))
        return found

    def _folded(self) -> tuple[Parameters, list[Normalisation], float]:
        """Return the integer parameters, the normalisations behind them, and the logit scale."""
        if self._found is not None:
            return self._found
        tree: list[dict[str, Array]] = [{k: np.asarray(v) for k, v in layer.items()} for layer in self._tree]
        weights, biases, normalisations, spikes = [], [], [], self._sample
        for layer in tree[:-1]:
            weight = self._nearest(layer["weight"]).astype(np.int64)
            z = spikes @ weight.astype(np.float64)
            normalisation = self._normalisation(z, layer["bias"].astype(np.float64))
            weight, bias = fold(weight, normalisation, self._task.levels)
            spikes = (z > -bias).astype(np.float64)
            weights.append(weight.astype(np.int32))
            biases.append(bias.astype(np.int32))
            normalisations.append(normalisation)
        weights.append(self._nearest(tree[-1]["weight"]).astype(np.int32))
        biases.append(np.rint(tree[-1]["bias"]).astype(np.int32))
        scale = float(np.clip(np.exp(tree[-1]["log_scale"]), 1e-6, 100))
        self._found = Parameters(tuple(weights), tuple(biases)), normalisations, scale
        return self._found

    def _normalisation(self, z: Array, beta: Array) -> Normalisation:
        one, zero = np.ones_like(beta), np.zeros_like(beta)
        if not self._normalise:
            return Normalisation(zero, one, one, beta, epsilon=0.0)
        return Normalisation(z.mean(axis=0), z.var(axis=0), one, beta, _EPSILON)

    def _nearest(self, latent: Array) -> Array:
        """Return the levels nearest to latent weights, by the code that trains."""
        return np.asarray(self._steps.quantise(latent, self._task.levels.values), dtype=np.float64).round()

    def _inputs_of(self, task: Task) -> Inputs | StreamedInputs:
        return _bytes_of(task)

    def _gather(self, rows: Array, shifts: Array | None) -> npt.NDArray[np.float32]:
        batch = self._inputs.batch(rows, np.float32, shifts)
        assert isinstance(batch, DenseBatch)
        return np.ascontiguousarray(batch.x[:, :-1], dtype=np.float32)

    def _shifts(self, rng: np.random.Generator, n: int) -> Array | None:
        return self._augmentation.draw(rng, n)


def _bytes_of(task: Task) -> Inputs | StreamedInputs:
    spikes = task.spikes
    if isinstance(spikes, BitSpikes):
        return StreamedInputs(spikes, task.image, dense=True)
    return Inputs(len(spikes), spikes.shape[1], task.image, x=np.ascontiguousarray(spikes, dtype=np.uint8))

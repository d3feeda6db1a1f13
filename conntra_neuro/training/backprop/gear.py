"""The straight-through gear: quantisation-aware backpropagation of the very network that is deployed.

Latent float weights are rounded to the nearest level in the forward pass and take the gradient as if they were not;
the steps of neurons have made-up derivatives. What it returns is an integer network, with the rounded weights and
integer biases: ``folded`` has thresholds, whose normalisation folds into these exactly, ``whole`` all other neurons.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.training.architecture.architecture import Node
from conntra_neuro.training.augmentation import MOVES_ALLOWED, Augmentation
from conntra_neuro.training.backprop.load import load_steps
from conntra_neuro.training.inputs.batches import DenseBatch, inputs_of
from conntra_neuro.training.layers.delayed import drawn_delays, spread
from conntra_neuro.training.layers.forward import Activity, forward, images_of, node_potentials, respond, rows_of
from conntra_neuro.training.layers.products import HostProducts
from conntra_neuro.training.objective import SMALLEST_SCALE, Objective, SquaredError
from conntra_neuro.training.options import COUNT, SWEEPS, Allowed, check_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.scoring.layers import rows_at_once
from conntra_neuro.training.scoring.plan import exact_float
from conntra_neuro.training.task import VALUE_ONE, Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["Array", "StraightThrough", "StraightThroughOptions", "moments_of"]

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
                 potential's spread, or of a threshold in time; by default 0.35, of leaky neurons 1
    normalise    1: batch normalisation of the potentials, folded exactly at the end (graded and integrate-and-fire
                 neurons: its mean alone, see ``whole``); 0: none; by default from two hidden layers on, and
                 wherever not all are dense layers of threshold neurons
    shift        each image is shifted by up to so many pixels, anew in each sweep
    elastic      each image is bent by about so many pixels, anew in each sweep; see ``augment``. By default
                 as in ``BlocksOptions``
    shift_steps, shift_units, jitter, drop
                 of samples over time and of their events: as in ``BlocksOptions``
    """

    sweeps: float | None = None
    batch: int | None = None
    rate_weight: float | None = None
    rate: float = 0.003
    width: float | None = None
    normalise: int | None = None
    shift: int | None = None
    elastic: float | None = None
    shift_steps: int = 0
    shift_units: int = 0
    jitter: int = 0
    drop: float = 0.0

    def __post_init__(self) -> None:
        allowed = {"sweeps": SWEEPS, "batch": COUNT, "rate_weight": Allowed(0, 10), "rate": Allowed(0, 10)}
        allowed |= {"width": Allowed(1e-3, 1e3), "normalise": Allowed(0, 1), **MOVES_ALLOWED}
        check_options(self, allowed)

    def with_defaults(self, n: int, augmented: bool) -> tuple[float, int]:
        """Return (sweeps, batch) for ``n`` training samples: at least 1,000 steps, 20 sweeps, 40 of moved images."""
        batch = min(self.batch or max(32, min(200, n // 8)), n)
        return self.sweeps or max(40 if augmented else 20, math.ceil(1000 * batch / n)), batch


class StraightThrough(ABC):
    """What is common to both ways. Memory: inputs as bytes, 12 bytes a weight (the latent weight and two averages)."""

    finished = False
    anneals = True
    priced = False
    decides_by_objective = False

    def __init__(self, task: Task, options: StraightThroughOptions, threads: Threads) -> None:
        self._steps = load_steps()
        if task.start is not None:
            raise InputError(
                "initial network: backpropagation starts from latent weights; leave it out, or use conntra"
            )
        self._task, self._options, self._threads = task, options, threads
        self._arch = task.architecture
        self._objective = SquaredError if task.values else Objective
        self._targets: Array = (task.y / VALUE_ONE).astype(np.float32) if task.values else task.y
        self._dtype = exact_float(self._arch, task.largest_level)
        self.augmentation = Augmentation.asked(options, task)
        self.sweeps, self._batch = options.with_defaults(len(task.y), bool(self.augmentation))
        deep = len(task.sizes) > 3 or not self._arch.is_chain
        self._normalise = deep if options.normalise is None else bool(options.normalise)
        self._inputs = inputs_of(task.spikes, task.stored_image, dense=True)
        self._prepare()
        self._width = self._usual_width if options.width is None else options.width
        usual = self._usual_rate if options.rate_weight is None else options.rate_weight
        self._rate_weight = usual
        rng = generator(task.seed, purpose=3)
        rows = np.sort(rng.permutation(len(task.y))[: self._statistics])
        self._sample = self._gather(rows, self._shifts(rng, len(rows)))
        self._found: tuple[Parameters, float] | None = None
        self._tree, self._moments = self._steps.start(self._first(rng))

    @abstractmethod
    def _prepare(self) -> None:
        """Load the compiled step."""

    @property
    @abstractmethod
    def _statistics(self) -> int:
        """How many samples give the statistics to fold."""

    @property
    @abstractmethod
    def _usual_rate(self) -> float:
        """The learning rate of latent weights, where none is given."""

    @property
    def _usual_width(self) -> float:
        """The surrogate's width, where none is given: leaky neurons learn from steps at which they are far from it."""
        leaky = any(node.neuron is not None and node.neuron.facts.form == "leaky" for node in self._arch.nodes)
        return 1.0 if leaky else 0.35  # [measured on the tuning split of spoken digits, docs/records/events.md]

    @abstractmethod
    def _train(self, x: Array, y: Array, decay: np.float32) -> tuple[Any, Any]:
        """Take one step; return the sum of the losses and the number of errors."""

    @abstractmethod
    def _bias(self, node: Node, beta: Array, z: list[Array], weights: list[Array]) -> Array:
        """Return the integer biases of a hidden layer of potentials ``z``, parts of (rows, outputs)."""

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Pass once over the training samples in an order of the sweep's own; a rest smaller than a batch waits."""
        n, batch = len(self._task.y), self._batch
        rng = generator(self._task.seed, 4, number)
        order, shifts = rng.permutation(n), self._shifts(rng, n)
        loss, wrong, seen, steps = 0.0, 0, 0, n // batch
        for step in range(steps):
            done = number + step / steps
            time = done / sweeps
            if time >= 1 or clock.stops(done):
                break
            part = slice(step * batch, (step + 1) * batch)
            decay = np.float32((1 + math.cos(math.pi * time)) / 2)
            x = self._gather(order[part], None if shifts is None else shifts[part])
            losses, errors = self._train(x, self._targets[order[part]], decay)
            self._found = None
            loss, wrong, seen = loss + float(losses), wrong + int(errors), seen + batch
            tick(done, Evaluation(loss / seen, self._objective.error(loss, wrong, seen)))
        return Evaluation(loss / max(seen, 1), self._objective.error(loss, wrong, seen))

    def evaluate(self, held_out: bool) -> Evaluation:
        """Evaluate the integer network on all held-out or all training samples."""
        task = self._task
        spikes, y = (task.spikes, task.y) if task.held_out is None or not held_out else task.held_out
        parameters, scale = self._folded()
        weights = [
            np.vstack([w, b]).astype(self._dtype) for w, b in zip(parameters.weights, parameters.biases, strict=True)
        ]
        objective, at_once = self._objective(scale), rows_at_once(self._arch)
        total, wrong = 0, 0
        for first in range(0, len(y), at_once):
            part = slice(first, first + at_once)
            x = rows_of(self._arch, spikes[part], self._dtype)
            logits = forward(self._arch, weights, x, self._threads, keep=False).outputs[-1].astype(np.int64)
            total += int(objective.losses(logits, y[part]).sum())
            wrong += int(np.count_nonzero(logits.argmax(axis=1) != y[part]))
        mean = objective.nats(total, len(y))
        return Evaluation(mean, objective.error(mean * len(y), wrong, len(y)))

    def parameters(self) -> Parameters:
        """Return the integer network's parameters."""
        return self._folded()[0]

    @property
    def scale(self) -> float:
        """The logit scale that was learned."""
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
        """Return latent weights, uniform over the levels' range, first biases, and the logit scale."""
        values = self._task.levels.array
        low, high = (float(end) for end in values[[0, -1]] / np.abs(values).max())
        found: list[dict[str, Array]] = [
            {"weight": rng.uniform(low, high, shape).astype(np.float32), "bias": np.zeros(shape[1], np.float32)}
            for shape in self._arch.weight_shapes
        ]
        for index, layer in enumerate(found):
            if delays := self._arch.delays_of(index):
                n_in, n_out = len(layer["weight"]) // (delays + 1), layer["weight"].shape[1]
                delay = drawn_delays(generator(self._task.seed, 6, index), (n_in, n_out), delays)
                layer["weight"] = spread(layer["weight"][:n_in], delay, delays)
        self._set_biases(found)
        _, wide = self._integers(found)
        found[self._arch.nodes[-1].index]["log_scale"] = np.array(math.log(1.75 / max(wide, 1.0)), np.float32)
        return found

    @abstractmethod
    def _set_biases(self, tree: list[dict[str, Array]]) -> None:
        """Set the biases to start from, which are 0, where others are better."""

    def _folded(self) -> tuple[Parameters, float]:
        """Return the integer parameters and the logit scale."""
        if self._found is None:
            tree = [{k: np.asarray(v) for k, v in layer.items()} for layer in self._tree]
            parameters, _ = self._integers(tree)
            least = SMALLEST_SCALE if self._task.values else 1e-6
            scale = float(np.clip(np.exp(tree[self._arch.nodes[-1].index]["log_scale"]), least, 100))
            self._found = parameters, scale
        return self._found

    def _integers(self, tree: list[dict[str, Array]]) -> tuple[Parameters, float]:
        """Return integer parameters, and the spread of the logits.

        Layer by layer on the sample, for what a layer's biases depend on is the integer network below it.
        """
        weights = [
            np.vstack([self._nearest(t["weight"], i), np.zeros(t["weight"].shape[1])]) for i, t in enumerate(tree)
        ]
        parts, products = self._parts(), HostProducts(self._threads)
        for node in self._arch.nodes:
            cast = [w.astype(self._dtype) for w in weights]
            zs = [node_potentials(node, part, cast, products, self._arch.steps)[0] for part in parts]
            if node.index >= 0:
                flat = [z.reshape(-1, node.shape[-1]) for z in zs]
                if node is self._arch.nodes[-1]:
                    bias = np.rint(tree[node.index]["bias"])
                else:
                    bias = self._bias(node, tree[node.index]["bias"].astype(np.float64), flat, weights)
                weights[node.index][-1] = bias
                zs = [z + bias.astype(z.dtype) for z in zs]
            for part, z in zip(parts, zs, strict=True):
                part.outputs.append(respond(node, z, self._arch.steps, weights)[1])
        _, variance = moments_of([part.outputs[-1] for part in parts])
        integers = tuple(np.rint(w).astype(np.int32) for w in weights)
        parameters = Parameters(tuple(w[:-1] for w in integers), tuple(w[-1] for w in integers))
        return parameters, float(np.sqrt(variance).mean())

    def _parts(self) -> list[Activity]:
        """Return the sample, in parts that a pass has room for."""
        given, steps = self._arch.input_steps, self._arch.steps
        rows = rows_at_once(self._arch) * given
        parts = [self._sample[i : i + rows].astype(self._dtype) for i in range(0, len(self._sample), rows)]
        return [Activity(part if given == steps else np.repeat(part, steps, axis=0)) for part in parts]

    def _nearest(self, latent: Array, index: int) -> Array:
        """Return the levels nearest to latent weights, by the code that trains."""
        late = self._arch.delays_of(index)
        found = self._steps.one_slot_each(latent, self._task.levels.values, late)
        return np.asarray(found, dtype=np.float64).round()

    def _gather(self, rows: Array, shifts: Array | None) -> Array:
        """Return the samples ``rows`` as images of each time step that inputs are given for."""
        batch = self._inputs.batch(rows, np.float32, shifts)
        assert isinstance(batch, DenseBatch)
        return images_of(self._arch, batch.x[:, :-1], np.float32)

    def _shifts(self, rng: np.random.Generator, n: int) -> Array | None:
        return self.augmentation.draw(rng, n)


def moments_of(parts: list[Array]) -> tuple[Array, Array]:
    """Return the mean and the variance over the rows of all parts, in float64."""
    n = sum(len(part) for part in parts)
    mean = sum((part.sum(axis=0, dtype=np.float64) for part in parts), np.zeros(parts[0].shape[1])) / n
    squares = sum((np.square(part - mean).sum(axis=0) for part in parts), np.zeros(parts[0].shape[1]))
    return mean, squares / n

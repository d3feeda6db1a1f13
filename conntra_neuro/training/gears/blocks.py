"""The blocks gear: mini-batches, the moves of all units scored at once.

On a mini-batch the exact flip gain of every unit below the readout comes out of cached exponentials, and the change
of the loss for every weight out of one product with the inputs:

    scores = x.T @ (gain * slope),    slope = (P(z + 1) - P(z - 1)) / 2

with P the probability that a unit of potential z spikes when its threshold carries logistic noise of scale sigma.
Scores are averaged over mini-batches and divided by the root of their mean square; at each step the weights with the
largest ratio that would lower the loss move to the neighbouring level, a small fraction of the layer that falls to
zero. There are no float weights and no gradient of a float network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Threshold
from conntra_neuro.training.augmentation import MOVES_ALLOWED, Augmentation
from conntra_neuro.training.gears.moves import LayerMoves
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.layers.delayed import chosen, drawn_delays
from conntra_neuro.training.layers.products import Products
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.options import COUNT, SHARE, SIGMA, SWEEPS, Allowed, check_options
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.penalty import Prices, prices_of
from conntra_neuro.training.scoring import samples_of, scorer_of
from conntra_neuro.training.scoring.costs import Costs
from conntra_neuro.training.scoring.plan import Plan, Samples, Sums
from conntra_neuro.training.start import check_exponents, start_of
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["Blocks", "BlocksOptions", "Crew"]

_STEPS = 400  # at least; more do not lower the error of small sets [measured on iris and digits], unless their
_STEPS_OF_FEW = 1200  # images are moved: these are new ones at each step [docs/records/training.md]
_DECAY, _DECAY_OF_FEW = 1.0, 2.0
_PRICE, _PRICE_OF_FEW = 0.05, 0.1  # of a unit of weight [docs/records/training.md]
_CENTRED_FROM = 20_000  # samples [docs/records/training.md]
_PRICE_CENTRED, _BIASES, _BIASES_CENTRED = 0.08, 0.05, 0.2  # [docs/records/training.md]
# The largest mini-batch, the samples' part that one is at most; fraction, memory, memory_square [docs/images.md].
_FINE_BELOW = 10_000  # samples
_USUAL = (500, 8, 0.004, 0.97, 0.99)
_FINE = (200, 16, 0.002, 0.99, 0.995)
_PENALISED_SCALE = 2.4  # times the usual logit scale [784-256-10 on MNIST: 1, 1.5, 2.4, 3, 4 tried; 2.4 is best]


class Recipe(NamedTuple):
    """What the data decide where options do not."""

    sweeps: float
    batch: int
    decay: float
    sparsity: float
    fraction: float
    memory: float
    memory_square: float


@dataclass(frozen=True)
class BlocksOptions:
    """The recipe. None lets the data decide.

    sweeps             passes over the training samples; below 1 a part of one
    batch              samples in a mini-batch; by default 500, at most an eighth of the training samples, at least 32.
                       Convolutions of threshold neurons that classify, start at random, pay no penalty and have fewer
                       than 10,000 samples take finer steps: 200, at most a sixteenth, in as many sweeps
    scale              logit scale s; by default the logits' spread at the start times s is 1.25
    margin             margin of the objective, in logit units
    sigma, sigma_end   noise of the thresholds at the start and the end, in units of the potentials' spread
    fraction           share of a hidden layer's weights that move at the first step, falling to zero; by default
                       0.004, and 0.002 where steps are fine
    fraction_readout   the same for the readout
    fraction_recurrent the same for the weights from a layer to itself, whose moves compound
    fraction_bias      the same for biases; by default 0.05, and 0.2 where scores are centred
    centred            1: above the first layer, weights are scored for their inputs less the inputs' means, and biases
                       take back what moves of weights do to the mean potentials. By default in networks of one
                       hidden dense layer of threshold neurons that classify, start at random, pay no penalty and have
                       20,000 samples or more
    move_delays        1: a synapse may come back with another delay when its weight was 0; 0: delays stay as they are
                       drawn
    decay              how they fall: with what is left of the training to this power. By default 1, and 2 where a
                       dense network sees moved images of which there are fewer than 1,000 a class
    memory             weight of the past in the average of the scores, and of their squares (memory_square); by
                       default 0.97 and 0.99, and 0.99 and 0.995 where steps are fine
    warmup             share of the training at its start that only scores: what is good already is not to move on the
                       word of a few mini-batches
    sparsity           price of a unit of weight, in units of the scores' root mean square: keeps weights at zero. By
                       default 0.05, 0.08 where scores are centred, and 0.1 there
    shift              each image is shifted by up to so many pixels, anew in each sweep
    elastic            each image is bent by about so many pixels, anew in each sweep; see ``augment``. In dense
                       networks of threshold neurons, where neither is given: images of fewer than 1,000 a class are
                       bent by 0.06 of their shorter side, and shifted by 1 from 20 pixels a side on; such large ones
                       of larger sets are shifted by 1 and bent by 1 by networks of 512 hidden units or more.
                       ``shift`` 0 alone leaves images as they are
    shift_steps        each sample over time is earlier or later by up to so many steps, anew in each sweep
    shift_units        its events come from up to so many units (bands, channels) further up or down, all alike
    jitter             each event is earlier or later by up to so many steps, on its own
    drop               share of the events that are left out
    penalty_...        what an inference may cost, in nats; see ``penalty``
    """

    sweeps: float | None = None
    batch: int | None = None
    scale: float | None = None
    margin: int = 0
    sigma: float = 0.4
    sigma_end: float = 0.19
    fraction: float | None = None
    fraction_readout: float = 0.005
    fraction_recurrent: float = 0.0004
    fraction_bias: float | None = None
    centred: int | None = None
    move_delays: int = 1
    decay: float | None = None
    memory: float | None = None
    memory_square: float | None = None
    warmup: float = 0.0
    sparsity: float | None = None
    shift: int | None = None
    elastic: float | None = None
    shift_steps: int = 0
    shift_units: int = 0
    jitter: int = 0
    drop: float = 0.0
    penalty_synops: float = 0.0
    penalty_spikes: float = 0.0
    penalty_nonzero: float = 0.0
    penalty_energy: float = 0.0

    def __post_init__(self) -> None:
        check_options(self, _ALLOWED)

    def with_defaults(self, n: int, moves: Augmentation, centred: bool = False, fine: bool = False) -> Recipe:
        """Return the recipe for ``n`` training samples.

        At least 400 steps, and 20 sweeps; 40 of moved images, and 1,200 steps where these are few. Fine steps are more,
        in as many sweeps.
        """
        largest, parts, fraction, memory, memory_square = _FINE if fine else _USUAL
        batch = min(self.batch or max(32, min(largest, n // parts)), n)
        usual_batch = min(self.batch or max(32, min(_USUAL[0], n // _USUAL[1])), n)
        steps = _STEPS_OF_FEW if moves.few else _STEPS
        sweeps = self.sweeps or max(40 if moves else 20, math.ceil(steps * usual_batch / n))
        price = _PRICE_OF_FEW if moves.few else _PRICE_CENTRED if centred else _PRICE
        return Recipe(
            sweeps,
            batch,
            _or(self.decay, _DECAY_OF_FEW if moves.few else _DECAY),
            _or(self.sparsity, price),
            _or(self.fraction, fraction),
            _or(self.memory, memory),
            _or(self.memory_square, memory_square),
        )

    def takes_fine_steps(self, task: Task, prices: Prices | None) -> bool:
        """Say whether steps are fine: few samples and convolutions, of whose weights each step is to be surer."""
        hidden = [node for node in task.architecture.nodes[:-1] if node.neuron is not None]
        convolved = any(node.geometry is not None for node in hidden)
        measured = convolved and all(isinstance(node.neuron, Threshold) for node in hidden)
        return measured and task.start is None and prices is None and not task.values and len(task.y) < _FINE_BELOW

    def centres(self, task: Task, moves: Augmentation, prices: Prices | None) -> bool:
        """Say whether scores are centred. InputError where that is asked for and cannot be."""
        if self.centred and not task.architecture.is_chain:
            raise InputError("centred 1: for dense layers of threshold neurons only; leave it out or use centred 0")
        if self.centred is not None:
            return bool(self.centred)
        measured = task.architecture.is_chain and len(task.architecture.nodes) == 2
        usual = measured and task.start is None and prices is None and not task.values
        return usual and not moves.few and len(task.y) >= _CENTRED_FROM


_ALLOWED = {
    "sweeps": SWEEPS,
    "batch": COUNT,
    **dict.fromkeys(("sigma", "sigma_end"), SIGMA),
    **dict.fromkeys(
        ("fraction", "fraction_readout", "fraction_recurrent", "fraction_bias", "memory", "memory_square", "warmup"),
        SHARE,
    ),
    **dict.fromkeys(("penalty_synops", "penalty_spikes", "penalty_nonzero", "penalty_energy"), Allowed(0, 1e6)),
    "sparsity": Allowed(0, 10),
    **dict.fromkeys(("move_delays", "centred"), Allowed(0, 1)),
    "decay": Allowed(0, 100),
    **MOVES_ALLOWED,
}


def _or(given: float | None, usual: float) -> float:
    return usual if given is None else given


class Crew(Protocol):
    """Workers that hold the training samples in parts; ``conntra_neuro.training.cluster`` has one."""

    def share(self, plan: Plan, task: Task, weights: Sequence[Floats]) -> Samples:
        """Give the samples of ``task`` out. ``weights`` change in place at every step."""
        ...


class Blocks:
    """The blocks gear; see the module.

    Memory: the inputs as stored, one mini-batch of activity, 17 bytes a weight.
    """

    finished = False
    anneals = True

    def __init__(
        self,
        task: Task,
        options: BlocksOptions,
        threads: Threads,
        crew: Crew | None = None,
        products: Products | None = None,
    ) -> None:
        """``crew``: who holds the samples and scores them; None keeps them here. ``products``: see ``Products``."""
        self._products = products
        self._task, self._options, self._threads = task, options, threads
        self.augmentation = Augmentation.asked(options, task)
        self._prices = prices_of(options, task.architecture)
        self._centred = options.centres(task, self.augmentation, self._prices)
        fine = options.takes_fine_steps(task, self._prices)
        self._recipe = options.with_defaults(len(task.y), self.augmentation, self._centred, fine)
        self.sweeps, self._batch = self._recipe.sweeps, self._recipe.batch
        usual = _BIASES_CENTRED if self._centred else _BIASES
        self._share_biases = usual if options.fraction_bias is None else options.fraction_bias
        start, self.objective, spreads = start_of(task, options.scale, options.margin)
        if self._prices is not None and options.scale is None and task.start is None and not task.values:
            # With few spikes the logits stay small: a larger scale keeps cross-entropy to what errors are.
            self.objective = Objective(_PENALISED_SCALE * self.objective.scale, options.margin)
        check_exponents(self.objective, task.levels)
        self._plan = self._plan_of(spreads)
        floor = 5e-4 * self.objective.scale / self._batch**0.5
        late = task.architecture.delays_of
        fixed = (task.levels, self._recipe.sparsity, floor, self._plan.dtype)
        self._layers = [
            LayerMoves(weight, bias, *fixed, late(index), self._kept(index, weight, late(index)))
            for index, (weight, bias) in enumerate(zip(start.weights, start.biases, strict=True))
        ]
        weights = [layer.weights for layer in self._layers]
        self._costs = Costs(task.architecture, weights)
        self._shares = [self._recipe.fraction] * (len(weights) - 1) + [options.fraction_readout]
        for node in task.architecture.nodes:
            if node.loop >= 0:
                self._shares[node.loop] = options.fraction_recurrent
        self._samples, self._held_out = self._samples_of(weights, crew)
        # A penalised network is not the one with the fewest errors: cost and errors are weighed in the objective.
        self.decides_by_objective = self.priced = self._prices is not None

    def _samples_of(self, weights: Sequence[Floats], crew: Crew | None) -> tuple[Samples, Samples | None]:
        """Return the training samples and the held-out ones."""
        task, held = self._task, self._task.held_out
        scorer = scorer_of(self._plan, weights, len(task.y), self._threads, self._products)
        if crew is None:
            samples: Samples = samples_of(scorer, task.spikes, task.y, task.stored_image)
        else:
            samples = crew.share(self._plan, task, weights)
        return samples, None if held is None else samples_of(scorer, *held, None)

    def _kept(self, index: int, weight: IntArray, delays: int) -> IntArray | None:
        """Return the delays that synapses keep, of weights that are 0 the drawn ones; None where they move."""
        if self._options.move_delays or not delays:
            return None
        found, slots = chosen(weight, delays)
        return np.where(found != 0, slots, drawn_delays(generator(self._task.seed, 6, index), found.shape, delays))

    def _plan_of(self, spreads: list[float]) -> Plan:
        task, options = self._task, self._options
        step = int(min(np.diff(task.levels.values)))
        sigmas = (options.sigma, options.sigma_end)
        fixed = (task.architecture, task.largest_level, step, self._batch, self.objective, tuple(spreads))
        return Plan(*fixed, *sigmas, self._prices, self._centred)

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Pass once over the training samples in an order of the sweep's own."""
        n = len(self._task.y)
        rng = generator(self._task.seed, 1, number)
        order = rng.permutation(n)
        shifts = self.augmentation.draw(rng, n)
        steps = math.ceil(n / self._batch)
        bounds = np.linspace(0, n, steps + 1).astype(np.int64)
        loss, wrong, seen = 0.0, 0, 0
        for step, (first, last) in enumerate(pairwise(bounds.tolist())):
            done = number + step / steps
            time = done / sweeps
            if time >= 1 or clock.stops(done):
                break
            rows = order[first:last]
            found = self._step(rows, None if shifts is None else shifts[first:last], time, rng)
            loss, wrong, seen = loss + found.nats, wrong + found.wrong, last
            tick(done, Evaluation(loss / seen, self.objective.error(loss, wrong, seen)))
        return Evaluation(loss / max(seen, 1), self.objective.error(loss, wrong, seen))

    def evaluate(self, held_out: bool) -> Evaluation:
        """Evaluate the network as it is on all held-out or all training samples."""
        samples = self._held_out if held_out else self._samples
        assert samples is not None
        found, n = samples.evaluate(), len(self._task.y)
        if held_out:
            assert self._task.held_out is not None
            n = len(self._task.held_out[1])
        cost = 0.0
        if self._prices is not None:
            cost = self._costs.mean(self._prices, self._costs.rates(samples.rates, found.spikes, n))
        return Evaluation(found.nats / n + cost, self.objective.error(found.nats, found.wrong, n))

    def parameters(self) -> Parameters:
        """Return a copy of the weights and biases."""
        return Parameters(
            tuple(layer.weights[:-1].astype(np.int32) for layer in self._layers),
            tuple(layer.weights[-1].astype(np.int32) for layer in self._layers),
        )

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights, averages and their squares of every layer."""
        return {f"{i}.{key}": value for i, layer in enumerate(self._layers) for key, value in layer.state().items()}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state."""
        for i, layer in enumerate(self._layers):
            layer.restore({key.split(".", 1)[1]: value for key, value in state.items() if key.startswith(f"{i}.")})

    def _step(self, rows: IntArray, shifts: IntArray | None, time: float, rng: np.random.Generator) -> Sums:
        """Score all moves on a mini-batch and make the best; ``time`` runs from 0 to 1 over the training."""
        options, recipe, n = self._options, self._recipe, len(rows)
        found = self._samples.score(rows, shifts, time)
        left = (1 - time) ** recipe.decay
        prices = self._plan.prices_at(time)
        if prices is not None:
            rates = self._costs.rates(self._samples.rates, found.spikes, n)
            for layer, price in zip(self._layers, self._costs.of_weights(prices, rates), strict=True):
                layer.price = price
        for i, layer in enumerate(self._layers):
            scores = found.scores[i].astype(np.float32, copy=False)
            spikes = found.spikes[i - 1] if self._centred and i else None
            layer.remember(scores, n, recipe.memory, recipe.memory_square, self._threads, spikes)
            if time < options.warmup:
                continue
            layer.move(self._shares[i] * left, self._share_biases * left, rng, self._threads)
        return found

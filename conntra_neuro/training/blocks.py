"""The blocks gear: mini-batches, the moves of all units scored at once.

On a mini-batch the exact flip gain of every unit below the readout comes out of cached exponentials, and
the change
of the loss for every weight out of one product with the inputs:

    scores = x.T @ (gain * slope),    slope = (P(z + 1) - P(z - 1)) / 2

with P the probability that a unit of potential z spikes when its threshold carries logistic noise of scale
sigma.
Scores are averaged over mini-batches and divided by the root of their mean square; at each step the weights
with
the largest ratio that would lower the loss move to the neighbouring level, a small fraction of the layer that
falls to zero. There are no float weights and no gradient of a float network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.errors import InputError
from conntra_neuro.training import kernels
from conntra_neuro.training.inputs import Batch, Floats, Inputs, inputs_of
from conntra_neuro.training.moves import LayerMoves
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters
from conntra_neuro.training.penalty import prices_of
from conntra_neuro.training.start import start_of
from conntra_neuro.training.task import Clock, Evaluation, Task, Tick, generator
from conntra_neuro.training.threads import Threads

__all__ = ["Blocks", "BlocksOptions"]

_STEPS = 400  # at least; more do not lower the error of small sets [measured on iris and digits]
_EXACT = 2.0**24  # float32 holds every integer up to here
_LARGEST_EXPONENT = 40.0  # exp of it and of its negative are both far inside float32
_ROWS = 2048  # samples at a time when evaluating
_PENALISED_SCALE = 3.0  # times the usual logit scale [784-256-10 on MNIST: 1, 2 and 3 tried; 3 is best in both]


@dataclass(frozen=True)
class BlocksOptions:
    """The recipe. None lets the data decide.

    sweeps             passes over the training samples
    batch              samples in a mini-batch
    scale              logit scale s; by default the logits' spread at the start times s is 1.25
    margin             margin of the objective, in logit units
    sigma, sigma_end   noise of the thresholds at the start and the end, in units of the potentials' spread
    fraction           share of a hidden layer's weights that move at the first step, falling to zero
    fraction_readout   the same for the readout
    fraction_bias      the same for biases
    memory             weight of the past in the average of the scores, and in that of their squares
                       (memory_square)
    sparsity           price of a unit of weight, in units of the scores' root mean square: keeps weights at zero
    shift              each image is shifted by up to so many pixels, anew in each sweep
    penalty_...        what an inference may cost, in nats; see ``penalty``
    """

    sweeps: int | None = None
    batch: int | None = None
    scale: float | None = None
    margin: int = 0
    sigma: float = 0.4
    sigma_end: float = 0.19
    fraction: float = 0.004
    fraction_readout: float = 0.005
    fraction_bias: float = 0.05
    memory: float = 0.97
    memory_square: float = 0.99
    sparsity: float = 0.05
    shift: int = 0
    penalty_synops: float = 0.0
    penalty_spikes: float = 0.0
    penalty_nonzero: float = 0.0
    penalty_energy: float = 0.0

    def __post_init__(self) -> None:
        shares = ("fraction", "fraction_readout", "fraction_bias", "memory", "memory_square")
        wrong = [name for name in shares if not 0 <= getattr(self, name) < 1]
        wrong += [name for name in ("sigma", "sigma_end") if not 1e-3 <= getattr(self, name) <= 1e3]
        wrong += [name for name in ("sweeps", "batch") if getattr(self, name) is not None and getattr(self, name) < 1]
        wrong += [name for name in _PENALTIES if not 0 <= getattr(self, name) <= 1e6]
        wrong += ["sparsity"] if not 0 <= self.sparsity <= 10 else []
        wrong += ["shift"] if not 0 <= self.shift <= 1000 else []
        if wrong:
            raise InputError(f"{wrong[0]} {getattr(self, wrong[0])}: out of range; {_ALLOWED[wrong[0]]} allowed")

    def with_defaults(self, n: int) -> tuple[int, int]:
        """Return (sweeps, batch) for ``n`` training samples: at least 400 steps, and 20 sweeps."""
        batch = min(self.batch or max(32, min(500, n // 8)), n)
        return self.sweeps or max(20, math.ceil(_STEPS * batch / n)), batch


_PENALTIES = ("penalty_synops", "penalty_spikes", "penalty_nonzero", "penalty_energy")
_ALLOWED: dict[str, str] = {
    **dict.fromkeys(_PENALTIES, "0 to 1e6"),
    "fraction": "0 up to 1",
    "fraction_readout": "0 up to 1",
    "fraction_bias": "0 up to 1",
    "memory": "0 up to 1",
    "memory_square": "0 up to 1",
    "sigma": "0.001 to 1000",
    "sigma_end": "0.001 to 1000",
    "sweeps": "1 or more",
    "batch": "1 or more",
    "sparsity": "0 to 10",
    "shift": "0 to 1000",
}


class Blocks:
    """The blocks gear; see the module.

    Memory: the inputs as stored, one mini-batch of activity, 17 bytes a weight.
    """

    finished = False

    def __init__(self, task: Task, options: BlocksOptions, threads: Threads) -> None:
        self._task, self._options, self._threads = task, options, threads
        self.sweeps, self._batch = options.with_defaults(len(task.y))
        self._dtype = _exact_dtype(task)
        self._prices = prices_of(options, task.sizes)
        start, self.objective, self._spreads = start_of(task, options.scale, options.margin)
        if self._prices is not None and options.scale is None:
            # With few spikes the logits stay small: a larger scale keeps cross-entropy to what errors are.
            self.objective = Objective(_PENALISED_SCALE * self.objective.scale, options.margin)
        self._table = self.objective.table
        if self.objective.scale * _largest(task) > _LARGEST_EXPONENT:
            limit = _LARGEST_EXPONENT / _largest(task)
            raise InputError(f"scale {self.objective.scale}: at most {limit:g} allowed with levels {task.levels}")
        floor = 5e-4 * self.objective.scale / self._batch**0.5
        self._layers = [
            LayerMoves(weight, bias, task.levels, options.sparsity, floor, self._dtype)
            for weight, bias in zip(start.weights, start.biases, strict=True)
        ]
        self._inputs = inputs_of(task.spikes, task.image)
        self._held_out = inputs_of(task.held_out[0]) if task.held_out else None
        # A penalised network is not the one with the fewest errors: cost and errors are weighed in the objective.
        self.decides_by_objective = self._prices is not None
        self._room = _Room(task.sizes, max(self._batch, min(_ROWS, len(task.y))), self._dtype)

    def sweep(self, number: int, sweeps: int, clock: Clock, tick: Tick) -> Evaluation:
        """Pass once over the training samples in an order of the sweep's own."""
        n = len(self._task.y)
        rng = generator(self._task.seed, 1, number)
        order = rng.permutation(n)
        reach = self._options.shift
        shifts = rng.integers(-reach, reach + 1, size=(n, 2)) if reach else None
        steps = math.ceil(n / self._batch)
        bounds = np.linspace(0, n, steps + 1).astype(np.int64)
        loss, wrong = 0.0, 0
        for step, (first, last) in enumerate(pairwise(bounds.tolist())):
            done = number + step / steps
            time = max(done / sweeps, clock.fraction)
            if time >= 1:
                break
            rows = order[first:last]
            batch = self._inputs.batch(rows, self._dtype, None if shifts is None else shifts[first:last])
            losses, errors = self._step(batch, self._task.y[rows], time, rng)
            loss, wrong = loss + losses, wrong + errors
            tick(done, Evaluation(loss / last, wrong / last))
        return Evaluation(loss / n, wrong / n)

    def evaluate(self, held_out: bool) -> Evaluation:
        """Evaluate the network as it is on all held-out or all training samples."""
        if held_out:
            assert self._held_out is not None
            assert self._task.held_out is not None
            return self._evaluate(self._held_out, self._task.held_out[1])
        return self._evaluate(self._inputs, self._task.y)

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

    def _forward(self, batch: Batch, n: int) -> None:
        room = self._room
        batch.potentials(self._layers[0].weights, room.z[0][:n], self._threads)
        for layer, z, h, above in zip(self._layers[1:], room.z[:-1], room.h, room.z[1:], strict=True):
            self._threads.run(kernels.spikes, n, z[:n], h[:n])
            np.dot(h[:n], layer.weights, out=above[:n])

    def _readout(self, y: npt.NDArray[np.int64], grid: float) -> tuple[float, int]:
        """Fill softmax and readout terms; return the sum of the losses and the number of errors."""
        room, n, step = self._room, len(y), float(min(np.diff(self._task.levels.values)))
        args = (
            room.z[-1][:n],
            y,
            self._table,
            self.objective.scale,
            step,
            self.objective.margin,
            1 / grid,
            grid,
        )
        self._threads.run(kernels.readout, n, *args, room.p[:n], room.q[-1][:n], room.losses, room.wrong)
        return math.fsum(room.losses[:n]), int(np.count_nonzero(room.wrong[:n]))

    def _step(self, batch: Batch, y: npt.NDArray[np.int64], time: float, rng: np.random.Generator) -> tuple[float, int]:
        """Score all moves on a mini-batch and make the best; ``time`` runs from 0 to 1 over the training."""
        room, options, n = self._room, self._options, len(y)
        self._forward(batch, n)
        spike_prices = self._price(n, time)
        room.grid = _grid(self.objective.scale, self._batch)
        found = self._readout(y, room.grid)
        for i in range(len(self._layers) - 1, -1, -1):
            if i < len(self._layers) - 1:
                self._gains(i, y, time, spike_prices[i])
            score = room.scores[i]
            if i:
                np.dot(room.h[i - 1][:n].T, room.q[i][:n], out=score)
            else:
                batch.scores(room.q[i][:n], score, self._threads)
        for i, layer in enumerate(self._layers):
            layer.remember(room.scores[i], n, options.memory, options.memory_square, self._threads)
            share = options.fraction_readout if i == len(self._layers) - 1 else options.fraction
            layer.move(share * (1 - time), options.fraction_bias * (1 - time), rng, self._threads)
        return found

    def _price(self, n: int, time: float) -> list[Floats | None]:
        """Set the price of every nonzero weight, and return that of a spike of each hidden unit; None is free.

        Prices rise from a tenth to the whole: what is cheap and useful has to be found before it can be kept.
        """
        room = self._room
        if self._prices is None:
            return [None] * len(room.h)
        prices = self._prices.times(min(1.0, 0.1 + time))
        rates = [self._inputs.rates, *(h[:n, :-1].mean(axis=0) for h in room.h)]
        for layer, rate in zip(self._layers, rates, strict=True):
            layer.price = prices.of_weights(rate)
        return [prices.of_spikes(i, above.fan_out) for i, above in enumerate(self._layers[1:])]

    def _gains(self, i: int, y: npt.NDArray[np.int64], time: float, price: Floats | None) -> None:
        """Fill ``q[i]``: the gain of every unit of hidden layer i, times the slope of its noisy threshold."""
        room, n, above = self._room, len(y), self._layers[i + 1]
        start, end = self._options.sigma, self._options.sigma_end
        curve = _slope(max(self._spreads[i] * start * (end / start) ** time, 0.25))
        terms = max(self._batch, 0 if i == 0 else self._task.sizes[i] * _largest(self._task))
        extra = 0.0 if price is None else float(price.max()) * float(curve.max())
        if i == len(self._layers) - 2:
            weights = above.weights[:-1].T.astype(np.float64) * self.objective.scale
            bound = float(weights.max() - weights.min()) * float(curve.max()) + extra
            room.grid = _grid(max(bound, 1e-9), terms)
            tables = [np.ascontiguousarray(t, dtype=np.float32) for t in (np.exp(weights), np.exp(-weights), weights)]
            args = (room.z[i][:n], room.h[i][:n], room.p[:n], y, *tables, curve, 1 / room.grid, room.grid)
            self._threads.run(kernels.top_gains, n, *args, room.q[i][:n])
        else:
            q = room.q[i][:n]
            np.dot(room.q[i + 1][:n], above.weights[:-1].T, out=q)
            room.grid = _grid(max(float(np.abs(q).max()) * float(curve.max()) + extra, 1e-9), terms)
            self._threads.run(kernels.lower_gains, n, room.z[i][:n], q, curve, 1 / room.grid, room.grid)
        if price is not None:
            spike_args = (room.z[i][:n], price, curve, 1 / room.grid, room.grid, room.q[i][:n])
            self._threads.run(kernels.price_spikes, n, *spike_args)

    def _evaluate(self, inputs: Inputs, y: npt.NDArray[np.int64]) -> Evaluation:
        loss, wrong = 0.0, 0
        spikes = [np.zeros(h.shape[1] - 1) for h in self._room.h]
        for first in range(0, inputs.n, len(self._room.losses)):
            rows = np.arange(first, min(first + len(self._room.losses), inputs.n))
            self._forward(inputs.batch(rows, self._dtype), len(rows))
            losses, errors = self._readout(y[rows], 1.0)
            loss, wrong = loss + losses, wrong + errors
            if self._prices is not None:
                for count, h in zip(spikes, self._room.h, strict=True):
                    count += h[: len(rows), :-1].sum(axis=0, dtype=np.float64)
        cost = 0.0
        if self._prices is not None:
            rates = [inputs.rates, *(count / inputs.n for count in spikes)]
            cost = self._prices.mean_cost(rates, [layer.fan_out for layer in self._layers])
        return Evaluation(loss / inputs.n + cost, wrong / inputs.n)


class _Room:
    """Buffers of one mini-batch, so that steps allocate next to nothing."""

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: Any) -> None:
        def empty(*shape: int) -> Floats:
            return np.empty(shape, dtype=dtype)

        self.z = [empty(rows, width) for width in sizes[1:]]
        self.h = [empty(rows, width + 1) for width in sizes[1:-1]]
        self.q = [empty(rows, width) for width in sizes[1:]]
        self.scores = [empty(n_in + 1, n_out) for n_in, n_out in pairwise(sizes)]
        self.p = empty(rows, sizes[-1])
        self.losses = np.empty(rows, dtype=np.float64)
        self.wrong = np.empty(rows, dtype=np.bool_)
        self.grid = 1.0


def _grid(bound: float, terms: int) -> float:
    """Return the power of two on which ``terms`` values of at most ``bound`` add up exactly in float32."""
    return 2.0 ** math.ceil(math.log2(bound * (terms + 1) / _EXACT) + 1e-9)


def _slope(sigma: float) -> npt.NDArray[np.float32]:
    """Return (P(z + 1) - P(z - 1)) / 2 at z = -R .. R; a unit spikes above 0, so the threshold is at 1/2."""
    reach = math.ceil(16 * sigma) + 2
    p = 1 / (1 + np.exp(-(np.arange(-reach - 1, reach + 2) - 0.5) / sigma))
    slope = (p[2:] - p[:-2]) / 2
    slope[[0, -1]] = 0  # potentials beyond the table are clipped to its ends
    return slope.astype(np.float32)


def _largest(task: Task) -> int:
    return max(abs(task.levels.values[0]), abs(task.levels.values[-1]))


def _exact_dtype(task: Task) -> Any:
    """float32 while every potential is exact in it, else float64."""
    return np.float32 if max(task.sizes[:-1]) * _largest(task) + 2 * BIAS_LIMIT < _EXACT else np.float64

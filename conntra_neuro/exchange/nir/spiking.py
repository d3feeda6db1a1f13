"""A float graph of spiking neurons as an integer network, with the report of what was lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS
from conntra_neuro.exchange.assume import steps_or_assumed
from conntra_neuro.exchange.nir.conventions import CONVENTIONS, Convention, convention
from conntra_neuro.exchange.nir.float_graph import float_layers
from conntra_neuro.exchange.nir.float_layer import FloatLayer
from conntra_neuro.exchange.nir.guess import likely_source
from conntra_neuro.exchange.nir.quantise import quantised
from conntra_neuro.exchange.nir.rounding import Rounding, View
from conntra_neuro.exchange.nir.simulate import simulate
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.training.calibrate import calibrated_scale
from conntra_neuro.training.repair.loop import Repaired

_BLOCK = 500  # samples that are simulated at a time
_FITTED = 1500  # samples that weights and scales are chosen on

__all__ = ["Agreement", "SpikingImport", "import_spiking"]


@dataclass(frozen=True)
class Agreement:
    """How a layer's integer spikes agree with the float simulation's, fractions of all values.

    ``equal``: the same value at the same step; ``within_a_step``: of the float simulation's spikes, those that the
    integer network has, too, at that step or beside it; ``spikes``: how many each has, float and integer.
    """

    name: str
    equal: float
    within_a_step: float
    spikes: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SpikingImport:
    """The ``network``, what was ``rounded`` in each layer, and the float ``layers`` with their ``convention``.

    ``views``: where each float layer stands in the network.
    ``before`` and ``repair``: the network before repair and how it went, None where nothing was repaired.
    """

    network: DiscreteNetwork
    rounded: tuple[Rounding, ...]
    layers: tuple[FloatLayer, ...]
    convention: Convention
    views: tuple[View, ...]
    before: DiscreteNetwork | None = None
    repair: Repaired | None = None

    def simulate(self, spikes: ArrayLike) -> list[npt.NDArray[np.float64]]:
        """Return what each float layer sends, (n, steps, size), at ``spikes`` (n, steps, n_in).

        InputError for spikes of another shape.
        """
        rows = as_spikes(spikes, self.network.n_in, steps=self.network.steps)
        return simulate(self.layers, rows.reshape(-1, self.network.steps, self.network.n_in), self.convention)

    def float_logits(self, spikes: ArrayLike) -> npt.NDArray[np.float64]:
        """Return the float simulation's logits (n, classes) of samples (n, steps, ...), in the units of the integers'.

        Spike counts, or the last potentials. InputError as ``simulate``.
        """
        given = np.asarray(spikes)
        blocks = [self.simulate(given[first : first + _BLOCK])[-1] for first in range(0, len(given), _BLOCK)]
        if self._counts:
            return np.concatenate([block.sum(axis=1) for block in blocks])
        neuron = self.network.layers[-1].neuron
        unit = 1 if neuron is None else 2**neuron.facts.fraction_bits  # of v, which a leaky readout has in its register
        return np.concatenate([block[:, -1] for block in blocks]) * self.rounded[-1].scale[0] * unit

    def probabilities(self, spikes: ArrayLike, y: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float64]:
        """Return what the float simulation says of samples (n, steps, ...): probabilities (n, classes).

        At the scale of logits at which they are right about classes ``y``; without, at which the integer network's are
        about those of the float one. InputError as ``simulate``.
        """
        logits = self.float_logits(spikes)
        few = np.asarray(spikes)[:_BLOCK]
        if y is None:
            scale = calibrated_scale(self.network.forward(self.network.encode(few)), logits[: len(few)].argmax(axis=1))
        else:
            scale = calibrated_scale(logits[: len(few)], y[: len(few)])
        powers = np.exp(scale * (logits - logits.max(axis=1, keepdims=True)))
        return powers / powers.sum(axis=1, keepdims=True)

    @property
    def _counts(self) -> bool:
        return bool(np.isfinite(self.layers[-1].neuron.threshold).all())

    def agreement(self, spikes: ArrayLike) -> list[Agreement]:
        """Return layer by layer how the integers agree with the float simulation; InputError as ``simulate``."""
        exact = self.simulate(spikes)
        outputs = self.network.outputs(spikes)
        found = []
        for layer, floats, view in zip(self.layers, exact, self.views, strict=True):
            if not np.isfinite(layer.neuron.threshold).all():
                continue
            whole = view.of(outputs[view.layer].reshape(*floats.shape[:2], -1))
            fired = floats > 0
            near = _beside(whole > 0)
            within = float(near[fired].mean()) if fired.any() else 1.0
            spikes_of = int(floats.sum()), int(whole.sum())
            found.append(Agreement(layer.name, float((floats == whole).mean()), within, spikes_of))
        return found


def _beside(fired: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where a neuron fires at a step, or at the one before or after it."""
    near = fired.copy()
    near[:, 1:] |= fired[:, :-1]
    near[:, :-1] |= fired[:, 1:]
    return near


def _some(data: ArrayLike, n_in: int, steps: int, seed: int) -> npt.NDArray[np.integer]:
    """Return some of the samples (n, steps, ...), as spikes (n, steps, n_in)."""
    given = np.asarray(data)
    if given.ndim < 3 or given.shape[1] != steps or int(np.prod(given.shape[2:])) != n_in:
        raise InputError(f"data: samples of shape {given.shape[1:]}; ({steps}, {n_in}) expected: give --steps of DATA")
    rows = np.sort(np.random.default_rng(seed).permutation(len(given))[:_FITTED])
    return as_spikes(given[rows].reshape(len(rows) * steps, n_in), n_in).reshape(len(rows), steps, n_in)


def import_spiking(
    path: str | Path,
    graph: Any,
    steps: int | None,
    *,
    source: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    bits: int = 8,
    spikes: str | int | None = None,
    data: ArrayLike | None = None,
    seed: int = 0,
    assumed: list[str] | None = None,
) -> SpikingImport:
    """Return ``graph``, read from ``path``, as integers; ``import_network`` says what the options are.

    InputError for what has no counterpart, and where steps or dt are not given; with ``assumed`` those are assumed, and
    it gets a line for each.
    """
    refusal = "neurons that live in time, and a graph does not say how long a sample is: give --steps T"
    steps = steps_or_assumed(steps, assumed, refusal)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
        raise InputError(f"steps {steps!r}: an integer from 1 to {MAX_STEPS} expected")
    guessed = source is None and dt is None and assumed is not None
    known = CONVENTIONS.get("spyx" if guessed else source or "")
    n_in, layers = float_layers(graph, None if known is None else known.entry)
    if guessed:
        source = likely_source(graph, layers)
    how = convention(source, dt, reset, spikes)
    for layer in layers:
        if layer.filtered and not how.filters:
            raise InputError(
                f"node {layer.name}: LI before its weights, for which source {source} has no current; "
                "give --source nengo or paper, or --dt"
            )
    last = layers[-1]
    if last.neuron.kind == "I" and type(graph.nodes.get(last.name)).__name__ != "I" and assumed is not None:
        assumed.append(f"node {last.name}: its sums over all steps are the logits")
    if guessed and assumed is not None:
        assumed.append(
            f"source {source} (dt {how.dt:g}, reset {how.reset}), a guess: graphs do not say, and a wrong one gives "
            "other spikes (--source, --dt, --reset)"
        )
    rows = None if data is None else _some(data, n_in, steps, seed)
    made = quantised(layers, how, steps, bits, rows, seed)
    network = made.network
    if network.n_in != n_in:
        raise InputError(f"{path}: {n_in} inputs, its first weights take {network.n_in}")
    return SpikingImport(network, made.rounded, tuple(layers), how, made.views)

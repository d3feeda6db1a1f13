"""Mistakes that a backend makes with what lives in time: decays, resets, state between samples, delays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.neurons import FORGETS, FRACTION_BITS, Facts, later, values
from conntra_hardware.neurons.registers import decayed, stepped
from conntra_hardware.proof.diagnosis.layer import Layer, Rows, product
from conntra_hardware.proof.diagnosis.layer_faults import Hypothesis

__all__ = ["time_faults"]

_UNIT = 2**FRACTION_BITS


@dataclass(frozen=True)
class _Mistake:
    """How a step goes wrong. ``whole``: u and v lose their fractions; ``late``: v is reset a step after the spike;
    ``runs_on``: nothing is cleared between samples.
    """

    whole: bool = False
    late: bool = False
    runs_on: bool = False


def time_faults(layer: Layer) -> Iterator[Hypothesis]:
    """Yield the mistakes that may have been made with leaky neurons, and with delays."""
    yield from _delays(layer)
    facts = layer.neuron.facts
    if facts.form == "leaky":
        yield from _parameters(facts)
    if facts.form in ("leaky", "leaky readout"):
        yield from _decays(facts)
        yield _of("lost fraction", "u and v lose their fractions: they are cut to whole weights", facts, _Mistake(True))
        if facts.threshold is not None:
            text = "neurons are reset one step after their spike"
            yield _of("late reset", text, facts, _Mistake(late=True))
        text = "the state is not cleared between samples"
        yield _of("missing reset", text, facts, _Mistake(runs_on=True), stateful=True)


def _parameters(facts: Facts) -> Iterator[Hypothesis]:
    other = "strict: neurons spike above it, not at it" if not facts.strict else "not strict: neurons spike at it, too"
    yield _of("threshold", f"the threshold is {other}", replace(facts, strict=not facts.strict))
    for by in (1, -1):
        if np.all(values(facts.threshold) + by >= 0):  # type: ignore[operator]
            text = f"the threshold is one too {'high' if by > 0 else 'low'}"
            yield _of("threshold", text, replace(facts, threshold=_plus(facts.threshold, by)))
    changed = "soft" if facts.reset == "hard" else "hard"
    yield _of("reset", f"the reset is {changed} where it is {facts.reset}", replace(facts, reset=changed))
    if np.any(values(facts.refractory)):
        yield _of("refractory", "neurons are never refractory", replace(facts, refractory=0))
    for by in (1, -1):
        if np.all(values(facts.refractory) + by >= 0):
            text = f"neurons are refractory one step {'longer' if by > 0 else 'shorter'}"
            yield _of("refractory", text, replace(facts, refractory=_plus(facts.refractory, by)))


def _decays(facts: Facts) -> Iterator[Hypothesis]:
    for name, what in (("voltage_decay", "voltage"), ("current_decay", "current")):
        decay = getattr(facts, name)
        for by in (1, -1):
            off = values(decay) + by
            if np.all((off >= 0) & (off <= FORGETS)):
                text = f"the {what}'s decay is {abs(by)} too {'large' if by > 0 else 'small'}"
                yield _of("decay", text, replace(facts, **{name: _plus(decay, by)}))
        for wrong, text in ((0, f"the {what} does not decay"), (FORGETS, f"the {what} is forgotten at every step")):
            if np.any(values(decay) != wrong):
                yield _of("decay", text, replace(facts, **{name: wrong}))
    if facts.voltage_decay != facts.current_decay:
        swapped = {"voltage_decay": facts.current_decay, "current_decay": facts.voltage_decay}
        yield _of("decay", "the decays of voltage and current are exchanged", replace(facts, **swapped))


def _of(cause: str, text: str, facts: Facts, mistake: _Mistake | None = None, stateful: bool = False) -> Hypothesis:
    respond = partial(_respond, facts, mistake or _Mistake())
    return Hypothesis(cause, text, _right, respond, stateful=stateful)


def _right(layer: Layer, samples: Rows) -> IntArray:
    return layer.potentials[samples]


def _respond(facts: Facts, mistake: _Mistake, layer: Layer, potentials: IntArray) -> IntArray:
    """Return what leaky neurons of ``facts`` send at ``potentials`` (samples, steps, size), in the shape of ``got``."""
    bias = layer.population.bias
    sums = (potentials - bias).astype(np.int64)
    shape = sums.shape
    if mistake.runs_on:
        sums = sums.reshape(1, -1, shape[2])
    keeps = FORGETS - values(facts.current_decay), FORGETS - values(facts.voltage_decay)
    never = facts.threshold is None
    theta = 0 if never else values(facts.threshold) * _UNIT  # type: ignore[operator]
    u, v, waits = (np.zeros((len(sums), shape[2]), np.int64) for _ in range(3))
    spiked = np.zeros(v.shape, np.bool_)
    shown = np.empty(sums.shape, np.int64)
    for step in range(sums.shape[1]):
        if mistake.whole:
            left = _cut(decayed(u, keeps[0])), _cut(decayed(v, keeps[1]))
            u, charged = stepped(*left, sums[:, step], bias, FORGETS, FORGETS)
        else:
            u, charged = stepped(u, v, sums[:, step], bias, *keeps)
        v = np.where(waits > 0, v, charged)
        if never:
            shown[:, step] = v
            continue
        fired = (v > theta if facts.strict else v >= theta) & (waits == 0)
        reset = spiked if mistake.late else fired
        v = np.where(reset, 0 if facts.reset == "hard" else v - theta, v)
        waits = np.where(fired, values(facts.refractory), np.maximum(waits - 1, 0))
        spiked, shown[:, step] = fired, fired
    shown = shown.reshape(shape)
    if never:
        return (shown.max(axis=1) if facts.read == "max" else shown[:, -1])[:, None]
    return shown


def _cut(register: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.sign(register) * (np.abs(register) // _UNIT * _UNIT)


def _plus(value: Any, by: int) -> Any:
    return tuple(int(v) + by for v in value) if isinstance(value, tuple) else value + by


def _delays(layer: Layer) -> Iterator[Hypothesis]:
    """Spikes of one source, of one delay, that arrive a step late or early, or at once."""
    ends = [(name, lag) for (name, _), lag in zip(layer.names, layer.lags.tolist(), strict=True)]
    if len(layer.sent[0]) < 2:
        return
    for source, lag in dict.fromkeys(ends):
        columns = np.flatnonzero([end == (source, lag) for end in ends])
        own = source == layer.population.name
        delay = lag - own
        what = f"spikes from {source}" + (f", delayed by {delay}," if delay else "")
        changes = [(lag + 1, "arrive one step late")]
        changes += [(lag - 1, "arrive one step early")] if delay else []
        changes += [(int(own), "arrive at once: their delay is left out")] if delay > 1 else []
        for wrong, text in changes:
            yield Hypothesis("delay", f"{what} {text}", partial(_arriving, columns, wrong))


def _arriving(columns: npt.NDArray[np.intp], lag: int, layer: Layer, samples: Rows) -> IntArray:
    """Return the potentials where the spikes of ``columns`` arrive after ``lag`` steps."""
    weights = layer.weights[:, columns]
    right = layer.sources[samples][:, :, columns]
    wrong = later(layer.sent[samples][:, :, columns], lag)
    return layer.potentials[samples] + product(wrong, weights) - product(right, weights)

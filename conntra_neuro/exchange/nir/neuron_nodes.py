"""Neurons as nodes of NIR, in the dialect of a reader.

Thresholds stand half a unit below the least potential at which a neuron spikes: potentials are whole (of leaky neurons
in 64ths), so that readers that fire above a threshold and readers that fire at it agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import FORGETS, Neuron, row_for, values
from conntra_neuro.exchange.nir.dialects import Dialect

__all__ = ["biases", "neuron_node", "units"]

_FOREVER = 2.0**30
"""Steps of a time constant whose leak is below the rounding of float32."""

_AT_ONCE = 0.005
"""Steps of one after which exp(-1 / tau) is 0 in float32."""

Array = npt.NDArray[np.float64]


def neuron_node(neuron: Neuron, bias: IntArray, shape: tuple[int, ...], how: Dialect, what: str) -> Any:
    """Return the node of neurons of ``shape`` with ``bias`` one a neuron; InputError where the dialect has no words."""
    made = _Node(neuron, bias, shape, how, f"export to NIR: {what}")
    rows = {
        "threshold": made.threshold,
        "integrating": made.integrating,
        "leaky": made.leaky,
        "leaky readout": made.readout,
    }
    return row_for(rows, neuron, f"export to NIR: {what}", "use threshold or lif neurons, or --format c or onnx")()


def biases(neuron: Neuron, bias: IntArray) -> IntArray:
    """Return the biases that stand with the weights: all of them, unless a current of the neuron's would take them."""
    return np.zeros_like(bias) if _has_current(neuron) else bias


def units(neuron: Neuron, how: Dialect, size: int) -> Array | None:
    """Return by what weights and biases of each neuron are divided, (size,); None: they stand as integers."""
    facts = neuron.facts
    if not how.one_threshold or facts.threshold is None or not isinstance(facts.threshold, tuple):
        return None
    return np.broadcast_to(_cut(neuron), (size,)).astype(np.float64)


def _has_current(neuron: Neuron) -> bool:
    return neuron.facts.form in ("leaky", "leaky readout") and bool(
        np.any(values(neuron.facts.current_decay) < FORGETS)
    )


def _cut(neuron: Neuron) -> Array:
    """Return the thresholds, half a unit below the least potential at which the neurons spike, in weight units."""
    facts = neuron.facts
    if facts.form != "leaky":
        return np.asarray(facts.least - 0.5, np.float64)
    unit = 2.0**facts.fraction_bits
    return np.asarray((values(facts.threshold or 0) * unit + facts.strict - 0.5) / unit, np.float64)


class _Node:
    """One of them, under way."""

    def __init__(self, neuron: Neuron, bias: IntArray, shape: tuple[int, ...], how: Dialect, what: str) -> None:
        self.neuron, self.facts, self.bias, self.how, self.what = neuron, neuron.facts, bias, how, what
        # sinabs asks any(v_leak), which fails for images: one number for all where they agree.
        self.shape = (1,) if how.one_number and len(shape) > 1 and not neuron.facts.per_neuron else shape

    def threshold(self) -> Any:
        import nir

        if self.how.threshold == "Threshold":
            return nir.Threshold(np.zeros(self.shape, np.float32))
        # v forgets within a step: 1/2 is below 1, the least sum above 0.
        forgets = 1.0 if self.how.leak != "exponential" else _AT_ONCE
        return self._lif(np.array(forgets * self.how.dt), np.array(1.0), np.array(0.5))

    def integrating(self) -> Any:
        self._reset()
        cut = _cut(self.neuron) / self._unit()
        if self.how.integrator == "LIF":
            return self._lif(np.array(_FOREVER * self.how.dt), np.array(_FOREVER), cut)
        return self._if(cut)

    def leaky(self) -> Any:
        self._reset()
        if np.any(values(self.facts.refractory)):
            raise InputError(f"{self.what}: refractory steps have no words in NIR; use refractory=0, or --format netx")
        cut, decay = _cut(self.neuron) / self._unit(), values(self.facts.voltage_decay)
        if _has_current(self.neuron):
            return self._cuba(cut)
        if not np.any(decay) and self.how.integrator == "IF":
            return self._if(cut)
        tau, share = self._tau(decay), np.where(decay > 0, decay / FORGETS, 1 / _FOREVER)
        if self.how.leak == "plain":
            return self._lif(tau, np.array(1.0), cut * share)
        return self._lif(tau, np.array(1.0) if self.how.leak == "exponential" else 1 / share, cut)

    def readout(self) -> Any:
        import nir

        if not self.how.readout:
            raise InputError(
                f"{self.what}: a readout that leaks: {self.how.name} reads no LI; use a readout that is summed"
            )
        decay = values(self.facts.voltage_decay)
        tau, share = self._tau(decay), np.where(decay > 0, decay / FORGETS, 1 / _FOREVER)
        if _has_current(self.neuron):
            currents, leak = self._currents(), self._leak()
            return nir.CubaLI(tau_mem=self._full(tau), r=self._full(1 / share), v_leak=leak, **currents)
        r = self._full(np.array(1.0) if self.how.leak == "exponential" else 1 / share)
        return nir.LI(tau=self._full(tau), r=r, v_leak=self._full(0))

    def _cuba(self, cut: Array) -> Any:
        import nir

        currents, decay = self._currents(), values(self.facts.voltage_decay)
        share = np.where(decay > 0, decay / FORGETS, 1 / _FOREVER)
        given = {"v_threshold": self._full(cut), "v_leak": self._leak(), "v_reset": self._full(0)}
        return nir.CubaLIF(tau_mem=self._full(self._tau(decay)), r=self._full(1 / share), **given, **currents)

    def _currents(self) -> dict[str, Any]:
        if not self.how.current:
            raise InputError(
                f"{self.what}: neurons with a current: {self.how.name} reads no CubaLIF; use current_decay=4096"
            )
        decay = values(self.facts.current_decay)
        if np.any(decay == 0):
            raise InputError(f"{self.what}: a current that never decays; NIR has time constants only: use at least 1")
        return {"tau_syn": self._full(self.how.dt * FORGETS / decay), "w_in": self._full(FORGETS / decay)}

    def _leak(self) -> Any:
        """The bias goes to v, past the current: v_leak says that, where it is read."""
        if not self.bias.any():
            return self._full(0)
        decay = values(self.facts.voltage_decay)
        if not self.how.leaking_bias or np.any(decay == 0):
            raise InputError(
                f"{self.what}: biases beside a current, which {self.how.name} has no words for; use biases of 0, or a "
                "current_decay of 4096"
            )
        return self._full(self.bias * FORGETS / decay)

    def _tau(self, decay: IntArray) -> Array:
        """Return time constants; those of a dialect without a leak are taken as forever."""
        if self.how.leak == "exponential":
            stays = 1 - decay / FORGETS
            inner = np.clip(stays, 1e-300, 1 - 1 / _FOREVER)
            return np.where(stays == 0, _AT_ONCE, -1 / np.log(inner))
        return self.how.dt * np.where(decay > 0, FORGETS / np.maximum(decay, 1), _FOREVER)

    def _unit(self) -> Array:
        found = units(self.neuron, self.how, int(np.prod(self.shape)))
        return np.ones(1) if found is None else found

    def _reset(self) -> None:
        if self.facts.reset != "hard" and not self.how.soft:
            raise InputError(
                f"{self.what}: soft reset; NIR's neurons are reset to a value: use reset='hard', or name the --reader, "
                "where it can be set by hand"
            )

    def _lif(self, tau: Array, r: Array, cut: Array) -> Any:
        import nir

        given: dict[str, Any] = {"v_leak": self._full(0), "v_threshold": self._full(cut), "v_reset": self._full(0)}
        return nir.LIF(tau=self._full(tau), r=self._full(r), **given)

    def _if(self, cut: Array) -> Any:
        import nir

        return nir.IF(r=self._full(1), v_threshold=self._full(cut), v_reset=self._full(0))

    def _full(self, numbers: Any) -> npt.NDArray[np.float32]:
        """Return numbers, one or one a neuron, in full: not every reader broadcasts."""
        size = int(np.prod(self.shape))
        return np.broadcast_to(np.asarray(numbers, np.float64).ravel(), (size,)).reshape(self.shape).astype(np.float32)

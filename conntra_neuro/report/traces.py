"""What neurons with state hold, step by step, of the first samples of a run: the data of the picture of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import FRACTION_BITS, Facts
from conntra_hardware.program import INPUT
from conntra_hardware.program.arrivals import arriving_sums
from conntra_neuro.report.recorded import ROWS_SHOWN, pack

if TYPE_CHECKING:
    from conntra_hardware.program import Population
    from conntra_hardware.runtime import RunResult

__all__ = ["traces_document"]

_NEURONS = 3
_FORMS = {"integrating", "leaky"}
"""The forms whose v is what the threshold is held against; of a sigma-delta neuron it is a change."""


def traces_document(result: RunResult, inputs: npt.NDArray[Any] | None) -> dict[str, Any] | None:
    """Return the potentials of some neurons of each population with state, before a spike is decided, and what they
    sent, in the first samples; None where there are none, and where spikes were not recorded.

    ``inputs`` (rows, n_inputs) are the spikes that entered. Neurons are those that sent most often, of a readout those
    with the largest logits of the first sample. Potentials follow from the recorded spikes, exactly.
    """
    program = result.program
    names = {p.name for p in program.populations if p.neuron.spikes}
    if inputs is None or program.steps == 1 or names - set(result.spikes):
        return None
    rows = min(max(1, ROWS_SHOWN // program.steps) * program.steps, len(inputs))
    flat = {INPUT: inputs[:rows]} | {name: spikes[:rows] for name, spikes in result.spikes.items()}
    sent = {name: spikes.reshape(-1, program.steps, spikes.shape[1]) for name, spikes in flat.items()}
    layers = []
    for population in program.populations:
        if population.neuron.has_state:
            sums = arriving_sums(program, population.name, sent)
            held = population.neuron.held(sums, population.bias).reshape(rows, -1)
            layers.append(_layer(population, held, flat.get(population.name), result.logits[0]))
    return {"steps": program.steps, "layers": layers} if layers else None


def _layer(
    population: Population, held: npt.NDArray[Any], sent: npt.NDArray[Any] | None, logits: npt.NDArray[Any]
) -> dict[str, Any]:
    busy = logits if sent is None else np.count_nonzero(sent, axis=0)
    chosen = np.sort(np.argsort(-busy, kind="stable")[:_NEURONS])
    facts = population.neuron.facts
    return {
        "name": population.name,
        "kind": population.neuron.kind,
        "neurons": chosen.tolist(),
        "unit": 1 << FRACTION_BITS if facts.fraction_bits else 1,
        "potentials": pack(held[:, chosen].astype(np.int64)),
        "sent": None if sent is None else pack(sent[:, chosen].astype(np.int32)),
        "thresholds": _thresholds(facts, population.size, chosen),
    }


def _thresholds(facts: Facts, size: int, chosen: npt.NDArray[Any]) -> list[int] | None:
    """Return the chosen neurons' thresholds in weight units, where potentials are held against them."""
    if facts.form not in _FORMS or facts.threshold is None:
        return None
    return np.broadcast_to(np.array(facts.threshold), size)[chosen].tolist()

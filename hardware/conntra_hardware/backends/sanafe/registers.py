"""What SANA-FE's model of Loihi's soma says of a program's neurons, and what is refused by name, with the reason.

Measured with SANA-FE 2.2.9 (``tests/hardware/backends/test_sanafe_time.py``). v is a double that is cut off towards 0
at 1/64 when it leaks, which is Loihi's register exactly, but u is not cut off, nothing wraps round or stops above, and
in a pause after a spike v goes on leaking. The dendrites of its delays hold 5 steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.backends.refuse import refuse_neurons
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import UnsupportedProgram
from conntra_hardware.fit.overflow import spans_of, synaptic_bounds
from conntra_hardware.neurons import FORGETS, Facts, values
from conntra_hardware.neurons.registers import HALF
from conntra_hardware.program import INPUT, Population, Program
from conntra_hardware.program.arrivals import arriving_sums

__all__ = ["FORMS", "check_sayable", "lives_in_time", "needs_delays"]

FORMS = ("threshold", "integrating", "leaky", "readout", "leaky readout")
"""The forms of neuron that SANA-FE's somas have rows for."""

_LONGEST_DELAY = 5
_NEURONS_PER_CORE = 1024
_SIXTY_FOURTHS = 64
_WHOLE = 2**31 // _SIXTY_FOURTHS - 1
"""The largest potential, in weight units, that its soma cuts off rightly: it goes through an int of 64ths."""

_REMEDY = "use backend reference, loop, lava or brian2"


def check_sayable(program: Program, inputs: SpikeArray) -> None:
    """Raise UnsupportedProgram where SANA-FE could not run ``inputs`` (rows, n_inputs) through ``program`` exactly.

    Registers are bounded by the weights alone; where that bound is too large, those of these very inputs are computed.
    """
    refuse_neurons("sanafe", program, FORMS, _REMEDY)
    for population in program.populations:
        _refuse_long_delays(program, population)
        reason = _unsayable(population.neuron.facts)
        if reason:
            raise UnsupportedProgram(
                f"sanafe: population {population.name}: {population.neuron.kind} neurons with {reason}; {_REMEDY}"
            )
    for core in {s.core for s in program.slices}:
        held = sum(s.size for s in program.slices if s.core == core)
        if held > _NEURONS_PER_CORE:
            raise UnsupportedProgram(
                f"sanafe: core {core}: {held} neurons; SANA-FE's cores hold {_NEURONS_PER_CORE}: compile for a chip "
                f"with smaller cores, or {_REMEDY}"
            )
    _check_registers(program, inputs)


def lives_in_time(program: Program) -> bool:
    """Whether samples have to be run one after the other, with all state cleared between them."""
    feed_forward = all(program.lag(p) == 0 for p in program.projections)
    plain = {p.neuron.facts.form for p in program.populations} <= {"threshold", "readout"}
    return program.steps > 1 or not (feed_forward and plain and not program.readout.neuron.spikes)


def needs_delays(program: Program) -> bool:
    """Whether some spike takes longer than the one step of every hop."""
    return any(p.delay for p in program.projections)


def _refuse_long_delays(program: Program, population: Population) -> None:
    longest = max(p.delay for p in program.incoming(population.name))
    if longest > _LONGEST_DELAY:
        raise UnsupportedProgram(
            f"sanafe: population {population.name}: a delay of {longest} steps; SANA-FE's dendrites hold up to "
            f"{_LONGEST_DELAY}; {_REMEDY}"
        )


def _unsayable(facts: Facts) -> str:
    """Return what of leaky neurons SANA-FE's soma says otherwise; "" where nothing."""
    if not facts.fraction_bits:
        return ""
    current, voltage, pauses = (values(v) for v in (facts.current_decay, facts.voltage_decay, facts.refractory))
    fades = (current > 0) & (current < FORGETS)
    leaks = (voltage > 0) & (voltage < FORGETS)
    if np.any(fades):
        return "a current that decays: SANA-FE's u keeps fractions that Loihi's u drops"
    if np.any((current == 0) & (pauses > 0)):
        return "refractory steps beside a current that stays: SANA-FE's u takes nothing up meanwhile"
    if facts.threshold is not None and facts.reset == "soft":
        if not facts.strict:
            return "a soft reset and a threshold that is not strict: SANA-FE's soma spikes above what it takes off"
        if np.any(leaks & (pauses > 0)):
            return "refractory steps and a soft reset: SANA-FE's v leaks meanwhile, Loihi's stays"
    return ""


def _check_registers(program: Program, inputs: SpikeArray) -> None:
    """Loihi's u wraps round and its v stops above; SANA-FE's doubles do neither. The lower end it can say."""
    spans = spans_of(program.populations, program.incoming, program.steps, program.encoder)
    unbounded = []
    for population in program.populations:
        low, high = synaptic_bounds(population, program.incoming(population.name), spans)
        step, steps = np.maximum(-low, high), program.steps
        if population.neuron.facts.fraction_bits:
            step = step * _SIXTY_FOURTHS
        # A current that stays makes v the sum of sums.
        if not _within(population, step * steps, step * (steps * (steps + 1) // 2)):
            unbounded.append(population)
    if not unbounded:
        return
    sent = {INPUT: inputs, **ReferenceBackend().execute(program, inputs, RunOptions()).spikes}
    over_time = {name: v.reshape(-1, program.steps, v.shape[1]) for name, v in sent.items()}
    for population in unbounded:
        _check_sums(program, population, over_time)


def _check_sums(program: Program, population: Population, sent: Mapping[str, npt.NDArray[np.uint8]]) -> None:
    sums = arriving_sums(program, population.name, sent)
    held = population.neuron.held(sums, population.bias)
    keeps = np.broadcast_to(values(population.neuron.facts.current_decay) == 0, population.size)
    currents = np.where(keeps, sums.cumsum(axis=1), sums)
    for sample in range(len(sums)):
        if not _within(population, np.abs(currents[sample]) * _SIXTY_FOURTHS, held[sample]):
            raise UnsupportedProgram(
                f"sanafe: population {population.name}, sample {sample}: a current or a potential that wraps round or "
                f"stops at the end of Loihi's 24 bits, which SANA-FE's numbers do not; {_REMEDY}"
            )


def _within(population: Population, current: npt.NDArray[np.int64], held: npt.NDArray[np.int64]) -> bool:
    """Whether SANA-FE's doubles are the registers u, in 64ths, and v, in units of their own, of the population."""
    facts = population.neuron.facts
    if not facts.fraction_bits:
        return bool(np.abs(held).max(initial=0) <= _WHOLE)
    if current.max(initial=0) >= HALF:
        return False
    # A v that stops above exceeds every threshold, and a hard reset clears it: only where it is kept does it show.
    kept = facts.threshold is None or facts.reset == "soft"
    return not kept or bool(held.max(initial=0) < HALF - 1)

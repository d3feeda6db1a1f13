"""Check: every limit of a chip against a lowered network, all violations at once, each with a remedy in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from conntra_hardware.base.errors import Violation
from conntra_hardware.chip import Chip
from conntra_hardware.fit.overflow import Bounds, register_bounds, register_limit, spans_of, synaptic_bounds
from conntra_hardware.fit.synapse_memory import encode, weight_format
from conntra_hardware.neurons import GRADED_MAX, Span, values
from conntra_hardware.program import AnyProjection, Population
from conntra_neuro.compiler.cut import fan_in
from conntra_neuro.compiler.lower import Lowered
from conntra_neuro.compiler.partition import Partition, partition

__all__ = ["CheckResult", "bias_exponents", "find_violations"]

UNIT_SHIFT = 6
"""A weight of 1 stands as 2^6 on the chip, so a bias of b needs mantissa times 2^exponent = b times 2^6."""
_TERNARY_BITS = 2
Incoming: TypeAlias = tuple[AnyProjection, ...]


@dataclass(frozen=True)
class CheckResult:
    """Whether a network fits a chip, and every violation where it does not."""

    chip: str
    violations: tuple[Violation, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing is violated."""
        return not self.violations

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        listed = [{key: getattr(v, key) for key in Violation.__dataclass_fields__} for v in self.violations]
        return {"fits": self.fits, "chip": self.chip, "violations": listed}


def find_violations(lowered: Lowered, parts: Partition, chip: Chip) -> CheckResult:
    """Return what of ``lowered`` does not fit ``chip``: neuron by neuron, then what the partition takes of the whole
    chip.
    """
    found: list[Violation] = []
    spans = spans_of(lowered.populations, lowered.incoming, lowered.steps, lowered.encoder)
    for population, incoming in lowered.layers:
        low, high = synaptic_bounds(population, incoming, spans)
        found.extend(_graded(population, high, spans, chip))
        for projection in incoming:
            found.extend(_weights(population, projection, chip))
            found.extend(_delay(population, projection, chip))
        found.extend(_biases(population, low, high, chip))
        found.extend(
            _potentials(population, register_bounds(population, incoming, lowered.steps, spans), lowered, chip)
        )
        found.extend(_fan_in(population, incoming, chip))
        found.extend(_memory_of_a_neuron(population, incoming, chip))
    found.extend(_fan_out(parts, chip))
    found.extend(_cores(lowered, parts, chip))
    return CheckResult(chip.name, tuple(found))


def _graded(population: Population, high: Bounds, spans: Mapping[str, Span], chip: Chip) -> Iterator[Violation]:
    neuron = population.neuron
    if not neuron.graded:
        return
    if chip.spike_bits < 2:
        remedy = f"spikes of {chip.name} have no value: use a chip with graded spikes (loihi2), or threshold neurons"
        yield Violation(population.name, "graded spikes", chip.spike_bits + 1, chip.spike_bits, "bits", remedy)
        return
    shifts = np.broadcast_to(values(neuron.facts.shift), high.shape)
    sent, ceiling = high >> shifts, np.broadcast_to(values(neuron.facts.ceiling), high.shape)
    sent = np.where(ceiling < GRADED_MAX, np.minimum(sent, ceiling), sent)  # the largest there is stops nothing
    limit = 2 ** (chip.spike_bits - 1) - 1
    if neuron.facts.delta or neuron.facts.thresholds:
        sent = np.maximum(spans[population.name].high, -spans[population.name].low)
    worst = int(sent.argmax())
    largest = int(sent[worst])
    if largest > limit:
        more = (largest // (limit + 1)).bit_length()
        remedy = f"neuron {worst} can send {largest}: shift by {shifts[worst] + more} bits"
        yield Violation(population.name, "graded spikes", largest, limit, "as a spike's value", remedy)


def _delay(population: Population, projection: AnyProjection, chip: Chip) -> Iterator[Violation]:
    limit = 2**chip.delay_bits - 1
    if projection.delay > limit:
        remedy = f"synapses from {projection.source}: shorten the delay, or hand spikes on by a layer of relays"
        yield Violation(population.name, "delay", projection.delay, limit, "time steps", remedy)


def _weights(population: Population, projection: AnyProjection, chip: Chip) -> Iterator[Violation]:
    alphabet = projection.alphabet
    form = weight_format(alphabet, chip)
    if not form.allowed:
        low, high = int(alphabet.min()), int(alphabet.max())
        most = max(chip.weight_bits)
        span = f"{-(2**most - 1)} to {2**most - 1}" if form.mixed else f"magnitudes up to {2**most - 1}"
        remedy = f"weights go from {low} to {high}: take levels within {span}, times a power of two"
        yield Violation(population.name, "weight bits", form.bits, most, "bits", remedy)


def _biases(population: Population, low: Bounds, high: Bounds, chip: Chip) -> Iterator[Violation]:
    graded = population.neuron.graded
    bad = np.flatnonzero(bias_exponents(population.bias, chip, 0 if graded else UNIT_SHIFT) < 0)
    if len(bad):
        worst = int(bad[np.abs(population.bias[bad]).argmax()])
        bias = int(population.bias[worst])
        largest = 2 ** (chip.bias_mantissa_bits - 1) - 1
        reach = int(max(high[worst] - max(bias, 0), -(low[worst] - min(bias, 0))))
        remedy = f"{len(bad)} bias(es) too wide, worst {bias} at neuron {worst}: a mantissa of "
        remedy += f"{chip.bias_mantissa_bits} bits times 2^0 to 2^{chip.bias_exponent_max} is what there is"
        if population.neuron.facts.form == "threshold" and reach < largest:
            remedy += f"; its weights reach {reach} at most, so a bias of {np.sign(bias) * (reach + 1)} spikes alike"
        else:
            remedy += f"; keep biases within +-{largest}"
        yield Violation(population.name, "bias", abs(bias), largest, "weight units", remedy)


def bias_exponents(bias: np.ndarray, chip: Chip, unit_shift: int = UNIT_SHIFT) -> np.ndarray:
    """Return for each bias (size,), in weight units, the least exponent the chip can hold it with, -1 where there is
    none. ``unit_shift``: a weight of 1 stands as 2 to the power of it, 0 in graded neurons.
    """
    scaled = np.asarray(bias, dtype=np.int64) << unit_shift
    limit = 2 ** (chip.bias_mantissa_bits - 1)
    exponents = np.full(len(scaled), -1, dtype=np.int64)
    for exponent in range(chip.bias_exponent_max, -1, -1):
        mantissa = scaled >> exponent
        exact = (mantissa << exponent == scaled) & (mantissa >= -limit) & (mantissa < limit)
        exponents[exact] = exponent
    return exponents


def _potentials(
    population: Population, bounds: tuple[Bounds, Bounds], lowered: Lowered, chip: Chip
) -> Iterator[Violation]:
    if population.neuron.facts.fraction_bits:
        return  # these wrap round and stop at their ends on the chip, and wherever they run
    (low, high), steps = bounds, lowered.steps
    reach, limit = np.maximum(-low, high), register_limit(chip, population.neuron)
    neuron = int(reach.argmax())
    if reach[neuron] > limit:
        groups = -(-int(reach[neuron]) // limit)
        over = "" if steps == 1 else f" over {steps} time steps"
        fewer = "" if steps == 1 else ", take fewer time steps"
        remedy = (
            f"neuron {neuron} can reach {int(low[neuron])} to {int(high[neuron])}{over} in {chip.potential_bits}-bit "
            f"registers: use smaller weights{fewer} or split the inputs in {groups} groups"
        )
        yield Violation(population.name, "potential", int(reach[neuron]), limit, "weight units", remedy)


def _fan_in(population: Population, incoming: Incoming, chip: Chip) -> Iterator[Violation]:
    limit = chip.input_axons_per_core
    if limit is None:
        return
    counts = fan_in(incoming)
    neuron = int(counts.argmax())
    if counts[neuron] > limit:
        remedy = f"neuron {neuron} has that many inputs: {_groups(int(counts[neuron]), limit)}"
        yield Violation(population.name, "input axons", int(counts[neuron]), limit, "axons", remedy)


def _groups(inputs: int, limit: int) -> str:
    groups = -(-inputs // limit)
    count = {2: "two", 3: "three", 4: "four"}.get(groups, str(groups))
    return f"split inputs in {count} groups of {-(-inputs // groups):,}"


def _memory_of_a_neuron(population: Population, incoming: Incoming, chip: Chip) -> Iterator[Violation]:
    neuron = int(fan_in(incoming).argmax())
    alone = [encode(p.rows(slice(neuron, neuron + 1)), chip, share=False, delay=p.delay) for p in incoming]
    axons = sum(e.axons for e in alone)
    used = sum(e.bits for e in alone) + chip.neuron_memory_bits + axons * chip.axon_memory_bits
    if used > chip.synapse_memory_bits:
        most = chip.synapse_memory_bits * axons // used
        remedy = f"neuron {neuron} alone takes it for {axons:,} synapses: {_groups(axons, most)}"
        yield Violation(population.name, "synapse memory", used, chip.synapse_memory_bits, "bits", remedy)


def _fan_out(parts: Partition, chip: Chip) -> Iterator[Violation]:
    limit = chip.output_axons_per_core
    if limit is None:
        return
    for part in parts.parts:
        if part.demand.axons_out > limit:
            after = -(-part.demand.axons_out // part.demand.neurons)
            remedy = f"a neuron sends to {after} cores: make the next layer smaller, or its fan-in sparser"
            yield Violation(part.population, "output axons", part.demand.axons_out, limit, "axons", remedy)


def _cores(lowered: Lowered, parts: Partition, chip: Chip) -> Iterator[Violation]:
    used, limit = len(parts.cores), chip.total_cores
    if used <= limit:
        return
    taken: dict[str, int] = {}
    for part in parts.parts:
        taken[part.population] = taken.get(part.population, 0) + 1
    largest = max(taken, key=lambda name: taken[name])
    yield Violation(largest, "cores", used, limit, "cores", "; or ".join(_core_remedies(lowered, used, chip)))


def _core_remedies(lowered: Lowered, used: int, chip: Chip) -> Iterator[str]:
    bits = max(weight_format(p.alphabet, chip).bits for p in lowered.projections)
    if bits > _TERNARY_BITS:
        ternary = len(partition(lowered, chip, weight_bits=_TERNARY_BITS).cores)
        yield f"ternary instead of {bits}-bit levels: {ternary} of {chip.total_cores} cores"
    chips = -(-used // chip.cores)
    if chips <= chip.max_chips:
        base = chip.times(1).name
        yield f"{chips} chips ({base}x{chips}) have {chips * chip.cores} cores"
    yield f"make layers smaller by a factor of {used / chip.total_cores:.2f}"

"""Compile: lower -> partition -> check -> place -> program, each a function that returns a new value."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from conntra_hardware.base.errors import DoesNotFit, InputError
from conntra_hardware.chip import Chip, chip_names, load_chip
from conntra_hardware.program import Program
from conntra_neuro.compiler.check import CheckResult, find_violations
from conntra_neuro.compiler.lower import Lowered, lower
from conntra_neuro.compiler.partition import Partition, partition, spread
from conntra_neuro.compiler.place import place
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.single_thresholds import has_several_thresholds, single_thresholds

__all__ = ["AUTO", "check", "compile"]

_log = logging.getLogger(__name__)

AUTO = "auto"
"""The chip name that takes the smallest chip, or number of chips, that fits."""


def compile(network: DiscreteNetwork, chip: str | Path | Chip = "loihi1", *, cores: int | None = None) -> Program:
    """Return ``network`` as a program for ``chip``: a name, "NAMExN" for N of them, a TOML file, "auto", or a Chip.

    As few cores as will hold it are used, or about ``cores`` of them where that is more: time steps get shorter, and
    packets more. Where the chip has no graded spikes, a neuron of several thresholds is as many threshold neurons that
    share their weights. Raises DoesNotFit with every violation, and InputError for a chip that is not known.
    """
    forms = _Forms(network)
    target, parts, result = _first_that_fits(forms, chip)
    lowered = forms.on(target)
    if not result.fits:
        raise DoesNotFit(target.name, result.violations)
    if cores is not None:
        if not 1 <= cores <= target.total_cores:
            raise InputError(f"cores: {cores}; 1 to {target.total_cores} allowed on {target.name}")
        parts = spread(lowered, target, cores)
    program = _assemble(lowered, parts, target)
    _log.info("compiled %r", program)
    return program


def check(network: DiscreteNetwork, chip: str | Path | Chip = "loihi1") -> CheckResult:
    """Return whether ``network`` fits ``chip`` (as in ``compile``), and every violation where it does not.

    InputError for a chip that is not known.
    """
    return _first_that_fits(_Forms(network), chip)[2]


class _Forms:
    """A network as the chips hold it: neurons of several thresholds as they are, or without graded spikes as many
    neurons of one.
    """

    def __init__(self, network: DiscreteNetwork) -> None:
        self._network = network

    def on(self, chip: Chip) -> Lowered:
        """Return the populations and synapses on ``chip``."""
        return self._single if self._is_split(chip) else self._whole

    def check(self, parts: Partition, chip: Chip) -> CheckResult:
        """Return whether they fit ``chip``, and every violation where they do not."""
        found = find_violations(self.on(chip), parts, chip)
        if not self._is_split(chip):
            return found
        more = "; a chip with graded spikes (loihi2) holds a neuron of k thresholds as one, and not as k"
        told = (replace(v, remedy=v.remedy + more) if v.resource in _GROWING else v for v in found.violations)
        return replace(found, violations=tuple(told))

    def _is_split(self, chip: Chip) -> bool:
        return chip.spike_bits < 2 and has_several_thresholds(self._network)

    @cached_property
    def _whole(self) -> Lowered:
        return lower(self._network)

    @cached_property
    def _single(self) -> Lowered:
        return lower(single_thresholds(self._network))


_GROWING = ("bias", "input axons", "output axons", "synapse memory", "cores", "potential")
"""What more neurons take more of, or thresholds in biases."""


def _assemble(lowered: Lowered, parts: Partition, chip: Chip) -> Program:
    return Program(
        chip=chip,
        n_inputs=lowered.n_inputs,
        populations=lowered.populations,
        projections=lowered.projections,
        slices=place(lowered, parts, chip),
        encoder=lowered.encoder,
        labels=lowered.labels,
        steps=lowered.steps,
        value=lowered.value,
    )


def _first_that_fits(forms: _Forms, chip: str | Path | Chip) -> tuple[Chip, Partition, CheckResult]:
    """Try the chips that ``chip`` may mean, smallest first; return the first that fits, else the last one tried."""
    if chip != AUTO:
        target = chip if isinstance(chip, Chip) else load_chip(chip)
        parts = partition(forms.on(target), target)
        return target, parts, forms.check(parts, target)
    candidates = _smallest_first(forms)
    for target, parts in candidates:
        if len(parts.cores) <= target.total_cores:
            result = forms.check(parts, target)
            if result.fits:
                return target, parts, result
    target, parts = candidates[-1]
    return target, parts, forms.check(parts, target)


def _smallest_first(forms: _Forms) -> list[tuple[Chip, Partition]]:
    """Return single chips by the synapse memory they have, then as many of each as its cores ask for."""
    singles = sorted(map(load_chip, chip_names()), key=_memory)
    # More chips of a kind have the same cores, so that the partition is the same.
    candidates = [(chip, partition(forms.on(chip), chip)) for chip in singles]
    several = [(chip.times(n), parts) for chip, parts in candidates if 1 < (n := _chips(chip, parts)) <= chip.max_chips]
    return candidates + sorted(several, key=lambda candidate: _memory(candidate[0]))


def _chips(chip: Chip, parts: Partition) -> int:
    return -(-len(parts.cores) // chip.cores)


def _memory(chip: Chip) -> int:
    return chip.total_cores * chip.synapse_memory_bits

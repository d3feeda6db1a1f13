"""Compile: lower -> partition -> check -> place -> program, each a function that returns a new value."""

from __future__ import annotations

import logging
from pathlib import Path

from conntra_hardware.base.errors import DoesNotFit, InputError
from conntra_hardware.chip import Chip, chip_names, load_chip
from conntra_hardware.program import Program
from conntra_neuro.compiler.check import CheckResult, find_violations
from conntra_neuro.compiler.lower import Lowered, lower
from conntra_neuro.compiler.partition import Partition, partition, spread
from conntra_neuro.compiler.place import place
from conntra_neuro.network import DiscreteNetwork

__all__ = ["AUTO", "check", "compile"]

_log = logging.getLogger(__name__)

AUTO = "auto"
"""The chip name that takes the smallest chip, or number of chips, that fits."""


def compile(network: DiscreteNetwork, chip: str | Path | Chip = "loihi1", *, cores: int | None = None) -> Program:
    """Return ``network`` as a program for ``chip``: a name, "NAMExN" for N of them, a TOML file, "auto", or a Chip.

    As few cores as will hold it are used, or about ``cores`` of them where that is more: time steps get shorter, and
    packets more. Raises DoesNotFit with every violation, and InputError for a chip that is not known.
    """
    lowered = lower(network)
    target, parts, result = _first_that_fits(lowered, chip)
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
    return _first_that_fits(lower(network), chip)[2]


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
    )


def _first_that_fits(lowered: Lowered, chip: str | Path | Chip) -> tuple[Chip, Partition, CheckResult]:
    """Try the chips that ``chip`` may mean, smallest first; return the first that fits, else the last one tried."""
    if chip != AUTO:
        target = chip if isinstance(chip, Chip) else load_chip(chip)
        parts = partition(lowered, target)
        return target, parts, find_violations(lowered, parts, target)
    candidates = _smallest_first(lowered)
    for target, parts in candidates:
        if len(parts.cores) <= target.total_cores:
            result = find_violations(lowered, parts, target)
            if result.fits:
                return target, parts, result
    target, parts = candidates[-1]
    return target, parts, find_violations(lowered, parts, target)


def _smallest_first(lowered: Lowered) -> list[tuple[Chip, Partition]]:
    """Return single chips by the synapse memory they have, then as many of each as its cores ask for."""
    singles = sorted(map(load_chip, chip_names()), key=_memory)
    # More chips of a kind have the same cores, so that the partition is the same.
    candidates = [(chip, partition(lowered, chip)) for chip in singles]
    several = [(chip.times(n), parts) for chip, parts in candidates if 1 < (n := _chips(chip, parts)) <= chip.max_chips]
    return candidates + sorted(several, key=lambda candidate: _memory(candidate[0]))


def _chips(chip: Chip, parts: Partition) -> int:
    return -(-len(parts.cores) // chip.cores)


def _memory(chip: Chip) -> int:
    return chip.total_cores * chip.synapse_memory_bits

"""A program's fingerprint follows what it does, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from program_strategies import build_case

from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import GradedRelu
from conntra_hardware.program import Program, Projection
from conntra_hardware.program.fingerprint import program_sha256, recording_sha256
from conntra_hardware.program.input_encoding import ThresholdEncoder
from conntra_hardware.program.program_file import load_program, save_program


@pytest.fixture
def program() -> Program:
    program = build_case((40, 30, 10), [(-2, 0, 1), (-1, 1)], seed=5, samples=20).program
    thresholds = np.linspace(0, 1, program.n_inputs)
    return replace(program, encoder=ThresholdEncoder(thresholds), labels=tuple("abcdefghij"))


def test_neither_the_file_nor_the_order_of_slices_changes_it(program: Program, tmp_path: Path) -> None:
    save_program(program, tmp_path / "p.conntra", {"anything": 1})
    assert program_sha256(load_program(tmp_path / "p.conntra")) == program_sha256(program)
    assert program_sha256(replace(program, slices=program.slices[::-1])) == program_sha256(program)


def _weight(program: Program) -> Program:
    first, *rest = program.projections
    weights = first.weights.astype(np.int64)
    weights[0, 0] += 1
    return replace(program, projections=(Projection(first.source, first.target, weights), *rest))


def _population(change: str) -> Callable[[Program], Program]:
    def changed(program: Program) -> Program:
        first, *rest = program.populations
        bias = first.bias.copy()
        bias[-1] += 1
        new = replace(first, bias=bias) if change == "bias" else replace(first, neuron=GradedRelu(0))
        return replace(program, populations=(new, *rest))

    return changed


def _encoder(program: Program) -> Program:
    return replace(program, encoder=ThresholdEncoder(np.linspace(0, 1.001, program.n_inputs)))


CHANGES = {
    "weight": _weight,
    "bias": _population("bias"),
    "neuron": _population("neuron"),
    "chip": lambda p: replace(p, chip=load_chip("loihi2")),
    "core": lambda p: replace(p, slices=(replace(p.slices[0], core=99), *p.slices[1:])),
    "encoder": _encoder,
    "no encoder": lambda p: replace(p, encoder=None),
    "labels": lambda p: replace(p, labels=tuple("abcdefghik")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_of_what_it_does_changes_it(program: Program, what: str) -> None:
    assert program_sha256(CHANGES[what](program)) != program_sha256(program)


def test_recordings_differ_by_one_spike_and_by_one_logit(program: Program) -> None:
    case = build_case((40, 30, 10), [(-2, 0, 1), (-1, 1)], seed=5, samples=20)
    same = recording_sha256(program, case.spikes, case.logits)
    assert recording_sha256(program, dict(reversed(case.spikes.items())), case.logits.astype(np.int32)) == same
    assert recording_sha256(program, case.spikes, case.logits + (np.arange(len(case.logits)) == 3)[:, None]) != same
    name = program.populations[0].name
    flipped = case.spikes[name].copy()
    flipped[0, 0] ^= 1
    assert recording_sha256(program, case.spikes | {name: flipped}, case.logits) != same

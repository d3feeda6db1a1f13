"""What 50 random programs are and compute, against a file that an earlier version wrote.

All other tests compare two things of today; this one sees a change that is made on both sides. Where a change is meant,
write the file again and say in the commit why it had to differ:

    CONNTRA_WRITE_GOLDEN=1 python -m pytest tests/hardware/test_golden_cases.py
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.cost.energy import estimate_all
from conntra_hardware.cost.events import EventCounts, count_events
from conntra_hardware.program.fingerprint import inputs_sha256, program_sha256, recording_sha256
from conntra_hardware.proof.fuzz_case import random_case

GOLDEN = Path(__file__).parents[1] / "data" / "fuzz_cases" / "golden.json"
WRITE = "CONNTRA_WRITE_GOLDEN"
SEED, CASES = 20, 50


def _sha256(*arrays: np.ndarray) -> str:
    """Return a checksum of integers, whatever their type."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<i8").data)
    return digest.hexdigest()


def _counts_sha256(counts: EventCounts) -> str:
    named = {f.name: getattr(counts, f.name) for f in fields(counts)}
    plain = [value for _, value in sorted(named.items()) if isinstance(value, np.ndarray)]
    arrivals = [array for _, pair in sorted(counts.arrivals.items()) for array in pair]
    return _sha256(*plain, *arrivals, np.array([counts.fill_steps, counts.steps]))


def _case(index: int) -> dict[str, Any]:
    case = random_case(SEED, index, dilated=True, timed=True)
    seen = load_backend("reference").execute(case.program, case.inputs, RunOptions())
    counts = count_events(case.program, case.inputs, seen.spikes)
    estimates = estimate_all(counts, case.program)
    return {
        "program": program_sha256(case.program),
        "inputs": inputs_sha256(case.inputs),
        "recording": recording_sha256(case.program, seen.spikes, seen.logits),
        "logits": _sha256(seen.logits),
        "counts": _counts_sha256(counts),
        "totals": counts.totals(),
        "energy": {e.coefficients: [e.dynamic_j, e.static_j, e.latency_s, e.step_time_s] for e in estimates},
    }


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    if os.environ.get(WRITE):
        GOLDEN.write_text(json.dumps({"seed": SEED, "cases": [_case(i) for i in range(CASES)]}, indent=1) + "\n")
    return json.loads(GOLDEN.read_text())


def test_the_file_has_programs_of_every_kind(golden: dict[str, Any]) -> None:
    assert (golden["seed"], len(golden["cases"])) == (SEED, CASES)
    programs = [random_case(SEED, index, dilated=True, timed=True).program for index in range(CASES)]
    kinds = {population.neuron.kind for program in programs for population in program.populations}
    assert kinds == {"threshold", "graded_relu", "integrate_and_fire", "lif", "readout"}
    assert {type(p).__name__ for q in programs for p in q.projections} >= {"Projection", "ConvProjection"}
    assert {name for case in golden["cases"] for name in case["energy"]} == {
        name for program in programs for name in program.chip.coefficients
    }


@pytest.mark.parametrize("index", range(CASES))
def test_a_program_computes_what_it_did(golden: dict[str, Any], index: int) -> None:
    now, before = _case(index), golden["cases"][index]
    told = f"see the top of {Path(__file__).name} where this change is meant"
    for drawn in ("program", "inputs"):
        assert now[drawn] == before[drawn], f"the {drawn} drawn differ, or their checksum does; {told}"
    for computed in ("recording", "logits", "totals", "counts"):
        assert now[computed] == before[computed], f"{computed} differ; {told}"
    assert now["energy"].keys() == before["energy"].keys(), told
    for name, values in before["energy"].items():  # a sum's last bits depend on its order
        assert now["energy"][name] == pytest.approx(values, rel=1e-12), f"energy or time differ; {told}"

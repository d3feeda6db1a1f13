"""A certificate is checked again: what holds is confirmed, and whatever was changed is named."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from program_strategies import Case, build_case
from wrong_backends import WrongBackend, changed_weights, off_by_one

from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.program import Program
from conntra_hardware.proof.recheck import read_certificate, recheck
from conntra_hardware.proof.verify import Certificate, verify

SAME = ["reference", WrongBackend("same")]


@pytest.fixture(scope="module")
def case() -> Case:
    return build_case((40, 30, 10), [(-2, 0, 1), (-1, 1)], seed=5, samples=50)


@pytest.fixture(scope="module")
def certificate(case: Case) -> Certificate:
    return verify(case.program, case.inputs, SAME, chosen={"data": "digits", "split": "test"})


def test_a_true_certificate_is_confirmed(case: Case, certificate: Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "c.json")
    document = read_certificate(tmp_path / "c.json")
    assert document["chosen"] == {"data": "digits", "split": "test"}
    assert all(proof["holds"] for proof in document["overflow"])
    assert {proof["register"] for proof in document["overflow"]} >= {"loihi1", "lava", "brian2"}
    found = recheck(document, case.program, case.inputs, backends=SAME)
    assert found.mismatch is None
    assert found.notes == ()
    assert found.fresh == certificate


def test_a_certificate_of_a_difference_is_confirmed_as_one(case: Case) -> None:
    wrong = ["reference", changed_weights("h1", lambda w: w & ~1, "rounding")]
    document = verify(case.program, case.inputs, wrong).to_dict()
    found = recheck(document, case.program, case.inputs, backends=wrong)
    assert found.mismatch is None
    assert found.fresh is not None
    assert not found.fresh.equal
    assert "equal: the certificate says false, here it is true" in str(
        recheck(document, case.program, case.inputs, backends=["reference", WrongBackend("rounding")]).mismatch
    )


def test_another_program_and_other_inputs(case: Case, certificate: Certificate) -> None:
    other: Program = off_by_one("h1", 3)._program(case.program)
    found = recheck(certificate.to_dict(), other, case.inputs, backends=SAME)
    assert str(found.mismatch).startswith("program_sha256: the certificate says")
    assert found.fresh is None
    found = recheck(certificate.to_dict(), case.program, 1 - case.inputs, backends=SAME)
    assert str(found.mismatch).startswith("inputs_sha256: the certificate says")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("samples",), 49),
        (("chip",), "loihi2"),
        (("equal",), False),
        (("compared", "spikes"), 1),
        (("compared", "layers", "h1"), 1),
        (("recordings_sha256", "same"), "0" * 64),
        (("recordings_sha256", "another"), "0" * 64),
        (("differing", "same", "spikes"), 2),
        (("first_divergence",), {"backend": "same"}),
        (("overflow", 0, "high"), 5),
        (("overflow", 0, "holds"), False),
    ],
    ids=lambda v: ".".join(map(str, v)) if isinstance(v, tuple) else "",
)
def test_every_claim_that_is_changed_is_named(
    case: Case, certificate: Certificate, path: tuple[Any, ...], value: Any
) -> None:
    document = copy.deepcopy(certificate.to_dict())
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    mismatch = recheck(document, case.program, case.inputs, backends=SAME).mismatch
    named = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]
    assert str(mismatch).startswith(f"{named}: the certificate says ")
    assert "\n" not in str(mismatch)


def test_a_backend_that_gives_something_else_now(case: Case, certificate: Certificate) -> None:
    now = ["reference", off_by_one("out", 3)]
    now[1].name = "same"  # type: ignore[union-attr]
    mismatch = recheck(certificate.to_dict(), case.program, case.inputs, backends=now).mismatch
    assert str(mismatch).startswith("equal: the certificate says true, here it is false")


def test_other_versions_are_a_note(case: Case, certificate: Certificate) -> None:
    older = replace(certificate, versions={**certificate.versions, "numpy": "1.0"}).to_dict()
    found = recheck(older, case.program, case.inputs, backends=SAME)
    assert found.mismatch is None
    assert found.notes == (f"numpy: 1.0 there, {np.__version__} here",)


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps({"equal": True})])
def test_what_is_no_certificate(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(FileFormatError, match="conntra verify --out"):
        read_certificate(tmp_path / "c.json")
    with pytest.raises(FileFormatError, match="No such file"):
        read_certificate(tmp_path / "missing.json")

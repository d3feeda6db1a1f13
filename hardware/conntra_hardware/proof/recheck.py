"""Checking a certificate again: hash program and inputs, run the simulators anew, compare with every claim it makes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from conntra_hardware.backends.protocol import Backend
from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import FileFormatError, InputError, in_short
from conntra_hardware.program import Program
from conntra_hardware.program.fingerprint import inputs_sha256, program_sha256
from conntra_hardware.proof.fuzz import SPACE, FuzzReport, fuzz
from conntra_hardware.proof.seal import SEAL, seal_differs
from conntra_hardware.proof.verify import Certificate, verify

__all__ = ["Recheck", "read_certificate", "recheck", "recheck_fuzz"]

_NEEDED = ("backends", "program_sha256", "inputs_sha256", "samples", "equal")
_TYPES: dict[str, type] = {
    "backends": list,
    "program_sha256": str,
    "inputs_sha256": str,
    "samples": int,
    "equal": bool,
    "chosen": dict,
    "versions": dict,
}
# In the order in which a difference says most; versions may differ, that is what checking elsewhere is for.
_CLAIMS = ("equal", "chip", "samples", "compared", "recordings_sha256", "differing", "first_divergence", "overflow")


@dataclass(frozen=True)
class Recheck:
    """``mismatch`` is None where every claim holds, else the first that does not, in one line.

    ``fresh`` is the certificate made here, None where the program or the inputs were already others. ``notes`` are
    differences that are no mismatch: versions, and a seal that is not there.
    """

    mismatch: str | None
    fresh: Certificate | FuzzReport | None = None
    notes: tuple[str, ...] = ()


def read_certificate(path: str | Path) -> dict[str, Any]:
    """Read a certificate that ``Certificate.save`` wrote; FileFormatError where it is none."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise FileFormatError(f"certificate {path}: {reason}; give a file that `conntra verify --out` wrote") from error
    if not isinstance(document, dict):
        raise FileFormatError(f"certificate {path}: not a JSON object; give a file that `conntra verify --out` wrote")
    missing = [key for key in _NEEDED if key not in document]
    if missing and "fuzz" not in document:
        raise FileFormatError(
            f"certificate {path}: {', '.join(missing)} missing; give a file that `conntra verify --out` wrote"
        )
    wrong = [key for key, kind in _TYPES.items() if key in document and not isinstance(document[key], kind)]
    if wrong and "fuzz" not in document:
        raise FileFormatError(
            f"certificate {path}: {wrong[0]} is {in_short(document[wrong[0]], 60)}; "
            "give a file that `conntra verify --out` wrote"
        )
    known = {SEAL, *(field.name for field in fields(FuzzReport if "fuzz" in document else Certificate))}
    unknown = [key for key in document if key not in known | {"fuzz", "equal"}]
    if unknown:
        raise FileFormatError(
            f"certificate {path}: {in_short(unknown[0], 60)} is no entry of one; restore it from a copy, or upgrade "
            "conntra-neuro where a later version wrote it"
        )
    return document


def recheck(
    document: Mapping[str, Any],
    program: Program,
    x: ArrayLike,
    *,
    backends: Sequence[str | Backend] | None = None,
    time_limit_s: float = 600.0,
) -> Recheck:
    """Check the certificate ``document`` against ``program`` and the samples ``x``, as ``verify`` takes them.

    ``backends`` are those of the certificate unless given. BackendError where one of them cannot run here.
    """
    ours = program_sha256(program)
    if document["program_sha256"] != ours:
        return Recheck(_differs("program_sha256", document["program_sha256"], ours, "another program"))
    inputs = inputs_sha256(program.encode(x))
    if document["inputs_sha256"] != inputs:
        return Recheck(_differs("inputs_sha256", document["inputs_sha256"], inputs, "other input spikes"))
    names = list(document["backends"]) if backends is None else backends
    if not isinstance(names, (list, tuple)) or len(names) < 2:
        raise InputError(f"certificate: backends {names!r}; at least 2 names expected")
    fresh = verify(program, x, names, time_limit_s=time_limit_s, chosen=document.get("chosen"))
    found = fresh.to_dict()
    mismatch = next(_mismatches(document, found), None) or seal_differs(document)
    return Recheck(mismatch, fresh, _notes(document, found))


def recheck_fuzz(document: Mapping[str, Any], progress: Callable[[str, int, int], None] | None = None) -> Recheck:
    """Fuzz again with the seed of a report, as many programs on each backend, and compare all that it counted."""
    try:
        programs, seed, tallies = int(document["programs"]), int(document["seed"]), dict(document["backends"])
        limits = {name: int(tally["programs"]) + int(tally["refused"]) for name, tally in tallies.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"fuzz report: {error} missing or unusable; give one of `conntra verify --fuzz`"
        ) from None
    space: dict[str, Any] = {name: bool(document.get(name, False)) for name in SPACE}
    fresh = fuzz(programs, seed=seed, backends=list(tallies), limits=limits, **space, progress=progress)
    ours, changed = fresh.to_dict(), seal_differs(document)
    document = copy.deepcopy(dict(document))
    for report in (document, ours):
        for tally in report["backends"].values():
            tally.pop("seconds", None)
            tally.setdefault("failed", 0)  # reports of earlier versions end where a backend fails
    mismatch = next(_mismatches(document, ours, ("equal", "digest", "backends", "space")), None) or changed
    return Recheck(mismatch, fresh, _notes(document, ours))


def _notes(document: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    theirs = document.get("versions", {})
    other = [
        f"{name}: {theirs[name]} there, {version} here"
        for name, version in found["versions"].items()
        if name in theirs and theirs[name] != version
    ]
    unsealed = "no seal, as in earlier versions: nothing holds its versions and the choice of its inputs"
    return (*other, *([] if SEAL in document else [unsealed]))


def _mismatches(
    document: Mapping[str, Any], found: Mapping[str, Any], claims: Sequence[str] = _CLAIMS
) -> Iterator[str]:
    for claim in claims:
        if claim in document and document[claim] != found[claim]:
            yield _differs(claim, document[claim], found[claim], "the rerun gives something else")


def _differs(claim: str, theirs: Any, ours: Any, meaning: str) -> str:
    """Name a claim that does not hold; of a table, the first entry of it."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        key = next(k for k in [*theirs, *ours] if theirs.get(k) != ours.get(k))
        return _differs(f"{claim}.{key}", theirs.get(key), ours.get(key), meaning)
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        index = next(i for i, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
        return _differs(f"{claim}[{index}]", theirs[index], ours[index], meaning)
    return f"{claim}: the certificate says {_short(theirs)}, here it is {_short(ours)}: {meaning}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

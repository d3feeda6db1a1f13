"""Fuzzing: random programs and inputs over all that the compiler accepts, the same on every backend, value for value.

The reference runs every program against the plain loop; slower backends take as many as their time allows, in an order
that the seed decides. A program that fails is shrunk and saved, with its inputs and a certificate. A backend that
crashes, hangs or floods its output on a program is named with it, and the run goes on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Backend
from conntra_hardware.base.arguments import seconds
from conntra_hardware.base.errors import BackendError, ConntraError, InputError, UnsupportedProgram
from conntra_hardware.proof.fuzz_case import FuzzCase, random_case
from conntra_hardware.proof.seal import sealed
from conntra_hardware.proof.shrink import save_case, save_failure, shrink
from conntra_hardware.proof.verify import Certificate, verify

__all__ = ["SPACE", "BackendTally", "FuzzReport", "fuzz"]

SPACE = ("dilated", "timed", "changing", "counting")
"""What of the space a report names, since versions drew programs without it."""

_ORACLE = "loop"
_GIVEN_UP_AFTER = 5  # programs in a row on which a backend fails


@dataclass(frozen=True)
class BackendTally:
    """What one backend ran, how many programs it got wrong, and on how many it did not end (``failed``).

    Neither these nor the programs that it does not run (``refused``) are in the other numbers.
    """

    programs: int
    refused: int
    samples: int
    spikes: int
    potentials: int
    mismatches: int
    seconds: float
    failed: int = 0


@dataclass(frozen=True)
class FuzzReport:
    """The outcome. ``digest`` is over the hashes of all programs, inputs and recordings of the loop, in order.

    ``failures`` name backend, index, first divergence (None where the backend did not end), diagnosis, and the folder
    where the case was saved.
    ``dilated`` tells whether convolutions were dilated, ``timed`` whether programs lived in time, ``changing`` whether
    there were sigma-delta neurons, ``counting`` whether there were neurons of several thresholds; in reports of earlier
    versions, which do not say so, there was none of it.
    """

    programs: int
    seed: int
    backends: Mapping[str, BackendTally]
    failures: tuple[Mapping[str, Any], ...]
    digest: str
    space: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    dilated: bool = True
    timed: bool = True
    changing: bool = True
    counting: bool = True

    @property
    def equal(self) -> bool:
        """Whether nothing differed."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, with the seal over all of them."""
        return sealed(json.loads(json.dumps({"fuzz": True, "equal": self.equal, **asdict(self)})))


@dataclass
class _Count:
    programs: int = 0
    refused: int = 0
    samples: int = 0
    spikes: int = 0
    potentials: int = 0
    mismatches: int = 0
    seconds: float = 0.0
    failed: int = 0


def fuzz(
    programs: int,
    *,
    seed: int = 0,
    backends: Sequence[str | Backend] = ("reference",),
    budget_s: float = 60.0,
    limits: Mapping[str, int] | None = None,
    dilated: bool = True,
    timed: bool = True,
    changing: bool = True,
    counting: bool = True,
    save_to: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    time_limit_s: float = 60.0,
) -> FuzzReport:
    """Run ``programs`` random programs and report; backends that differ, or fail, are an answer, not an error.

    The reference, where it is named, runs all of them; each other backend as many as ``budget_s`` seconds allow, or
    ``limits[name]`` where that is given, and at least one. ``dilated`` False draws the programs of versions without
    dilated convolutions, ``timed`` False those of versions without leaky neurons, ``changing`` False those without
    sigma-delta neurons, ``counting`` False those without neurons of several thresholds. ``save_to`` is the folder for
    programs that fail; ``progress(backend, done, programs)`` is called after each. A backend may take ``time_limit_s``
    for a program, and is given up after 5 programs in a row that it fails on.

    Raises InputError for numbers that cannot be, BackendError for a backend that is not there.
    """
    if programs < 1 or seed < 0:
        raise InputError(f"fuzz: {programs} programs, seed {seed}; at least 1, and a seed from 0, expected")
    if not budget_s > 0:
        raise InputError(f"fuzz: a budget of {budget_s:g} s; more than 0 expected")
    simulators = [load_backend(b) if isinstance(b, str) else b for b in backends]
    simulators = [s for s in simulators if s.name != _ORACLE]
    missing = [f"{s.name}: {found.reason}; {found.remedy}" for s in simulators if not (found := s.availability()).ok]
    if missing or not simulators:
        raise BackendError("; ".join(missing) or "fuzz: no backend given; reference, lava, brian2, ... expected")
    seconds(time_limit_s)
    folder = None if save_to is None else Path(save_to)
    state = _State(seed, (dilated, timed, changing, counting), folder, progress, time_limit_s)
    order: list[int] = np.random.default_rng(seed).permutation(programs).tolist()
    for simulator in simulators:
        most = programs if simulator.name == "reference" else (limits or {}).get(simulator.name, programs)
        bounded = simulator.name != "reference" and simulator.name not in (limits or {})
        state.run(simulator, order[:most], budget_s if bounded else None)
    return FuzzReport(
        programs=programs,
        seed=seed,
        backends={name: BackendTally(**asdict(count)) for name, count in state.counts.items()},
        failures=tuple(state.failures),
        digest=_digest(seed, programs, state.certified),
        space=state.space(),
        versions=state.versions,
        dilated=dilated,
        timed=timed,
        changing=changing,
        counting=counting,
    )


class _State:
    """What is added up over a run."""

    def __init__(
        self,
        seed: int,
        space: tuple[bool, bool, bool, bool],
        save_to: Path | None,
        progress: Callable[[str, int, int], None] | None,
        time_limit_s: float,
    ) -> None:
        self.seed, self.save_to, self.progress, self.time_limit_s = seed, save_to, progress, time_limit_s
        self._drawn = space
        self.counts: dict[str, _Count] = {}
        self.failures: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}
        self.certified: dict[int, tuple[str, str, str]] = {}
        self.cases: list[Mapping[str, int]] = []

    def run(self, simulator: Backend, indices: Sequence[int], budget_s: float | None) -> None:
        """Run the programs ``indices`` on a backend until its time is up."""
        count = self.counts.setdefault(simulator.name, _Count())
        start, in_a_row = time.perf_counter(), 0
        for done, index in enumerate(indices):
            if done and budget_s is not None and time.perf_counter() - start > budget_s:
                break
            ended = self._one(simulator, random_case(self.seed, index, *self._drawn), count)
            in_a_row = 0 if ended else in_a_row + 1
            count.seconds = time.perf_counter() - start
            if self.progress is not None:
                self.progress(simulator.name, done + 1, len(indices))
            if in_a_row == _GIVEN_UP_AFTER:
                break

    def _one(self, simulator: Backend, case: FuzzCase, count: _Count) -> bool:
        """Compare one program, and say whether the backend ended."""
        try:
            certificate = self._compare(case, simulator)
        except UnsupportedProgram:
            count.refused += 1
            return True
        except Exception as error:  # whatever a backend dies of: the others, and the other programs, go on
            count.failed += 1
            self.failures.append(self._not_ended(simulator, case, error))
            return False
        self.versions |= certificate.versions
        hashes = (certificate.program_sha256, certificate.inputs_sha256, certificate.recordings_sha256[_ORACLE])
        if case.index not in self.certified:
            self.cases.append(case.describe())
        self.certified[case.index] = hashes
        count.programs += 1
        count.samples += certificate.samples
        count.spikes += certificate.compared["spikes"]
        count.potentials += certificate.compared["potentials"]
        if not certificate.equal:
            count.mismatches += 1
            self.failures.append(self._failure(simulator, case, certificate))
        return True

    def _compare(self, case: FuzzCase, simulator: Backend) -> Certificate:
        return verify(case.program, case.inputs, [_ORACLE, simulator], time_limit_s=self.time_limit_s)

    def _not_ended(self, simulator: Backend, case: FuzzCase, error: Exception) -> dict[str, Any]:
        """Return the failure of a backend that did not end; the case is saved as it is."""
        said = " ".join(str(error).split())
        cause = (
            said
            if isinstance(error, ConntraError)
            else f"{simulator.name}: {type(error).__name__}: {said}".rstrip(": ")
        )
        saved = None
        if self.save_to is not None:
            saved = str(save_case(self._folder(simulator, case), case, self._chosen(case, shrunk=False)))
        return {
            "backend": simulator.name,
            "index": case.index,
            "first_divergence": None,
            "diagnosis": cause,
            "saved": saved,
        }

    def _folder(self, simulator: Backend, case: FuzzCase) -> Path:
        assert self.save_to is not None
        return self.save_to / f"{simulator.name}-{self.seed}-{case.index}"

    def _chosen(self, case: FuzzCase, shrunk: bool) -> dict[str, Any]:
        drawn = dict(zip(SPACE, self._drawn, strict=True))
        return {"fuzz_seed": self.seed, "index": case.index, **drawn, "shrunk": shrunk}

    def _failure(self, simulator: Backend, case: FuzzCase, certificate: Certificate) -> dict[str, Any]:
        first = certificate.first_divergence
        assert first is not None
        failure = {
            "backend": simulator.name,
            "index": case.index,
            "first_divergence": asdict(first),
            "diagnosis": "; ".join(map(str, certificate.diagnoses)),
            "saved": None,
        }
        if self.save_to is None:
            return failure
        small = shrink(case, lambda candidate: not self._compare(candidate, simulator).equal)
        chosen = self._chosen(case, shrunk=True)
        try:
            certificate = self._compare(small, simulator)
        except Exception:  # it fails now and then: what it got wrong before is what there is
            small, chosen = case, self._chosen(case, shrunk=False)
        return failure | {"saved": str(save_failure(self._folder(simulator, case), small, certificate, chosen))}

    def space(self) -> dict[str, Any]:
        """Return the least and the largest of what the programs were like."""
        keys = self.cases[0] if self.cases else {}
        return {key: [min(c[key] for c in self.cases), max(c[key] for c in self.cases)] for key in keys}


def _digest(seed: int, programs: int, certified: Mapping[int, tuple[str, str, str]]) -> str:
    digest = hashlib.sha256(f"fuzz {seed} {programs}\n".encode())
    for index in sorted(certified):
        digest.update(" ".join((str(index), *certified[index])).encode() + b"\n")
    return digest.hexdigest()

"""Fuzzing: random programs and inputs over all that the compiler accepts, the same on every backend, value for value.

The reference runs every program against the plain loop; slower backends take as many as their time allows, in an order
that the seed decides. A program that fails is shrunk and saved, with its inputs and a certificate.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Backend
from conntra_hardware.base.errors import BackendError, InputError, UnsupportedProgram
from conntra_hardware.proof.fuzz_case import FuzzCase, random_case
from conntra_hardware.proof.shrink import save_failure, shrink
from conntra_hardware.proof.verify import Certificate, verify

__all__ = ["BackendTally", "FuzzReport", "fuzz"]

_ORACLE = "loop"


@dataclass(frozen=True)
class BackendTally:
    """What one backend ran, how many programs it got wrong, and how many it does not run (they are not in the rest)."""

    programs: int
    refused: int
    samples: int
    spikes: int
    potentials: int
    mismatches: int
    seconds: float


@dataclass(frozen=True)
class FuzzReport:
    """The outcome. ``digest`` is over the hashes of all programs, inputs and recordings of the loop, in order.

    ``failures`` name backend, index, first divergence, diagnosis, and the folder where the case was saved.
    ``dilated`` tells whether convolutions were dilated, ``timed`` whether programs lived in time, ``changing`` whether
    there were sigma-delta neurons; in reports of earlier versions, which do not say so, there was none of it.
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

    @property
    def equal(self) -> bool:
        """Whether nothing differed."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"fuzz": True, "equal": self.equal, **asdict(self)}


@dataclass
class _Count:
    programs: int = 0
    refused: int = 0
    samples: int = 0
    spikes: int = 0
    potentials: int = 0
    mismatches: int = 0
    seconds: float = 0.0


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
    save_to: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> FuzzReport:
    """Run ``programs`` random programs and report; backends that differ are an answer, not an error.

    The reference, where it is named, runs all of them; each other backend as many as ``budget_s`` seconds allow, or
    ``limits[name]`` where that is given, and at least one. ``dilated`` False draws the programs of versions without
    dilated convolutions, ``timed`` False those of versions without leaky neurons, ``changing`` False those without
    sigma-delta neurons. ``save_to`` is the folder for programs that fail; ``progress(backend, done, programs)`` is
    called after each.
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
    state = _State(seed, (dilated, timed, changing), None if save_to is None else Path(save_to), progress)
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
    )


class _State:
    """What is added up over a run."""

    def __init__(
        self,
        seed: int,
        space: tuple[bool, bool, bool],
        save_to: Path | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        self.seed, self.save_to, self.progress = seed, save_to, progress
        self.dilated, self.timed, self.changing = self._drawn = space
        self.counts: dict[str, _Count] = {}
        self.failures: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}
        self.certified: dict[int, tuple[str, str, str]] = {}
        self.cases: list[Mapping[str, int]] = []

    def run(self, simulator: Backend, indices: Sequence[int], budget_s: float | None) -> None:
        """Run the programs ``indices`` on a backend until its time is up."""
        count = self.counts.setdefault(simulator.name, _Count())
        start = time.perf_counter()
        for done, index in enumerate(indices):
            if done and budget_s is not None and time.perf_counter() - start > budget_s:
                break
            self._one(simulator, random_case(self.seed, index, *self._drawn), count)
            count.seconds = time.perf_counter() - start
            if self.progress is not None:
                self.progress(simulator.name, done + 1, len(indices))

    def _one(self, simulator: Backend, case: FuzzCase, count: _Count) -> None:
        try:
            certificate = _compare(case, simulator)
        except UnsupportedProgram:
            count.refused += 1
            return
        except BackendError as error:
            raise BackendError(f"fuzz: seed {self.seed}, program {case.index}: {error}") from error
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
        small = shrink(case, lambda candidate: not _compare(candidate, simulator).equal)
        folder = self.save_to / f"{simulator.name}-{self.seed}-{case.index}"
        chosen = {
            "fuzz_seed": self.seed,
            "index": case.index,
            "dilated": self.dilated,
            "timed": self.timed,
            "changing": self.changing,
            "shrunk": True,
        }
        return failure | {"saved": str(save_failure(folder, small, _compare(small, simulator), chosen))}

    def space(self) -> dict[str, Any]:
        """Return the least and the largest of what the programs were like."""
        keys = self.cases[0] if self.cases else {}
        return {key: [min(c[key] for c in self.cases), max(c[key] for c in self.cases)] for key in keys}


def _compare(case: FuzzCase, simulator: Backend) -> Certificate:
    return verify(case.program, case.inputs, [_ORACLE, simulator])


def _digest(seed: int, programs: int, certified: Mapping[int, tuple[str, str, str]]) -> str:
    digest = hashlib.sha256(f"fuzz {seed} {programs}\n".encode())
    for index in sorted(certified):
        digest.update(" ".join((str(index), *certified[index])).encode() + b"\n")
    return digest.hexdigest()

"""What ``conntra verify`` does besides comparing: checking a certificate again, and fuzzing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from conntra_hardware.base.errors import MALFORMED, FileFormatError, InputError
from conntra_neuro.cli.options import data_of_program, select
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import DONE, NO, Outcome, write_json
from conntra_neuro.cli.verify_inputs import RANDOM, random_samples

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.console import RenderableType

    from conntra_hardware.program import Program
    from conntra_hardware.proof.recheck import Recheck

__all__ = ["check_again", "fuzz_backends"]

_A_PROGRAM_S = 60.0  # that a backend may take for a program of --fuzz
_ASKED_FOR = ("loop", "loihi", "loihi-dry")
"""Backends that fuzz only by name: the reference's own oracle, a board that others wait for, and its dry run."""


def check_again(
    certificate: Path,
    program: Path | None,
    data: str | None,
    backends: list[str] | None,
    limit: float,
    quiet: bool,
    signer: Path | None = None,
) -> Outcome:
    """Check ``certificate`` again; status 1 where it does not hold, or holds and says that backends differ.

    ``signer`` is a file of public keys, one of which must have signed it.
    """
    from conntra_hardware.program.program_file import load_program
    from conntra_hardware.proof.recheck import Recheck, read_certificate, recheck, recheck_fuzz
    from conntra_hardware.proof.seal import as_written
    from conntra_hardware.proof.signature import check_signature
    from conntra_neuro.network.storage import load_info
    from conntra_neuro.report.certificate import certificate_view, fuzz_view

    claimed = read_certificate(certificate)
    unsigned = None if signer is None else check_signature(certificate, signer)
    if unsigned is not None:  # nothing of it is run
        return _answer(certificate, Recheck(unsigned), signer)
    if "fuzz" in claimed:
        with step(f"fuzzing as {certificate} says", quiet):
            found = recheck_fuzz(claimed)
        view = fuzz_view
    elif program is None:
        raise InputError(f"verify: no PROGRAM; give the one that {certificate} is about")
    else:
        loaded = load_program(program)
        x = _samples(claimed, certificate, loaded, load_info(program), data)
        with step(f"checking {certificate} on {len(x):,} samples", quiet):
            found = recheck(claimed, loaded, x, backends=backends, time_limit_s=limit)
        view = certificate_view
    mismatch = found.mismatch or as_written(certificate, claimed)
    return _answer(certificate, replace(found, mismatch=mismatch), signer, view)


def _answer(
    certificate: Path, found: Recheck, signer: Path | None, view: Callable[[Any], RenderableType] = str
) -> Outcome:
    from conntra_neuro.report.certificate import recheck_view

    fresh = None if found.fresh is None else found.fresh.to_dict()
    document = {
        "certificate": str(certificate),
        "confirmed": found.mismatch is None,
        "mismatch": found.mismatch,
        "signer": None if signer is None else str(signer),
        "notes": list(found.notes),
        "equal": None if fresh is None else fresh["equal"],
        "fresh": fresh,
    }
    confirmed = document["confirmed"] and document["equal"]
    return Outcome(
        document, (recheck_view(document, None if fresh is None else view(fresh)),), DONE if confirmed else NO
    )


def _samples(
    claimed: Mapping[str, Any], certificate: Path, program: Program, info: dict[str, Any], data: str | None
) -> npt.NDArray[Any]:
    """Return the samples that a certificate is about, chosen as it says; ``data`` is where they are here."""
    chosen = claimed.get("chosen", {})
    if "spikes" in chosen and data is None:
        name = chosen["spikes"]
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
            raise FileFormatError(f"certificate {certificate}: spikes {name!r}; a file beside the certificate expected")
        return _spikes(certificate.parent / name, chosen.get("spikes_sha256"))
    if (data or chosen.get("data")) == RANDOM:
        return random_samples(program, claimed["samples"], chosen.get("seed") or 0)
    split, seed = chosen.get("split", "test"), chosen.get("seed")
    dataset = data_of_program(program, info, data or chosen.get("data"), seed)
    x, _ = select(dataset, split, min(int(claimed["samples"]), _size(dataset, split)))
    return x


def _size(dataset: Any, split: str) -> int:
    sizes = {"test": len(dataset.x_test), "train": len(dataset.x_train)}
    return sizes.get(split, sum(sizes.values()))


def _spikes(path: Path, sha256: object) -> npt.NDArray[np.uint8]:
    """Return the spikes in ``path``; ``sha256`` None of the file is what certificates of earlier versions say."""
    import numpy as np

    from conntra_neuro.datasets.mapped import array_header

    try:
        with open(path, "rb") as file:
            found = array_header(file)
            if found is None or math.prod(found[0]) * found[2].itemsize > path.stat().st_size:
                raise ValueError("larger than its file")
            file.seek(0)
            if sha256 is not None and hashlib.sha256(file.read()).hexdigest() != sha256:
                raise ValueError("another file")
        spikes = np.load(path, allow_pickle=False)
    except (OSError, EOFError, SyntaxError, TokenError, *MALFORMED) as error:
        raise FileFormatError(f"input spikes {path}: missing or damaged; keep them beside the certificate") from error
    if spikes.ndim < 2:
        raise FileFormatError(f"input spikes {path}: shape {spikes.shape}; (samples, inputs) expected")
    return spikes


def fuzz_backends(
    programs: int,
    seed: int,
    backends: list[str] | None,
    budget: float,
    out: Path | None,
    quiet: bool,
    time_limit: float = _A_PROGRAM_S,
) -> Outcome:
    """Fuzz; ``backends`` None takes all that can run here. Failures are saved in a folder beside ``out``.

    A backend that does not end within a minute, or ``time_limit`` where that is less, fails.
    """
    from conntra_hardware.backends import BACKENDS, load_backend
    from conntra_hardware.proof.fuzz import fuzz
    from conntra_neuro.report.certificate import fuzz_view

    names = backends
    if names is None:
        names = [name for name in BACKENDS if name not in _ASKED_FOR and load_backend(name).availability().ok]
    save_to = None if out is None else out.with_suffix(".failures")
    with step(f"fuzzing {', '.join(names)}: {programs:,} programs", quiet):
        limit = min(time_limit, _A_PROGRAM_S)
        report = fuzz(programs, seed=seed, backends=names, budget_s=budget, save_to=save_to, time_limit_s=limit)
    document = report.to_dict()
    if out is not None:
        write_json(out, document)
    return Outcome(document, (fuzz_view(document),), DONE if report.equal else NO)

"""``conntra demo``: from handwritten digits to a verified run on simulated Loihi cores, with nothing to configure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conntra_hardware.base.errors import BackendError
from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, TimeLimit, example, select
from conntra_neuro.cli.progress import say, step, training_bar
from conntra_neuro.cli.verb_result import DONE, NO, Outcome, write_json

if TYPE_CHECKING:
    from conntra_hardware.backends.protocol import Availability, Recording
    from conntra_hardware.program import Program
    from conntra_hardware.runtime import RunResult
    from conntra_neuro.training import TrainResult

__all__ = ["demo"]

_DATA, _CHIP = "digits", "loihi1"
_TRY = "see conntra doctor, which tries every simulator"
_BACKENDS = ("reference", "lava", "brian2")


def demo(
    seed: Seed = 0,
    time_limit: TimeLimit = 300.0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Save the model, the program, its result, the certificate and a report to this folder.",
            show_default="none",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show every table: each simulator, events, energy and its sources.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Train a network on handwritten digits, compile it for Loihi, run it on every simulator, and compare them.

    Takes less than half a minute, the first time some seconds more, and writes no files, unless told where to.
    """
    from conntra_hardware.base.files import check_writable
    from conntra_neuro.compiler import compile
    from conntra_neuro.datasets import load_dataset
    from conntra_neuro.report.demo import demo_document, demo_view

    if out is not None:
        check_writable(out / "certificate.json")
    data = load_dataset(_DATA, seed=seed)
    say(f"1. {_DATA}: {len(data.x_train):,} images to train on, {len(data.x_test)} to test", quiet)
    trained = _train(data, seed, quiet)
    program = compile(trained.network, _CHIP)
    say(f"3. compiled for {_CHIP}: {program.cores_used} of {program.chip.total_cores} cores", quiet)
    backends, absent = _available(quiet)
    x, y = select(data, "test", None)
    tried = [(name, _run(name, program, x, y, time_limit, quiet)) for name in backends]
    results = [result for _, result in tried if not isinstance(result, BackendError)]
    # One simulator that is broken is no reason to show nothing of the others.
    failed = {name: str(error) for name, error in tried if isinstance(error, BackendError)}
    backends = [name for name in backends if name not in failed]
    absent += [{"backend": name, "reason": reason, "remedy": _TRY} for name, reason in failed.items()]
    say(f"4. ran {len(x)} test images on {', '.join(backends)}", quiet)
    certificate = _verify(program, x, results, quiet)
    document = demo_document(trained, program, results, certificate, absent)
    if out is not None:
        _keep(out, trained, program, certificate)
        _report(out, results[0], x, y, certificate)
    equal = certificate is None or certificate["equal"]
    view = demo_view(trained, data, program, results, document, None if out is None else str(out), full)
    return Outcome(document, (view,), DONE if equal else NO)


demo.__doc__ = f"{demo.__doc__}\n\n" + example("conntra demo", "conntra demo --full", "conntra demo --json > demo.json")


def _train(data: Any, seed: int, quiet: bool) -> TrainResult:
    from conntra_neuro.report.units import percent, seconds
    from conntra_neuro.training import train

    # No time limit: with one, what comes out would depend on how busy the machine is.
    with training_bar(quiet) as progress:
        trained = train(data, layers=(256,), levels="ternary", seed=seed, progress=progress)
    took = f"{seconds(trained.train_seconds)}, test error {percent(trained.test_error)}"
    say(f"2. trained {trained.network.n_weights:,} ternary weights without a gradient in {took}", quiet)
    return trained


def _available(quiet: bool) -> tuple[list[str], list[dict[str, str]]]:
    """Return the backends that can run here, and of the others the reason and the remedy."""
    from conntra_hardware.backends import load_backend

    there, absent = [], []
    for name in _BACKENDS:
        found = load_backend(name).availability()
        if found.ok:
            there.append(name)
        else:
            absent.append({"backend": name, "reason": found.reason, "remedy": found.remedy})
            say(f"   without {name}: {found.reason}; {found.remedy}", quiet)
    return there, absent


def _run(name: str, program: Program, x: Any, y: Any, time_limit: float, quiet: bool) -> RunResult | BackendError:
    try:
        with step(f"running {len(x)} images on {name}", quiet):
            return program.run(x, y, backend=name, time_limit_s=time_limit)
    except BackendError as error:
        say(f"   without {name}: {error}; {_TRY}", quiet)
        return error


class _Ran:
    """A backend that has run these samples already, so that what it recorded is compared and not made twice."""

    def __init__(self, result: RunResult) -> None:
        self.name = result.backend
        self._recording = result.recording

    def availability(self) -> Availability:
        """Say what the backend itself does: its versions belong into the certificate."""
        from conntra_hardware.backends import load_backend

        return load_backend(self.name).availability()

    def execute(self, program: Program, inputs: Any, options: Any) -> Recording:
        """Return what it recorded."""
        return self._recording


def _verify(program: Program, x: Any, results: Sequence[RunResult], quiet: bool) -> dict[str, Any] | None:
    if len(results) < 2:
        say("5. nothing to compare: one simulator only can run here; see conntra doctor", quiet)
        return None
    from conntra_hardware.proof.verify import verify

    certificate = verify(program, x, [_Ran(result) for result in results]).to_dict()
    verdict = "all equal" if certificate["equal"] else "NOT equal"
    spikes = f"{certificate['compared']['spikes']:,} spikes"
    say(f"5. compared {spikes} and {certificate['compared']['potentials']:,} potentials: {verdict}", quiet)
    return certificate


def _keep(folder: Path, trained: TrainResult, program: Program, certificate: dict[str, Any] | None) -> None:
    from conntra_neuro.network.storage import save
    from conntra_neuro.report.documents import provenance

    info = provenance(trained, _DATA)
    save(trained.network, folder / f"{_DATA}.conntra", info=info)
    save(program, folder / f"{_DATA}.{_CHIP}.conntra", info=info | {"model": f"{_DATA}.conntra"})
    if certificate is not None:
        write_json(folder / "certificate.json", certificate)


def _report(folder: Path, result: RunResult, x: Any, y: Any, certificate: dict[str, Any] | None) -> None:
    """Write the result of a simulator, and the page about it and the certificate."""
    from conntra_hardware.base.files import write_atomically
    from conntra_neuro.report.documents import run_document
    from conntra_neuro.report.html import report_html

    origin = {"program": f"{_DATA}.{_CHIP}.conntra", "data": _DATA, "split": "test"}
    run = run_document(result, origin=origin, labels=y, inputs=result.program.encode(x), features=x)
    write_json(folder / "run.json", run)
    documents = [("run.json", run), *([] if certificate is None else [("certificate.json", certificate)])]
    write_atomically(folder / "report.html", report_html(documents, "conntra demo").encode())

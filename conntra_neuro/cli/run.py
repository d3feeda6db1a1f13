"""``conntra run``: a program on a simulator, its accuracy, its events, and what they would cost on the chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.chip_options import Board, BoardChips, Generation, HostOption, Measure, Partition, Probe
from conntra_neuro.cli.options import (
    DataOption,
    Debug,
    Json,
    ProgramArgument,
    Quiet,
    RunSeed,
    Samples,
    Split,
    TimeLimit,
    data_of_program,
    example,
    select,
)
from conntra_neuro.cli.progress import say, step
from conntra_neuro.cli.verb_result import Outcome, write_json

__all__ = ["run"]


def run(
    program: ProgramArgument,
    data: DataOption = None,
    split: Split = "test",
    samples: Samples = None,
    backend: Annotated[
        str, typer.Option(help="reference, lava, lava-stock, brian2, sanafe, loop, loihi-dry or loihi.")
    ] = "reference",
    time_limit: TimeLimit = 600.0,
    seed: RunSeed = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RESULT", help="Also write the JSON to this file, for `conntra report`.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write pictures to this folder: core map, spikes, energy and others."),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Read events from this file (- is standard input), lines of t,x,y,p or t,unit; or samples of 16 bits, "
            "raw, or a .wav file.",
        ),
    ] = None,
    time_step: Annotated[
        str | None,
        typer.Option(
            "--step", metavar="DURATION", help="With --stream: duration of a time step.", show_default="as in training"
        ),
    ] = None,
    sensor: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="With --stream: size of the sensor, such as 34x34, or 700 units.",
            show_default="as in training",
        ),
    ] = None,
    hysteresis: Annotated[
        float, typer.Option(help="With --stream: the lead another class needs before the decision changes.")
    ] = 0.1,
    host: HostOption = None,
    partition: Partition = None,
    board: Board = None,
    generation: Generation = None,
    board_chips: BoardChips = None,
    measure: Measure = False,
    probe: Probe = True,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Run a program on a simulator or a chip: accuracy, events, and the energy and latency modelled from them."""
    from conntra_hardware.backends.host import host_from
    from conntra_hardware.base.files import check_writable
    from conntra_hardware.cost.energy import estimate_all
    from conntra_hardware.program.program_file import load_program
    from conntra_neuro.network.storage import load_info
    from conntra_neuro.report.documents import run_document
    from conntra_neuro.report.energy import energy_views
    from conntra_neuro.report.measured import measured_views
    from conntra_neuro.report.tables import run_table

    if stream is not None:
        from conntra_neuro.cli.run_stream import run_stream

        if data is not None or out is not None or backend != "reference":
            raise InputError("--stream: runs on the reference, and prints; leave --data, --out, --backend out")
        _check_plot(plot)
        return run_stream(program, stream, time_step, sensor, hysteresis, plot)
    if time_step is not None or sensor is not None:
        raise InputError("--step, --sensor: belong to --stream; give it, too")
    if out is not None:
        check_writable(out)
    _check_plot(plot)
    named = (host, partition, board, generation, board_chips)
    where = host_from(*named) if backend == "loihi" or any(named) else None
    loaded = load_program(program)
    dataset = data_of_program(loaded, load_info(program), data, seed)
    x, y = select(dataset, split, samples)
    with step(f"running {len(x):,} samples on {backend}", quiet):
        result = loaded.run(x, y, backend=backend, time_limit_s=time_limit, host=where, measure=measure, probe=probe)
    estimates = estimate_all(result.counts, loaded)
    origin = {"program": str(program), "data": dataset.name, "split": split}
    shown = x if out is not None or plot is not None else None
    spikes = loaded.encode(x)
    document = run_document(result, estimates, origin, labels=y, inputs=spikes, features=shown, binning=dataset.binning)
    if plot is not None:
        document["plots"] = _draw(document, plot, quiet)
    if out is not None:
        write_json(out, document)
    views = (run_table(result, dataset.name, split), *energy_views(estimates, loaded), *measured_views(result))
    return Outcome(document, views)


run.__doc__ = f"{run.__doc__}\n\n" + example(
    "conntra run digits.loihi1.conntra --data digits --backend lava --out digits.json --plot pictures",
    "conntra run gestures.loihi2.conntra --stream events.csv",
    "conntra run digits.loihi2.conntra --backend loihi --partition oheogulch --measure --no-probe",
)


def _check_plot(plot: Path | None) -> None:
    from conntra_hardware.base.files import check_writable

    if plot is None:
        return
    check_writable(plot / "core-map.png" if plot.is_dir() else plot)
    if plot.is_file():
        raise InputError(f"--plot {plot}: a file; name a folder, which is made where there is none")


def _draw(document: dict[str, Any], folder: Path, quiet: bool) -> list[str]:
    from conntra_neuro.report.plots import draw

    folder.mkdir(exist_ok=True)
    paths = [str(path) for path in draw(document, folder)]
    say(f"pictures: {', '.join(paths)}", quiet)
    return paths

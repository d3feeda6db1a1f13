"""``conntra compare``: the paper's table, one architecture trained in four ways."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conntra_neuro.cli.options import DataArgument, Debug, Json, Quiet, Seed, example, hidden_layers
from conntra_neuro.cli.progress import say
from conntra_neuro.cli.verb_result import Outcome

if TYPE_CHECKING:
    from conntra_neuro.training import Progress

__all__ = ["compare"]

_METHODS = "backprop-float64,straight-through,conntra,warm"


def compare(
    data: DataArgument,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            help="Hidden layers, such as 256 or conv16k5s2,128, or none; repeat it for several networks.",
            show_default="none and 256",
        ),
    ] = None,
    neuron: Annotated[
        str,
        typer.Option(
            help="threshold, relu (graded spikes), if8: integrate-and-fire over 8 steps, or lif:163@8: leaky."
        ),
    ] = "threshold",
    levels: Annotated[
        str, typer.Option(help="Allowed weights: binary, ternary, a number N of levels, or a list a,b,c.")
    ] = "ternary",
    methods: Annotated[str, typer.Option(help="Which of the four, separated by commas.")] = _METHODS,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each method, with seeds 0 to N-1.")] = 3,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Cross-validate; 0 takes DATA's own split.", show_default="5 below 5,000 samples, else 0"
        ),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Features to spikes: auto, threshold, thermometer, thermometer:K, rate:T, latency:T.")
    ] = "auto",
    time_limit: Annotated[float | None, typer.Option(metavar="SECONDS", help="Limit for each training.")] = None,
    sweeps: Annotated[int | None, typer.Option(metavar="N", help="Passes over the data in each training.")] = None,
    shift: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Shift each training image by up to so many pixels, in all methods; 0: leave it.",
            show_default="as in train",
        ),
    ] = None,
    elastic: Annotated[
        float | None,
        typer.Option(metavar="PIXELS", help="Distort each training image, in all methods.", show_default="as in train"),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a plot: a .png, .svg or .pdf.")] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Train a network in four ways and compare error, memory and time, as mean and spread over seeds.

    The ways: backpropagation in float64 (rectified linear units), straight-through, CoNNTrA, CoNNTrA from a warm start.
    """
    from conntra_hardware.base.files import check_writable
    from conntra_neuro.compare import compare as compare_methods
    from conntra_neuro.datasets import load_dataset
    from conntra_neuro.report.comparison import check_plot, comparison_document, comparison_plot, comparison_table

    architectures = [hidden_layers(text) for text in (layers or ["none", "256"])]
    if plot is not None:
        check_plot(plot)
        check_writable(plot)
    dataset = load_dataset(data, seed=seed)
    with _bar(quiet) as progress:
        found = compare_methods(
            dataset,
            architectures=architectures,
            neuron=neuron,
            levels=levels,
            methods=[name.strip() for name in methods.split(",") if name.strip()],
            seeds=seeds,
            folds=folds,
            encoder=encoder,
            time_limit_s=time_limit,
            sweeps=sweeps,
            shift=shift,
            elastic=elastic,
            progress=progress,
        )
    document = comparison_document(found)
    if plot is not None:
        comparison_plot(found, plot)
        document["plot"] = str(plot)
        say(f"plot: {plot}", quiet)
    return Outcome(document, (comparison_table(found),))


compare.__doc__ = f"{compare.__doc__}\n\n" + example(
    "conntra compare iris --plot iris.png", "conntra compare mnist --layers 256 --seeds 1 --time-limit 60"
)


@contextlib.contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int, str, Progress | None], None] | None]:
    """Yield what ``compare`` calls with its progress: a bar on standard error, where that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.completed:.0f}/{task.total:.0f}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def show(done: int, total: int, words: str, state: Progress | None) -> None:
            share = state.sweep / max(state.sweeps, 1) if state is not None else 0.0
            bar.update(task, completed=done + share, total=total, description=words)

        yield show

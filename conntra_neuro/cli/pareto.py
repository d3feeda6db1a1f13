"""``conntra pareto``: error against modelled energy, and the networks on the front."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.options import DataArgument, Debug, Json, Quiet, Seed, example, hidden_layers, numbers
from conntra_neuro.cli.progress import say
from conntra_neuro.cli.train import default_name
from conntra_neuro.cli.verb_result import DONE, NO, Outcome

__all__ = ["pareto", "parse_energy"]

_UNITS = {"j": 1.0, "mj": 1e-3, "uj": 1e-6, "µj": 1e-6, "nj": 1e-9, "pj": 1e-12}


def pareto(
    data: DataArgument,
    layers: Annotated[
        list[str] | None, typer.Option(help="Hidden layers, as in train; can be repeated.", show_default="256")
    ] = None,
    levels: Annotated[
        list[str] | None, typer.Option(help="Allowed weights, as in train; can be repeated.", show_default="ternary")
    ] = None,
    penalties: Annotated[str, typer.Option(help="Prices in nats per microjoule, separated by commas.")] = "0,0.3,1",
    target_energy: Annotated[
        str | None, typer.Option(metavar="ENERGY", help="Find the lowest error within this energy, such as 1uJ.")
    ] = None,
    target_error: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Find the lowest energy within this error.")
    ] = None,
    more: Annotated[int, typer.Option(metavar="N", help="With a target: how many further penalties are tried.")] = 4,
    chip: Annotated[str, typer.Option(help="The chip whose energy is modelled.")] = "loihi1",
    sweeps: Annotated[float | None, typer.Option(metavar="N", help="Passes over the data in each training.")] = None,
    time_limit: Annotated[float | None, typer.Option(metavar="SECONDS", help="For each training.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="An option of the gear, as in train.")
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for models and trials; an interrupted search continues from it.",
            show_default="DATA.pareto",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a plot: a .png, .svg or .pdf.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Train networks over penalties, levels and layers; show those that no other beats in error and modelled energy.

    A tuning split of the training samples decides. The exit status is 1 if no network meets a target.
    """
    from conntra_hardware.base.files import check_writable
    from conntra_neuro.datasets import load_dataset
    from conntra_neuro.report.comparison import check_plot
    from conntra_neuro.report.front import front_plot, front_table
    from conntra_neuro.search.pareto import Target, front_of
    from conntra_neuro.search.pareto import pareto as search

    target = None
    if target_energy is not None or target_error is not None:
        energy = None if target_energy is None else parse_energy(target_energy)
        target = Target(energy, None if target_error is None else target_error / 100)
    widths = layers or ["256"]
    for text in widths:
        hidden_layers(text)
    if plot is not None:
        check_plot(plot)
        check_writable(plot)
    recipe: dict[str, Any] = numbers("--option", option or [], taken={"layers", "levels", "seed", "penalty_energy"})
    recipe |= {name: value for name, value in (("sweeps", sweeps), ("time_limit_s", time_limit)) if value is not None}
    points = search(
        load_dataset(data, seed=seed),
        out or Path(default_name(data)).with_suffix(".pareto"),
        layers=widths,
        levels=levels or ["ternary"],
        penalties=_numbers(penalties),
        chip=chip,
        target=target,
        more=more,
        seed=seed,
        recipe=recipe,
        progress=lambda number, words: say(f"{number}: {words}", quiet),
    )
    front, best = front_of(points), None if target is None else target.best(points)
    document: dict[str, Any] = {
        "data": data,
        "chip": chip,
        "seed": seed,
        "modelled": True,
        "points": [asdict(point) for point in points],
        "front": [asdict(point) for point in front],
        "target": None if target is None else asdict(target),
        "best": None if best is None else asdict(best),
    }
    if plot is not None:
        front_plot(points, front, plot)
        document["plot"] = str(plot)
        say(f"plot: {plot}", quiet)
    missed = target is not None and best is None
    return Outcome(document, (front_table(points, front, data, chip, best, missed),), NO if missed else DONE)


pareto.__doc__ = f"{pareto.__doc__}\n\n" + example(
    "conntra pareto digits --layers 64 --layers 256 --penalties 0,5,20 --plot front.png",
    "conntra pareto mnist --layers 768 --levels 5 --target-energy 0.5uJ",
)


def parse_energy(text: str) -> float:
    """Return joules of "1uJ", "0.5 µJ", "800nJ"; InputError for anything else."""
    compact = text.replace(" ", "")
    for unit, joules in _UNITS.items():
        number = compact[: -len(unit)]
        if compact.lower().replace("μ", "µ").endswith(unit) and number.replace(".", "", 1).isdecimal():
            return float(number) * joules
    raise InputError(f"energy {text!r}: a number and its unit expected, as in 1uJ or 800nJ")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"--penalties {text}: numbers with commas between them expected, as in 0,0.3,1") from None

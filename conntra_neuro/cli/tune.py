"""``conntra tune``: a search over recipes of training, and the best one as a run file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.options import DataArgument, Debug, Json, Quiet, Seed, example, hidden_layers, numbers
from conntra_neuro.cli.progress import say
from conntra_neuro.cli.run_file import run_file
from conntra_neuro.cli.train import default_name
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["tune"]

_OF_TRAIN = ("layers", "levels", "shift", "elastic")  # options of ``conntra train`` that have a key of their own


def tune(
    data: DataArgument,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            help="Hidden layers, as in train; can be repeated, each is tried.",
            show_default="256, 1024 from 20,000 samples on",
        ),
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option(help="Allowed weights, as in train; can be repeated, each is tried.", show_default="ternary"),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="Options to vary: decay=1,2,3 or a range, sparsity=0:0.2; can be repeated.",
            show_default="steps, noise, memory, price on weights, moves of images",
        ),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="An option that is fixed, as in train.")
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", help="Recipes to begin with, the usual one among them.")] = 27,
    sweeps: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Passes over the data in the longest trainings.", show_default="20, more in small sets"
        ),
    ] = None,
    splits: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tuning splits to average over.", show_default="3 below 5,000 samples, else 1"),
    ] = None,
    seed: Seed = 0,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train on Dask workers: tcp://HOST:8786, or local:N processes.",
            show_default="the cores of this machine",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for trials and the best recipe; an interrupted search continues from it.",
            show_default="DATA.tune",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot of the search: a .png, .svg or .pdf.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Search for a recipe of training: many short trainings, and for the best third of them longer ones.

    Tuning splits of the training samples decide; test samples are not used. The best recipe is written as a run file.
    """
    from conntra_hardware.base.files import check_writable, write_atomically
    from conntra_hardware.base.version import package_version
    from conntra_neuro.datasets import load_dataset
    from conntra_neuro.report.comparison import check_plot
    from conntra_neuro.report.tuning import tuning_plot, tuning_table
    from conntra_neuro.search.space import parse_vary
    from conntra_neuro.search.tune import tune as search

    for text in layers or []:
        hidden_layers(text)
    if plot is not None:
        check_plot(plot)
        check_writable(plot)
    fixed = numbers("--option", option or [], taken={"layers", "levels", "seed", "sweeps"})
    varied = dict(parse_vary(text) for text in vary or [])
    if len(varied) < len(vary or []):
        raise InputError("--vary: an option is named twice; give all its values at once, as in decay=1,2,3")
    folder = out or Path(default_name(data)).with_suffix(".tune")
    tuning = search(
        load_dataset(data, seed=seed),
        folder,
        layers=layers or [None],
        levels=levels or ["ternary"],
        vary=varied or None,
        fixed=fixed,
        trials=trials,
        sweeps=sweeps,
        splits=splits,
        seed=seed,
        cluster=cluster,
        progress=lambda done, total, words: say(f"{done} of {total} trainings: {words}", quiet),
    )
    best = folder / "best.toml"
    settings = _settings(tuning.best.recipe, data, tuning.rungs[-1], seed)
    write_atomically(best, run_file(settings, package_version()).encode())
    document: dict[str, Any] = {"data": data, "seed": seed, "run_file": str(best), **tuning.to_dict()}
    if plot is not None:
        tuning_plot(tuning, data, plot)
        document["plot"] = str(plot)
        say(f"plot: {plot}", quiet)
    return Outcome(document, (tuning_table(tuning, data, str(best)),))


tune.__doc__ = f"{tune.__doc__}\n\n" + example(
    "conntra tune digits --layers 256 --plot tuned.png",
    "conntra tune mnist --layers 256 --layers 512 --vary decay=1,2,3 --vary sparsity=0:0.1",
)


def _settings(recipe: dict[str, Any] | Any, data: str, sweeps: int, seed: int) -> dict[str, Any]:
    """Return the recipe as the parameters of ``conntra train``."""
    own = {name: recipe[name] for name in _OF_TRAIN if name in recipe}
    pairs = [f"{name}={value}" for name, value in recipe.items() if name not in _OF_TRAIN]
    found = {"data": data, **own, "seed": seed, "sweeps": sweeps}
    return found | ({"option": pairs} if pairs else {})

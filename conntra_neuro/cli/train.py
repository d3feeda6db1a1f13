"""``conntra train``: from data to a model file."""

from __future__ import annotations

import sys
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.options import Debug, Json, OptionalData, Quiet, Seed, example, hidden_layers, numbers
from conntra_neuro.cli.progress import say, training_bar
from conntra_neuro.cli.run_file import Config, settings_of_run
from conntra_neuro.cli.start_from import beginning
from conntra_neuro.cli.verb_result import WRONG, Outcome

if TYPE_CHECKING:
    from conntra_neuro.cli.start_from import Beginning
    from conntra_neuro.datasets import Dataset

__all__ = ["default_name", "train"]


def train(
    data: OptionalData = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Hidden layers: 256 or conv16k5s2,conv16k3d2,maxpool2,128 (k kernel, s stride, p padding, d dilation, "
            "g groups); none is logistic regression.",
            show_default="256, 1024 from 20,000 samples on, or as in --from",
        ),
    ] = None,
    neuron: Annotated[
        str | None,
        typer.Option(
            help="threshold, relu (graded spikes), if8: integrate-and-fire over 8 time steps, or lif:163[:1024]: "
            "leaky, decays of voltage and current.",
            show_default="threshold, or as in --from",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="T", help="Time steps of a sample, of lif neurons.", show_default="the encoder's, or data's"
        ),
    ] = None,
    recurrent: Annotated[
        bool,
        typer.Option(
            "--recurrent", help="Connect the units of dense lif layers to each other, with a delay of one step."
        ),
    ] = False,
    delays: Annotated[
        int,
        typer.Option(metavar="STEPS", help="Synapses to dense lif layers have delays of up to so much, trained, too."),
    ] = 0,
    levels: Annotated[
        str | None,
        typer.Option(
            help="Allowed weights: binary, ternary, a number N of levels, or a list a,b,c.",
            show_default="ternary, or as in --from",
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="conntra, backprop, or warm (backprop, then conntra).")] = "conntra",
    gear: Annotated[
        str, typer.Option(help="blocks (fast), annealed, or exact (the objective never rises).")
    ] = "blocks",
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Features to spikes: auto, threshold, thermometer:K, rate:T, latency:T, or none.",
            show_default="auto, or as in --from",
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="MODEL", help="Start from this network, imported or trained; the result is no worse."
        ),
    ] = None,
    seed: Seed = 0,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Choose a schedule that fits; at the limit, stop and keep the best network."
        ),
    ] = None,
    sweeps: Annotated[
        float | None,
        typer.Option(metavar="N", help="Passes over the data or the units; fractions such as 0.25 are allowed."),
    ] = None,
    stop_after: Annotated[
        float | None, typer.Option(metavar="N", help="Stop after N sweeps of the schedule, as a time limit would.")
    ] = None,
    shift: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Shift each image at random by up to so many pixels, again in each sweep; 0: leave it.",
            show_default="1 on large images, where there are few or the network is wide",
        ),
    ] = None,
    elastic: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS",
            help="Distort each image at random by about so many pixels, again in each sweep.",
            show_default="0.06 of a side where images are few, 1 in wide networks on large ones",
        ),
    ] = None,
    shift_steps: Annotated[
        int, typer.Option(metavar="STEPS", help="Show samples over time earlier or later by up to so much.")
    ] = 0,
    shift_units: Annotated[
        int, typer.Option(metavar="N", help="Move their events by up to so many units (bands, channels), all alike.")
    ] = 0,
    jitter: Annotated[int, typer.Option(metavar="STEPS", help="Move each of their events in time on its own.")] = 0,
    drop: Annotated[float, typer.Option(metavar="SHARE", help="Leave out that share of their events.")] = 0.0,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="An option of the gear, such as sparsity=0.02; can be repeated."),
    ] = None,
    penalty: Annotated[
        str,
        typer.Option(
            metavar="PRICES", help="Add a price to the objective: energy=0.8 (nats/µJ), synops=, spikes=, nonzero=."
        ),
    ] = "",
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save the state of the training to this folder from time to time."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue from a checkpoint.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train on Dask workers: tcp://HOST:8786, tls://HOST:8786?ca=FILE&cert=FILE&key=FILE, or local:N.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="cpu|gpu|jax", help="Where products are computed; the network is the same.")
    ] = "cpu",
    out: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="The file to write.", show_default="DATA.conntra")
    ] = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Train a network on DATA and write it to a model file. Ctrl-C keeps the best network so far."""
    asked = dict(locals())  # all that was asked for, before anything else has a name here
    from conntra_hardware.base.files import check_writable
    from conntra_neuro.datasets import load_dataset
    from conntra_neuro.network.storage import save
    from conntra_neuro.report.documents import provenance, train_document
    from conntra_neuro.report.tables import training_table
    from conntra_neuro.training import train as train_network
    from conntra_neuro.training.penalty import parse_penalty

    if data is None:
        return _examples()
    widths = None if layers is None else hidden_layers(layers)
    prices: dict[str, Any] = parse_penalty(penalty)
    moves = {"shift": shift, "elastic": elastic, "shift_steps": shift_steps, "shift_units": shift_units}
    moves |= {"jitter": jitter, "drop": drop}
    named = {*signature(train_network).parameters} - {"threads", "validation_fraction"} | {*prices, *moves}
    recipe = numbers("--option", option or [], taken=named)
    asked_moves = ("shift", "elastic")
    recipe |= {name: value for name, value in moves.items() if value or (name in asked_moves and value is not None)}
    path = out or Path(default_name(data))
    check_writable(path)
    dataset = load_dataset(data, seed=seed)
    start = None if initial is None else beginning(initial, layers, neuron, levels, encoder, dataset)
    with training_bar(quiet) as progress:
        trained = train_network(
            dataset,
            layers=widths if start is None else start.layers,
            neuron=(neuron or "threshold") if start is None else start.neuron,
            steps=steps,
            recurrent=recurrent,
            delays=delays,
            levels=("ternary" if levels is None else levels) if start is None else start.levels,
            method=method,
            gear=gear,
            seed=seed,
            encoder=_encoder(dataset, encoder, start),
            initial=None if start is None else start.network,
            time_limit_s=time_limit,
            sweeps=sweeps,
            stop_after=stop_after,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
            cluster=cluster,
            device=device,
            **prices,
            **recipe,
        )
    info = provenance(trained, data, dataset.binning) | {"run": settings_of_run(asked)}
    save(trained.network, path, info=info)
    if trained.interrupted:
        say(f"interrupted: the best network so far is in {path}", quiet)
    document = train_document(trained, data, str(path))
    return Outcome(document, (training_table(trained, dataset, document),))


train.__doc__ = f"{train.__doc__}\n\n" + example(
    "conntra train digits --layers 256 --out digits.conntra",
    "conntra train digits --from imported.conntra --out refined.conntra",
    "conntra train --config run.toml",
)


def _examples() -> Outcome:
    """Return what people see who named no data: in a terminal three examples, elsewhere one line."""
    if not sys.stdout.isatty():
        raise InputError("DATA: not given; `conntra train digits` is an example, see `conntra train -h`")
    from rich.text import Text

    return Outcome({}, (Text(_SHOWN),), WRONG)


_SHOWN = """conntra train needs DATA. Three examples:

  conntra train digits --layers 256
      images that come with the package

  conntra train csv:mine.csv --layers 256,64 --out mine.conntra
      your own table, classes in its last column; npz: for arrays of any shape

  conntra train 'images:photos?size=64' --layers conv16k5s2,128
      folders of images, one folder for each class

More: `conntra train -h` lists the options, `conntra datasets` the data.
"""


def default_name(data: str) -> str:
    """Return the model file that DATA is trained into: "digits" to digits.conntra, "npz:some/x.npz" to x.conntra."""
    kind, _, path = data.partition("?")[0].partition(":")
    return f"{Path(path or kind).stem}.conntra"


def _encoder(dataset: Dataset, kind: str | None, start: Beginning | None) -> Any:
    from conntra_neuro.datasets import encoder_of

    if start is not None and kind is None:
        return start.network.encoder
    return encoder_of(dataset, kind or "auto")

"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from conntra_hardware.program import Program
    from conntra_neuro.datasets import Dataset
    from conntra_neuro.training.architecture.words import LayerSpec

__all__ = [
    "ChipOption",
    "DataArgument",
    "DataOption",
    "Debug",
    "Json",
    "ModelArgument",
    "OptionalData",
    "ProgramArgument",
    "Quiet",
    "RunSeed",
    "Samples",
    "Seed",
    "Split",
    "TimeLimit",
    "data_of_program",
    "example",
    "hidden_layers",
    "numbers",
    "select",
]

_DATA = (
    "iris, digits, diabetes, mnist, moving-edge, mnist:PATH, npz:PATH, csv:PATH, images:DIR "
    "(images:DIR?size=64 resizes), events:PATH, audio:DIR or series:PATH"
)

# Read by ``app.main``, which needs them where the arguments themselves are wrong, too.
Json = Annotated[bool, typer.Option("--json", metavar="", help="One JSON object on standard output, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="No tables, no progress; errors still show.")]
Debug = Annotated[bool, typer.Option("--debug", metavar="", help="Show the traceback of an error.")]

Seed = Annotated[int, typer.Option(help="Seed of all randomness: splits, first weights, order.")]
RunSeed = Annotated[
    int | None,
    typer.Option(help="Seed of the split of DATA.", show_default="the one it was trained with"),
]
TimeLimit = Annotated[float, typer.Option(metavar="SECONDS", help="Limit for each simulator, its start included.")]
DataArgument = Annotated[str, typer.Argument(metavar="DATA", show_default=False, help=_DATA)]
OptionalData = Annotated[str | None, typer.Argument(metavar="DATA", show_default=False, help=_DATA)]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", show_default="the one it was trained with", help=_DATA),
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", show_default=False, help="A file of `conntra train`.")]
ProgramArgument = Annotated[
    Path, typer.Argument(metavar="PROGRAM", show_default=False, help="A file of `conntra compile`.")
]
ChipOption = Annotated[
    str,
    typer.Option("--chip", help="loihi1, loihi2, several as loihi1x2, a .toml file, or auto: the smallest that fits."),
]
Samples = Annotated[int | None, typer.Option(metavar="N", help="Take the first N samples.", show_default="all")]
Split = Annotated[str, typer.Option(help="Which samples of DATA: test, train or all.")]


def example(*lines: str) -> str:
    """Return the examples at the end of a verb's help."""
    return "\n\n".join([f"Example{'s' if len(lines) > 1 else ''}:", *lines])


def hidden_layers(text: str) -> tuple[LayerSpec, ...]:
    """Return the hidden layers that ``--layers`` names: "256", "conv16k5s2,128"; "none" is logistic regression."""
    from conntra_neuro.training.architecture.words import parse_layers

    try:
        return parse_layers(text)
    except InputError as error:
        raise InputError(f"--{error}") from None


def numbers(name: str, pairs: Sequence[str], taken: Container[str] = ()) -> dict[str, Any]:
    """Return the numbers that ``NAME=NUMBER`` pairs of the option ``name`` give, integers where they are whole."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, _, text = (part.strip() for part in pair.partition("="))
        try:
            values[key] = int(text) if text.lstrip("+-").isdecimal() else float(text)
        except ValueError:
            raise InputError(f"{name} {pair!r}: NAME=NUMBER expected, as in sparsity=0.02") from None
        if key in taken:
            raise InputError(f"{name} {pair!r}: has an option of its own; use that")
    return values


def data_of_program(program: Program, info: dict[str, Any], data: str | None, seed: int | None) -> Dataset:
    """Return the dataset to run ``program`` on: what is asked for, else what its network was trained with.

    The seed decides which samples are test samples: another one than in training would test on training samples.
    """
    from conntra_neuro.datasets import load_dataset

    spec = data or info.get("data")
    if spec is None:
        raise InputError(f"--data: not given, and the program does not say what it was trained with; {_DATA} expected")
    dataset = load_dataset(spec, seed=info.get("seed", 0) if seed is None else seed)
    if (program.value is None) != (dataset.target == "class"):
        told = "classes" if program.value is None else "a value"
        raise InputError(f"{spec}: targets of another kind; the program answers with {told}: give data that have these")
    if program.labels is not None and tuple(program.labels) != dataset.labels:
        theirs, ours = (", ".join(map(str, labels[:12])) for labels in (dataset.labels, program.labels))
        raise InputError(f"{spec}: classes {theirs}; the program tells {ours} apart; give the data it was trained for")
    return dataset


def select(data: Dataset, split: str, samples: int | None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the first ``samples`` samples (n, ...) of a split, and their class indices or values (n,)."""
    import numpy as np

    parts = {"test": ("test",), "train": ("train",), "all": ("train", "test")}
    if split not in parts:
        raise InputError(f"--split {split!r}: unknown{did_you_mean(split, parts)}; allowed: test, train, all")
    x = np.concatenate([getattr(data, f"x_{part}") for part in parts[split]])
    y = np.concatenate([getattr(data, f"y_{part}") for part in parts[split]])
    if samples is not None and not 1 <= samples <= len(x):
        raise InputError(
            f"--samples {samples}: {data.name} has {len(x)} samples in split {split}; 1 to {len(x)} allowed"
        )
    return x[:samples], y[:samples]

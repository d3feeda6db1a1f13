"""On which samples ``conntra verify`` compares: those of a dataset, or random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.options import data_of_program, select

if TYPE_CHECKING:
    import numpy.typing as npt

    from conntra_hardware.program import Program

__all__ = ["RANDOM", "VerifyData", "random_samples", "verify_inputs"]

RANDOM = "random"
"""The word for ``--data`` that asks for random inputs."""

_SAMPLES = 200

VerifyData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        show_default="the one it was trained with",
        help=f"A dataset, as for `conntra train`, or {RANDOM}: inputs drawn by --seed, {_SAMPLES} unless --samples.",
    ),
]


def verify_inputs(
    program: Program, info: dict[str, Any], data: str | None, split: str, samples: int | None, seed: int | None
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Return the samples (n, ...) that ``program`` is verified on, and what a certificate says of their choice."""
    if data == RANDOM:
        seed = 0 if seed is None else seed
        if split != "test":
            raise InputError(f"--split {split}: random inputs have no splits; leave it out")
        x = random_samples(program, _SAMPLES if samples is None else samples, seed)
        return x, {"data": RANDOM, "samples": len(x), "seed": seed}
    if data is None and info.get("data") is None:
        raise InputError(
            "--data: not given, and the program does not say what it was trained with; "
            f"give a dataset, or --data {RANDOM} for random inputs"
        )
    dataset = data_of_program(program, info, data, seed)
    x, _ = select(dataset, split, samples)
    seed = info.get("seed", 0) if seed is None else seed
    return x, {"data": dataset.name, "split": split, "samples": len(x), "seed": seed}


def random_samples(program: Program, samples: int, seed: int) -> npt.NDArray[Any]:
    """Return the random inputs of that ``seed``, as ``random_inputs`` does."""
    from conntra_hardware.program.random_inputs import random_inputs

    return random_inputs(program, samples, seed)

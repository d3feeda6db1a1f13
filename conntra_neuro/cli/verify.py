"""``conntra verify``: do all simulators agree, spike for spike and potential for potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.options import (
    Debug,
    Json,
    Quiet,
    RunSeed,
    Samples,
    Split,
    TimeLimit,
    example,
)
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import DONE, NO, Outcome, write_json
from conntra_neuro.cli.verify_again import check_again, fuzz_backends
from conntra_neuro.cli.verify_inputs import VerifyData, verify_inputs

__all__ = ["verify"]


_DEFAULT = ["reference", "lava", "brian2"]


def verify(
    program: Annotated[
        Path | None, typer.Argument(metavar="PROGRAM", show_default=False, help="A file of `conntra compile`.")
    ] = None,
    data: VerifyData = None,
    split: Split = "test",
    samples: Samples = None,
    backends: Annotated[
        str | None,
        typer.Option(
            help="Two or more of those that `conntra doctor` lists; the others are compared with the first.",
            show_default=f"{','.join(_DEFAULT)}; with --fuzz all that run here",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate", "--recheck", metavar="CERTIFICATE", help="Check that one again: hashes, runs, every claim."
        ),
    ] = None,
    fuzz: Annotated[int | None, typer.Option(metavar="N", help="Compare N random programs instead.")] = None,
    budget: Annotated[float, typer.Option(metavar="SECONDS", help="With --fuzz: time for each slow simulator.")] = 60.0,
    time_limit: TimeLimit = 600.0,
    seed: RunSeed = None,
    out: Annotated[Path | None, typer.Option(metavar="CERTIFICATE", help="Write the JSON there, too.")] = None,
    key: Annotated[
        Path | None,
        typer.Option("--sign", metavar="KEY", help="With --out: sign it with an OpenSSH key, in a .sig beside it."),
    ] = None,
    signer: Annotated[
        Path | None,
        typer.Option(metavar="PUBKEY", help="With --recheck: the .sig beside it must be made with that key."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Run a program on several simulators and compare every spike and every readout potential.

    The exit status is 1 if they differ, with the first divergence and its cause, or if a certificate does not hold.
    """
    from conntra_hardware.base.files import check_writable
    from conntra_hardware.proof.signature import sign

    if out is not None:
        check_writable(out)
    _check_signing(out, key, signer, certificate)
    names: list[str] | None = (
        None if backends is None else [name.strip() for name in backends.split(",") if name.strip()]
    )
    if fuzz is not None:
        if program is not None or certificate is not None:
            raise InputError("--fuzz: draws its own programs; leave PROGRAM and --certificate out")
        made = fuzz_backends(fuzz, 0 if seed is None else seed, names, budget, out, quiet, time_limit)
    elif certificate is not None:
        return check_again(certificate, program, data, names, time_limit, quiet, signer)
    elif program is None:
        raise InputError("verify: no PROGRAM; give a file of `conntra compile`, or --fuzz N")
    else:
        asked = (data, split, samples, seed)
        made = _compare(program, asked, _DEFAULT if names is None else names, time_limit, out, quiet)
    if key is not None and out is not None:
        sign(out, key)
    return made


def _check_signing(out: Path | None, key: Path | None, signer: Path | None, certificate: Path | None) -> None:
    from conntra_hardware.proof.signature import check_signing

    if key is not None and (out is None or certificate is not None):
        raise InputError("--sign: signs the certificate that is made; give --out FILE, and leave --recheck out")
    if signer is not None and certificate is None:
        raise InputError("--signer: says who must have signed the certificate of --recheck; give one")
    if key is not None and out is not None:
        check_signing(out, key)


def _compare(
    program: Path,
    asked: tuple[str | None, str, int | None, int | None],
    names: list[str],
    time_limit: float,
    out: Path | None,
    quiet: bool,
) -> Outcome:
    from conntra_hardware.program.program_file import load_program
    from conntra_neuro.network.storage import load_info
    from conntra_neuro.report.certificate import certificate_view

    loaded, info = load_program(program), load_info(program)
    x, chosen = verify_inputs(loaded, info, *asked)
    with step(f"comparing {', '.join(names)} on {len(x):,} samples", quiet):
        made = loaded.verify(x, backends=names, time_limit_s=time_limit, chosen=chosen)
    document = made.to_dict()
    if out is not None:
        write_json(out, document)
    return Outcome(document, (certificate_view(document),), DONE if document["equal"] else NO)


verify.__doc__ = f"{verify.__doc__}\n\n" + example(
    "conntra verify digits.loihi1.conntra --data digits --backends reference,lava,brian2 --out digits.json",
    "conntra verify digits.loihi1.conntra --recheck digits.json",
    "conntra verify digits.loihi1.conntra --data digits --out digits.json --sign ~/.ssh/id_ed25519",
    "conntra verify digits.loihi1.conntra --recheck digits.json --signer id_ed25519.pub",
    "conntra verify imported.loihi2.conntra --data random --samples 1000",
    "conntra verify --fuzz 1000 --backends reference,lava,lava-stock,brian2",
)

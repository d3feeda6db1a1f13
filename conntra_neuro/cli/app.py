"""The command line: ``main`` runs a verb, prints what it hands back, and turns errors into a line and a status."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from conntra_hardware.errors import ConntraError
from conntra_neuro.cli.check import check
from conntra_neuro.cli.chips import chips
from conntra_neuro.cli.compile import compile_
from conntra_neuro.cli.datasets import datasets
from conntra_neuro.cli.demo import demo
from conntra_neuro.cli.doctor import doctor
from conntra_neuro.cli.outcome import DONE, INTERRUPTED, WRONG, Outcome, to_json
from conntra_neuro.cli.run import run
from conntra_neuro.cli.train import train
from conntra_neuro.cli.verify import verify

__all__ = ["app", "main"]

_ABOUT = """Train networks whose weights take few values, compile them onto Loihi-style neuromorphic cores, run them on
simulated hardware, and prove that all simulators agree spike for spike.

Start with: conntra demo
"""

app = typer.Typer(
    help=_ABOUT,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", metavar="", help="Show the version and exit."),
) -> None:
    if version:
        import conntra_neuro

        print(f"conntra {conntra_neuro.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


_VERBS = {
    "demo": demo,
    "train": train,
    "compile": compile_,
    "check": check,
    "run": run,
    "verify": verify,
    "chips": chips,
    "datasets": datasets,
    "doctor": doctor,
}
for _name, _verb in _VERBS.items():
    app.command(_name)(_verb)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 the answer is no, 2 wrong use or bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Read here and not in the verbs, because an error in the arguments themselves is reported by the same rules.
    asked = {flag: f"--{flag}" in arguments for flag in ("json", "quiet", "debug")}
    asked["quiet"] |= "-q" in arguments
    try:
        # Libraries that print must not get between the braces.
        with contextlib.redirect_stdout(sys.stderr) if asked["json"] else contextlib.nullcontext():
            outcome = app(args=arguments, prog_name="conntra", standalone_mode=False)
        if not isinstance(outcome, Outcome):
            return int(outcome or DONE)
        _print(outcome, asked)
        return outcome.status
    except BrokenPipeError:
        # Whoever read has gone (`conntra chips | head`); without this Python complains again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else WRONG
    except BaseException as error:
        if asked["debug"]:
            traceback.print_exc()
        message, status = _explain(error)
        if asked["json"]:
            print(to_json({"error": message, "exit_status": status}))
        print(f"conntra: {message}", file=sys.stderr)
        return status


def _print(outcome: Outcome, asked: dict[str, bool]) -> None:
    if asked["json"]:
        print(to_json(outcome.document))
    elif not asked["quiet"]:
        from rich.console import Console

        console = Console(highlight=False)
        for view in outcome.views:
            console.print(view)
    sys.stdout.flush()


def _explain(error: BaseException) -> tuple[str, int]:
    """Return one line and an exit status for an error."""
    if isinstance(error, ConntraError):
        return _line(str(error)), error.exit_status
    if isinstance(error, KeyboardInterrupt) or (
        isinstance(error, typer.Abort) and isinstance(error.__cause__, KeyboardInterrupt)
    ):
        return "interrupted; nothing was written", INTERRUPTED
    usage: Any = error
    if hasattr(usage, "format_message"):  # typer's errors derive from click's, or since 0.26 from its own copy
        context = getattr(usage, "ctx", None)
        command = context.command_path if context is not None else "conntra"
        return f"{_line(usage.format_message()).rstrip('.')}; see `{command} -h`", WRONG
    kind = type(error).__name__
    return f"unexpected {kind}: {_line(str(error))}; run it again with --debug and report what it shows", WRONG


def _line(text: str) -> str:
    return " ".join(text.split())

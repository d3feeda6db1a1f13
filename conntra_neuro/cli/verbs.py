"""The verbs of ``conntra`` and the help of the whole."""

from __future__ import annotations

import typer

from conntra_neuro.cli.check import check
from conntra_neuro.cli.chips import chips
from conntra_neuro.cli.compare import compare
from conntra_neuro.cli.compile import compile_
from conntra_neuro.cli.datasets import datasets
from conntra_neuro.cli.demo import demo
from conntra_neuro.cli.doctor import doctor
from conntra_neuro.cli.exchange import export, import_
from conntra_neuro.cli.pareto import pareto
from conntra_neuro.cli.report import report
from conntra_neuro.cli.run import run
from conntra_neuro.cli.show import show
from conntra_neuro.cli.train import train
from conntra_neuro.cli.tune import tune
from conntra_neuro.cli.verify import verify

__all__ = ["app"]

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
        from conntra_hardware.base.version import package_version

        print(f"conntra {package_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


_VERBS = {
    "demo": demo,
    "train": train,
    "compare": compare,
    "pareto": pareto,
    "tune": tune,
    "compile": compile_,
    "check": check,
    "run": run,
    "verify": verify,
    "report": report,
    "show": show,
    "export": export,
    "import": import_,
    "chips": chips,
    "datasets": datasets,
    "doctor": doctor,
}
for _name, _verb in _VERBS.items():
    app.command(_name)(_verb)

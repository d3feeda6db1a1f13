"""``conntra report``: one HTML file about runs and certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["report"]


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT...", show_default=False, help="Files of `conntra run --out` and `conntra verify --out`."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="HTML", help="The file to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Title of the report.")] = "conntra report",
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Write one self-contained HTML file: accuracy, events, energy with its sources, latency, versions, pictures."""
    from conntra_hardware.base.files import check_writable, write_atomically
    from conntra_neuro.report.html import report_html
    from conntra_neuro.report.result_file import kind_of, read_result

    check_writable(out)
    documents = [(path.name, read_result(path)) for path in results]
    with step(f"drawing {len(documents)} results", quiet):
        page = report_html(documents, title).encode("utf-8", "backslashreplace")  # names may be no text
    write_atomically(out, page)
    kinds = [kind_of(document) for _, document in documents]
    summary = {"report": str(out), "bytes": len(page), "results": [str(path) for path in results], "kinds": kinds}
    return Outcome(summary, (f"report in {out}, {len(page) / 1000:,.0f} kB; open it in a browser",))


report.__doc__ = f"{report.__doc__}\n\n" + example(
    "conntra report digits.json", "conntra report digits.json certificate.json --out digits.html --title digits"
)

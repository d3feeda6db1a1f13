"""``conntra report``: one self-contained HTML file from the JSON files of runs and certificates.

Everything is in the file: styles, tables, charts, and the script of the spike explorer. It asks the network for
nothing, and its Content-Security-Policy says so; without JavaScript all but the explorer can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from conntra_hardware.base.errors import MALFORMED, FileFormatError, in_short
from conntra_neuro.report.energy import MODELLED
from conntra_neuro.report.page.evidence import comparison, run_section
from conntra_neuro.report.page.head import head_html, script_html
from conntra_neuro.report.page.proof import certificate_section, fuzz_section
from conntra_neuro.report.page.verdict import verdict_html
from conntra_neuro.report.result_file import kind_of

__all__ = ["report_html"]

Documents = Sequence[tuple[str, Mapping[str, Any]]]


def report_html(documents: Documents, title: str = "conntra report") -> str:
    """Return the page about ``documents``, pairs of a file's name and what ``read_result`` read from it.

    FileFormatError where one of them holds something else than `conntra` writes.
    """
    runs = [(name, d) for name, d in documents if kind_of(d) == "run"]
    parts = [f"<header><h1>{escape(title)}</h1></header><main>"]
    parts.append(_drawn(", ".join(name for name, _ in documents), verdict_html, documents))
    if runs:
        parts.append(
            f'<p class="note">Energy, latency and throughput on a chip are <span class="modelled">{MODELLED}</span>, '
            "unless a table says that a board measured them. Each coefficient set is listed with its sources.</p>"
        )
    if len(runs) > 1:
        parts.append(_drawn(", ".join(name for name, _ in runs), comparison, runs))
    for number, (name, document) in enumerate(documents):
        parts.append(_drawn(name, _section, name, document, number, _same_as(documents[:number], document)))
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head_html(title)}</head>\n'
        f"<body>\n{body}\n</main>{script_html()}</body></html>\n"
    )


def _same_as(before: Documents, document: Mapping[str, Any]) -> str:
    """Return the name of a document before this one whose explorer has the same data; "" where there is none."""
    explorer = document.get("explorer")
    return next((name for name, d in before if explorer and d.get("explorer") == explorer), "")


def _section(name: str, document: Mapping[str, Any], number: int, same_as: str) -> str:
    kind = kind_of(document)
    if kind == "run":
        return run_section(name, document, number, same_as)
    section = certificate_section if kind == "certificate" else fuzz_section
    return f"<section>{section(name, document)}</section>"


def _drawn(names: str, draw: Callable[..., str], *arguments: Any) -> str:
    """Return what ``draw`` makes of documents; FileFormatError where they hold something else than it expects."""
    try:
        return draw(*arguments)
    except MALFORMED as error:
        what = f"{type(error).__name__}: {in_short(error)}"
        raise FileFormatError(f"{names}: not what conntra writes ({what}); give files as they were written") from error

"""The few pieces of HTML that a report is made of; everything that comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Table", "definition_list", "details", "table_html"]


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; a heading that ends in ">" is flush right, a first cell with spaces is a part."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def table_html(table: Table) -> str:
    """Return the table, and its note below it."""
    classes = [' class="n"' if column.endswith(">") else "" for column in table.columns]
    heads = [f"<th{c}>{escape(name.rstrip('>'))}</th>" for c, name in zip(classes, table.columns, strict=True)]
    lines = [f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>"]
    for row in table.rows:
        cells = "".join(f"<td{c}>{escape(cell.strip())}</td>" for c, cell in zip(classes, row, strict=True))
        lines.append(f"<tr{' class=part' if row[0].startswith(' ') else ''}>{cells}</tr>")
    note = f'<p class="note">{escape(table.note).replace(chr(10), "<br>")}</p>' if table.note else ""
    return "\n".join(lines) + "</tbody></table>" + note


def definition_list(facts: Mapping[str, str]) -> str:
    """Return names and what they are; "-" is left out."""
    pairs = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value != "-"]
    return f"<dl>{''.join(pairs)}</dl>"


def details(summary: str, content: str) -> str:
    """Return ``content`` (HTML) behind a line that unfolds it."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"

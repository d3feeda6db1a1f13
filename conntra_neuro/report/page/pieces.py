"""The few pieces of HTML that a report is made of; everything that comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Table", "bars", "definition_list", "details", "figure", "heading", "table_html"]


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; a heading that ends in ">" is flush right, a first cell with spaces is a part."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def table_html(table: Table) -> str:
    """Return the table, in a box of its own that scrolls where it is too wide, and its note below it."""
    classes = [' class="n"' if column.endswith(">") else "" for column in table.columns]
    heads = [
        f'<th scope="col"{c}>{escape(name.rstrip(">"))}</th>' for c, name in zip(classes, table.columns, strict=True)
    ]
    name = escape(table.columns[0] or "table", quote=True)
    lines = [f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>']
    lines.append(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>")
    for row in table.rows:
        cells = "".join(f"<td{c}>{escape(cell.strip())}</td>" for c, cell in zip(classes, row, strict=True))
        lines.append(f"<tr{' class=part' if row[0].startswith(' ') else ''}>{cells}</tr>")
    note = f'<p class="note">{escape(table.note).replace(chr(10), "<br>")}</p>' if table.note else ""
    return "\n".join(lines) + "</tbody></table></div>" + note


def definition_list(facts: Mapping[str, str]) -> str:
    """Return names and what they are; "-" is left out."""
    pairs = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value != "-"]
    return f"<dl>{''.join(pairs)}</dl>"


def details(summary: str, content: str, unfolded: bool = False) -> str:
    """Return ``content`` (HTML) behind a line that folds and unfolds it."""
    opened = " open" if unfolded else ""
    return f"<details{opened}><summary>{escape(summary)}</summary>{content}</details>"


def heading(text: str, modelled: str = "") -> str:
    """Return a heading of a part; ``modelled`` says beside it what its figures are."""
    mark = f': <span class="modelled">{escape(modelled)}</span>' if modelled else ""
    return f"<h3>{escape(text)}{mark}</h3>"


def figure(name: str, content: str, caption: str) -> str:
    """Return a picture, HTML or SVG, with what it shows below it."""
    return (
        f'<figure class="{escape(name, quote=True)}">{content}<figcaption class="note">{escape(caption)}</figcaption>'
        "</figure>"
    )


def bars(rows: Sequence[tuple[str, Sequence[tuple[str, float]], str]], longest: float = 0.0) -> str:
    """Return a bar a row: its name, its parts as (class of the colour, size), and what stands behind it.

    Bars are drawn to one scale, on which the longest, or ``longest``, fills the width.
    """
    scale = max([longest, *(sum(size for _, size in parts) for _, parts, _ in rows)], default=0.0) or 1.0
    lines = []
    for name, parts, text in rows:
        at, drawn = 0.0, []
        for kind, size in parts:
            width = 100 * size / scale
            drawn.append(f'<rect class="{kind}" x="{at:.2f}%" width="{width:.2f}%" height="100%"/>')
            at += width
        chart = f'<svg class="bar" aria-hidden="true">{"".join(drawn)}</svg>'
        lines.append(f'<li><span class="name">{escape(name)}</span>{chart}<span>{escape(text)}</span></li>')
    return f'<ul class="bars">{"".join(lines)}</ul>'

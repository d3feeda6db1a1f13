"""Tables in Markdown, as the studies of scripts/results_studies.py have to print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def as_markdown(head: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a table; ``head`` has its columns with ``|`` between them. Whole numbers get commas."""
    names = [name.strip() for name in head.split("|")]
    lines = [f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        if len(cells) != len(names):
            raise ValueError(f"row {cells}: has {len(cells)} cells; the head has {len(names)}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

"""Progress for people, on standard error, only where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from conntra_neuro.report.units import percent

if TYPE_CHECKING:
    from rich.console import Console

    from conntra_neuro.training import Progress

__all__ = ["say", "step", "training_bar"]


@contextlib.contextmanager
def step(what: str, quiet: bool) -> Iterator[None]:
    """Show ``what`` with a spinner and the seconds while the block runs."""
    console = _console(quiet)
    if console is None:
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        bar.add_task(what, total=None)
        yield


@contextlib.contextmanager
def training_bar(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Yield what ``train`` calls with its progress: a bar with the objective and both errors."""
    console = _console(quiet)
    if console is None:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("training"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def show(progress: Progress) -> None:
            words = f"objective {progress.objective:.4f}  training error {percent(progress.train_error)}"
            if progress.validation_error is not None:
                words += f"  validation {percent(progress.validation_error)}"
            bar.update(task, completed=progress.sweep / max(progress.sweeps, 1), description=words)

        yield show


def say(what: str, quiet: bool) -> None:
    """Print a line on standard error, terminal or not."""
    if not quiet:
        from rich.console import Console

        Console(stderr=True, highlight=False, soft_wrap=True).print(what, markup=False)


def _console(quiet: bool) -> Console | None:
    if quiet:
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal else None

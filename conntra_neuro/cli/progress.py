"""Progress for people, on standard error: a bar in a terminal that can draw one, else a line every ten seconds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from conntra_hardware.base.upward import upward
from conntra_neuro.report.units import percent

if TYPE_CHECKING:
    from rich.console import Console

    from conntra_neuro.training import Progress

__all__ = ["say", "step", "tell_of_compiling", "training_bar"]

_LINE_EVERY_S = 10.0
_NARROW = 90


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
    """Yield what ``train`` calls with its progress: a bar with the objective and both errors.

    Where no bar can be drawn (a file, a pipe, a dumb terminal), a line is printed every ten seconds.
    """
    if quiet:
        yield None
        return
    console = _console(quiet)
    if console is None:
        yield _lines()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    column = Column(no_wrap=True, overflow="ellipsis")
    columns = (TextColumn("training {task.percentage:>3.0f}%  {task.description}", table_column=column),)
    if console.width >= _NARROW:
        columns = (
            TextColumn("training"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", table_column=column),
        )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(task, completed=_share(progress), description=_words(progress))

        yield show


def _lines() -> Callable[[Progress], None]:
    """Return what prints a line of a training's progress now and then."""
    said = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal said
        if time.monotonic() - said >= _LINE_EVERY_S:
            said = time.monotonic()
            say(f"training {_share(progress):4.0%}  {_words(progress)}", quiet=False)

    return show


def _share(progress: Progress) -> float:
    return progress.sweep / max(progress.sweeps, 1)


def _words(progress: Progress) -> str:
    words = f"objective {progress.objective:.4f}  training error {percent(progress.train_error)}"
    if progress.validation_error is not None:
        words += f"  validation {percent(progress.validation_error)}"
    return words


def say(what: str, quiet: bool) -> None:
    """Print a line on standard error, terminal or not."""
    if not quiet:
        from rich.console import Console

        Console(stderr=True, highlight=False, soft_wrap=True).print(what, markup=False)


def tell_of_compiling(quiet: bool) -> None:
    """Say once, before the first kernel is compiled, that what follows takes longer than it will the next time."""
    said = False

    def tell() -> None:
        nonlocal said
        if not said:
            said = True
            say("compiling kernels, once: this takes some seconds", quiet)

    upward["compiling"] = tell


def _console(quiet: bool) -> Console | None:
    if quiet:
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_interactive else None

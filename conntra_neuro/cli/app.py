"""The command line: ``main`` runs a verb, prints what it hands back, and turns errors into a line and a status."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from conntra_hardware.base.errors import ConntraError, in_short
from conntra_neuro.cli.progress import tell_of_compiling
from conntra_neuro.cli.terminal import printable, show_everything
from conntra_neuro.cli.verb_result import DONE, INTERRUPTED, TERMINATED, WRONG, Outcome, to_json

__all__ = ["main"]

_LONGEST = 2000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 the answer is no, 2 wrong use or bad input.

    SIGTERM does what Ctrl-C does; the status is 143 then, and 130 after Ctrl-C that keeps nothing.
    """
    _open_streams()
    with _terminated() as was_terminated:
        status = _run(argv)
    return TERMINATED if was_terminated() else status


def _run(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Read here and not in the verbs, because an error in the arguments themselves is reported by the same rules.
    asked = {flag: f"--{flag}" in arguments for flag in ("json", "quiet", "debug")}
    asked["quiet"] |= "-q" in arguments
    tell_of_compiling(asked["quiet"])
    show_everything()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it can do without a folder for its cache
    try:
        from conntra_neuro.cli.verbs import app  # here, so that Ctrl-C while Python still imports is met, too

        # Libraries that print must not get between the braces.
        with contextlib.redirect_stdout(sys.stderr) if asked["json"] else contextlib.nullcontext():
            outcome = app(args=arguments, prog_name="conntra", standalone_mode=False)
        if outcome == INTERRUPTED:  # what typer makes of Ctrl-C since 0.26; before, it raised Abort
            raise KeyboardInterrupt
        if not isinstance(outcome, Outcome):
            return int(outcome or DONE)
        _print(outcome, asked)
        return outcome.status
    except BrokenPipeError:  # whoever read has gone (`conntra chips | head`)
        _give_up(sys.stdout)
        return DONE
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else WRONG
    except BaseException as error:
        if asked["debug"]:
            traceback.print_exc()
        message, status = _explain(error)
        if isinstance(error, _CannotPrint):
            _give_up(sys.stdout)
        elif asked["json"]:
            _print_json({"error": message, "exit_status": status})
        try:
            print(f"conntra: {message}", file=sys.stderr, flush=True)
        except OSError:
            _give_up(sys.stderr)
        return status


class _CannotPrint(ConntraError):
    """Standard output that takes no more: a full disk behind it, for one."""


def _open_streams() -> None:
    """Have all three streams, as a shell's ``>&-`` leaves Python without one."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it stays open


def _give_up(stream: Any) -> None:
    """Lead a stream that cannot be written to nowhere; else Python complains of it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _terminated() -> Iterator[Callable[[], bool]]:
    """Have SIGTERM raise KeyboardInterrupt within the block; yield a function that says whether it came.

    What a stage does on Ctrl-C it then does on SIGTERM: the best network is kept, simulators and temporary files go.
    """
    came: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if here:
        signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: bool(came)
    finally:
        if here:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _print(outcome: Outcome, asked: dict[str, bool]) -> None:
    try:
        _show(outcome, asked)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _CannotPrint(f"standard output: cannot be written ({error.strerror or error})") from None


def _show(outcome: Outcome, asked: dict[str, bool]) -> None:
    for document, line in outcome.lines or ():
        if asked["json"]:
            _print_json(document, None)
        elif not asked["quiet"]:
            print(line)
        sys.stdout.flush()
    if asked["json"]:
        if outcome.lines is None:
            _print_json(outcome.document)
    elif not asked["quiet"]:
        from rich.console import Console
        from rich.segment import Segment, Segments

        console = Console(highlight=False)
        for view in outcome.views:
            # What a file holds reaches the terminal as text, whatever characters it has; styles are not in the text.
            plain = [s if s.control else Segment(printable(s.text), s.style) for s in console.render(view)]
            console.print(Segments(plain), end="")


def _print_json(document: Mapping[str, Any], indent: int | None = 2) -> None:
    """Print JSON that a reader gets back unchanged: escaped where the stream cannot encode it as it is."""
    text = to_json(document, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = to_json(document, ascii_only=True, indent=indent)
    print(text)


def _explain(error: BaseException) -> tuple[str, int]:
    """Return one line and an exit status for an error."""
    if isinstance(error, ConntraError):
        return _line(str(error)), error.exit_status
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
        return "interrupted; nothing was written", INTERRUPTED
    usage: Any = error
    if hasattr(usage, "format_message"):  # typer's errors derive from click's, or since 0.26 from its own copy
        context = getattr(usage, "ctx", None)
        command = context.command_path if context is not None else "conntra"
        return f"{_line(usage.format_message()).rstrip('.')}; see `{command} -h`", WRONG
    if isinstance(error, MemoryError):
        said = f": {_line(str(error))}" if str(error) else ""
        return f"out of memory{said}; take narrower layers or fewer samples, or a machine with more of it", WRONG
    if isinstance(error, OSError) and error.errno in _LOST:
        named = "" if error.filename is None else f"{_line(str(error.filename))}: "
        return (
            f"{named}{error.strerror}: its disk or network folder does not answer; see to it and try again",
            WRONG,
        )
    kind = type(error).__name__
    return f"unexpected {kind}: {_line(str(error))}; run it again with --debug and report what it shows", WRONG


_LOST = {
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "ENODEV", "ENXIO", "EREMOTEIO", "ENOLINK", "EHOSTDOWN"),
        *("EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ECONNABORTED", "ECONNRESET", "ECONNREFUSED"),
    )
    if hasattr(errno, name)
}
"""What a disk says that fails, or a network folder that is gone: any access to a file may."""


def _line(text: str) -> str:
    """Return ``text`` as one line of characters that a terminal shows, cut where it is very long."""
    return in_short(printable(" ".join(text.split())), _LONGEST)


if __name__ == "__main__":
    sys.exit(main())

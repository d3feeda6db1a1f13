"""``conntra run PROGRAM --stream FILE|-``: events or samples as they come, decisions line by line."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.cli.verb_result import Outcome

if TYPE_CHECKING:
    from conntra_hardware.program import Program
    from conntra_neuro.datasets.events.binning import Binning
    from conntra_neuro.live import Decision

__all__ = ["run_stream"]


_DRAWN_STEPS = 20_000
"""The last so many time steps are in the picture, so that a stream may go on for ever."""


def run_stream(
    path: Path, stream: str, step: str | None, sensor: str | None, hysteresis: float, plot: Path | None = None
) -> Outcome:
    """Return lines: a decision wherever it changes, and at the end of every ``program.steps`` time steps.

    Into the folder ``plot`` the decisions over time are drawn, once the stream ends or is stopped.
    """
    from conntra_hardware.program.program_file import load_program
    from conntra_hardware.program.signal_encoding import SignalEncoder
    from conntra_neuro.network.storage import load_info

    program = load_program(path)
    if isinstance(program.encoder, SignalEncoder):
        if step is not None or sensor is not None:
            raise InputError("--step, --sensor: of events; the program has an encoder of signals, leave them out")
        return Outcome({}, lines=_heard(program, stream, hysteresis, plot))
    binning = _binning(program, load_info(path).get("events"), step, sensor)
    return Outcome({}, lines=_lines(program, stream, binning, hysteresis, plot))


def _binning(program: Program, trained: Mapping[str, Any] | None, step: str | None, sensor: str | None) -> Binning:
    """Return how events become spikes: as in training, but for what is asked for."""
    from conntra_neuro.datasets.events.binning import Binning
    from conntra_neuro.datasets.events.recipe import parse_options

    recipe: dict[str, Any] = {} if trained is None else dict(Binning.from_dict(trained).to_dict()["recipe"])
    size: dict[str, Any] | None = None if trained is None else dict(trained["sensor"])
    if step is not None:
        recipe["step_us"] = parse_options({"step": step}).step_us
    if sensor is not None:
        width, height = parse_options({"size": sensor}).size or (0, 0)
        size = {"width": width, "height": height, "polarities": 2 if "x" in sensor else 1}
    if size is None:
        raise InputError(
            f"--stream: the program was not trained on events, and takes {program.n_inputs} inputs; say the sensor's "
            "size with --sensor, as 34x34, or 700 units"
        )
    if recipe.get("step_us") is None:
        raise InputError("--stream: the network saw whole recordings in equal steps; say a duration with --step 10ms")
    return Binning.from_dict({"recipe": recipe, "sensor": size, "steps": program.steps})


def _lines(
    program: Program, stream: str, binning: Binning, hysteresis: float, plot: Path | None
) -> Iterator[tuple[Mapping[str, Any], str]]:
    from conntra_neuro.live import decide, parse_events

    file, name = _opened(stream), "--stream" if stream == "-" else stream

    def decisions() -> Iterable[Decision]:
        events = parse_events(_texts(file, stream), name, binning.sensor.is_camera)
        return decide(program, events, binning, hysteresis)

    try:
        yield from _course(decisions, program, name, "events", plot)
    finally:
        if file is not sys.stdin:
            file.close()


def _heard(
    program: Program, stream: str, hysteresis: float, plot: Path | None
) -> Iterator[tuple[Mapping[str, Any], str]]:
    from conntra_neuro.cli.samples import samples_of
    from conntra_neuro.live import listen

    def decisions() -> Iterable[Decision]:
        return listen(program, samples_of(program, stream), hysteresis)

    return _course(decisions, program, "--stream" if stream == "-" else stream, "samples", plot)


def _course(
    decisions: Callable[[], Iterable[Decision]], program: Program, name: str, what: str, plot: Path | None
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield a line for each decision that changes, and after as many steps as a sample has; draw them at the end."""
    course: deque[Decision] = deque(maxlen=_DRAWN_STEPS + 1)  # one more, whose events came before
    try:
        last, found = None, decisions()
        start = time.perf_counter()
        for decision in found:
            last = decision
            if plot is not None:
                course.append(decision)
            if decision.changed or decision.chip is not None:
                yield _line(decision, time.perf_counter() - start, what)
        if last is None:
            raise InputError(f"{name}: no {what}")
    finally:
        if plot is not None and course:
            _draw(course, program, plot)


def _draw(course: Collection[Decision], program: Program, folder: Path) -> None:
    """Draw the decisions into ``folder``."""
    from conntra_hardware.base.files import write_atomically
    from conntra_neuro.cli.progress import say
    from conntra_neuro.report.plots import decision_stream
    from conntra_neuro.report.plots.style import png

    shown = list(course)[-_DRAWN_STEPS:]
    document = {
        "time_s": [decision.time_s for decision in shown],
        "index": [decision.index for decision in shown],
        "logits": [decision.logits.tolist() for decision in shown],
        "events": [decision.events for decision in shown],
        "events_before": next(iter(course)).events if len(course) > len(shown) else 0,
        "dropped_steps": shown[0].step - 1,
        "labels": [str(label) for label in program.labels or range(program.readout.size)],
    }
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "decision-over-time.png", png(decision_stream(document)))
    say(f"picture: {folder / 'decision-over-time.png'}", quiet=False)


def _opened(stream: str) -> TextIO:
    if stream == "-":
        return sys.stdin
    try:
        return open(stream, encoding="utf-8")
    except OSError as error:
        raise FileFormatError(f"{stream}: cannot be read ({error.strerror}); check its name and permissions") from None


def _texts(file: TextIO, stream: str) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{stream}: no text of UTF-8 ({error.reason}); lines of events expected") from None


def _line(decision: Any, seconds: float, what: str) -> tuple[dict[str, Any], str]:
    """Return a decision as JSON values, and as a line for people; ``what`` came so far: events, or samples."""
    from conntra_neuro.report.units import count, percent, si

    chip, rate = decision.chip, decision.events / max(seconds, 1e-9)
    document = {
        "time_s": round(decision.time_s, 9),
        "step": decision.step,
        "label": decision.label,
        "index": decision.index,
        "lead": decision.lead,
        "changed": decision.changed,
        "logits": decision.logits.tolist(),
        what: decision.events,
        "dropped": decision.dropped,
        f"{what}_per_s": rate,
        "run_seconds": seconds,
        "chip": None if chip is None else {**asdict(chip), "modelled": True},
    }
    words = [f"{decision.time_s:10.3f} s  {decision.label!s:<12} lead {percent(decision.lead, 0)}"]
    words += [f"{count(decision.events)} {what}, {si(rate, f'{what}/s')}"]
    if chip is not None:
        power = f"{si(chip.power_w, 'W')} ({si(chip.dynamic_w, 'W')} dynamic)"
        words += [f"model: {power}, {si(chip.latency_s, 's')} a decision, {percent(chip.duty)} busy"]
    return document, "  ".join(words) + ("  *" if decision.changed else "")

"""``conntra run PROGRAM --stream FILE|-``: events as they come, decisions line by line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.cli.verb_result import Outcome

if TYPE_CHECKING:
    from conntra_hardware.program import Program
    from conntra_neuro.datasets.events.binning import Binning

__all__ = ["run_stream"]


def run_stream(path: Path, stream: str, step: str | None, sensor: str | None, hysteresis: float) -> Outcome:
    """Return lines: a decision wherever it changes, and at the end of every ``program.steps`` time steps."""
    from conntra_hardware.program.program_file import load_program
    from conntra_neuro.network.storage import load_info

    program = load_program(path)
    binning = _binning(program, load_info(path).get("events"), step, sensor)
    return Outcome({}, lines=_lines(program, stream, binning, hysteresis))


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
    program: Program, stream: str, binning: Binning, hysteresis: float
) -> Iterator[tuple[Mapping[str, Any], str]]:
    from conntra_neuro.live import decide, parse_events

    file = _opened(stream)
    try:
        last = None
        events = parse_events(_texts(file, stream), "--stream" if stream == "-" else stream, binning.sensor.is_camera)
        decisions = decide(program, events, binning, hysteresis)
        start = time.perf_counter()
        for decision in decisions:
            last = decision
            if decision.changed or decision.chip is not None:
                yield _line(decision, time.perf_counter() - start)
        if last is None:
            raise InputError(f"{'--stream' if stream == '-' else stream}: no events")
    finally:
        if file is not sys.stdin:
            file.close()


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


def _line(decision: Any, seconds: float) -> tuple[dict[str, Any], str]:
    """Return a decision as JSON values, and as a line for people."""
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
        "events": decision.events,
        "dropped": decision.dropped,
        "events_per_s": rate,
        "run_seconds": seconds,
        "chip": None if chip is None else {**asdict(chip), "modelled": True},
    }
    words = [f"{decision.time_s:10.3f} s  {decision.label!s:<12} lead {percent(decision.lead, 0)}"]
    words += [f"{count(decision.events)} events, {si(rate, 'events/s')}"]
    if chip is not None:
        power = f"{si(chip.power_w, 'W')} ({si(chip.dynamic_w, 'W')} dynamic)"
        words += [f"model: {power}, {si(chip.latency_s, 's')} a decision, {percent(chip.duty)} busy"]
    return document, "  ".join(words) + ("  *" if decision.changed else "")

"""Live streams: events or samples as they come, a program that keeps its state, and sliding decisions.

Time is cut into steps of the duration that the network was trained on, from the first event on. A step's spikes enter
the program when an event of a later step arrives, or the stream ends. A decision looks at the last ``program.steps``
steps: what the readout has added up in them, its largest value in them, its value now, or the spikes of a last layer
that spikes. After as many steps it is what ``program.run`` says of such a sample; then it slides on, with all state
kept. Samples of a microphone or another sensor go through the program's own encoder, step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike
from conntra_hardware.base.errors import InputError
from conntra_hardware.cost.coefficients import load_coefficients
from conntra_hardware.cost.energy import estimate
from conntra_hardware.cost.events import count_events
from conntra_hardware.program import Program
from conntra_neuro.datasets.events.binning import Binning
from conntra_neuro.datasets.events.recording import Recording

if TYPE_CHECKING:
    from conntra_hardware.program.signal_encoding import SignalEncoder
    from conntra_hardware.program.signal_stream import SignalStream

__all__ = ["Chip", "Decision", "decide", "listen", "parse_events"]

Event = tuple[int, ...]


@dataclass(frozen=True)
class Chip:
    """What the chip does, modelled from the events of the last ``program.steps`` steps; nothing here was measured.

    power_w    mean: their dynamic energy over their duration, and leakage; ``dynamic_w`` without leakage
    duty       share of their duration in which the chip computes
    latency_s  from the end of a step to the decision about it, if the chip runs each step as soon as it can
    coefficients  the set that priced it
    """

    power_w: float
    dynamic_w: float
    duty: float
    latency_s: float
    coefficients: str


@dataclass(frozen=True)
class Decision:
    """What the program says at the end of a time step.

    time_s    of the stream, from its first event on
    step      steps so far
    index     the class, ``label`` what it is called
    lead      of the class over the best other one, as a share of the distance from the best to the worst; below 0 where
              the other one leads, and hysteresis still holds the class
    changed   whether it was another one before
    logits    (classes,) of the last ``program.steps`` steps
    events    or samples so far, ``dropped`` how many of these no input saw: isolated ones, or of the other polarity
    chip      of the last ``program.steps`` steps, at the end of each so many; None in between
    """

    time_s: float
    step: int
    index: int
    label: Any
    lead: float
    changed: bool
    logits: npt.NDArray[np.int64]
    events: int
    dropped: int
    chip: Chip | None


def decide(
    program: Program, events: Iterable[Event], binning: Binning | Mapping[str, Any], hysteresis: float = 0.1
) -> Iterator[Decision]:
    """Yield a decision at the end of every time step of ``events``, (t, x, y, p) or (t, unit), in microseconds.

    program     whose state goes on from step to step
    events      in the order of time, as many as there are
    binning     how they become spikes, as ``Dataset.binning`` says it; its steps need a duration
    hysteresis  a class is given up where another one leads it by so large a share of the distance from the best logit
                to the worst

    At the end of the stream, steps of silence complete the last ``program.steps`` ones. InputError for events that go
    back in time or lie outside the sensor, and for a binning that does not fit the program.
    """
    if isinstance(binning, Mapping):
        binning = Binning.from_dict(binning)
    _check(program, hysteresis)
    if program.encoder is not None:
        raise InputError(
            f"stream: the program encodes {program.encoder.n_features} features; events are spikes already"
        )
    if binning.n_inputs != program.n_inputs:
        raise InputError(
            f"stream: events of {binning.sensor} give {binning.n_inputs} inputs, the program takes {program.n_inputs}; "
            "say the sensor's size with --sensor"
        )
    return _decisions(_Live(program, _step_s(binning), hysteresis), _steps(events, binning), binning)


def _decisions(live: _Live, steps: Iterable[tuple[int, Recording]], binning: Binning) -> Iterator[Decision]:
    seen, silence = binning.unseen(), live.silence
    for step, found in steps:
        for _ in range(step - live.step):
            yield live.advance(silence)
        row, kept = _row(found, binning, seen)
        yield live.advance(row, len(kept), int((~kept).sum()))
    for _ in range(-live.step % live.window):
        yield live.advance(silence)


def listen(
    program: Program,
    samples: Iterable[ArrayLike],
    hysteresis: float = 0.1,
    every: int | None = None,
    window: int | None = None,
) -> Iterator[Decision]:
    """Yield decisions on ``samples``, as they come.

    program     with an encoder of signals, whose state and filter bank go on from step to step
    samples     parts of a recording of any length, whole numbers of 16 bits, (k,), or (k, channels)
    hysteresis  as in ``decide``
    every       0: the program keeps its state, and a decision comes at the end of every step. Else one comes after so
                many steps: on the last ``program.steps`` steps anew, as ``program.run`` has them, from no state, their
                loudness counted over them alone; while there are fewer, silence follows. None: 0, but of codings that
                are ``relative`` and do not send on delta an eighth of a sample's steps
    window      with 0: steps that loudness is counted over, see ``SignalStream``; None: as many as a sample has

    A step is run as soon as all samples of its frames are there. At the end, steps of silence complete the last
    ``program.steps`` ones. InputError for another program, and for samples of another shape, or of more than 16 bits.
    """
    from conntra_hardware.program.signal_encoding import SignalEncoder
    from conntra_hardware.program.signal_stream import SignalStream

    _check(program, hysteresis)
    if not isinstance(program.encoder, SignalEncoder):
        raise InputError(
            "stream: the program has no encoder of signals; one of a network on audio: or series: expected"
        )
    coding = program.encoder.coding
    stream, step_s = SignalStream(program.encoder, window), coding.per_step / coding.rate
    if every is None:
        counted = coding.relative and coding.bands > 0 and coding.code != "delta"
        every = max(1, coding.steps // 8) if counted else 0
    if not whole(every, "stream: every", 0):
        return _heard(_Live(program, step_s, hysteresis), stream, samples)
    return _heard_anew(_Anew(program, step_s, hysteresis, every), program.encoder, stream, samples)


def _heard(live: _Live, stream: SignalStream, samples: Iterable[ArrayLike]) -> Iterator[Decision]:
    new = 0
    for part in samples:
        rows, new = stream.push(part), new + len(np.asarray(part))
        for row in rows:
            yield live.advance(row, new)
            new = 0
    for row in stream.finish(live.window):
        yield live.advance(row, new)
        new = 0


def _heard_anew(
    live: _Anew, encoder: SignalEncoder, stream: SignalStream, samples: Iterable[ArrayLike]
) -> Iterator[Decision]:
    coding, new = encoder.coding, 0
    last: deque[npt.NDArray[np.int64]] = deque(maxlen=coding.steps)

    def steps() -> Iterator[npt.NDArray[np.int64]]:
        nonlocal new
        for part in samples:
            new += len(np.asarray(part))
            yield from stream.values(part)
        yield from stream.rest(live.window)

    for number, row in enumerate(steps(), start=1):
        last.append(row)
        if number % live.every and number % live.window:
            continue
        found = np.zeros((1, coding.steps, coding.values), np.int64)
        found[0, : len(last)] = np.stack(last)
        found -= found.max() if coding.relative and coding.bands else 0
        yield live.anew(encoder.coded(found)[0], number, new)
        new = 0


def _check(program: Program, hysteresis: float) -> None:
    if not 0 <= hysteresis <= 1:
        raise InputError(f"hysteresis {hysteresis}: a share from 0 to 1 expected")
    if program.value is not None:
        raise InputError("stream: the program answers with a value; decisions are between classes: give one of classes")


def _step_s(binning: Binning) -> float:
    return whole(binning.recipe.step_us, "stream: step_us", 1) * 1e-6


def _row(recording: Recording, binning: Binning, seen: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return a step's input spikes, and which of the events an input has seen."""
    if (recording.p is not None) != binning.sensor.is_camera:
        raise InputError(f"{recording.name}: another form than that of the sensor, {binning.sensor}")
    recording.check_within(binning.sensor)
    inputs, kept = binning.inputs(recording, seen)
    row = np.zeros(binning.n_inputs, np.uint8)
    row[inputs[kept]] = 1
    return row, kept


def parse_events(lines: Iterable[str], name: str, camera: bool) -> Iterator[Event]:
    """Yield the events of lines ``t,x,y,p``, or ``t,unit``; a first line of names is passed over.

    InputError for any other line, by its number.
    """
    width, form = (4, "t,x,y,p") if camera else (2, "t,unit")
    for number, line in enumerate(lines, start=1):
        texts = line.split(",")
        try:
            event = tuple(map(int, texts))
        except ValueError:
            if not line.strip() or line.startswith("#") or (number == 1 and not any(c.isdigit() for c in line)):
                continue
            raise InputError(f"{name}: line {number}: {line.strip()!r}; {form} expected, whole numbers") from None
        if len(event) != width:
            raise InputError(f"{name}: line {number}: {len(event)} numbers; {form} expected")
        yield event


def _steps(events: Iterable[Event], binning: Binning) -> Iterator[tuple[int, Recording]]:
    """Yield each time step that has events, and these, as soon as a later event comes."""
    step_us = whole(binning.recipe.step_us, "stream: step_us", 1)
    found: list[Event] = []
    start = end = count = 0
    for event in events:
        if count == 0:
            start, end = event[0], event[0] + step_us
        elif event[0] < found[-1][0]:
            raise InputError(
                f"stream: event {count}: time goes back, from {found[-1][0]} to {event[0]} us; ascending times expected"
            )
        count += 1
        if event[0] >= end:
            yield (end - start) // step_us - 1, _recording(found, count - 1)
            found = []
            end = start + ((event[0] - start) // step_us + 1) * step_us
        found.append(event)
    if found:
        yield (end - start) // step_us - 1, _recording(found, count)


def _recording(events: list[Event], count: int) -> Recording:
    name = f"stream, events {count - len(events)} to {count - 1}"
    return Recording.of(name, *np.array(events, np.int64).T)


class _Live:
    """A program, its state, and the last ``program.steps`` steps of what it did."""

    def __init__(self, program: Program, step_s: float, hysteresis: float) -> None:
        self._program, self._step_s, self._hysteresis = program, step_s, hysteresis
        self._stream, self.window = program.stream(), program.steps
        self.silence = np.zeros(program.n_inputs, np.uint8)
        self._outputs: deque[npt.NDArray[np.int64]] = deque(maxlen=program.steps + 1)
        self._inputs: list[npt.NDArray[np.uint8]] = []
        self._sent: list[list[npt.NDArray[Any]]] = []
        self._costs = load_coefficients(program.chip.coefficients[0])
        # Everything once, so that what is compiled is loaded before the first event.
        self.step, self._events, self._dropped, self._held = 0, 0, 0, -1
        for _ in range(program.steps):
            self.advance(self.silence)
        self._stream.reset()
        self._outputs.clear()
        self.step, self._held = 0, -1

    def advance(self, spikes: npt.NDArray[np.uint8], events: int = 0, dropped: int = 0) -> Decision:
        """Run one step with input ``spikes`` (inputs,), of so many new ``events``."""
        row = spikes[None]
        self._events += events
        self._dropped += dropped
        self._outputs.append(self._stream.push(row)[0].astype(np.int64))
        self._inputs.append(row)
        self._sent.append(self._stream.sent)
        self.step += 1
        return self._decision(self._chip() if self.step % self._program.steps == 0 else None)

    def _decision(self, chip: Chip | None) -> Decision:
        logits = self._logits()
        best, held = int(logits.argmax()), self._held
        spread = max(int(logits.max() - logits.min()), 1)
        if held < 0 or int(logits[best] - logits[held]) > self._hysteresis * spread:
            self._held = best
        others = np.delete(logits, self._held)
        lead = float(logits[self._held] - others.max()) / spread if len(others) else 1.0
        step_s = self._step_s
        labels = self._program.labels
        return Decision(
            time_s=self.step * step_s,
            step=self.step,
            index=self._held,
            label=self._held if labels is None else labels[self._held],
            lead=lead,
            changed=self._held != held,
            logits=logits,
            events=self._events,
            dropped=self._dropped,
            chip=chip,
        )

    def _logits(self) -> npt.NDArray[np.int64]:
        """Return what the last ``program.steps`` steps say."""
        neuron, steps = self._program.readout.neuron, self._program.steps
        recent = list(self._outputs)[-steps:]
        if neuron.spikes:
            return np.sum(recent, axis=0)
        if neuron.facts.form == "leaky readout":
            return np.max(recent, axis=0) if neuron.facts.read == "max" else recent[-1]
        if len(self._outputs) <= steps:
            return recent[-1]
        return recent[-1] - self._outputs[0]  # the potential grows for ever: what it has grown by

    def _chip(self, duration_s: float | None = None, waits: int = 0) -> Chip:
        """Return the model's figures for the ``program.steps`` steps since the last call, in the time of so many; of a
        decision that so many steps have to be computed for before its own, ``waits``.
        """
        program = self._program
        sent = {
            population.name: np.concatenate([row[at] for row in self._sent])
            for at, population in enumerate(program.populations)
            if population.neuron.spikes
        }
        counts = count_events(program, np.concatenate(self._inputs), sent)
        self._inputs, self._sent = [], []
        found = estimate(counts, program, self._costs)
        duration_s = program.steps * self._step_s if duration_s is None else duration_s
        return Chip(
            dynamic_w=found.dynamic_j / duration_s,
            power_w=found.dynamic_j / duration_s + self._costs.leakage_w * program.chip.chips,
            duty=found.step_time_s * program.steps / duration_s,
            latency_s=(program.depth + waits) * found.step_time_s,
            coefficients=self._costs.name,
        )


class _Anew(_Live):
    """A program that runs the last ``program.steps`` steps anew after ``every`` ones."""

    def __init__(self, program: Program, step_s: float, hysteresis: float, every: int) -> None:
        super().__init__(program, step_s, hysteresis)
        self.every = every

    def anew(self, spikes: npt.NDArray[np.uint8], step: int, events: int) -> Decision:
        """Run ``spikes`` (program.steps, inputs) from no state, at the end of ``step``, of so many new ``events``."""
        passed, self.step = step - self.step, step
        self._events += events
        self._stream.reset()
        self._outputs.clear()
        self._outputs.extend(self._stream.push(spikes).astype(np.int64))
        self._inputs, self._sent = [spikes], [self._stream.sent]
        ends = step % self._program.steps == 0
        return self._decision(self._chip(passed * self._step_s, self._program.steps - 1) if ends else None)

"""A microphone on the command line: WAV files and raw samples, against runs of the same recordings."""

from __future__ import annotations

import io
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.program.signal_encoding import SignalCoding, SignalEncoder

RATE, STEPS, PER_STEP = 8000, 10, 160
BANK: dict[str, Any] = {"bands": 6, "frame": 256, "hops": 2, "rate": RATE, "low": 80, "high": 4000}


def encoder(relative: bool = False, channels: int = 1) -> SignalEncoder:
    coding = SignalCoding(STEPS, PER_STEP, channels, relative=relative, levels=2, **BANK)
    return coding.fit(np.random.default_rng(0).integers(-3000, 3000, (20, coding.n_features)).astype(np.int16))


@pytest.fixture
def program(conntra: Any) -> Any:
    def written(**options: Any) -> Any:
        made, rng = encoder(**options), np.random.default_rng(1)
        hidden = cn.Dense(rng.integers(-2, 3, (12, made.n_out)), activation=cn.Lif(2, voltage_decay=300))
        readout = cn.Dense(rng.integers(-2, 3, (3, 12)), activation="readout")
        network = cn.DiscreteNetwork([hidden, readout], made, labels=["one", "two", "three"], steps=STEPS)
        found = cn.compile(network, "loihi2")
        cn.save(found, conntra.folder / "a.program")
        return found

    return written


def wav(path: Path, samples: np.ndarray, rate: int = RATE, channels: int = 1) -> Path:
    data = samples.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


class Typed(io.StringIO):
    """Standard input with bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.buffer = io.BytesIO(data)  # type: ignore[misc]


def lines(ran: Any) -> list[dict[str, Any]]:
    assert ran.status == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_recording_is_what_a_run_says_of_it(conntra: Any, program: Any, monkeypatch: Any) -> None:
    """As a WAV file, as a file of raw samples, and through standard input; it slides on behind the first window."""
    made = program()
    samples = np.random.default_rng(3).integers(-8000, 8000, STEPS * PER_STEP).astype(np.int16)
    wav(conntra.folder / "a.wav", samples)
    (conntra.folder / "a.pcm").write_bytes(samples.astype("<i2").tobytes())
    ran = made.run(samples[None])
    for source in ("a.wav", "a.pcm", "-"):
        monkeypatch.setattr(sys, "stdin", Typed(samples.astype("<i2").tobytes()))
        found = lines(conntra("run", "a.program", "--stream", source, "--hysteresis", "0", "--json"))
        assert found[-1]["logits"] == ran.logits[0].tolist()
        assert found[-1]["step"] == STEPS
        assert found[-1]["samples"] == len(samples)
        assert found[-1]["samples_per_s"] > 0
        assert found[-1]["chip"]["modelled"]
        assert found[-1]["time_s"] == pytest.approx(0.2)
    said = conntra("run", "a.program", "--stream", "a.wav")
    assert "1,600 samples" in said.out.splitlines()[-1]
    assert "model: " in said.out.splitlines()[-1]
    wav(conntra.folder / "long.wav", np.tile(samples, 3))
    assert lines(conntra("run", "a.program", "--stream", "long.wav", "--json"))[-1]["step"] == 3 * STEPS
    wav(conntra.folder / "two.wav", np.repeat(samples, 2), channels=2)
    both = lines(conntra("run", "a.program", "--stream", "two.wav", "--hysteresis", "0", "--json"))
    assert both[-1]["logits"] == ran.logits[0].tolist()
    drawn = conntra("run", "a.program", "--stream", "a.wav", "--plot", "pictures")
    assert drawn.status == 0, drawn
    assert (conntra.folder / "pictures" / "decision-over-time.png").is_file()


def test_loudness_that_is_counted_slides(conntra: Any, program: Any) -> None:
    """Twice as loud is the same, though it is heard as it comes."""
    program(relative=True)
    samples = 2 * np.random.default_rng(3).integers(-4000, 4000, 2 * STEPS * PER_STEP)
    wav(conntra.folder / "loud.wav", 2 * samples)
    wav(conntra.folder / "soft.wav", samples)
    loud, soft = (lines(conntra("run", "a.program", "--stream", name, "--json")) for name in ("loud.wav", "soft.wav"))
    assert [line["logits"] for line in loud] == [line["logits"] for line in soft]


def test_mistakes_are_one_line(fails: Any, conntra: Any, program: Any, monkeypatch: Any) -> None:
    program()
    samples = np.ones(400, np.int16)
    whole = wav(conntra.folder / "a.wav", samples).read_bytes()
    wav(conntra.folder / "fast.wav", samples, rate=16000)
    (conntra.folder / "cut.wav").write_bytes(whole[:-100])
    (conntra.folder / "none.wav").write_bytes(b"RIFF")
    (conntra.folder / "empty.pcm").write_bytes(b"")
    (conntra.folder / "odd.pcm").write_bytes(b"123")
    (conntra.folder / "named.pcm").write_bytes(whole)
    stream = ("run", "a.program", "--stream")
    fails(*stream, "fast.wav", says=["16000 samples a second, the network takes 8000"])
    fails(*stream, "cut.wav", says=["damaged"])
    fails(*stream, "none.wav", says=["no WAV"])
    fails(*stream, "nowhere.wav", says=["no WAV", "No such file"])
    fails(*stream, "nowhere.pcm", says=["cannot be read"])
    fails(*stream, "empty.pcm", says=["empty.pcm: no samples"])
    fails(*stream, "odd.pcm", says=["ends within a sample"])
    fails(*stream, "named.pcm", says=["a WAV header in raw samples"])
    fails(*stream, "a.wav", "--step", "10ms", says=["--step, --sensor: of events"])
    program(channels=2)
    fails(*stream, "a.wav", says=["for 2 channels; raw samples expected"])
    monkeypatch.setattr(sys, "stdin", Typed(np.ones(800, "<i2").tobytes()))
    assert conntra(*stream, "-").status == 0

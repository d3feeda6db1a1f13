"""Events and signals on the command line, from files to a stream of decisions."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conntra_neuro.network.storage import load_info


@pytest.fixture(autouse=True)
def cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path / "cache"))


def test_events_from_files_to_a_stream_of_decisions(conntra: Any) -> None:
    """Two classes: what is bright is left, or right. The recordings are CSV files in class folders."""
    rng = np.random.default_rng(0)
    for label, side in (("left", 0), ("right", 4)):
        for index in range(20):
            path = conntra.folder / "set" / label / f"{index}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            t = np.sort(rng.integers(0, 8000, 60))
            lines = [f"{a},{side + x},{y},{p}" for a, x, y, p in zip(t, *rng.integers(0, (4, 4, 2), (60, 3)).T)]  # noqa: B905
            path.write_text("t,x,y,p\n" + "\n".join(lines) + "\n")
    data = "events:set?steps=8&step=1ms&size=8x4"
    options = ("--neuron", "lif:256", "--layers", "8", "--sweeps", "60", "--out", "e.conntra")
    trained = conntra("train", data, *options, "--json")
    assert trained.status == 0, trained
    assert trained.document["test_error"] < 0.2
    assert load_info("e.conntra")["events"]["sensor"] == {"width": 8, "height": 4, "polarities": 2}
    assert conntra("compile", "e.conntra", "--chip", "loihi2", "--out", "e.program").status == 0
    ran = conntra("run", "e.program", "--json")
    assert ran.status == 0, ran
    assert ran.document["accuracy"] == 1 - trained.document["test_error"]
    assert conntra("verify", "e.program", "--backends", "reference,loop", "--json").document["equal"]
    streamed = conntra("run", "e.program", "--stream", "set/right/0.csv")
    assert streamed.status == 0, streamed
    assert "right" in streamed.out.splitlines()[-1]
    drawn = conntra("run", "e.program", "--stream", "set/right/0.csv", "--plot", "pictures")
    assert drawn.status == 0, drawn
    assert drawn.err == f"picture: {Path('pictures') / 'decision-over-time.png'}\n"
    assert (conntra.folder / "pictures" / "decision-over-time.png").read_bytes().startswith(b"\x89PNG")
    assert conntra("run", "e.program", "--stream", "set/right/0.csv", "--plot", "e.conntra").status == 2
    assert conntra("run", "e.program", "--plot", "pictures").status == 0
    assert (conntra.folder / "pictures" / "events.png").is_file()


def test_audio_from_files_to_a_verified_program(conntra: Any) -> None:
    """Two classes: a low tone, or a high one, in noise."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 20), ("val", 8)):
        for label, hz in (("low", 300), ("high", 2000)):
            for index in range(n):
                path = conntra.folder / "set" / part / label / f"{index}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                tone = 6000 * np.sin(2 * np.pi * hz * rng.uniform(0.9, 1.1) * np.arange(1600) / 8000)
                data = (tone + rng.normal(0, 300, 1600)).astype("<i2").tobytes()
                form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
                body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
                path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    options = ("--neuron", "lif:256", "--layers", "8", "--sweeps", "60", "--out", "a.conntra")
    trained = conntra("train", "audio:set?steps=10&bands=12", *options, "--json")
    assert trained.status == 0, trained
    assert trained.document["test_error"] < 0.2
    assert conntra("compile", "a.conntra", "--chip", "loihi2", "--out", "a.program").status == 0
    ran = conntra("run", "a.program", "--json")
    assert ran.document["accuracy"] == 1 - trained.document["test_error"]
    assert conntra("verify", "a.program", "--backends", "reference,loop", "--json").document["equal"]


def test_mistakes_are_one_line(fails: Any, conntra: Any) -> None:
    fails("train", "events:nowhere", says=["no such file or folder"])
    fails("train", "audio:nowhere", says=["no such file or folder"])
    fails("train", "series:nowhere.npz", says=["no such file or folder"])
    fails("train", "moving-edge", "--encoder", "rate:8", says=["spikes over time already"])
    path = conntra.folder / "set" / "a" / "0.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"123456")
    path.with_name("1.bin").write_bytes(b"12345")
    fails("train", "events:set", says=["cut off"])

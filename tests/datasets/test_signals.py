"""``audio:DIR`` and ``series:PATH``: files that are written here, whole and damaged, and what they become."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.datasets import encoder_of, load_dataset
from conntra_neuro.datasets.signals.wav import read_wav


def wav(data: bytes, width: int = 2, channels: int = 1, rate: int = 8000, kind: int = 1) -> bytes:
    """A RIFF file by its layout: a header, the format, the data."""
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, 8 * width)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def write_set(folder: Path, parts: tuple[str, ...] = ("train", "val"), samples: int = 700) -> np.ndarray:
    rng = np.random.default_rng(0)
    made = []
    for part in parts:
        for label in ("left", "right"):
            for speaker in ("anna", "ben"):
                path = folder / part / label / f"{speaker}_0.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                made.append(rng.integers(-9000, 9000, samples).astype("<i2"))
                path.write_bytes(wav(made[-1].tobytes()))
    return np.stack(made)


def test_samples_of_every_width(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for data, width, expected in (
        (bytes((0, 128, 255)), 1, [-32768, 0, 32512]),
        (struct.pack("<3h", -5, 0, 32767), 2, [-5, 0, 32767]),
        (b"\xff\x01\x00" + b"\x00\xff\xff" + b"\x12\x34\x80", 3, [1, -1, -32716]),
        (struct.pack("<3i", 65536, -65536, 2**31 - 1), 4, [1, -1, 32767]),
    ):
        path.write_bytes(wav(data, width))
        samples, rate = read_wav(path)
        assert samples.tolist() == expected
        assert rate == 8000
    path.write_bytes(wav(struct.pack("<4h", 4, 8, -3, 0), channels=2))
    assert read_wav(path)[0].tolist() == [6, -2]


def test_wav_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    whole = wav(struct.pack("<100h", *range(100)))
    for data, says in (
        (b"", "no WAV"),
        (b"RIFFxxxxMP3 ", "no WAV"),
        (whole[:30], "no WAV"),
        (whole[:-20], "truncated"),
        (wav(struct.pack("<4f", 1, 2, 3, 4), 4, kind=3), "no WAV of whole numbers"),
        (wav(b""), "no samples"),
    ):
        path.write_bytes(data)
        with pytest.raises(ConntraError, match=says) as error:
            read_wav(path)
        assert str(path) in str(error.value)


def test_recordings_are_cut_or_followed_by_silence(tmp_path: Path) -> None:
    made = write_set(tmp_path)
    data = load_dataset(f"audio:{tmp_path}?steps=5&bands=10&code=crossings&levels=2")
    assert data.note == "split as given"
    assert data.labels == ("left", "right")
    np.testing.assert_array_equal(data.x_train[:, :700], made[:4])
    assert not data.x_train[:, 700:].any()
    assert isinstance(data.input, SignalCoding)
    assert data.input == SignalCoding(5, 160, 1, 10, 256, 2, 8000, 80, 4000, True, "crossings", 2)
    encoder = encoder_of(data)
    assert encoder is not None
    assert encoder.encode(data.x_test).shape == (20, 40)
    short = load_dataset(f"audio:{tmp_path}?steps=3&step=10ms")
    np.testing.assert_array_equal(short.x_test, made[4:, :240])
    assert load_dataset(f"audio:{tmp_path}").input.steps == 5  # type: ignore[union-attr]  # 700 samples, 160 a step


def test_speakers_are_held_out(tmp_path: Path) -> None:
    made = write_set(tmp_path)
    data = load_dataset(f"audio:{tmp_path}?group=prefix&held=ben")
    np.testing.assert_array_equal(data.x_test[:, :700], made[1::2])


def test_audio_that_cannot_be_used(tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    for options, says in (
        ("bands=x", "whole number"),
        ("step=1us", "no whole number of samples"),
        ("high=5000", "up to 4000 Hz"),
        ("relative=maybe", "yes or no"),
        ("code=delta&levels=2", "which has none"),
        ("speed=1", "not known; allowed: steps, step"),
        ("group=room", "prefix expected"),
    ):
        with pytest.raises(InputError, match=says):
            load_dataset(f"audio:{tmp_path / 'set'}?{options}")
    with pytest.raises(InputError, match="a signal, which has its own"):
        encoder_of(load_dataset(f"audio:{tmp_path / 'set'}"), "rate:8")
    (tmp_path / "none").mkdir()
    with pytest.raises(FileFormatError, match="no recordings in it"):
        load_dataset(f"audio:{tmp_path / 'none'}")
    odd = tmp_path / "set" / "train" / "left" / "carl_0.wav"
    odd.write_bytes(wav(bytes(100), rate=16000))
    with pytest.raises(InputError, match=r"carl_0\.wav: 16000 samples a second|16000"):
        load_dataset(f"audio:{tmp_path / 'set'}")


class TestSeries:
    def test_npz(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        rng = np.random.default_rng(0)
        x, y = rng.integers(-100, 100, (6, 8, 2)), np.array([0, 1] * 3)
        np.savez(path, x_train=x[:4], y_train=y[:4], x_test=x[4:], y_test=y[4:], subject=np.arange(6) // 2)
        data = load_dataset(f"series:{path}?step=2&code=delta")
        assert data.input == SignalCoding(4, 2, channels=2, code="delta", levels=1)
        np.testing.assert_array_equal(data.x_train, x[:4].transpose(0, 2, 1).reshape(4, 16))
        held = load_dataset(f"series:{path}?group=subject&held=0")
        np.testing.assert_array_equal(held.x_test, x[:2].transpose(0, 2, 1).reshape(2, 16))

    def test_real_numbers_become_16_bits(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        x = np.random.default_rng(0).normal(0, 0.01, (8, 5))
        np.savez(path, x_train=x, y_train=np.arange(8) % 2)
        data = load_dataset(f"series:{path}")
        assert data.x_train.dtype == np.int16
        assert 2**13 <= np.abs(data.x_train.astype(int)).max() < 2**15
        assert "rounded" in data.note
        fixed = load_dataset(f"series:{path}?scale=1000")
        both = np.concatenate([fixed.x_train, fixed.x_test])
        assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, np.rint(1000 * x).astype(int).tolist()))

    def test_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        rows = [f"{n},{'ab'[n % 2]},{n // 2},{t * n},{-t}" for n in range(4) for t in range(3 + n % 2)]
        path.write_text("\n".join(["sample,label,who,ax,ay", *rows]) + "\n")
        data = load_dataset(f"series:{path}?group=who&held=1&steps=4")
        assert data.x_train.tolist() == [[0, 0, 0, 0, 0, -1, -2, -2], [0, 1, 2, 3, 0, -1, -2, -3]]
        assert data.x_test.tolist() == [[0, 2, 4, 4, 0, -1, -2, -2], [0, 3, 6, 9, 0, -1, -2, -3]]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "no column sample"),
            ("sample,label\n1,a\n", "no channels"),
            ("sample,label,a\n", "no samples"),
            ("sample,label,a\n1,a\n", "line 2 has 2 values of 3"),
            ("sample,label,a\n1,a,x\n", "line 2: 'x'"),
            ("sample,label,a\n1,a,2\n1,b,2\n", "line 3: sample 1 has several labels"),
            ("sample,label,a\n0,a,nan\n1,a,1\n2,b,1\n3,b,1\n", "NaN"),
        ],
    )
    def test_csv_that_cannot_be_used(self, tmp_path: Path, text: str, says: str) -> None:
        path = tmp_path / "a.csv"
        path.write_text(text)
        with pytest.raises(ConntraError, match=says):
            load_dataset(f"series:{path}")

    def test_npz_that_cannot_be_used(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        x, y = np.zeros((4, 5)), np.array([0, 1, 0, 1])
        for arrays, options, says in (
            ({"x": x}, "", "no x_train"),
            ({"x_train": x, "y_train": y[:3]}, "", "4 samples in x_train, 3 in y_train"),
            ({"x_train": x[0], "y_train": y}, "", r"\(n, samples\)"),
            ({"x_train": x, "y_train": y}, "?step=0", "step=0"),
            ({"x_train": x, "y_train": y}, "?scale=-1", "above 0"),
            ({"x_train": x, "y_train": y}, "?group=who", "no array of that name"),
        ):
            np.savez(path, **arrays)
            with pytest.raises(ConntraError, match=says):
                load_dataset(f"series:{path}{options}")

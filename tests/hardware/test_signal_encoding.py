"""Signals to spikes: the integer filter bank against NumPy's transform and plain loops; codes, files, mistakes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.program import signal_kernel
from conntra_hardware.program.input_encoding import encoder_from_dict
from conntra_hardware.program.signal_encoding import SignalCoding, SignalEncoder, log2

BANK = SignalCoding(steps=4, per_step=80, bands=12, frame=128, hops=2, rate=4000, low=100, high=2000)


def noise(n: int = 3, coding: SignalCoding = BANK, largest: int = 2**15 - 1) -> np.ndarray:
    return np.random.default_rng(0).integers(-largest, largest + 1, (n, coding.n_features)).astype(np.int16)


def mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def test_the_bank_is_that_of_a_transform_in_floating_point() -> None:
    """Energies by numpy.fft and triangles written anew, to a hundredth of a power of two where there is sound."""
    x = noise()
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(mel(BANK.low), mel(BANK.high), BANK.bands + 2)]
    found = BANK.analyse(x)
    for n, step in np.ndindex(3, BANK.steps):
        power = np.zeros(65)
        for hop in range(2):
            start = step * 80 + hop * 40
            frame = np.zeros(128)
            part = x[n, start : start + 128]
            frame[: len(part)] = part
            power += np.abs(np.fft.fft(frame * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128)))[:65]) ** 2
        for band in range(BANK.bands):
            low, middle, high = edges[band : band + 3]
            lines = [k * 4000 / 128 for k in range(65)]
            weights = [max(0.0, min((f - low) / (middle - low), (high - f) / (high - middle))) for f in lines]
            energy = sum(w * p for w, p in zip(weights, power, strict=True))
            if energy == 0:  # narrower than the lines are apart: the nearest one
                energy = power[int(np.abs(np.array(lines) - middle).argmin())]
            assert abs(found[n, step, band] - 256 * math.log2(256 * energy)) < 256 / 100


def test_the_loops_are_what_python_makes_of_them() -> None:
    x = noise(2)
    tables: Any = __import__("conntra_hardware.program.signal_encoding", fromlist=["filter_bank"]).filter_bank(BANK)
    compiled, plain = (np.zeros((2, BANK.steps, BANK.bands), np.int64) for _ in range(2))
    signal_kernel.band_energies(x.astype(np.int32), 40, 2, *tables, compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal_kernel, "_transform", signal_kernel._transform.py_func)
        signal_kernel.band_energies.py_func(x.astype(np.int64), 40, 2, *tables, plain)
    np.testing.assert_array_equal(compiled, plain)


def test_the_loudest_samples_stay_within_64_bits() -> None:
    """A full-scale square wave at the largest frame: energies are positive, and louder is more."""
    coding = SignalCoding(steps=2, per_step=4096, bands=3, frame=4096, rate=16000, low=0, high=8000, hops=1)
    wave = np.where(np.arange(coding.n_features) // 64 % 2, 2**15 - 1, -(2**15))[None]
    loud, less = coding.analyse(wave), coding.analyse(wave // 2)
    assert np.all(loud > 0)
    assert np.all(loud[:, 0] > less[:, 0])


def test_logarithms() -> None:
    energies = np.array([0, 1, 2, 3, 255, 256, 1000, 2**40 + 12345, 2**62])
    exact = [0.0, *(256 * math.log2(int(e)) for e in energies[1:])]
    assert np.abs(log2(energies) - np.array(exact)).max() <= 2
    assert log2(energies)[[0, 1, 2, 5, 8]].tolist() == [0, 0, 256, 2048, 62 * 256]


def test_relative_values_do_not_know_how_loud_it_was() -> None:
    coding = SignalCoding(**{**vars(BANK), "relative": True})
    x = noise(2, largest=8000)
    assert np.abs(coding.analyse(x) - coding.analyse(2 * x)).max() <= 3
    assert np.abs(BANK.analyse(x) + 512 - BANK.analyse(2 * x)).max() <= 3  # four times the energy


def test_plain_channels_are_means_and_levels_and_crossings_are_loops() -> None:
    coding = SignalCoding(steps=5, per_step=3, channels=2, code="crossings", levels=2)
    x = np.random.default_rng(1).integers(-50, 51, (4, 30))
    means = np.array(
        [[[sum(row[c * 15 + 3 * t :][:3]) // 3 for c in range(2)] for t in range(5)] for row in x.tolist()]
    )
    np.testing.assert_array_equal(coding.analyse(x), means)
    encoder = coding.fit(x)
    np.testing.assert_array_equal(
        encoder.levels_of, np.floor(np.quantile(means.reshape(-1, 2), [1 / 3, 2 / 3], axis=0)).astype(int)
    )
    spikes = encoder.encode(x).reshape(4, 5, 8)
    levels = SignalEncoder(SignalCoding(**{**vars(coding), "code": "levels"}), encoder.levels_of)
    above = levels.encode(x).reshape(4, 5, 4)
    for n, t, level, c in np.ndindex(4, 5, 2, 2):
        now = means[n, t, c] > encoder.levels_of[level, c]
        before = means[n, t - 1, c] > encoder.levels_of[level, c] if t else now
        assert above[n, t, 2 * level + c] == now
        assert spikes[n, t, 2 * level + c] == (now and not before)
        assert spikes[n, t, 4 + 2 * level + c] == (before and not now)


def test_send_on_delta_is_a_loop() -> None:
    coding = SignalCoding(steps=40, per_step=1, channels=3, code="delta", levels=1)
    x = np.random.default_rng(2).integers(-30, 31, (5, 3, 40)).cumsum(axis=2).reshape(5, -1)
    encoder = coding.fit(x)
    spikes = encoder.encode(x).reshape(5, 40, 6)
    for n, c in np.ndindex(5, 3):
        sent, delta = int(x[n, 40 * c]), int(encoder.levels_of[0, c])
        for t in range(40):
            value, up, down = int(x[n, 40 * c + t]), 0, 0
            while value - sent >= delta:
                sent, up = sent + delta, 1
            while sent - value >= delta:
                sent, down = sent - delta, 1
            assert (spikes[n, t, c], spikes[n, t, 3 + c]) == (up, down)
    assert 0.05 < spikes.mean() < 0.5


@pytest.mark.parametrize("code", ["levels", "crossings", "delta"])
def test_saved_with_network_and_program(tmp_path: Path, code: str) -> None:
    coding = SignalCoding(**{**vars(BANK), "code": code, "levels": 1 if code == "delta" else 2, "relative": True})
    x = noise(6)
    encoder = coding.fit(x)
    rng = np.random.default_rng(3)
    hidden = cn.Dense(rng.integers(-1, 2, (8, encoder.n_out)), activation=cn.Lif(3, voltage_decay=256))
    readout = cn.Dense(rng.integers(-1, 2, (2, 8)), activation="readout")
    network = cn.DiscreteNetwork([hidden, readout], encoder, steps=4)
    cn.save(network, tmp_path / "n.conntra")
    program = cn.compile(network, "loihi2")
    cn.save(program, tmp_path / "p.conntra")
    for loaded in (cn.load(tmp_path / "n.conntra"), cn.load(tmp_path / "p.conntra")):
        assert isinstance(loaded.encoder, SignalEncoder)
        assert loaded.encoder.coding == coding
        np.testing.assert_array_equal(loaded.encode(x), network.encode(x))
    np.testing.assert_array_equal(program.run(x).logits, network.forward(network.encode(x)))
    assert program.verify(x, ["reference", "loop"]).equal


def test_what_is_refused() -> None:
    given = vars(BANK)
    for change, says in (
        ({"steps": 1}, "steps 1"),
        ({"code": "words"}, "allowed: levels, crossings, delta"),
        ({"code": "delta"}, "3 levels with code delta"),
        ({"frame": 100}, "power of two"),
        ({"hops": 3}, "a divisor"),
        ({"high": 2001}, "up to 2000 Hz"),
        ({"low": 2000}, "rising ones"),
    ):
        with pytest.raises(InputError, match=says):
            SignalCoding(**{**given, **change})
    encoder = BANK.fit(noise())
    for x, says in (
        (np.zeros((2, 5)), r"\(n, 320\) expected"),
        (np.full((1, 320), 0.5), "whole numbers"),
        (np.full((1, 320), 70000), "70000 to 70000"),
    ):
        with pytest.raises(InputError, match=says):
            encoder.encode(x)
    with pytest.raises(InputError, match="rising ones"):
        SignalEncoder(BANK, -np.arange(36).reshape(3, 12))
    with pytest.raises(InputError, match=r"\(3, 12\) expected"):
        SignalEncoder(BANK, np.zeros((3, 4), np.int64))
    numbers = np.array(encoder.thresholds)
    assert encoder_from_dict("signal", numbers).n_out == encoder.n_out
    for row, value in ((0, 1), (0, 5), (3, 3.5), (10, 9), (len(numbers) - 1, -(10**9))):
        wrong = numbers.copy()
        wrong[row] = value
        with pytest.raises(InputError):
            encoder_from_dict("signal", wrong)
    with pytest.raises(InputError):
        encoder_from_dict("signal", numbers[:5])

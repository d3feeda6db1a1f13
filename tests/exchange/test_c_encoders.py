"""Encoders over time in C: rates, latencies, and the filter bank of signals, spike for spike."""

from __future__ import annotations

import shutil

import compiled_c
import numpy as np
import pytest

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import CodeEncoder, LatencyEncoder, RateEncoder
from conntra_hardware.program.signal_encoding import SignalCoding, SignalEncoder
from conntra_neuro.exchange.c.measure import measure
from conntra_neuro.exchange.c.writer import c_header
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Dense

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")

_MAIN = """
#include <stdio.h>
#define NET_IMPLEMENTATION
#include "net.h"
int main(void)
{
    static net_feature x[NET_N_FEATURES];
    static uint32_t spikes[NET_N_STEPS * NET_INPUT_WORDS];
    net_sum logits[NET_N_CLASSES];
    int t, i;
    while (fread(x, sizeof x, 1, stdin) == 1) {
        net_encode(x, spikes);
        for (t = 0; t < NET_N_STEPS; t++)
            for (i = 0; i < NET_N_INPUTS; i++)
                putchar('0' + (int)(spikes[t * NET_INPUT_WORDS + i / 32] >> (i % 32) & 1));
        net_forward(spikes, logits);
        printf(" %d %d\\n", (int)logits[0] * 1000 + (int)logits[1], net_predict(x));
    }
    return 0;
}
"""


def run(encoder, x, folder, features=None):
    """Compare spikes, logits and classes of samples ``x`` with Python's."""
    rng = np.random.default_rng(0)
    layer = Dense(rng.integers(-1, 2, (2, encoder.n_out)), activation="readout")
    network = DiscreteNetwork([layer], encoder, steps=encoder.steps)
    header = c_header(network, features=features)
    (folder / "net.h").write_text(header.text)
    printed = compiled_c.compile_and_run(_MAIN, folder, x.tobytes())
    spikes, coded, classes = zip(*(line.split() for line in printed.splitlines()), strict=True)
    expected = encoder.encode(x).reshape(len(x), -1)
    assert expected.any()
    assert not expected.all()
    assert ["".join(map(str, row)) for row in expected] == list(spikes)
    logits = network.forward(expected.reshape(len(x), encoder.steps, -1))
    assert [int(a) * 1000 + int(b) for a, b in logits] == list(map(int, coded))
    assert logits.argmax(axis=1).tolist() == list(map(int, classes))
    return header


@pytest.mark.parametrize("kind", ["rate", "latency", "latency, all features alike"])
def test_features_over_time(tmp_path, kind):
    rng = np.random.default_rng(1)
    if kind == "rate":
        encoder = RateEncoder.random(0.0, 10.0, 37, 5, seed=3)
    else:
        columns = np.sort(rng.random((6, 37)) * 10, axis=0)[::-1]
        encoder = LatencyEncoder(np.repeat(columns[:, :1], 37, axis=1) if "alike" in kind else columns)
    run(encoder, rng.random((30, 37)) * 10, tmp_path)


BANK = {"rate": 8000, "low": 80, "high": 3000}
CODINGS = {
    "levels of a bank": SignalCoding(6, 160, bands=9, frame=256, hops=2, levels=3, **BANK),
    "crossings, two channels": SignalCoding(
        5, 96, channels=2, bands=5, frame=64, hops=3, relative=False, code="crossings", levels=2, **BANK
    ),
    "delta of a bank": SignalCoding(7, 128, bands=7, frame=128, hops=1, code="delta", levels=1, **BANK),
    "means, send on delta": SignalCoding(9, 3, channels=5, code="delta", levels=1),
    "means, levels": SignalCoding(9, 3, channels=2, levels=4),
}


def signals(coding, n, rng):
    """Tones, noise, silence, and the largest samples that 16 bits hold."""
    time = np.arange(coding.n_features)
    tones = 8000 * np.sin(time * rng.uniform(0.05, 2.5, (n, 1))) + rng.normal(0, 900, (n, coding.n_features))
    x = np.clip(np.rint(tones), -32768, 32767).astype(np.int16)
    x[1, coding.n_features // 2 :] = 0
    x[2] = np.where(time % 7 < 3, 32767, -32768)
    x[3] = rng.integers(-3, 4, coding.n_features)
    return x


@pytest.mark.parametrize("name", CODINGS)
def test_signals(tmp_path, name):
    rng = np.random.default_rng(len(name))
    coding = CODINGS[name]
    x = signals(coding, 24, rng)
    header = run(coding.fit(x), x, tmp_path)
    if coding.bands:
        measured = measure(header.text, "net", "cc")
        assert measured["ram_measured_bytes"] == pytest.approx(header.ram, abs=64)


def test_signals_of_32_bits_and_levels_beyond_all_values(tmp_path):
    coding = SignalCoding(4, 5, channels=3, levels=3)
    levels = np.repeat([[-(2**62)], [10], [2**62]], coding.values, axis=1)
    x = np.random.default_rng(0).integers(-32768, 32769, (20, coding.n_features)).astype(np.int32)
    run(SignalEncoder(coding, levels), x, tmp_path, features="int32")


def test_what_is_refused():
    coding = SignalCoding(2, 4)
    signal = SignalEncoder(coding, np.zeros((coding.levels, coding.values), np.int64))
    readout = Dense(np.ones((2, signal.n_out), int), activation="readout")
    with pytest.raises(InputError, match="features 'float' of a signal; its samples are int16, or int32"):
        c_header(DiscreteNetwork([readout], signal, steps=2), features="float")
    code = CodeEncoder(0, 1, 3, 2)
    with pytest.raises(InputError, match="encoder code: only thresholds and signals can be exported"):
        c_header(DiscreteNetwork([Dense(np.ones((2, code.n_out), int), activation="readout")], code))

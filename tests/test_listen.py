"""Decisions on streams of samples: against the same recordings in one piece, and what is counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.signal_encoding import SignalCoding, SignalEncoder
from conntra_hardware.program.signal_stream import SignalStream

BANK: dict[str, Any] = {"bands": 4, "frame": 32, "hops": 2, "rate": 800, "low": 20, "high": 400}


def encoder_of(seed: int, code: str, bank: bool, channels: int, relative: bool = False) -> SignalEncoder:
    rng = np.random.default_rng(seed)
    own = {**BANK, "hops": int(rng.choice([1, 2, 4])), "relative": relative} if bank else {"rate": 800}
    levels = 1 if code == "delta" else int(rng.integers(1, 4))
    coding = SignalCoding(6, 16, channels, code=code, levels=levels, **own)
    return coding.fit(rng.integers(-9000, 9000, (12, coding.n_features)).astype(np.int16))


def pushed(stream: SignalStream, recording: np.ndarray, seed: int) -> np.ndarray:
    """Return the spikes of a recording (k, channels) that comes in parts of random lengths."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(recording) + 1, 5))
    parts = [stream.push(part) for part in np.split(recording, cuts)]
    return np.concatenate([*parts, stream.finish(stream.encoder.steps)])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    code=st.sampled_from(["levels", "crossings", "delta"]),
    bank=st.booleans(),
    channels=st.integers(1, 3),
    length=st.integers(1, 96),
)
def test_a_recording_that_comes_in_parts_has_the_same_spikes(
    seed: int, code: str, bank: bool, channels: int, length: int
) -> None:
    """A recording that ends within the encoder's steps; of send-on-delta, loudness makes no difference either."""
    encoder = encoder_of(seed, code, bank, channels, relative=code == "delta")
    recording = np.random.default_rng(seed).integers(-20000, 20000, (length, channels)).astype(np.int16)
    whole = np.zeros((1, channels, encoder.n_features // channels), np.int16)
    whole[0, :, :length] = recording.T
    stream = SignalStream(encoder)
    for _ in range(2):
        assert np.array_equal(pushed(stream, recording, seed), encoder.encode(whole))
        stream.reset()


@pytest.mark.parametrize("code", ["levels", "crossings"])
@pytest.mark.parametrize("window", [1, 3, 6, 50])
def test_loudness_is_counted_over_a_trailing_window(code: str, window: int) -> None:
    encoder = encoder_of(window, code, bank=True, channels=1, relative=True)
    rng = np.random.default_rng(window)
    steps = 18
    loud = rng.integers(1, 400, steps).repeat(16)
    recording = (loud * rng.integers(-40, 40, len(loud))).astype(np.int16)
    found = np.concatenate([(s := SignalStream(encoder, window)).push(recording), s.finish()])
    rows = np.pad(recording, (0, 64))[None].astype(np.int32)
    values = encoder.coding.values_of(rows, steps)[0]
    before = None
    for step in range(steps):
        loudest = max(values[at].max() for at in range(max(0, step - window + 1), step + 1))
        above = [
            int(v - loudest > level) for row in encoder.levels_of for v, level in zip(values[step], row, strict=True)
        ]
        if code == "levels":
            assert found[step].tolist() == above
            continue
        old = above if before is None else before
        up = [int(a > b) for a, b in zip(above, old, strict=True)]
        assert found[step].tolist() == up + [int(b > a) for a, b in zip(above, old, strict=True)]
        before = above


def test_a_step_waits_for_all_of_its_frames_and_no_more() -> None:
    stream = SignalStream(encoder_of(1, "levels", bank=True, channels=1))
    needed = 16 + stream.latency
    assert len(stream.push(np.ones(needed - 1, np.int16))) == 0
    assert len(stream.push(np.ones(1, np.int16))) == 1
    assert len(stream.push(np.ones(16, np.int16))) == 1
    assert SignalStream(encoder_of(1, "levels", bank=False, channels=1)).latency == 0


def network_of(encoder: SignalEncoder, last: str = "spikes") -> cn.DiscreteNetwork:
    rng = np.random.default_rng(0)
    readout: Any = cn.Lif(2, voltage_decay=200) if last == "spikes" else "readout"
    layers = [
        cn.Dense(rng.integers(-2, 3, (12, encoder.n_out)), activation=cn.Lif(2, voltage_decay=400)),
        cn.Dense(rng.integers(-2, 3, (3, 12)), activation=readout),
    ]
    return cn.DiscreteNetwork(layers, encoder, labels=["a", "b", "c"], steps=encoder.steps)


def program_of(encoder: SignalEncoder, last: str = "spikes") -> Any:
    return cn.compile(network_of(encoder, last), "loihi2")


@pytest.mark.parametrize("last", ["spikes", "sum"])
@pytest.mark.parametrize("code", ["levels", "crossings", "delta"])
@pytest.mark.parametrize("relative", [False, True])
def test_the_first_window_is_a_run_of_the_recording(relative: bool, code: str, last: str) -> None:
    encoder = encoder_of(3, code, bank=True, channels=1, relative=relative)
    program = program_of(encoder, last)
    recordings = np.random.default_rng(5).integers(-20000, 20000, (5, 96)).astype(np.int16)
    for recording in recordings:
        found = list(cn.listen(program, np.split(recording, [7, 40, 41]), hysteresis=0.0))
        ran = program.run(recording[None])
        assert len(found) == 6
        assert found[-1].logits.tolist() == ran.logits[0].tolist()
        assert found[-1].events == 96
        assert found[-1].chip is not None
        assert found[-1].time_s == pytest.approx(96 / 800)


@pytest.mark.parametrize("every", [1, 4])
def test_with_a_loudness_the_last_steps_are_run_anew(every: int) -> None:
    """Each decision is the network's on the last steps, counted from the loudest of them, silence before there are."""
    encoder = encoder_of(3, "levels", bank=True, channels=1, relative=True)
    program, network = program_of(encoder), network_of(encoder)
    recording = np.random.default_rng(8).integers(-900, 900, 6 * 3 * 16) * np.repeat([1, 20, 3], 96)
    found = list(cn.listen(program, np.split(recording, [50, 170]), hysteresis=0.0, every=every))
    values = encoder.coding.values_of(np.pad(recording, (0, 64))[None].astype(np.int32), 18)[0]
    assert [d.step for d in found] == [n for n in range(1, 19) if n % every == 0 or n % 6 == 0]
    for decision in found:
        kept = values[max(0, decision.step - 6) : decision.step]
        window = np.concatenate([kept, np.zeros((6 - len(kept), values.shape[1]), np.int64)])
        spikes = encoder.coded((window - window.max())[None])
        assert decision.logits.tolist() == network.forward(spikes)[0].tolist()
        assert (decision.chip is not None) == (decision.step % 6 == 0)
    default = list(cn.listen(program, [recording]))
    assert [d.step for d in default] == list(range(1, 19))  # an eighth of 6 steps, at least one
    assert found[-1].chip is not None
    assert found[-1].chip.latency_s > 0
    kept_state = list(cn.listen(program, [recording], every=0, window=50))
    assert [d.step for d in kept_state] == list(range(1, 19))
    assert kept_state[-1].logits.tolist() != found[-1].logits.tolist()


def test_decisions_come_as_samples_do_and_slide_on() -> None:
    program = program_of(encoder_of(3, "levels", bank=True, channels=1))
    taken = 0

    def coming() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield np.random.default_rng(taken).integers(-9000, 9000, 16).astype(np.int16)

    decisions = cn.listen(program, coming())
    found = [next(decisions) for _ in range(40)]
    assert [d.step for d in found] == list(range(1, 41))
    assert taken <= 42
    assert len({d.index for d in found}) > 1
    assert sum(d.chip is not None for d in found) == 40 // 6


def test_what_cannot_be_heard_is_one_line() -> None:
    program = program_of(encoder_of(3, "levels", bank=True, channels=1))
    for samples, says in (
        (np.zeros((4, 2), np.int16), r"shape \(4, 2\); \(k,\) or \(k, 1\)"),
        (np.zeros(4), "of type float64; whole numbers of 16 bits"),
        (np.array([2**15]), "whole numbers of 16 bits"),
    ):
        with pytest.raises(InputError, match=says):
            list(cn.listen(program, [samples]))
    with pytest.raises(InputError, match="hysteresis 2"):
        list(cn.listen(program, [], 2.0))
    with pytest.raises(InputError, match="window"):
        list(cn.listen(program, [], window=0))
    plain = cn.compile(cn.DiscreteNetwork([cn.Dense(np.ones((2, 3), int), activation="readout")]), "loihi2")
    with pytest.raises(InputError, match="no encoder of signals"):
        list(cn.listen(plain, []))
    assert list(cn.listen(program, [])) == []

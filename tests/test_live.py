"""Decisions on streams of events: against runs of the same samples, and against the network pushed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets.events.binning import Binning
from conntra_neuro.datasets.events.recipe import Recipe
from conntra_neuro.datasets.events.recording import Sensor
from conntra_neuro.live import Decision, decide, parse_events

STEPS, STEP_US = 5, 1000
BINNING = Binning(Recipe(steps=STEPS, step_us=STEP_US), Sensor(6, 4), 0)
LAST = {
    "sum": "readout",
    "max": cn.Readout("max", voltage_decay=300),
    "last": cn.Readout("last", voltage_decay=300),
    "spikes": cn.Lif(2, voltage_decay=200),
}


def network(last: str = "sum", seed: int = 0) -> cn.DiscreteNetwork:
    rng = np.random.default_rng(seed)
    hidden = cn.Dense(rng.integers(-2, 3, (20, 48)), activation=cn.Lif(3, voltage_decay=400), delay=1)
    readout: Any = LAST[last]
    return cn.DiscreteNetwork(
        [hidden, cn.Dense(rng.integers(-2, 3, (3, 20)), rng.integers(-1, 2, 3), activation=readout)],
        labels=["a", "b", "c"],
        steps=STEPS,
    )


def events(seed: int = 1, steps: int = 3 * STEPS, n: int = 200) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, steps * STEP_US, n))
    t[0], t[-1] = 0, steps * STEP_US - 1
    return list(
        zip(
            *(c.tolist() for c in (t, rng.integers(0, 6, n), rng.integers(0, 4, n), rng.integers(0, 2, n))), strict=True
        )
    )


def rows_of(found: list[tuple[int, ...]], steps: int) -> np.ndarray:
    rows = np.zeros((steps, 2, 4, 6), np.uint8)
    for t, x, y, p in found:
        rows[(t - found[0][0]) // STEP_US, p, y, x] = 1
    return rows.reshape(steps, 48)


@pytest.mark.parametrize("last", LAST)
def test_the_first_window_is_a_run_and_later_ones_go_on(last: str) -> None:
    made = network(last)
    program = cn.compile(made, "loihi2")
    given = events()
    rows = rows_of(given, 3 * STEPS)
    found = list(decide(program, [(t + 77, *rest) for t, *rest in given], BINNING, 0.0))
    assert [d.step for d in found] == list(range(1, 3 * STEPS + 1))
    ran = program.run(rows[None, :STEPS])
    np.testing.assert_array_equal(found[STEPS - 1].logits, ran.logits[0])
    shown = made.stream().push(rows).astype(np.int64)
    for step in range(1, 3 * STEPS + 1):
        window = shown[max(step - STEPS, 0) : step]
        expected = {
            "sum": window[-1] - (shown[step - STEPS - 1] if step > STEPS else 0),
            "max": window.max(axis=0),
            "last": window[-1],
            "spikes": window.sum(axis=0),
        }[last]
        np.testing.assert_array_equal(found[step - 1].logits, expected)


def test_the_model_of_the_first_window_is_that_of_a_run() -> None:
    program = cn.compile(network(), "loihi2")
    given = events()
    found = [d for d in decide(program, given, BINNING) if d.chip is not None]
    assert [d.step for d in found] == [STEPS, 2 * STEPS, 3 * STEPS]
    chip = found[0].chip
    assert chip is not None
    ran = program.run(rows_of(given, 3 * STEPS)[None, :STEPS])
    priced = cn.estimate(ran.counts, program, chip.coefficients)
    duration = STEPS * STEP_US * 1e-6
    assert chip.dynamic_w == pytest.approx(priced.dynamic_j / duration)
    assert chip.duty == pytest.approx(priced.step_time_s * STEPS / duration)
    assert chip.power_w > chip.dynamic_w > 0
    assert chip.latency_s == pytest.approx(program.depth * priced.step_time_s)


def test_silence_runs_too_and_completes_the_last_window() -> None:
    made = network()
    program = cn.compile(made, "loihi2")
    given = [(0, 1, 1, 1), (7 * STEP_US, 2, 2, 0), (7 * STEP_US + 999, 2, 3, 0)]
    found = list(decide(program, given, BINNING))
    assert len(found) == 2 * STEPS
    rows = rows_of(given, 2 * STEPS)
    np.testing.assert_array_equal(found[4].logits, made.forward(rows[None, :STEPS])[0])
    assert [d.events for d in found] == [1] * 7 + [3] * 3
    assert found[-1].time_s == pytest.approx(2 * STEPS * STEP_US * 1e-6)


def test_decisions_come_as_soon_as_a_later_event() -> None:
    """The generator is asked for no more events than it needs."""
    asked: list[int] = []

    def coming() -> Any:
        for t in range(0, 10 * STEP_US, STEP_US):
            asked.append(t)
            yield t, 0, 0, 1

    first = next(decide(cn.compile(network(), "loihi2"), coming(), BINNING))
    assert first.step == 1
    assert asked == [0, STEP_US]


def test_hysteresis_holds_a_class() -> None:
    """One input a class, so that the logits are what has entered."""
    weights = np.zeros((2, 2), np.int64)
    np.fill_diagonal(weights, 1)
    made = cn.DiscreteNetwork([cn.Dense(weights, activation=cn.Readout("last", voltage_decay=0))], steps=4)
    program = cn.compile(made, "loihi2")
    binning = Binning(Recipe(steps=4, step_us=10), Sensor(2, 1, 1), 0)
    given = [(10 * step, unit) for step, unit in enumerate([0, 0, 1, 1, 1, 1, 1, 1])]
    free = [d.index for d in decide(program, given, binning, 0.0)]
    held = [d.index for d in decide(program, given, binning, 1.0)]
    # Two classes: any lead is the whole distance from best to worst, so a share of 1 is never exceeded.
    assert free == [0, 0, 0, 0, 1, 1, 1, 1]
    assert held == [0] * 8
    found: list[Decision] = list(decide(program, given, binning, 1.0))
    assert found[-1].lead == -1.0
    assert [d.changed for d in found] == [True, *[False] * 7]


def test_polarity_and_denoising_are_those_of_training() -> None:
    binning = Binning(Recipe(steps=STEPS, step_us=STEP_US, polarity="on", denoise_us=500, down=2), Sensor(6, 4), 0)
    rng = np.random.default_rng(0)
    made = cn.DiscreteNetwork([cn.Dense(rng.integers(-2, 3, (3, 6)), activation="readout")], steps=STEPS)
    given = events(steps=STEPS)
    columns = [np.array(column) for column in zip(*given, strict=True)]
    from conntra_neuro.datasets.events.recording import Recording

    whole = np.zeros(binning.shape, np.uint8)
    binning.spikes(Recording.of("whole", *columns), whole)
    *_, last = decide(cn.compile(made, "loihi2"), given, binning.to_dict())
    np.testing.assert_array_equal(last.logits, made.forward(whole.reshape(1, STEPS, 6))[0])
    assert 0 < last.dropped < last.events == len(given)


def test_mistakes_are_named() -> None:
    program = cn.compile(network(), "loihi2")
    for given, says in (
        ([(5, 0, 0, 1), (4, 0, 0, 1)], "event 1: time goes back, from 5 to 4"),
        ([(5, 6, 0, 1)], "x=6, y=0 lies outside the sensor, 6x4"),
        ([(5, 6)], "another form than that of the sensor"),
        ([(5, 0, 0, 3)], "p holds 3"),
    ):
        with pytest.raises(InputError, match=says):
            list(decide(program, given, BINNING))
    with pytest.raises(InputError, match="give 96 inputs, the program takes 48"):
        decide(program, [], Binning(Recipe(steps=5, step_us=9), Sensor(6, 8), 0))
    with pytest.raises(InputError, match="a share from 0 to 1"):
        decide(program, [], BINNING, 2.0)
    assert list(decide(program, [], BINNING)) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [("1,2,3", "line 2: 3 numbers"), ("1,x,3,4", "line 2: '1,x,3,4'"), ("1.5,2,3,4", "whole numbers")],
)
def test_lines_that_are_no_events(line: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(parse_events(["0,1,1,1\n", f"{line}\n"], "here", True))


def test_lines() -> None:
    assert list(parse_events(["t,unit\n", "# a remark\n", "1,2\n", "\n", " 3 , 4 \n"], "here", False)) == [
        (1, 2),
        (3, 4),
    ]


def test_on_the_command_line(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    import io
    import json

    from conntra_neuro.cli.app import main

    program = cn.compile(network(), "loihi2")
    cn.save(program, tmp_path / "p.conntra", info={"events": BINNING.to_dict()})
    cn.save(program, tmp_path / "bare.conntra")
    given = events()
    text = "t,x,y,p\n" + "".join(",".join(map(str, event)) + "\n" for event in given)
    (tmp_path / "e.csv").write_text(text)
    expected = [d for d in decide(program, given, BINNING) if d.changed or d.chip is not None]
    call = ["run", str(tmp_path / "p.conntra"), "--stream"]
    assert main([*call, str(tmp_path / "e.csv"), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["logits"] for line in lines] == [d.logits.tolist() for d in expected]
    assert [line["label"] for line in lines] == [d.label for d in expected]
    assert lines[-1]["chip"]["modelled"] is True
    assert lines[-1]["events"] == 200
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main([*call, "-"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(expected)
    assert "200 events" in shown[-1]
    assert "dynamic" in shown[-1]
    bare = ["run", str(tmp_path / "bare.conntra"), "--stream", str(tmp_path / "e.csv")]
    assert main([*bare, "--sensor", "6x4", "--step", "1ms", "--json"]) == 0
    assert [json.loads(line)["logits"] for line in capsys.readouterr().out.splitlines()] == [
        d.logits.tolist() for d in expected
    ]
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\n")
    for arguments, says in (
        (bare, "say the sensor's size with --sensor"),
        ([*bare, "--sensor", "6x4"], "say a duration with --step"),
        ([*bare, "--sensor", "6by4", "--step", "1ms"], "WIDTHxHEIGHT"),
        ([*bare, "--sensor", "9x9", "--step", "1ms"], "give 162 inputs"),
        ([*call, str(tmp_path / "nowhere.csv")], "cannot be read"),
        ([*call, str(tmp_path / "empty.csv")], "no events"),
        ([*call, str(tmp_path / "bad.csv")], "no text of UTF-8"),
        ([*call, "-", "--data", "iris"], "leave --data"),
        (["run", str(tmp_path / "p.conntra"), "--step", "1ms"], "belong to --stream"),
    ):
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1

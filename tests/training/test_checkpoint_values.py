"""Checkpoints, entry by entry, without a training: what is written, what is read, and what is refused and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_twins as twins

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.base.files import read_container, write_container
from conntra_neuro.network.levels import Levels
from conntra_neuro.training import checkpoint
from conntra_neuro.training.checkpoint import Checkpoints, TrainingState, load_checkpoint, settings_of, take_up
from conntra_neuro.training.parameters import BIAS_LIMIT, Parameters
from conntra_neuro.training.result import Record

SETTINGS: dict[str, Any] = {"gear": "blocks", "seed": 3, "options": {"batch": 8, "rate": 0.5}, "data_sha256": "ab"}


def parameters(bias: int = -4) -> Parameters:
    return Parameters((np.array([[1, 0], [-1, 1]], np.int32),), (np.array([bias, 2], np.int32),))


STATE = TrainingState(
    sweep=7,
    seconds=1.5,
    gear={"noise": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array([4], np.int64)},
    best=parameters(),
    key=(0.25, 0.125),
    best_error=0.25,
    history=(Record(0.5, 0, 1.0, 0.75, None), Record(1.0, 1, 0.5, 0.5, 0.25)),
    schedule=12.5,
)


def same(found: TrainingState, expected: TrainingState) -> None:
    for name in ("sweep", "seconds", "key", "best_error", "history", "schedule"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.gear.keys() == expected.gear.keys()
    for name, array in expected.gear.items():
        assert found.gear[name].dtype == array.dtype
        assert np.array_equal(found.gear[name], array)
    for name, array in expected.best.arrays().items():
        assert np.array_equal(found.best.arrays()[name], array)


def saved(folder: Path, state: TrainingState = STATE) -> Path:
    Checkpoints(folder, SETTINGS).save(lambda: state)
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = saved(tmp_path / "some" / "where")
    same(load_checkpoint(folder, SETTINGS), STATE)
    assert checkpoint.read_settings(folder) == SETTINGS
    assert [path.name for path in folder.iterdir()] == ["checkpoint.conntra"]
    same(load_checkpoint(saved(tmp_path, replace(STATE, schedule=None)), SETTINGS), replace(STATE, schedule=None))


def test_at_most_every_two_seconds_unless_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    kept, asked = Checkpoints(tmp_path, SETTINGS), []

    def save(sweep: int, now: bool = False) -> int:
        def state() -> TrainingState:
            asked.append(sweep)
            return replace(STATE, sweep=sweep)

        kept.save(state, now)
        return load_checkpoint(tmp_path, SETTINGS).sweep

    assert save(1) == 1
    clock[0] += 1.9
    assert save(2) == 1
    assert save(3, now=True) == 3
    clock[0] += 1.9
    assert save(4) == 3  # two seconds from the last that was written
    clock[0] += 0.1
    assert save(5) == 5
    assert asked == [1, 3, 5]  # no state is made for nothing
    clock[0] = 0.0  # just after the machine has started
    fresh = Checkpoints(tmp_path / "fresh", SETTINGS)
    fresh.save(lambda: STATE)
    assert checkpoint.checkpoint_file(tmp_path / "fresh").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        Checkpoints(tmp_path / "file" / "folder", SETTINGS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 4}, "made with seed=3, now seed=4; resume with the same settings"),
        ({"gear": "exact"}, "made with gear=blocks, now gear=exact"),
        ({"data_sha256": "cd"}, "made with other training samples"),
        ({"options": {"batch": 8, "rate": 0.25}}, "made with rate=0.5, now rate=0.25"),
        ({"options": {"batch": 8, "rate": 0.5, "more": 1}}, None),
    ],
)
def test_settings_that_differ_are_named(tmp_path: Path, change: dict[str, Any], says: str | None) -> None:
    saved(tmp_path)
    if says is None:  # an option that a later version has
        with pytest.raises((InputError, FileFormatError), match=r"more|start anew"):
            load_checkpoint(tmp_path, SETTINGS | change)
        return
    with pytest.raises(InputError, match=says):
        load_checkpoint(tmp_path, SETTINGS | change)


def rewritten(folder: Path, body: Mapping[str, Any], tensors: Mapping[str, Any] | None = None) -> None:
    path = checkpoint.checkpoint_file(saved(folder))
    found = read_container(path)
    write_container(path, "checkpoint", {**found.body, **body}, found.tensors if tensors is None else tensors)


@pytest.mark.parametrize(
    "body",
    [
        *({name: value} for name in ("sweep", "seconds", "best_error") for value in ("1", None, True, [1])),
        {"sweep": -1},
        {"sweep": 1.5},
        {"key": [1.0]},
        {"key": [1.0, 2.0, 3.0]},
        {"key": [1.0, "2"]},
        {"key": ["1", 2.0]},
        {"schedule": "12"},
        {"schedule": False},
        {"history": [[0.5, 0, 1.0, 0.75]]},
        *({"history": [[*[0.5, 1, 1.0, 0.75, 0.5][:at], "1", *[0.5, 1, 1.0, 0.75, 0.5][at + 1 :]]]} for at in range(5)),
        {"history": [[0.5, -1, 1.0, 0.75, None]]},
        {"history": 3},
    ],
    ids=str,
)
def test_entries_of_other_types_are_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    rewritten(tmp_path, body)
    with pytest.raises((FileFormatError, InputError)):
        load_checkpoint(tmp_path, SETTINGS)


def test_parts_that_are_missing(tmp_path: Path) -> None:
    rewritten(tmp_path, {}, {"gear.noise": np.zeros(2), "best.0.weight": np.zeros((2, 2), np.int32)})
    with pytest.raises(FileFormatError, match="parts missing"):
        load_checkpoint(tmp_path, SETTINGS)
    rewritten(tmp_path, {"settings": 3})
    with pytest.raises(FileFormatError, match="without settings; start anew"):
        checkpoint.read_settings(tmp_path)
    with pytest.raises(FileFormatError, match="parts missing"):
        load_checkpoint(tmp_path, SETTINGS)


class Gear:
    """A gear that has ``state`` and weights, and remembers what it was given."""

    def __init__(self, state: Mapping[str, Any], bias: int = -4) -> None:
        self._state, self._bias, self.restored = state, bias, None

    def state(self) -> Mapping[str, Any]:
        return self._state

    def parameters(self) -> Parameters:
        return parameters(self._bias)

    def restore(self, state: Mapping[str, Any]) -> None:
        self.restored = state


def test_a_gear_takes_up_what_is_its_own() -> None:
    gear: Any = Gear({"noise": np.zeros((2, 3), np.float32), "step": np.array(9, np.int64)})
    take_up(gear, STATE, Levels((-1, 0, 1)))
    assert gear.restored is STATE.gear


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"noise": np.zeros((3, 2), np.float32)}, r"gear\.noise is float32 \(2, 3\); float32 \(3, 2\) expected"),
        ({"noise": np.zeros((2, 3))}, r"gear\.noise is float32 \(2, 3\); float64 \(2, 3\) expected"),
        ({"other": np.zeros(2)}, r"gear\.other is missing"),
    ],
)
def test_arrays_of_another_gear_are_refused(state: Mapping[str, Any], says: str) -> None:
    gear: Any = Gear(state)
    with pytest.raises(FileFormatError, match=says):
        take_up(gear, STATE, Levels((-1, 0, 1)))
    assert gear.restored is None


@pytest.mark.parametrize(
    ("best", "own", "levels", "says"),
    [
        (parameters(), -4, Levels((-2, 0, 2)), "none of the levels"),
        (parameters(BIAS_LIMIT), BIAS_LIMIT, Levels((-1, 0, 1)), None),
        (parameters(-BIAS_LIMIT), -BIAS_LIMIT, Levels((-1, 0, 1)), None),
        (parameters(BIAS_LIMIT + 1), 0, Levels((-1, 0, 1)), "biases beyond 4095"),
        (parameters(0), -BIAS_LIMIT - 1, Levels((-1, 0, 1)), "biases beyond 4095"),
        (parameters(-(2**31)), 0, Levels((-1, 0, 1)), "biases beyond 4095"),
    ],
)
def test_weights_and_biases_that_none_has(best: Parameters, own: int, levels: Levels, says: str | None) -> None:
    gear: Any = Gear({}, own)
    state = replace(STATE, gear={}, best=best)
    if says is None:
        take_up(gear, state, levels)
        return
    with pytest.raises(FileFormatError, match=says):
        take_up(gear, state, levels)


@dataclass(frozen=True)
class Options:
    """Options of a gear."""

    batch: int = 8


def test_settings_follow_everything_that_a_training_depends_on() -> None:
    task = twins.random_task(7, (), n=50, n_in=20, classes=3)

    def settings(**given: Any) -> dict[str, Any]:
        return settings_of(replace(task, **given), "blocks", Options(), 5, 0.1)

    first = settings()
    assert first["options"] == {"batch": 8}
    assert (first["samples"], first["sweeps"], first["validation_fraction"]) == (50, 5, 0.1)
    assert "neuron" not in first
    assert settings() == first
    spikes, y = np.array(task.spikes), np.array(task.y)
    spikes[-1, -1] ^= 1
    y[-1] = (y[-1] + 1) % 3
    held = (np.zeros((4, 20), np.uint8), np.zeros(4, np.int64))
    others = [settings(spikes=spikes), settings(y=y), settings(held_out=held), settings(start=parameters())]
    digests = [found["data_sha256"] for found in (first, *others)]
    assert len(set(digests)) == len(digests)
    assert all({**found, "data_sha256": ""} == {**first, "data_sha256": ""} for found in others)


def test_samples_are_hashed_a_part_at_a_time_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    task = twins.random_task(7, (), n=50, n_in=20, classes=3)
    whole = settings_of(task, "blocks", Options(), 5, 0.1)
    monkeypatch.setattr(checkpoint, "_ROWS", 7)
    assert settings_of(task, "blocks", Options(), 5, 0.1) == whole

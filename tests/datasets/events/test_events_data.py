"""``events:PATH`` from files to spikes: binning against a plain loop, layouts of folders, splits, and mistakes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_neuro.datasets import load_dataset
from conntra_neuro.datasets.events.binning import NEVER, not_isolated
from conntra_neuro.datasets.events.moving_edge import DIRECTIONS, moving_edge
from conntra_neuro.datasets.mapped import is_mapped

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def recording(rng: np.random.Generator, n: int = 200) -> Columns:
    t = np.sort(rng.integers(1000, 50_000, n))
    t[0], t[-1] = 1000, 49_999
    return t, rng.integers(0, 9, n), rng.integers(0, 7, n), rng.integers(0, 2, n)


def write_bin(path: Path, columns: Columns) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in zip(*columns)))  # noqa: B905


def write_set(folder: Path, parts: tuple[str, ...] = ("Train", "Test")) -> dict[str, list[Columns]]:
    rng = np.random.default_rng(0)
    made: dict[str, list[Columns]] = {part: [] for part in parts}
    for part in parts:
        for label in ("0", "1"):
            for index in range(3):
                made[part].append(recording(rng))
                write_bin(folder / part / label / f"s{index}_{index}.bin", made[part][-1])
    return made


def binned(columns: Columns, steps: int, step: int | None, down: int = 1, polarity: str = "channels") -> np.ndarray:
    """Plain loops over the events of a sensor of 9 x 7."""
    t0, duration = int(columns[0][0]), int(columns[0][-1] - columns[0][0]) + 1
    out = np.zeros((steps, 2 if polarity == "channels" else 1, -(-7 // down), -(-9 // down)), np.uint8)
    for t, x, y, p in zip(*(column.tolist() for column in columns), strict=True):
        row = (t - t0) // step if step else (t - t0) * steps // duration
        if row < steps and not (polarity == "on" and not p) and not (polarity == "off" and p):
            out[row, p if polarity == "channels" else 0, y // down, x // down] = 1
    return out


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ("steps=8", {"steps": 8, "step": None}),
        ("steps=8&step=5ms", {"steps": 8, "step": 5000}),
        ("step=5ms", {"steps": 10, "step": 5000}),
        ("steps=4&down=2&polarity=merge", {"steps": 4, "step": None, "down": 2, "polarity": "merge"}),
        ("steps=3&step=900us&polarity=on&size=9x7", {"steps": 3, "step": 900, "polarity": "on"}),
        ("steps=3&step=1s&polarity=off", {"steps": 3, "step": 10**6, "polarity": "off"}),
    ],
)
def test_binning_is_that_of_a_plain_loop(tmp_path: Path, options: str, how: dict[str, Any]) -> None:
    made = write_set(tmp_path / "set")
    data = load_dataset(f"events:{tmp_path / 'set'}?{options}")
    assert data.input == "spikes"
    assert data.labels == ("0", "1")
    assert data.note == "split as given"
    for part, x in (("Train", data.x_train), ("Test", data.x_test)):
        np.testing.assert_array_equal(x, np.stack([binned(columns, **how) for columns in made[part]]))


def test_the_background_activity_filter(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    t, x, y, _ = recording(rng, 400)
    found = not_isolated(t, x, y, np.full((9, 7), NEVER), 300)
    expected = [
        any(
            t[n] - t[m] <= 300
            and max(abs(x[n] - x[m]), abs(y[n] - y[m])) == 1
            # the latest one of that pixel decides
            and not any((x[k], y[k]) == (x[m], y[m]) for k in range(m + 1, n))
            for m in range(n)
        )
        for n in range(len(t))
    ]
    np.testing.assert_array_equal(found, expected)
    assert 0 < found.sum() < len(t)
    made = write_set(tmp_path / "set")
    data = load_dataset(f"events:{tmp_path / 'set'}?steps=8&denoise=300us")
    kept = made["Train"][0]
    stays = not_isolated(*(column.astype(np.int64) for column in kept[:3]), np.full((9, 7), NEVER), 300)
    assert data.x_train[0].sum() <= stays.sum()


def test_kept_spikes_are_made_anew_where_a_file_or_the_recipe_changes(tmp_path: Path, cache: Path) -> None:
    made = write_set(tmp_path / "set")
    spec = f"events:{tmp_path / 'set'}?steps=8"
    first = load_dataset(spec)
    assert len(list(cache.iterdir())) == 1
    np.testing.assert_array_equal(load_dataset(spec).x_train, first.x_train)
    assert len(list(cache.iterdir())) == 1
    load_dataset(f"{spec}&polarity=merge")
    assert len(list(cache.iterdir())) == 2
    columns = made["Train"][0]
    write_bin(
        tmp_path / "set" / "Train" / "0" / "s0_0.bin", (columns[0][:9], columns[1][:9], columns[2][:9], columns[3][:9])
    )
    assert load_dataset(spec).x_train[0].sum() <= 9


def test_large_sets_stay_in_their_file_and_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set")
    spec = f"events:{tmp_path / 'set'}?steps=4"
    memory = cn.train(load_dataset(spec), layers=[4], neuron="lif:256", sweeps=2)
    monkeypatch.setattr("conntra_neuro.datasets.kept._IN_MEMORY", 0)
    data = load_dataset(spec)
    assert is_mapped(data.x_train)
    mapped = cn.train(data, layers=[4], neuron="lif:256", sweeps=2)
    np.testing.assert_array_equal(mapped.network.layers[0].weight, memory.network.layers[0].weight)  # type: ignore[attr-defined]


def test_splits_by_group_have_no_group_on_both_sides(tmp_path: Path) -> None:
    made = write_set(tmp_path / "set")
    everything = [*made["Train"], *made["Test"]]
    prefixes = ["s0", "s1", "s2"] * 4
    data = load_dataset(f"events:{tmp_path / 'set'}?steps=8&group=prefix&held=s1")
    expected = [binned(c, 8, None) for c, prefix in zip(everything, prefixes, strict=True) if prefix == "s1"]
    np.testing.assert_array_equal(data.x_test, np.stack(expected))
    assert (len(data.x_train), len(data.x_test)) == (8, 4)
    drawn = load_dataset(f"events:{tmp_path / 'set'}?steps=8&group=prefix", seed=3)
    assert len(drawn.x_test) in (4, 8)
    assert "split by group" in drawn.note
    for options, says in (
        ("held=s1", "without groups"),
        ("group=room", "no such grouping; it has prefix"),
        ("group=prefix&held=s9", "held=s9: no such group; there are s0, s1, s2"),
        ("group=prefix&held=s0,s1,s2", "all groups"),
    ):
        with pytest.raises(InputError, match=says):
            load_dataset(f"events:{tmp_path / 'set'}?{options}")


def test_a_folder_without_a_split_is_split_by_the_seed(tmp_path: Path) -> None:
    write_set(tmp_path / "set", ("all",))
    first, other = (load_dataset(f"events:{tmp_path / 'set' / 'all'}?steps=8", seed=seed) for seed in (0, 1))
    assert (len(first.x_train), len(first.x_test)) == (4, 2)
    assert not np.array_equal(first.x_test, other.x_test)


def test_dvs_gesture(tmp_path: Path) -> None:
    """AEDAT 3.1 with label files, and lists of what is for training and testing."""
    names = ["user01_led.aedat", "user02_lab.aedat"]
    for name in names:
        out = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 4, 4, 4)
        for t, x, y, p in ((10, 0, 0, 1), (20, 127, 5, 0), (1010, 3, 4, 1), (1020, 3, 127, 1)):
            out += struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t)
        (tmp_path / name).write_bytes(out)
        labels = tmp_path / f"{name[:-6]}_labels.csv"
        labels.write_text("class,startTime_usec,endTime_usec\n1,5,25\n2,1000,2000\n")
    (tmp_path / "trials_to_train.txt").write_text(f"{names[0]}\n")
    (tmp_path / "trials_to_test.txt").write_text(f"{names[1]}\n\n")
    data = load_dataset(f"events:{tmp_path}?steps=2")
    assert data.labels == (1, 2)
    assert data.x_train.shape == data.x_test.shape == (2, 2, 2, 128, 128)
    expected = np.zeros((2, 2, 2, 128, 128), np.uint8)
    expected[0, 0, 1, 0, 0] = expected[0, 1, 0, 5, 127] = expected[1, 0, 1, 4, 3] = expected[1, 1, 1, 127, 3] = 1
    np.testing.assert_array_equal(data.x_train, expected)
    grouped = load_dataset(f"events:{tmp_path}?steps=2&group=prefix&held=user01")
    np.testing.assert_array_equal(grouped.x_test, expected)
    (tmp_path / "trials_to_test.txt").write_text("user09_led.aedat\n")
    with pytest.raises(FileFormatError, match=r"names user09_led\.aedat"):
        load_dataset(f"events:{tmp_path}?steps=2")
    (tmp_path / "trials_to_test.txt").write_text(f"{names[1]}\n")
    for text, says in (
        ("1,30,40\n", "no events"),
        ("1,9,x\n", "row 0"),
        ("", "no pieces"),
        ("1,9,5\n", "before its start"),
    ):
        (tmp_path / "user01_led_labels.csv").write_text(text)
        with pytest.raises(ConntraError, match=says):
            load_dataset(f"events:{tmp_path}?steps=2")


def test_shd_from_train_and_test_files(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for part, n in (("train", 4), ("test", 2)):
        with h5py.File(tmp_path / f"shd_{part}.h5", "w") as file:
            t = file.create_dataset("spikes/times", (n,), dtype=h5py.vlen_dtype(np.float32))
            u = file.create_dataset("spikes/units", (n,), dtype=h5py.vlen_dtype(np.uint16))
            for i in range(n):
                t[i], u[i] = np.array([0.0, 0.25, 0.5], np.float32), np.array([i, 40, 699], np.uint16)
            file["labels"] = np.arange(n, dtype=np.uint16) % 2
            file["extra/speaker"] = np.arange(n, dtype=np.uint16) // 2
    data = load_dataset(f"events:{tmp_path}?steps=4&step=250ms&down=2")
    assert data.x_train.shape == (4, 4, 350)
    assert np.argwhere(data.x_train[3]).tolist() == [[0, 1], [1, 20], [2, 349]]
    with pytest.raises(InputError, match="polarity=on, but the events have none"):
        load_dataset(f"events:{tmp_path}?polarity=on")
    assert len(load_dataset(f"events:{tmp_path}?group=speaker&held=1").x_test) == 2


class Given(list[Any]):
    """What a data set of tonic looks like."""

    sensor_size = (9, 7, 2)


CAMERA = np.dtype([("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)])


def as_structured(columns: Columns) -> np.ndarray:
    out = np.empty(len(columns[0]), CAMERA)
    out["t"], out["x"], out["y"], out["p"] = columns
    return out


def test_sequences_of_events_and_labels() -> None:
    rng = np.random.default_rng(2)
    columns = [recording(rng) for _ in range(6)]
    given = Given((as_structured(c), i % 2) for i, c in enumerate(columns))
    data = cn.from_events(given, given, steps=8, name="mine")
    np.testing.assert_array_equal(data.x_train, np.stack([binned(c, 8, None) for c in columns]))
    assert data.y_test.tolist() == [0, 1] * 3
    units = [
        (np.array([(5, 3), (9, 1)], [("t", np.int64), ("x", np.int64)]), "a"),
        *[(np.array([(5, 2)], [("t", np.int64), ("x", np.int64)]), "b")] * 2,
    ]
    assert cn.from_events(units, units, steps=2).x_train.shape == (3, 2, 4)
    for wrong, options, says in (
        (3, {}, "a sequence of"),
        ([], {}, "no samples"),
        ([1, 2], {}, "a pair of events and label"),
        ([(np.zeros(3), 0), (np.zeros(3), 1)] * 2, {}, "structured array"),
        (given, {"speed": 3}, "allowed: steps, step_us"),
        (given, {"steps": 0}, "steps 0"),
        (given, {"polarity": "up"}, "polarity 'up'"),
    ):
        with pytest.raises(InputError, match=says):
            cn.from_events(wrong, **options)
    given[3][0]["x"][5] = 9
    with pytest.raises(InputError, match="sample 3: event 5: x=9"):
        cn.from_events(given, given)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("speed=3", "'speed' is not known; allowed: steps, step"),
        ("steps", "NAME=VALUE"),
        ("steps=2&steps=3", "each name once"),
        ("steps=x", "whole number"),
        ("steps=0", "steps 0"),
        ("steps=9999999", "4096"),
        ("step=10", "10ms, 500us or 2s"),
        ("step=1us", "4096 allowed: say steps="),
        ("size=34by34", "WIDTHxHEIGHT"),
        ("size=5x5", "lies outside the sensor, 5x5"),
        ("down=0", "down 0"),
        ("polarity=up", "allowed: channels, merge, on, off"),
        ("order=random", "sort expected"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: str, says: str) -> None:
    write_set(tmp_path / "set")
    with pytest.raises(InputError, match=says):
        load_dataset(f"events:{tmp_path / 'set'}?{options}")


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, says in (("nowhere", "no such file"), ("empty", "no recordings in it")):
        with pytest.raises(FileFormatError, match=says):
            load_dataset(f"events:{tmp_path / path}")
    write_bin(tmp_path / "a.bin", recording(np.random.default_rng(0)))
    with pytest.raises(FileFormatError, match="one recording has no class"):
        load_dataset(f"events:{tmp_path / 'a.bin'}")


def test_units_and_cameras_do_not_mix(tmp_path: Path) -> None:
    for label, text in (("a", "t,unit\n1,2\n5,2\n"), ("b", "t,x,y,p\n1,2,3,1\n5,2,3,1\n")):
        for index in range(2):
            path = tmp_path / label / f"{index}.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    with pytest.raises(InputError, match="one form for all"):
        load_dataset(f"events:{tmp_path}")


def test_the_moving_edge_is_in_the_order_alone() -> None:
    data = load_dataset("moving-edge", seed=1)
    assert data.x_train.shape == (600, 16, 2, 12, 12)
    assert data.labels == DIRECTIONS
    np.testing.assert_array_equal(data.x_train, load_dataset("moving-edge", seed=1).x_train)
    assert not np.array_equal(data.x_train, moving_edge(2)["x_train"])
    # Where the edge is, by time: the mean row falls for "down" and rises for "up".
    rows = (data.x_train.sum((2, 4)) * np.arange(12)).sum(2) / np.maximum(data.x_train.sum((2, 3, 4)), 1)
    late, early = rows[:, -4:].mean(1), rows[:, :4].mean(1)
    assert np.all((late > early)[data.y_train == DIRECTIONS.index("down")])
    assert np.all((late < early)[data.y_train == DIRECTIONS.index("up")])


@pytest.mark.slow
def test_memory_tells_the_direction_and_counts_do_not() -> None:
    data = load_dataset("moving-edge")
    counts = [x.max(1).reshape(len(x), -1) for x in (data.x_train, data.x_test)]
    flat = cn.Dataset("counts", counts[0], data.y_train, counts[1], data.y_test, data.labels)
    memoryless = cn.train(flat, layers=[32], encoder=None, sweeps=10)
    leaky = cn.train(data, layers=[32], neuron="lif:256", sweeps=10)
    assert memoryless.test_error is not None
    assert leaky.test_error is not None
    assert memoryless.test_error > 0.6
    assert leaky.test_error < 0.05

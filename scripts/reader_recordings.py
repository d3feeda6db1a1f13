"""Recordings for ``fuzz_readers.py``: files of events and time series, sound ones written by their published layouts.

Each kind has seeds, a place among sound recordings and the command that trains on them, and a mutation that keeps
most of the layout. AEDAT 4 is read by a package of its own and is not here.
"""

from __future__ import annotations

import csv
import io
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from reader_values import NUMBERS, TEXTS, changed_bytes

__all__ = ["RECORDINGS", "RECORDING_MUTATIONS"]

Event = tuple[int, int, int, int]
Seeds = Callable[[Path], list[bytes]]
Place = Callable[[bytes, Path, Path], list[str]]
Mutation = Callable[[bytes, bytes, random.Random], bytes]


def _events(seed: int, n: int = 30) -> list[Event]:
    """Return (microseconds, x, y, polarity) of ``n`` events in the order of time."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(0, 3000, n))
    places, signs = rng.integers(0, 12, (n, 2)).tolist(), rng.integers(0, 2, n).tolist()
    return [(int(t), x, y, p) for t, (x, y), p in zip(times, places, signs, strict=True)]


def _atis(events: list[Event]) -> bytes:
    return b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in events)


def _aedat3(events: list[Event]) -> bytes:
    out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for kind, part in ((1, events[:9]), (0, events[:1]), (1, events[9:])):
        out += struct.pack("<hhiiiiii", kind, 1, 8, 4, 0, len(part), len(part), len(part))
        out += b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in part)
    return out


def _dat(events: list[Event]) -> bytes:
    words = [struct.pack("<II", t, x | y << 14 | p << 28) for t, x, y, p in events]
    return b"% Data file containing CD events.\n% Version 2\n% Width 304\n% Height 240\n\x0c\x08" + b"".join(words)


def _evt2(events: list[Event]) -> bytes:
    out = b"% evt 2.0\n% geometry 64x48\n% end\n"
    for t, x, y, p in events:
        out += struct.pack("<II", 8 << 28 | t >> 6, p << 28 | (t & 63) << 22 | x << 11 | y)
    return out


def _evt3(events: list[Event]) -> bytes:
    out = b"% format EVT3;height=48;width=64\n% end\n"
    for t, x, y, p in events:
        kinds = (8 << 12 | t >> 12 & 0xFFF, 6 << 12 | t & 0xFFF, y, 2 << 12 | p << 11 | x, 3 << 12 | x, 5 << 12 | 0x81)
        out += struct.pack("<6H", *kinds)
    return out


def _csv(events: list[Event]) -> bytes:
    return ("t,x,y,p\n" + "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in events)).encode()


def _units_csv(events: list[Event]) -> bytes:
    return ("# a row of units\ntime,channel\n" + "".join(f"{t},{x}\n" for t, x, _, _ in events)).encode()


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _columns(events: list[Event]) -> bytes:
    t, x, y, p = np.array(events).T
    return _npz(t=t, x=x.astype(np.uint16), y=y.astype(np.uint16), p=p == 1)


def _many(seed: int, n: int = 8) -> dict[str, np.ndarray]:
    rows = [(index, index % 2, *event) for index in range(n) for event in _events(seed + index, 9)]
    names = ("sample", "label", "t", "x", "y", "p")
    return dict(zip(names, np.array(rows).T, strict=True))


def _table_seeds(sound: Path) -> list[bytes]:
    columns = _many(20)
    return [_npz(**columns | {"label": columns["label"][::9]}, speaker=np.arange(8) % 4)]


def _table_csv_seeds(sound: Path) -> list[bytes]:
    columns = _many(40) | {"who": _many(40)["sample"] // 2}
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    return ["\n".join(lines).encode()]


def _heidelberg_seeds(sound: Path) -> list[bytes]:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            ragged = file.create_dataset(f"spikes/{name}", (8,), h5py.vlen_dtype(kind))
            for index in range(8):
                found = np.array(_events(60 + index, 9))
                ragged[index] = found[:, 0] / 1e6 if name == "times" else found[:, 1]
        file["labels"] = np.arange(8) % 2
        file["extra/speaker"] = np.arange(8) // 2
    return [buffer.getvalue()]


def _pieces_seeds(sound: Path) -> list[bytes]:
    lines = [f"{1 + index % 2},{3000 * index},{3000 * index + 9000}" for index in range(8)]
    return [("class,startTime_usec,endTime_usec\n" + "\n".join(lines) + "\n").encode()]


def _series(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(-200, 200, shape).astype(np.int16)


def _series_seeds(sound: Path) -> list[bytes]:
    y = np.arange(8) % 2
    return [
        _npz(x_train=_series(1, (8, 12, 2)), y_train=y, x_test=_series(2, (4, 12, 2)) / 7.0, y_test=y[:4]),
        _npz(x_train=_series(3, (8, 12)), y_train=y, who=np.arange(8) // 2),
    ]


def _series_csv_seeds(sound: Path) -> list[bytes]:
    values = _series(4, (8, 5, 2)) / 8
    rows = [f"{i},{'ab'[i % 2]},{a},{b}" for i in range(8) for a, b in values[i]]
    return [("sample,label,left,right\n" + "\n".join(rows) + "\n").encode()]


_TRAIN = ("train", "--quiet", "--layers", "3", "--sweeps", "1", "--neuron", "lif:163", "--out", "m.conntra")


def _among(suffix: str, write: Callable[[list[Event]], bytes]) -> Place:
    """Return a place as one of six recordings, in folders of two classes."""

    def place(data: bytes, folder: Path, sound: Path) -> list[str]:
        for index in range(6):
            path = folder / "events" / "ab"[index % 2] / f"{index}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(write(_events(80 + index)) if index else data)
        return [*_TRAIN, "events:events?steps=4&down=4"]

    return place


def _alone(name: str, spec: str) -> Place:
    def place(data: bytes, folder: Path, sound: Path) -> list[str]:
        (folder / name).write_bytes(data)
        return [*_TRAIN, spec]

    return place


def _beside_aedat(data: bytes, folder: Path, sound: Path) -> list[str]:
    (folder / "gesture").mkdir()
    (folder / "gesture" / "user01.aedat").write_bytes(_aedat3(_events(3, 60)))
    (folder / "gesture" / "user01_labels.csv").write_bytes(data)
    return [*_TRAIN, "events:gesture?steps=4&down=4"]


def _of(write: Callable[[list[Event]], bytes], *more: Callable[[list[Event]], bytes]) -> Seeds:
    return lambda sound: [each(_events(seed)) for seed, each in enumerate((write, *more))]


RECORDINGS: dict[str, tuple[str, Seeds, Place]] = {
    "events-bin": (".bin", _of(_atis), _among(".bin", _atis)),
    "events-aedat": (".aedat", _of(_aedat3), _among(".aedat", _aedat3)),
    "events-dat": (".dat", _of(_dat), _among(".dat", _dat)),
    "events-evt2": (".raw", _of(_evt2), _among(".raw", _evt2)),
    "events-evt3": (".raw", _of(_evt3), _among(".raw", _evt3)),
    "events-csv": (".csv", _of(_csv), _among(".csv", _csv)),
    "events-units": (".csv", _of(_units_csv), _among(".csv", _units_csv)),
    "events-npz": (".npz", _of(_columns), _among(".npz", _columns)),
    "events-table": (".npz", _table_seeds, _alone("table.npz", "events:table.npz?steps=4&down=4")),
    "events-table-csv": (".csv", _table_csv_seeds, _alone("table.csv", "events:table.csv?steps=4&down=4&group=who")),
    "events-hdf5": (".h5", _heidelberg_seeds, _alone("spikes.h5", "events:spikes.h5?steps=4&down=4")),
    "events-labels": (".csv", _pieces_seeds, _beside_aedat),
    "series": (".npz", _series_seeds, _alone("series.npz", "series:series.npz?step=3&code=delta")),
    "series-csv": (".csv", _series_csv_seeds, _alone("series.csv", "series:series.csv?step=2")),
}
"""By name: the suffix, the seeds, and the place of one mutated file."""


def _text_header(data: bytes, mark: bytes) -> int:
    """Return where the lines that begin with ``mark`` end."""
    at = 0
    while data[at : at + 1] == mark and (end := data.find(b"\n", at)) >= 0:
        at = end + 1
    return at


def _by_words(size: int, mark: bytes = b"") -> Mutation:
    """Return a mutation of words of ``size`` bytes behind a header of text: other types, times, places; and cuts."""

    def change(data: bytes, other: bytes, rng: random.Random) -> bytes:
        at = _text_header(data, mark) if mark else 0
        head, body = data[:at], bytearray(data[at:])
        if head and rng.random() < 0.25:
            numbers = [str(rng.choice(NUMBERS)), *TEXTS[:3], "EVT4", "evt 2.1", "geometry 0x0", "99999x99999"]
            words = head.decode("latin-1").split(" ")
            words[rng.randrange(len(words))] = rng.choice(numbers)
            return " ".join(words).encode("utf-8", "replace") + body
        for _ in range(rng.choice((1, 1, 2, 8))):
            place = rng.randrange(max(len(body) // size, 1)) * size
            kind = rng.randrange(5)
            if kind == 0:
                body[place : place + size] = rng.randbytes(size)
            elif kind == 1:
                body[place : place + size] = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, -1 % 2**64)).to_bytes(8, "little")[
                    :size
                ]
            elif kind == 2:
                del body[place : place + size * rng.choice((1, 1, 7))]
            elif kind == 3:
                body[place:place] = body[place : place + size * rng.choice((1, 5))]
            elif body:
                body[(place + size - 1) % len(body)] ^= rng.choice((0x10, 0x20, 0x40, 0x80))
        return head + bytes(body)

    return change


def _cells(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change a cell, a line or a name of a CSV, and write it by its rules."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    at = rng.randrange(len(rows))
    kind = rng.randrange(7)
    if kind < 4 and rows[at]:
        values = (
            *map(str, NUMBERS),
            *TEXTS[:9],
            "1e3",
            "nan",
            "-inf",
            "1_0",
            "٣",
            "0x1",
            "+5",
            " 7 ",
            rng.choice(rows[0]),
        )
        rows[at][rng.randrange(len(rows[at]))] = rng.choice(values)
    elif kind == 4:
        del rows[at]
    elif kind == 5:
        rows.insert(at, rng.choice(rows) * rng.choice((1, 2)))
    else:
        column = rng.randrange(len(rows[0]))
        rows = [row[:column] + row[column + 1 :] for row in rows]
    out = io.StringIO()
    csv.writer(out, lineterminator=rng.choice(("\n", "\r\n"))).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass") if rows else changed_bytes(data, other, rng)


RECORDING_MUTATIONS: dict[str, Mutation] = {
    "events-bin": _by_words(5),
    "events-aedat": _by_words(4, b"#"),
    "events-dat": _by_words(4, b"%"),
    "events-evt2": _by_words(4, b"%"),
    "events-evt3": _by_words(2, b"%"),
    **dict.fromkeys(("events-csv", "events-units", "events-table-csv", "events-labels", "series-csv"), _cells),
}

"""Readers of event files, against files whose bytes are written here by the published layouts, and damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_neuro.datasets.events.aedat3 import read_aedat3
from conntra_neuro.datasets.events.aedat4 import read_aedat4
from conntra_neuro.datasets.events.atis_bin import read_atis_bin
from conntra_neuro.datasets.events.hdf5 import hdf5_source
from conntra_neuro.datasets.events.prophesee import read_dat, read_raw
from conntra_neuro.datasets.events.recording import Recording, Sensor
from conntra_neuro.datasets.events.tables import read_table, table_source

h5py = pytest.importorskip("h5py")

Event = tuple[int, int, int, int]
EVENTS: list[Event] = [(5, 1, 2, 1), (5, 33, 0, 0), (900, 0, 33, 1), (70_000, 7, 8, 0)]


def listed(found: Recording) -> list[Event]:
    p = np.zeros(len(found.t), np.uint8) if found.p is None else found.p
    return list(zip(found.t.tolist(), found.x.tolist(), found.y.tolist(), p.tolist(), strict=True))


def atis(events: list[Event]) -> bytes:
    return b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in events)


def aedat3(packets: list[tuple[int, int, list[Event]]]) -> bytes:
    """Packets of (type, overflows of the clock, events)."""
    out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for kind, overflows, events in packets:
        out += struct.pack("<hhiiiiii", kind, 1, 8, 4, overflows, len(events), len(events), len(events))
        for t, x, y, p in events:
            out += struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t)
    return out


def dat(events: list[Event], header: str = "% Width 304\n% Height 240\n", tail: bytes = bytes((0x0C, 8))) -> bytes:
    words = [struct.pack("<II", t & 0xFFFFFFFF, x | y << 14 | p << 28) for t, x, y, p in events]
    return ("% Data file containing CD events.\n% Version 2\n" + header).encode() + tail + b"".join(words)


def evt2(events: list[Event]) -> bytes:
    out, high = b"% evt 2.0\n% geometry 640x480\n% end\n", -1
    for t, x, y, p in events:
        if t >> 6 != high:
            high = t >> 6
            out += struct.pack("<I", 8 << 28 | high)
        out += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
        out += struct.pack("<I", 0xA << 28 | 5)  # an external trigger, which is no event
    return out


def words(*values: int) -> bytes:
    return b"".join(struct.pack("<H", value) for value in values)


EVT3 = b"% format EVT3;height=720;width=1280\n% end\n"


def evt3(events: list[Event]) -> bytes:
    out = EVT3
    for t, x, y, p in events:
        out += words(8 << 12 | t >> 12 & 0xFFF, 6 << 12 | t & 0xFFF, y, 2 << 12 | p << 11 | x)
    return out


def as_csv(events: list[Event]) -> bytes:
    return ("t,x,y,p\n" + "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in events)).encode()


WRITERS: dict[str, tuple[Callable[[list[Event]], bytes], Callable[..., Recording]]] = {
    "a.bin": (atis, read_atis_bin),
    "a.aedat": (lambda events: aedat3([(1, 0, events[:1]), (0, 0, [(1, 0, 0, 0)]), (1, 0, events[1:])]), read_aedat3),
    "a.dat": (dat, read_dat),
    "b.raw": (evt2, read_raw),
    "c.raw": (evt3, read_raw),
    "a.csv": (as_csv, read_table),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_gives_the_events_that_were_written(tmp_path: Path, name: str) -> None:
    write, read = WRITERS[name]
    path = tmp_path / name
    path.write_bytes(write(EVENTS))
    assert listed(read(path)) == EVENTS


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.endswith("csv")])
@pytest.mark.parametrize("cut", [1, 3])
def test_files_that_are_cut_off_are_one_error(tmp_path: Path, name: str, cut: int) -> None:
    write, read = WRITERS[name]
    path = tmp_path / name
    path.write_bytes(write(EVENTS)[:-cut])
    with pytest.raises(FileFormatError) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WRITERS)
def test_recordings_without_events_are_refused(tmp_path: Path, name: str) -> None:
    write, read = WRITERS[name]
    path = tmp_path / name
    path.write_bytes(write([]))
    with pytest.raises(InputError, match="no events"):
        read(path)


@pytest.mark.parametrize("name", WRITERS)
def test_times_that_jump_back_are_refused_or_sorted(tmp_path: Path, name: str) -> None:
    write, read = WRITERS[name]
    path = tmp_path / name
    # 3 us lie 1,997 before: too little for any counter to have gone round.
    path.write_bytes(write([(2000, 1, 1, 1), (3, 2, 1, 0), (2500, 3, 1, 1)]))
    with pytest.raises(InputError, match="time goes back"):
        read(path)
    assert [t for t, *_ in listed(read(path, True))] == [3, 2000, 2500]


@pytest.mark.parametrize("name", ["a.dat", "b.raw", "c.raw"])
def test_events_outside_the_sensor_that_the_header_names(tmp_path: Path, name: str) -> None:
    write, read = WRITERS[name]
    path = tmp_path / name
    path.write_bytes(write([(1, 0, 0, 0), (2, 1900, 3, 1)]))
    with pytest.raises(InputError, match="event 1: x=1900, y=3 lies outside the sensor"):
        read(path)


def test_n_mnist_overflow_events_set_the_clock_forward(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(atis([(10, 1, 1, 1), (0, 0, 240, 0), (20, 2, 2, 0), (0, 0, 240, 0), (1, 3, 3, 1)]))
    assert listed(read_atis_bin(path)) == [(10, 1, 1, 1), (20 + 8192, 2, 2, 0), (1 + 2 * 8192, 3, 3, 1)]


def test_clocks_that_go_round(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(dat([(2**32 - 5, 1, 1, 1), (2**32 + 7, 2, 2, 0)]))
    assert [t for t, *_ in listed(read_dat(path))] == [2**32 - 5, 2**32 + 7]
    path = tmp_path / "a.raw"
    path.write_bytes(evt3([(2**24 - 5, 1, 1, 1), (2**24 + 7, 2, 2, 0), (7 * 2**22, 2, 2, 0), (2**25 + 9, 3, 3, 0)]))
    assert [t for t, *_ in listed(read_raw(path))] == [2**24 - 5, 2**24 + 7, 7 * 2**22, 2**25 + 9]
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat3([(1, 0, [(2**31 - 2, 1, 1, 1)]), (1, 1, [(4, 2, 2, 0)])]))
    assert [t for t, *_ in listed(read_aedat3(path))] == [2**31 - 2, 2**31 + 4]


def test_vectors_of_evt3(tmp_path: Path) -> None:
    """x, y and polarity once, then which of the next 12, 12 and 8 pixels have events."""
    path = tmp_path / "a.raw"
    path.write_bytes(
        EVT3
        + words(8 << 12, 6 << 12 | 9, 40, 3 << 12 | 1 << 11 | 100, 4 << 12 | 0b100000000001, 4 << 12 | 2, 5 << 12 | 128)
    )
    assert listed(read_raw(path)) == [(9, x, 40, 1) for x in (100, 111, 113, 131)]


def test_invalid_events_and_other_packets_of_aedat3_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    data = bytearray(aedat3([(1, 0, EVENTS), (6, 0, EVENTS)]))
    first = data.index(b"#!END-HEADER\r\n") + len(b"#!END-HEADER\r\n") + 28
    data[first] &= 0xFE  # the valid mark
    path.write_bytes(data)
    assert listed(read_aedat3(path)) == EVENTS[1:]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.aedat", b"#!AER-DAT2.0\r\n", "AEDAT 3 or 4"),
        ("a.aedat", b"#!AER-DAT3.1\r\n", "END-HEADER"),
        ("a.aedat", aedat3([]) + struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 1, -7, 1), "-7 of 1 events"),
        ("a.aedat", aedat3([]) + struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 2**30, 2**30, 1), "ends at byte"),
        ("a.dat", b"binary", "no header"),
        ("a.dat", dat(EVENTS, tail=bytes((0x0E, 8))), "type 14"),
        ("a.dat", b"% Version 2\n", "ends before"),
        ("a.raw", b"% evt 2.1\n% end\n" + bytes(8), "2.1"),
        ("a.raw", b"% camera 1\n% end\n" + bytes(8), "nothing that its header names"),
        ("a.raw", b"% evt 3.0", "header never ends"),
        ("a.raw", b"% evt 2.0\n% end\n" + struct.pack("<I", 1 << 28), "no time"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    read = {"aedat": read_aedat3, "dat": read_dat, "raw": read_raw}[name.split(".")[1]]
    with pytest.raises(FileFormatError, match=says):
        read(path)


def flat(identifier: bytes, fields: list[tuple[int, bytes | None, tuple[bytes, int, int]]]) -> bytes:
    """A FlatBuffer of one table with its size before it: fields are (slot, the scalar or None, what None refers to).

    What is referred to is bytes, their count, and the alignment of what follows the count.
    """
    slots = 1 + max(slot for slot, *_ in fields)
    start = 8 + 4 + 2 * slots
    start += -start % 8
    body, offsets, refers = bytearray(8), [0] * slots, []
    for slot, scalar, referred in sorted(fields, key=lambda field: -len(field[1] or bytes(4))):
        offsets[slot] = len(body)
        if scalar is None:
            refers.append((len(body), referred))
        body += scalar or bytes(4)
    tail = bytearray()
    for where, (data, count, align) in refers:
        tail += bytes(-(start + len(body) + len(tail) + 4) % align)
        struct.pack_into("<I", body, where, start + len(body) + len(tail) - (start + where))
        tail += struct.pack("<I", count) + data
    struct.pack_into("<i", body, 0, start - 8)
    table = struct.pack(f"<{2 + slots}H", 4 + 2 * slots, len(body), *offsets)
    out = struct.pack("<I", start) + identifier + table
    out += bytes(start - len(out)) + bytes(body) + bytes(tail)
    out += bytes(-len(out) % 8)
    return struct.pack("<I", len(out)) + out


def aedat4(events: list[Event]) -> bytes:
    """iniVation's layout without compression: a header with the streams as XML, then packets (dv-processing's .fbs)."""
    info = "".join(f'<attr key="size{side}" type="int">34</attr>' for side in "XY")
    stream = f'<attr key="typeIdentifier" type="string">EVTS</attr><node name="info">{info}</node>'
    xml = f'<dv version="2.0"><node name="outInfo"><node name="0">{stream}</node></node></dv>'.encode()
    none = (b"", 0, 4)
    header = [(0, struct.pack("<i", 0), none), (1, struct.pack("<q", -1), none), (2, None, (xml + b"\0", len(xml), 4))]
    data = b"".join(struct.pack("<qhh?3x", t, x, y, bool(p)) for t, x, y, p in events)
    packet = flat(b"EVTS", [(0, None, (data, len(events), 8))])
    return b"#!AER-DAT4.0\r\n" + flat(b"IOHE", list(header)) + struct.pack("<ii", 0, len(packet)) + packet


def test_aedat4_through_its_package(tmp_path: Path) -> None:
    pytest.importorskip("aedat", reason="the package aedat reads AEDAT 4; `pip install aedat`")
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4(EVENTS))
    found = read_aedat4(path)
    assert listed(found) == EVENTS
    assert found.sensor == Sensor(34, 34)
    path.write_bytes(aedat4([]))
    with pytest.raises(InputError, match="no events"):
        read_aedat4(path)
    for cut in (5, 200):
        path.write_bytes(aedat4(EVENTS)[:-cut])
        with pytest.raises(FileFormatError, match="damaged or truncated"):
            read_aedat4(path)


def test_aedat4_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "aedat", None)
    with pytest.raises(InputError, match="pip install aedat"):
        read_aedat4(tmp_path / "a.aedat4")


class TestTables:
    def test_npz_and_csv_of_one_recording(self, tmp_path: Path) -> None:
        t, x, y, p = (np.array(column) for column in zip(*EVENTS, strict=True))
        np.savez(tmp_path / "a.npz", t=t, x=x, y=y, p=2 * p - 1)
        assert listed(read_table(tmp_path / "a.npz")) == EVENTS
        (tmp_path / "b.csv").write_text("# made by hand\n5,699\n9,0\n")
        found = read_table(tmp_path / "b.csv")
        assert (found.t.tolist(), found.x.tolist(), found.p) == ([5, 9], [699, 0], None)

    @pytest.mark.parametrize("suffix", ["csv", "npz"])
    def test_many_recordings_in_a_file(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a.{suffix}"
        sample, t, unit = np.array([0, 1, 0, 2]), np.array([1, 5, 3, 0]), np.array([4, 5, 6, 7])
        if suffix == "npz":
            np.savez(path, sample=sample, t=t, unit=unit, label=np.array(["a", "b", "a"]), speaker=np.array([7, 8, 7]))
        else:
            path.write_text("sample,label,speaker,t,unit\n0,a,7,1,4\n1,b,8,5,5\n0,a,7,3,6\n2,a,7,0,7\n")
        source = table_source(path)
        assert source.labels.tolist() == ["a", "b", "a"]
        assert source.group("speaker").tolist() == ["7", "8", "7"]
        assert [(r.t.tolist(), r.x.tolist()) for r in source.read()] == [([1, 3], [4, 6]), ([5], [5]), ([0], [7])]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("t,x,y\n1,2,3\n", "t,x,y,p"),
            ("1,2,3\n", "3 columns and no line of names"),
            ("t,unit\n1\n", "row 0 has 1 values of 2"),
            ("t,unit\n1,a\n", "unit of event 0 is 'a'"),
            ("t,unit\n1,2\n1.5,2\n", "t of event 1 is '1.5'"),
            ("t,unit\n1,-2\n", "unit -2 lies outside"),
            ("t,x,y,p\n1,2,3,7\n", "p holds 7 to 7"),
            ("", "no events"),
        ],
    )
    def test_csv_that_cannot_be_used(self, tmp_path: Path, text: str, says: str) -> None:
        path = tmp_path / "a.csv"
        path.write_text(text)
        with pytest.raises(ConntraError) as error:
            read_table(path).extent()
        assert says in str(error.value)

    def test_npz_that_cannot_be_used(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        for arrays, says in (
            ({"sample": [0], "t": [1], "unit": [1], "label": [0, 1]}, "recording 1 has no events"),
            ({"sample": [0, 3], "t": [1, 2], "unit": [1, 1], "label": [0]}, "sample goes up to 3"),
            ({"t": [1], "unit": [1]}, "sample and label"),
            ({"t": [[1]], "unit": [1]}, "shape"),
            ({"t": np.array([1], object), "unit": [1]}, "array of objects"),
        ):
            np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
            with pytest.raises(ConntraError, match=says):
                table_source(path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(FileFormatError, match=r"not an \.npz file"):
            table_source(path)


class TestHdf5:
    @staticmethod
    def write(path: Path, times: list[list[float]], units: list[list[int]], labels: Any, speaker: Any) -> None:
        with h5py.File(path, "w") as file:
            t = file.create_dataset("spikes/times", (len(times),), dtype=h5py.vlen_dtype(np.float32))
            u = file.create_dataset("spikes/units", (len(units),), dtype=h5py.vlen_dtype(np.uint16))
            for i in range(len(times)):
                t[i], u[i] = np.array(times[i], np.float32), np.array(units[i], np.uint16)
            file["labels"] = np.asarray(labels, np.uint16)
            file["extra/speaker"] = np.asarray(speaker, np.uint16)
            file.create_dataset("extra/keys", data=np.array([b"zero", b"one"]))

    def test_the_layout_of_shd(self, tmp_path: Path) -> None:
        path = tmp_path / "shd.h5"
        self.write(path, [[0.0, 0.25], [0.5]], [[699, 3], [0]], [3, 17], [4, 5])
        source = hdf5_source(path)
        assert source.labels.tolist() == [3, 17]
        assert source.group("speaker").tolist() == ["4", "5"]
        assert [(r.t.tolist(), r.x.tolist(), r.p) for r in source.read()] == [
            ([0, 250_000], [699, 3], None),
            ([500_000], [0], None),
        ]
        with pytest.raises(InputError, match="group=room: no such grouping; it has keys, speaker"):
            source.group("room")

    def test_what_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.h5"
        path.write_bytes(b"no HDF5 at all")
        with pytest.raises(FileFormatError, match="no HDF5 file, or a damaged one"):
            hdf5_source(path)
        with h5py.File(path, "w") as file:
            file["labels"] = np.arange(2)
        with pytest.raises(FileFormatError, match="no spikes/times"):
            hdf5_source(path)
        with h5py.File(path, "w") as file:
            file["labels"] = h5py.ExternalLink("/etc/other.h5", "labels")
        with pytest.raises(FileFormatError, match="is a link"):
            hdf5_source(path)
        self.write(path, [[0.0]], [[1]], [1, 2], [1, 2])
        with pytest.raises(FileFormatError, match="1 entries in spikes/times, 2 in labels"):
            hdf5_source(path)
        self.write(path, [[0.0, np.nan]], [[1, 2]], [1], [1])
        with pytest.raises(InputError, match="sample 0: times that are NaN"):
            list(hdf5_source(path).read())
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FileFormatError, match="damaged"):
            list(hdf5_source(path).read())


def test_sensors_are_checked_by_whoever_knows_them() -> None:
    found = Recording.of("here", [1, 2], [0, 5], [0, 1], [True, False])
    assert found.extent() == Sensor(6, 2)
    with pytest.raises(InputError, match=r"here: event 1: x=5, y=1 lies outside the sensor, 5x2"):
        found.check_within(Sensor(5, 2))
    with pytest.raises(InputError, match="columns of 2, 1, 1 events"):
        Recording.of("here", [1, 2], [0])
    with pytest.raises(InputError, match="not whole"):
        Recording.of("here", [1.5], [0])

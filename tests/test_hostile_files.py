"""Files that found faults in a reader, and small files that ask for much: one line, exit status 2, little memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from confining import Confining  # which puts scripts/ on the path
from reader_bombs import BOMBS
from reader_confined import CANARY, fault_of
from reader_mutations import mutate
from reader_recordings import RECORDINGS
from reader_targets import READERS

CORPUS = sorted((Path(__file__).parent / "data" / "hostile").glob("*-*.*"))
SLOW = {("idx", "3 GB of zeros, gzipped"), ("npz", "2 GB of zeros, zipped")}  # to make; the script has them


@pytest.fixture(scope="module")
def confining() -> Iterator[Confining]:
    process = Confining()
    yield process
    process.close()


@pytest.fixture
def read(confining: Confining, sound: Path, tmp_path: Path):
    def run(reader: str, data: bytes, folder: Path = tmp_path):
        work = folder / "work"
        work.mkdir()
        verdict = confining.confined(READERS[reader].place(data, work, sound), work)
        return verdict, fault_of(verdict, work)

    return run


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_broke_a_reader_is_refused_in_one_line(path: Path, read) -> None:
    reader = path.name.rpartition("-")[0]
    verdict, fault = read(reader, path.read_bytes())
    assert fault is None
    assert verdict.status == (1 if path.name == "spikes-overflow.npy" else 2)  # no spikes at all are others


SOUND = sorted(set(READERS) - set(RECORDINGS) | {"events-evt3", "events-hdf5", "series-csv"})  # tests/datasets has all


@pytest.mark.parametrize("reader", SOUND)
def test_sound_files_are_read(reader: str, sound: Path, read) -> None:
    verdict, fault = read(reader, READERS[reader].seeds(sound)[0])
    assert fault is None
    assert verdict.status == (1 if reader == "spikes" else 0), verdict.err  # a certificate of other spikes


@pytest.mark.parametrize("bomb", [key for key in BOMBS if key not in SLOW], ids=lambda key: f"{key[0]}: {key[1]}")
def test_a_small_file_gets_little_memory(bomb: tuple[str, str], sound: Path, read) -> None:
    reader = bomb[0]
    verdict, fault = read(reader, BOMBS[bomb](READERS[reader].seeds(sound)))
    assert fault is None
    # A picture that cannot be read is left out, and the others are trained on.
    assert verdict.status == (0 if reader == "images" else 2)


@pytest.mark.parametrize("reader", ["model", "nir", "onnx", "npz"])
def test_mutations_follow_from_their_seed(reader: str, sound: Path) -> None:
    data = READERS[reader].seeds(sound)[0]
    first, again = (mutate(reader, data, data, random.Random(3)) for _ in range(2))
    assert first == again != data


def test_what_a_file_holds_is_text_on_a_terminal_and_in_html(sound: Path, tmp_path: Path, read) -> None:
    chip = READERS["chip"].seeds(sound)[0].decode().replace("description = ", 'description = "\\u001b[31mred" #', 1)
    verdict, fault = read("chip", chip.encode())
    assert (verdict.status, fault) == (0, None)
    assert "\\x1b[31mred" in verdict.out
    other = tmp_path / "other"
    other.mkdir()
    result = (sound / "result.json").read_text().replace('"reference"', '"' + CANARY.replace("\x1b", "") + '"')
    verdict, fault = read("result", result.encode(), other)
    assert (verdict.status, fault) == (0, None)
    page = (other / "work" / "r.html").read_text()
    assert "&lt;script&gt;canary" in page
    assert "<script>canary" not in page


def test_spikes_of_a_certificate_lie_beside_it(sound: Path, tmp_path: Path, confining: Confining) -> None:
    certificate = (sound / "certificate.json").read_text()
    assert '"chosen": {' in certificate
    named = certificate.replace('"chosen": {', '"chosen": {"spikes": "../../etc/passwd",', 1)
    work = tmp_path / "work"
    work.mkdir()
    (work / "c.json").write_text(named)
    verdict = confining.confined(["verify", str(sound / "program.conntra"), "--certificate", "c.json"], work)
    assert verdict.status == 2
    assert "a file beside the certificate expected" in verdict.err

"""Fuzz every reader: no file may do more than give one clear line and exit status 2.

    python scripts/fuzz_readers.py --seconds 600
    python scripts/fuzz_readers.py --seconds 60 --only nir,onnx --out found
    python scripts/fuzz_readers.py --file nir found/nir-0.nir

Guided by coverage: an input that runs a pair of lines that none has run before is kept, and mutated further. Every
input is read in a child of its own, with 1 GiB of address space beyond its libraries and ten seconds of a processor.
The table counts inputs, exit statuses, faults that differ and pairs of lines; each fault's smallest input is kept under
``--out``. Exit status 1 where there is a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import io
import mmap
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from reader_bombs import BOMBS
from reader_confined import MAP_SIZE, Verdict, confined, fault_of
from reader_mutations import mutate
from reader_targets import READERS
from sound_files import make_sound


@dataclass
class Tally:
    """What came of one reader."""

    inputs: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, bytes] = field(default_factory=dict)
    slowest: float = 0.0
    largest: int = 0
    pairs: int = 0


def main() -> int:
    """Fuzz, print the table, and return 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="for all readers together")
    parser.add_argument("--only", default="", help=f"some of {', '.join(READERS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder for the inputs that found faults")
    parser.add_argument("--file", nargs=2, metavar=("READER", "FILE"), help="read one file, and show what it says")
    asked = parser.parse_args()
    _one_thread()
    _remember_options()
    names = [name for name in asked.only.split(",") if name] or list(READERS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CONNTRA_CACHE"] = f"{folder}/cache"
        sound = Path(folder) / "sound"
        sound.mkdir()
        make_sound(sound)
        if asked.file:
            verdict = _read(asked.file[0], Path(asked.file[1]).read_bytes(), Path(folder) / "work", sound)[0]
            print(verdict.err or verdict.out, f"exit status {verdict.status}", sep="\n")
            return 0
        tallies = {}
        for name in names:
            tallies[name] = _fuzz(name, asked.seconds / len(names), asked.seed, Path(folder), sound)
            _keep(name, tallies[name], asked.out)
    _show(tallies)
    return int(any(tally.faults for tally in tallies.values()))


def _read(
    name: str, data: bytes, work: Path, sound: Path, covered: mmap.mmap | None = None
) -> tuple[Verdict, str | None]:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    arguments = READERS[name].place(data, work, sound)
    verdict = confined(arguments, work, covered)
    return verdict, fault_of(verdict, work)


def _fuzz(name: str, seconds: float, seed: int, folder: Path, sound: Path) -> Tally:
    tally, rng = Tally(), random.Random(f"{seed} {name}")
    covered, seen = mmap.mmap(-1, MAP_SIZE), np.zeros(MAP_SIZE, bool)
    corpus = READERS[name].seeds(sound)
    queue = [(f"seed {index}", data) for index, data in enumerate(corpus)]
    queue += [(what, make(corpus)) for (reader, what), make in BOMBS.items() if reader == name]
    _warm(name, corpus[0], folder / "work", sound)
    deadline = time.monotonic() + seconds
    while queue or time.monotonic() < deadline:
        if queue:
            what, data = queue.pop(0)
        else:
            what, data = "", mutate(name, rng.choice(corpus), rng.choice(corpus), rng)
        covered[:] = bytes(MAP_SIZE)
        verdict, fault = _read(name, data, folder / "work", sound, None if what and "seed" not in what else covered)
        if fault is not None and not what:  # counting lines takes time, too
            verdict, fault = _read(name, data, folder / "work", sound)
        if what.startswith("seed") and (verdict.status not in (0, 1) or fault):
            fault = f"a sound file is refused: {verdict.err or fault}"
        new = (np.frombuffer(covered, np.uint8) != 0) & ~seen
        if new.any():
            seen |= new
            if not what and len(data) < 2**20:
                corpus.append(data)
        _count(tally, verdict, fault if not what or fault is None else f"{what}: {fault}", data)
    tally.pairs = int(seen.sum())
    return tally


def _one_thread() -> None:
    """Start again with libraries of one thread: a forked child has none of its parent's threads."""
    names = [f"{library}_NUM_THREADS" for library in ("OPENBLAS", "OMP", "MKL", "NUMBA")]
    if any(os.environ.get(name) != "1" for name in names):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(names, "1"))


def _remember_options() -> None:
    """Have typer read the options of the verbs once; it takes ten times as long as reading a file."""
    from typer import main

    read = "get_params_from_function"
    setattr(main, read, functools.lru_cache(getattr(main, read)))


def _warm(name: str, data: bytes, work: Path, sound: Path) -> None:
    """Read a sound file here, so that the children have imported and compiled what they need."""
    from conntra_neuro.cli.app import main

    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    arguments = READERS[name].place(data, work, sound)
    before = Path.cwd()
    os.chdir(work)
    with contextlib.redirect_stdout(io.StringIO()):
        main(arguments)
    os.chdir(before)
    gc.collect()
    gc.freeze()  # children then share its pages


def _count(tally: Tally, verdict: Verdict, fault: str | None, data: bytes) -> None:
    tally.inputs += 1
    tally.statuses[verdict.status] += 1
    tally.slowest = max(tally.slowest, verdict.seconds)
    tally.largest = max(tally.largest, verdict.peak_bytes)
    if fault is None:
        return
    known = next((text for text in tally.faults if _kind(text) == _kind(fault)), None)
    if known is None or len(data) < len(tally.faults[known]):
        tally.faults.pop(known or "", None)
        tally.faults[fault] = data


def _kind(fault: str) -> str:
    """Return what faults of one kind have in common: their words without numbers and quoted names."""
    return re.sub(r"0x[0-9a-f]+|[0-9.]+|'[^']*'", "#", fault)[:120]


def _show(tallies: dict[str, Tally]) -> None:
    heads = ("reader", "inputs", "read", "answer no", "refused", "faults", "slowest, s", "most MiB", "pairs of lines")
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, t in tallies.items():
        counts = " | ".join(f"{t.statuses[status]:,}" for status in (0, 1, 2))
        memory = f"{t.largest / 2**20:,.0f}"
        print(f"| {name} | {t.inputs:,} | {counts} | {len(t.faults)} | {t.slowest:.1f} | {memory} | {t.pairs:,} |")


def _keep(name: str, tally: Tally, out: Path | None) -> None:
    print(f"{name}: {tally.inputs:,} inputs, {len(tally.faults)} faults", file=sys.stderr, flush=True)
    for index, (fault, data) in enumerate(tally.faults.items()):
        print(f"  {fault.encode('ascii', 'backslashreplace').decode()}", file=sys.stderr, flush=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}-{index}{READERS[name].suffix}").write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())

"""Try every verb on machines that fail: little memory, no caches, a closed output, four at once, many runs in one.

    python scripts/try_machines.py
    python scripts/try_machines.py --only "2 GiB,nowhere"

2 GiB        the address space of each process is limited to 2 GiB (POSIX)
nowhere      HOME and all folders of caches lie where nothing can be made, LC_ALL=C, a folder whose name is no UTF-8
closed       standard output is closed, and then a pipe that nobody reads
four         four trainings at once on empty caches, which must end in one network, and in those of a warm cache
many         500 runs in one process (``--runs``): memory, threads, descriptors and temporary files must not grow

Each command must end with status 0 and say nothing on standard error. Exit status 1 where one does not.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_COMMAND = [sys.executable, "-m", "conntra_neuro"]
_PATHS = [path for path in sys.path if path and "scripts" not in path]
_VERBS = """
train iris --layers 8 --sweeps 2 --out m.conntra
train iris --layers 8 --sweeps 2 --method backprop --out b.conntra
train iris --layers 8 --sweeps 2 --cluster local:2 --out c.conntra
compile m.conntra --chip loihi1 --out p.conntra
check m.conntra --chip loihi1
run p.conntra --data iris --out r.json
verify p.conntra --data iris --backends reference,loop --samples 5 --out v.json
verify p.conntra --recheck v.json
verify p.conntra --data iris --backends reference,brian2 --samples 5
verify p.conntra --data iris --backends reference,lava --samples 5
verify p.conntra --data iris --backends reference,sanafe --samples 5
verify --fuzz 20 --backends reference
export m.conntra --out m.nir
export m.conntra --out m.onnx
export m.conntra --format c --out m.h
import m.nir --out i.conntra
report r.json v.json --out r.html
show m.conntra
show v.json
chips loihi1
datasets
doctor
"""
_NOWHERE = "/proc/nowhere"  # root cannot make it either
_GROWN_MIB = 20


def main() -> int:
    """Try what is asked for, print the table, and return 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="some of 2 GiB, nowhere, closed, four, many")
    parser.add_argument("--runs", type=int, default=500)
    asked = parser.parse_args()
    tried: dict[str, Callable[[], tuple[int, list[str]]]] = {
        "2 GiB": lambda: _verbs(limit=2**31),
        "nowhere": lambda: _verbs(bare=True),
        "closed": _closed,
        "four": _four,
        "many": lambda: _many(asked.runs),
    }
    names = [name for name in asked.only.split(",") if name] or list(tried)
    faults: list[str] = []
    print("| machine | commands | faults |", "|---|---|---|", sep="\n")
    for name in names:
        commands, found = tried[name]()
        print(f"| {name} | {commands} | {len(found)} |", flush=True)
        faults += [f"{name}: {fault}" for fault in found]
    print(*faults, sep="\n")
    return int(bool(faults))


def _run(arguments: Sequence[str], cwd: str, limit: int | None = None, **options: object) -> str:
    """Return what went wrong: empty where the status is 0 and nothing was said on standard error."""
    prefix = [] if limit is None else ["sh", "-c", f'ulimit -v {limit // 1024}; exec "$@"', "sh"]
    command = [*prefix, *_COMMAND, *arguments, "-q"]
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
    done = subprocess.run(command, cwd=cwd, stderr=subprocess.PIPE, timeout=600, **given)  # type: ignore[call-overload]
    if done.returncode == 0 and not done.stderr:
        return ""
    return f"{' '.join(arguments)}: exit status {done.returncode}: {os.fsdecode(done.stderr)[-300:]!r}"


def _verbs(limit: int | None = None, bare: bool = False) -> tuple[int, list[str]]:
    lines, faults = [line.split() for line in _VERBS.strip().splitlines()], []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(_PATHS)}
    with tempfile.TemporaryDirectory() as name:
        folder = name
        if bare:
            folder = os.path.join(name, os.fsdecode(b"caf\xe9 two words"))
            os.mkdir(folder)
            caches = ("HOME", "XDG_CACHE_HOME", "CONNTRA_CACHE", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
            environment |= dict.fromkeys(caches, _NOWHERE)
            environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        for line in lines:
            faults += filter(None, [_run(line, folder, limit, env=environment)])
    return len(lines), faults


def _closed() -> tuple[int, list[str]]:
    """Close the standard output of verbs that print much, and hand others a pipe without a reader."""
    lines = [["chips"], ["datasets"], ["chips", "--json"], ["doctor", "--json"], ["--help"], ["train", "--help"]]
    faults, commands = [], [*_COMMAND]
    with tempfile.TemporaryDirectory() as folder:
        for line in lines:
            for ending in (">&-", "| true"):
                text = f'"$@" {ending}'
                done = subprocess.run(["sh", "-c", text, "sh", *commands, *line], cwd=folder, stderr=subprocess.PIPE)
                if done.returncode or done.stderr:
                    faults.append(f"{' '.join(line)} {ending}: {done.returncode}, {done.stderr[-300:]!r}")
    return 2 * len(lines), faults


def _four() -> tuple[int, list[str]]:
    train, faults = ["train", "digits", "--layers", "32", "--sweeps", "3"], []
    with tempfile.TemporaryDirectory() as folder:
        fresh = {"NUMBA_CACHE_DIR": f"{folder}/numba", "CONNTRA_CACHE": f"{folder}/cache", "MPLCONFIGDIR": folder}
        environment = os.environ | fresh
        command = [*_COMMAND, *train, "-q", "--out"]
        running = [
            subprocess.Popen([*command, f"{n}.conntra"], cwd=folder, env=environment, stderr=subprocess.PIPE)
            for n in range(4)
        ]
        for child in running:
            _, said = child.communicate(timeout=900)
            if child.returncode or said:
                faults.append(f"exit status {child.returncode}: {said[-300:]!r}")
        faults += filter(None, [_run([*train, "--out", "4.conntra"], folder, env=environment)])
        digests = {_weights(Path(folder) / f"{n}.conntra") for n in range(5)} if not faults else set()
        if len(digests) > 1:
            faults.append(f"{len(digests)} networks of one seed")
    return 5, faults


def _weights(path: Path) -> str:
    from conntra_hardware.base.files import read_container

    digest = hashlib.sha256()
    for name, array in sorted(read_container(path).tensors.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def _many(runs: int) -> tuple[int, list[str]]:
    """Compile and run a network again and again; one run in 25 on Brian2, one in 50 a training."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        before: tuple[int, ...] = ()
        for n in range(runs):
            once(n)
            if n == runs // 5:  # caches of the process are full by then
                before = held(folder)
        now = held(folder)
        tempfile.tempdir = None
    grown = [b - a for a, b in zip(before, now, strict=True)]
    print(f"many: memory {grown[0]:+} MiB, threads {grown[1]:+}, descriptors {grown[2]:+}, files {grown[3]:+}")
    return runs, [f"grown: {grown}"] if grown[0] > _GROWN_MIB or any(grown[1:]) else []


def once(n: int) -> None:
    """Train now and then, else compile, save, load, run and compare."""
    import conntra_neuro as cn

    rng = np.random.default_rng(n % 7)
    layers = [cn.Dense(rng.integers(-1, 2, (30, 20))), cn.Dense(rng.integers(-1, 2, (4, 30)), activation="readout")]
    program, x = cn.compile(cn.DiscreteNetwork(layers), "loihi1"), rng.integers(0, 2, (50, 20))
    with tempfile.TemporaryDirectory() as folder:
        cn.save(program, Path(folder) / "p.conntra")
        program = cn.load(Path(folder) / "p.conntra")
    program.run(x, backend="brian2" if n % 25 == 24 else "reference")
    program.verify(x[:3], backends=["reference", "loop"]).require_equal()
    if n % 50 == 49:
        cn.train(cn.load_dataset("iris"), layers=(8,), sweeps=1)


def held(folder: str) -> tuple[int, int, int, int]:
    """Return MiB of memory in use, threads, open descriptors, and files in ``folder``."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    mib = pages * resource.getpagesize() // 2**20
    return mib, threading.active_count(), len(os.listdir("/proc/self/fd")), len(os.listdir(folder))


if __name__ == "__main__":
    sys.exit(main())

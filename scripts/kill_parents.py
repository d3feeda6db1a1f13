"""Kill whoever started a simulator or a cluster, with kill -9, and measure how long its processes live on (Linux).

    python scripts/kill_parents.py --kills 5
    python scripts/kill_parents.py --kills 20 --only lava,sanafe --seed 3

A process runs a network on a backend, on more samples than it will get through, or trains on ``local:2``. It is killed
at a random moment of the first seconds; every process that carries its mark in its environment is then looked for.
None may live for more than five seconds, and no temporary file or shared memory may be left. Exit status 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_MARK = "CONNTRA_KILLED"
_MOST_S = 5.0
_START_S = 60.0
_RUN = """
import numpy as np
import conntra_neuro as cn
rng = np.random.default_rng(0)
layers = [cn.Dense(rng.integers(-1, 2, (400, 400))), cn.Dense(rng.integers(-1, 2, (10, 400)), activation="readout")]
program = cn.compile(cn.DiscreteNetwork(layers), "loihi1")
program.run((rng.random(({samples}, 400)) < 0.2).astype(np.uint8), backend="{name}", time_limit_s=3600)
"""
_TRAIN = """
import conntra_neuro as cn
cn.train(cn.load_dataset("digits"), layers=(256,), sweeps=100000, stop_after=10**6, cluster="local:2")
"""
_SAMPLES = {"brian2": 100_000, "lava": 200_000, "lava-stock": 20_000, "sanafe": 20_000}


def main() -> int:
    """Kill, print the table, and return 1 where something lived on or was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"some of {', '.join((*_SAMPLES, 'cluster'))}")
    asked = parser.parse_args()
    names = [name for name in asked.only.split(",") if name] or [*_SAMPLES, "cluster"]
    rng, wrong = random.Random(asked.seed), 0
    heads = ("started", "kill -9 of it", "processes then", "longest life after it, s", "files left")
    print(f"| {' | '.join(heads)} |", "|---|---|---|---|---|", sep="\n")
    for name in names:
        found = [_kill(name, rng) for _ in range(asked.kills)]
        processes, longest, left = (max(values) for values in zip(*found, strict=True))
        print(f"| {name} | {asked.kills} | up to {processes} | {longest:.1f} | {left} |", flush=True)
        wrong += longest > _MOST_S or left > 0 or processes == 0
    return int(wrong > 0)


def _kill(name: str, rng: random.Random) -> tuple[int, float, int]:
    """Return how many processes there were beside the killed one, the seconds that one lived on, and files left."""
    code = _TRAIN if name == "cluster" else _RUN.format(name=name, samples=_SAMPLES[name])
    shared = set(os.listdir("/dev/shm"))
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {_MARK: folder, "TMPDIR": folder}
        parent = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + _START_S
            while len(_marked(folder)) < (3 if name == "cluster" else 2) and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 8))
            others = len(_marked(folder) - {parent.pid})
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            start = time.monotonic()
            while _marked(folder) and time.monotonic() - start < _START_S:
                time.sleep(0.02)
            seconds = time.monotonic() - start
        finally:
            for pid in _marked(folder) | {parent.pid}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        left = [name for name in set(os.listdir("/dev/shm")) - shared if name.startswith(("psm_", "conntra"))]
        return others, seconds, len(left) + sum(1 for path in Path(folder).glob("conntra-*"))


def _marked(mark: str) -> set[int]:
    """Return the living processes that carry ``mark`` in their environment."""
    found, wanted = set(), f"{_MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX" and wanted in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
    return found


if __name__ == "__main__":
    sys.exit(main())

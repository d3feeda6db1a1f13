"""Kill the command line at random moments, with kill -9: training goes on to the same bits, files are old or new.

    python scripts/kill_training.py --kills 200
    python scripts/kill_training.py --kills 20 --only dense,compile

A training is killed again and again, resumed each time from its checkpoint (anew, where it was killed before it had
one), until it ends; its model file must be byte for byte that of a training that nobody killed, apart from the seconds
it took. A search is killed and begun again in its folder; every file in it must be whole, and in the end they must say
what those of a search say that nobody killed. A verb that writes is killed over an old file; what is there afterwards
must be the old file or the whole new one, and is read. Moments are drawn uniformly from the time that the command
takes, and checkpoints are written after every sweep, not every two seconds. Exit status 1 where something differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conntra_neuro.cli.app import main as main_of_conntra
from conntra_neuro.training import checkpoint

_LIF = ("npz:events.npz", "--layers", "16", "--neuron", "lif:163", "--encoder", "none")
_TRAIN = {
    "dense": ("digits", "--layers", "48"),
    "convolution": ("digits", "--layers", "conv4k3,24"),
    "annealed": ("digits", "--layers", "24", "--gear", "annealed"),
    "lif": ("npz:events.npz", "--layers", "16", "--neuron", "lif:163", "--encoder", "none"),
    "recurrent": (
        "npz:events.npz",
        "--layers",
        "16",
        "--neuron",
        "lif:163",
        "--encoder",
        "none",
        "--recurrent",
        "--delays",
        "3",
    ),
    "file-backed": ("images:images?size=16", "--layers", "24"),
    "run-file": ("--config", "run.toml"),
    "cluster": ("digits", "--layers", "48", "--cluster", "local:2"),
}
_SWEEPS = {"convolution": 6, "annealed": 2}
_USUAL_SWEEPS = 12
_SEARCH = {
    "tune": ("tune", "npz:events.npz", "--layers", "8", "--trials", "4", "--sweeps", "4", "--splits", "1"),
    "pareto": ("pareto", "digits", "--layers", "16", "--penalties", "0,1,3", "--sweeps", "3"),
}
_WRITE = {
    "compile": ("compile", "model.conntra"),
    "run": ("run", "program.conntra", "--data", "digits"),
    "verify": ("verify", "program.conntra", "--data", "digits", "--samples", "20", "--backends", "reference,loop"),
    "export": ("export", "model.conntra", "--format", "nir"),
    "export-c": ("export", "model.conntra", "--format", "c"),
    "import": ("import", "model.nir"),
    "report": ("report", "result.json"),
}


@dataclass
class Count:
    """Kills of one command: while it ran, those after which the old file was there, the new one, and faults."""

    kills: int = 0
    old: int = 0
    new: int = 0
    faults: int = 0


def main() -> int:
    """Kill what is asked for, print the table, and return 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="for all commands together")
    parser.add_argument("--only", default="", help=f"some of {', '.join((*_TRAIN, *_SEARCH, *_WRITE))}")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    names = [name for name in asked.only.split(",") if name] or [*_TRAIN, *_SEARCH, *_WRITE]
    rng, share = random.Random(asked.seed), -(-asked.kills // len(names))
    print("| command | kill -9 | old file after it | new file after it | faults |", "|---|---|---|---|---|", sep="\n")
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        for each in names:
            kill = _trainings if each in _TRAIN else _searches if each in _SEARCH else _writes
            count = kill(folder, each, share, rng)
            print(f"| {each} | {count.kills} | {count.old} | {count.new} | {count.faults} |", flush=True)
            faults += count.faults
    return int(faults > 0)


def _prepare(folder: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (400, 8, 12)).astype(np.uint8), np.arange(400) % 4
    np.savez(folder / "events.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    (folder / "run.toml").write_text('data = "digits"\nlayers = [32]\nseed = 5\n', encoding="utf-8")
    for part, label, index in ((p, c, i) for p in ("train", "val") for c in "abc" for i in range(40)):
        path = folder / "images" / part / label / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)).save(path)
    for arguments in (
        ("train", "digits", "--layers", "32", "--sweeps", "4", "--out", "model.conntra"),
        ("compile", "model.conntra", "--out", "program.conntra"),
        ("run", "program.conntra", "--data", "digits", "--out", "result.json"),
        ("export", "model.conntra", "--out", "model.nir"),
    ):
        _here(folder, arguments)


def _here(folder: Path, arguments: tuple[str, ...]) -> None:
    """Run a command in this process, so that those forked from it have imported and compiled what it needs."""
    before = Path.cwd()
    os.chdir(folder)
    os.environ["CONNTRA_CACHE"] = str(folder / "cache")
    status = main_of_conntra([*arguments, "-q"])
    os.chdir(before)
    if status:
        raise SystemExit(f"{' '.join(arguments)}: exit status {status}")


def _run(folder: Path, arguments: tuple[str, ...], kill_at_s: float | None = None) -> tuple[int, float]:
    """Return the exit status (-9 where it was killed in time) and the seconds that the command took.

    The process is forked from this one, which has imported everything: no moment is spent on what writes nothing. One
    with a cluster is started anew, for its workers start as its own.
    """
    start = time.monotonic()
    child = _started(folder, arguments) if "--cluster" in arguments else _forked(folder, arguments)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), time.monotonic() - start
        if kill_at_s is not None and time.monotonic() - start > kill_at_s:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


def _forked(folder: Path, arguments: tuple[str, ...]) -> int:
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setsid()
            os.chdir(folder)
            checkpoint._EVERY_S = 0.0
            status = main_of_conntra([*arguments, "-q"])
        finally:
            os._exit(status)
    return child


_FRESH = """\
import sys
from conntra_neuro.cli.app import main
from conntra_neuro.training import checkpoint
if __name__ == "__main__":
    checkpoint._EVERY_S = 0.0
    sys.exit(main(sys.argv[1:]))
"""


def _started(folder: Path, arguments: tuple[str, ...]) -> int:
    (folder / "fresh.py").write_text(_FRESH, encoding="utf-8")
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "fresh.py", *arguments, "-q"]
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, start_new_session=True).pid


def _trainings(folder: Path, name: str, kills: int, rng: random.Random) -> Count:
    count = Count()
    train = ("train", *_TRAIN[name], "--sweeps", str(_SWEEPS.get(name, _USUAL_SWEEPS)))
    if "--cluster" not in train:
        _here(folder, (*train, "--out", f"{name}.conntra"))
    _, seconds = _run(folder, (*train, "--out", f"{name}.conntra"))
    wanted = _contents(folder / f"{name}.conntra")
    while count.kills < kills:
        out, state = folder / "killed.conntra", folder / f"state-{name}-{count.kills}"
        out.unlink(missing_ok=True)
        while True:
            there = (state / "checkpoint.conntra").exists()
            go_on = ("--resume" if there else "--checkpoint", state.name, "--out", out.name)
            at = rng.uniform(0, 1) * seconds if count.kills < kills else None
            status, _ = _run(folder, (*train, *go_on), at)
            if status != -signal.SIGKILL:
                break
            count.kills += 1
            count.old += not out.exists()
            count.new += out.exists()
        count.faults += status != 0 or _contents(out) != wanted
    return count


def _searches(folder: Path, name: str, kills: int, rng: random.Random) -> Count:
    count = Count()
    _here(folder, (*_SEARCH[name], "--out", "whole"))
    _, seconds = _run(folder, (*_SEARCH[name], "--out", f"{name}.whole"))
    wanted = _said_in(folder / f"{name}.whole")
    while count.kills < kills:
        out = folder / f"{name}.{count.kills}"
        while True:
            before = len(list(out.glob("*")))
            at = rng.uniform(0, 1) * seconds if count.kills < kills else None
            status, _ = _run(folder, (*_SEARCH[name], "--out", out.name), at)
            if status != -signal.SIGKILL:
                break
            count.kills += 1
            count.faults += not _said_in(out).items() <= wanted.items()
            more = len(list(out.glob("*"))) > before
            count.old, count.new = count.old + (not more), count.new + more
        count.faults += status != 0 or _said_in(out) != wanted
    return count


def _said_in(folder: Path) -> dict[str, str]:
    """Return what each file of a search says, without seconds and names of folders; files must be whole."""
    found = {}
    for path in sorted(folder.glob("[!.]*")):
        if path.suffix == ".json":
            document = json.loads(path.read_text(encoding="utf-8"))
            kept = {key: value for key, value in document["found"].items() if key not in ("seconds", "model")}
            found[path.name] = repr((document["settings"], kept))
        else:
            found[path.name] = _contents(path) if path.suffix == ".conntra" else path.read_text(encoding="utf-8")
    return found


def _writes(folder: Path, name: str, kills: int, rng: random.Random) -> Count:
    count, out = Count(), folder / f"{name}.out"
    arguments = (*_WRITE[name], "--out", out.name)
    _here(folder, arguments)
    _, seconds = _run(folder, arguments)
    new = len(out.read_bytes())
    while count.kills < kills:
        out.write_bytes(b"old")
        status, _ = _run(folder, arguments, rng.uniform(0, 1) * seconds)
        count.kills += status == -signal.SIGKILL
        found = out.read_bytes()
        count.old += found == b"old" and status == -signal.SIGKILL
        whole = found != b"old" and abs(len(found) - new) < 200 and _is_whole(out)
        count.new += whole and status == -signal.SIGKILL
        count.faults += not (whole or found == b"old") or status not in (0, -signal.SIGKILL)
    return count


def _is_whole(path: Path) -> bool:
    """Return whether a file of a verb is complete: its checksum, its JSON, its last line."""
    data = path.read_bytes()
    if path.stem in ("compile", "import"):
        from conntra_neuro.network.storage import load

        load(path)
        return True
    if path.stem in ("run", "verify"):
        return isinstance(json.loads(data), dict)
    if path.stem == "export-c":
        return data.endswith(b"\n")
    return data.endswith(b"</html>\n") if path.stem == "report" else data.startswith(b"\x89HDF")


def _contents(path: Path) -> str:
    """Return a digest of a model, without the seconds that its training took."""
    from conntra_hardware.base.files import read_container

    found = read_container(path)
    body = {key: value for key, value in found.body.items() if key != "info"}
    info = {key: value for key, value in found.body["info"].items() if "seconds" not in key}
    digest = hashlib.sha256(repr((body, info)).encode())
    for name, array in sorted(found.tensors.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())

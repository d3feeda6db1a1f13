"""Try every verb on a network folder that is slow, fails once, or is gone: at each of its requests in turn.

    python scripts/try_network_folders.py
    python scripts/try_network_folders.py --only train,run --errors EIO --every 3

All files of a command lie in a folder of ``vanishing_folder.py``, which counts what the command asks of it. The command
is then repeated for each of these requests: that one fails (once), or all from it on (gone). It must end with status 0,
or with status 2 and one line; a file that was there must be the old one or the whole new one, and the new one where
the status is 0. At last every request takes 20 ms, and what is written must be what was written before. Exit status 1
where something differs; 3 where no folder can be mounted.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from sound_files import make_sound
from vanishing_folder import VanishingFolder, can_mount

_ALWAYS = 2**40
_SLOW_S = 0.02
_TRAIN = "train npz:data.npz --layers 4 --sweeps 2"
VERBS: dict[str, tuple[str, str]] = {
    "train": (f"{_TRAIN} --out new.conntra", "new.conntra"),
    "checkpoint": (f"{_TRAIN} --checkpoint state --out new.conntra", "new.conntra state"),
    "resume": (f"{_TRAIN} --resume begun --out new.conntra", "new.conntra begun"),
    "run-file": ("train --config run.toml --out new.conntra", "new.conntra"),
    "images": ("train images:images?size=8 --layers 3 --sweeps 1 --out new.conntra", "new.conntra"),
    "events": (
        "train events:events.csv?steps=4 --layers 3 --sweeps 1 --neuron lif:99 --out new.conntra",
        "new.conntra",
    ),
    "audio": ("train audio:audio?bands=4 --layers 3 --sweeps 1 --neuron lif:99 --out new.conntra", "new.conntra"),
    "tune": ("tune npz:data.npz --layers 4 --trials 2 --sweeps 1 --splits 1 --out tuned", "tuned"),
    "pareto": ("pareto npz:data.npz --layers 4 --penalties 0,1 --sweeps 1 --out front", "front"),
    "compile": ("compile model.conntra --out new.conntra", "new.conntra"),
    "check": ("check model.conntra --chip chip.toml", ""),
    "run": ("run program.conntra --data npz:data.npz --out new.json", "new.json"),
    "verify": ("verify program.conntra --data npz:data.npz --backends reference,loop --out new.json", "new.json"),
    "recheck": ("verify program.conntra --data npz:data.npz --recheck certificate.json", ""),
    "export": ("export model.conntra --out new.nir", "new.nir"),
    "export-c": ("export model.conntra --format c --out new.h", "new.h"),
    "import": ("import model.nir --out new.conntra", "new.conntra"),
    "report": ("report result.json certificate.json --out new.html", "new.html"),
    "show": ("show model.conntra", ""),
    "show-json": ("show result.json", ""),
    "chips": ("chips chip.toml", ""),
}
"""The command of each, and the files that it writes (or folders, whose files are looked at)."""
_OLD = b"what was there before"


@dataclass
class Tally:
    """What came of one verb: its requests, runs that failed in one line, runs that ended well, and faults."""

    requests: int = 0
    refused: int = 0
    went_on: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Try what is asked for, print the table, and return 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"some of {', '.join(VERBS)}")
    parser.add_argument("--errors", default="EIO,ESTALE,ETIMEDOUT,ENOTCONN", help="what requests fail with")
    parser.add_argument("--every", type=int, default=1, help="try every N-th request")
    asked = parser.parse_args()
    if not can_mount():
        print("no folder can be mounted here: /dev/fuse and the right to mount are needed", file=sys.stderr)
        return 3
    names = [name for name in asked.only.split(",") if name] or list(VERBS)
    errors = [getattr(errno, name) for name in asked.errors.split(",")]
    faults: list[str] = []
    print(
        "| command | requests | runs | status 2, one line | went on | faults |", "|---|---|---|---|---|---|", sep="\n"
    )
    with tempfile.TemporaryDirectory() as name:
        sound = Path(name)
        make_sound(sound)
        for each in names:
            tally = try_verb(each, sound, errors, asked.every)
            runs = tally.refused + tally.went_on + len(tally.faults)
            found = f"{tally.refused} | {tally.went_on} | {len(tally.faults)}"
            print(f"| {each} | {tally.requests} | {runs} | {found} |", flush=True)
            faults += tally.faults
    print(*faults, sep="\n")
    return int(bool(faults))


def run(command: str, folder: Path) -> tuple[int, str]:
    """Return the exit status of a command in ``folder``, and what it said on standard error; -9 after a minute."""
    said = folder.with_suffix(".said") if folder.parent != folder else folder / "said"
    child = os.fork()
    if child == 0:
        _run_here(command, folder, said)
    begun = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), said.read_text(errors="backslashreplace")
        if time.monotonic() - begun > 60:
            os.kill(child, 9)
        time.sleep(0.005)


def _run_here(command: str, folder: Path, said: Path) -> NoReturn:
    from conntra_neuro.cli.app import main as main_of_conntra

    os.environ["CONNTRA_CACHE"] = str(folder / "cache")
    words = [word.replace("npz:", f"npz:{folder}/") if ":" in word else word for word in command.split()]
    for prefix in ("images:", "events:", "audio:"):
        words = [word.replace(prefix, f"{prefix}{folder}/") if word.startswith(prefix) else word for word in words]
    words = [str(folder / word) if _is_file(word) else word for word in words]
    status = 99
    try:
        for number, path in ((1, Path(os.devnull)), (2, said)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        status = main_of_conntra([*words, "-q"])
        sys.stderr.flush()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _is_file(word: str) -> bool:
    names = ("state", "begun", "tuned", "front")
    return word in names or word.endswith((".conntra", ".json", ".nir", ".h", ".html", ".toml"))


def try_verb(name: str, sound: Path, errors: list[int], every: int = 1) -> Tally:
    """Run a verb with each request failing, once and for good, and slowly; ``every`` so many requests are tried."""
    command, outputs = VERBS[name][0], VERBS[name][1].split()
    tally = Tally()
    with VanishingFolder() as folder:
        os.chdir(folder.path if name == "run-file" else "/")  # the data that a run file names stand where it is run
        _fill(folder, sound, outputs)
        folder.behave()
        status, said = run(command, folder.path)
        tally.requests = folder.requests
        if status or said:
            tally.faults.append(f"{name}: a sound folder: exit status {status}: {said}")
            os.chdir("/")
            return tally
        wanted = {output: _size(folder.path / output) for output in outputs}
        for at in range(1, tally.requests + 1, every):
            for index, error in enumerate(errors):
                for times in (1, _ALWAYS) if index == 0 else ((1,) if index % 2 else (_ALWAYS,)):
                    _fill(folder, sound, outputs)
                    folder.behave(at, times, error)
                    status, said = run(command, folder.path)
                    folder.behave()
                    fault = _fault(status, said, folder.path, outputs)
                    where = (
                        f"{name}: request {at}, {errno.errorcode[error]} {'once' if times == 1 else 'from there on'}"
                    )
                    if fault:
                        tally.faults.append(f"{where}: {fault}")
                    else:
                        tally.refused, tally.went_on = tally.refused + (status == 2), tally.went_on + (status == 0)
        _fill(folder, sound, outputs)
        folder.behave(seconds=_SLOW_S)
        status, said = run(command, folder.path)
        folder.behave()
        sizes = {output: _size(folder.path / output) for output in outputs}
        if status or said or any(abs(sizes[o] - wanted[o]) > 200 for o in outputs):
            tally.faults.append(f"{name}: slowly: exit status {status}, {sizes} bytes of {wanted}: {said}")
        else:
            tally.went_on += 1
        os.chdir("/")
    return tally


def _fill(folder: VanishingFolder, sound: Path, outputs: list[str]) -> None:
    folder.behave()
    for path in folder.path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(sound, folder.path, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for output in outputs:
        if "." in output:
            (folder.path / output).write_bytes(_OLD)


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*")) if path.is_dir() else path.stat().st_size


def _fault(status: int, said: str, folder: Path, outputs: list[str]) -> str:
    """Return what is wrong with a run, in a few words."""
    if status not in (0, 2):
        return f"exit status {status}: {said[-300:]}"
    if status == 2 and (said.count("\n") != 1 or not said.startswith("conntra: ")):
        return f"not one line: {said[-300:]!r}"
    if "unexpected" in said or "Traceback" in said or (status == 0 and said):
        return said[-300:]
    for output in outputs:
        path = folder / output
        files = [path] if "." in output else [p for p in path.rglob("*") if p.is_file()]
        for file in files:
            if file.name.startswith(".") and file.name.endswith(".tmp"):
                continue  # could not be taken away either
            old = file.read_bytes() == _OLD
            if old and status == 0:
                return f"{output} is the old file, and the exit status is 0"
            if not old and not is_whole(file):
                return f"{file.name} is half a file"
    return ""


def is_whole(path: Path) -> bool:
    """Return whether a file that a verb wrote is complete."""
    data = path.read_bytes()
    if path.suffix == ".conntra":
        from conntra_hardware.base.files import read_container

        return bool(read_container(path).kind)
    if path.suffix == ".json":
        return isinstance(json.loads(data), dict)
    endings = {".html": b"</html>\n", ".h": b"\n", ".toml": b"\n", ".csv": b"\n", ".jsonl": b"\n"}
    return data.startswith(b"\x89HDF") if path.suffix == ".nir" else data.endswith(endings.get(path.suffix, b""))


if __name__ == "__main__":
    sys.exit(main())

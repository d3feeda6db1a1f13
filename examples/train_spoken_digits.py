"""Train networks on spoken digits, run by run, and print tables of what was found: errors, events, energy.

    python examples/train_spoken_digits.py FSDD --split own --kinds "lif;recurrent" --methods conntra --seeds 0,1,2
    python examples/train_spoken_digits.py --table own                    # tune, own, a speaker, speakers

FSDD is the Free Spoken Digit Dataset as WAV files, in folders for the digits, in one folder to train and one to test
(its own test split, the recordings of index 0 to 4), each file called after speaker and index. Every run is added to a
JSON file (``--json``), and none that is there is made again: a table can be made in parts. A split is

    tune     the training recordings alone: index 5 to 14 tested, 15 to 49 trained on; settings are chosen here
    own      the data set's own: index 0 to 4 tested, all others trained on
    SPEAKER  all recordings of that speaker tested, all of the others trained on

``--set NAME=VALUE`` changes a setting, for ``tune`` only. Energy is modelled (loihi2).
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from kept_runs import keep, kept, measured, table

import conntra_neuro as cn
from conntra_neuro.datasets import encoder_of

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
COMMON: dict[str, Any] = {"layers": "128", "levels": 5, "spikes": "steps=40&levels=5", "batch": 50, "sweeps": 20}
METHODS: dict[str, dict[str, Any]] = {
    "conntra": {"decay": 2.0},
    "backprop": {},
    "warm": {},
}
KINDS: dict[str, dict[str, Any]] = {
    "memoryless": {"neuron": "lif:4096"},
    "lif": {"neuron": "lif:256"},
    "recurrent": {"neuron": "lif:1024", "recurrent": True},
    "delayed": {"neuron": "lif:256", "delays": 3},
    "lif, bands shifted": {"neuron": "lif:256", "shift_units": 3},
    "memoryless, bands shifted": {"neuron": "lif:4096", "shift_units": 3},
    "lif, 256 units": {"neuron": "lif:256", "layers": "256"},
    "recurrent, 256 units": {"neuron": "lif:1024", "recurrent": True, "layers": "256"},
    "memoryless, delayed": {"neuron": "lif:4096", "delays": 3},
}
MOVED = {"shift": 2, "elastic": 1.0}


@cache
def data_of(folder: str, split: str, spikes: str, encoded: bool = True) -> cn.Dataset:
    """Return the recordings of a split as spikes over time, by an encoder that is fitted to those that are trained on.

    ``spikes``: the options that say how recordings become spikes. Encoding is a part of the network elsewhere; here it
    is done once for all runs, unless they are to be not ``encoded``.
    """
    raw = recordings_of(folder, split, spikes)
    if not encoded:
        return raw
    encoder = encoder_of(raw, "auto")
    assert encoder is not None
    x = [encoder.encode(part).reshape(len(part), encoder.steps, -1) for part in (raw.x_train, raw.x_test)]
    return cn.Dataset("fsdd", x[0], raw.y_train, x[1], raw.y_test, raw.labels, raw.note, "spikes")


def recordings_of(folder: str, split: str, spikes: str) -> cn.Dataset:
    """Return the recordings of a split."""
    spec = f"audio:{folder}?{spikes}"
    if split in SPEAKERS:
        return cn.load_dataset(f"{spec}&group=prefix&held={split}")
    data = cn.load_dataset(spec)
    if split == "own":
        return data
    files = sorted(Path(folder).glob("train/*/*.wav"))
    index = np.array([int(file.stem.rpartition("_")[2]) for file in files])
    assert [file.parent.name for file in files] == [str(data.labels[y]) for y in data.y_train]
    x, y, test = data.x_train, data.y_train, index < 15
    return cn.Dataset("fsdd", x[~test], y[~test], x[test], y[test], data.labels, "tuning split", data.input)


def settings_of(kind: str, method: str, changed: dict[str, Any]) -> dict[str, Any]:
    """Return all settings of a training."""
    found = {**COMMON, **MOVED, **METHODS[method], **KINDS[kind], **changed, "method": method}
    return {**found, "layers": str(found["layers"])}


def cells(run: dict[str, Any]) -> tuple[str, str]:
    """Return what a table has one row for: neuron with settings that were changed, and method."""
    return f"{run['kind']} {run['changed']}".strip(), run["method"]


def by_speaker(runs: dict[str, Any]) -> None:
    """Print the mean errors of recordings by each speaker who was left out, and the mean of these."""
    groups: dict[tuple[str, str], dict[str, list[float]]] = {}
    for run in runs.values():
        if run["split"] in SPEAKERS:
            errors = groups.setdefault(cells(run), {})
            errors.setdefault(run["split"], []).append(run["found"]["test_error"])
    print(f"| error, %; left out | method | seeds | {' | '.join(SPEAKERS)} | mean |")
    print(f"|---|---|---|{'---:|' * (len(SPEAKERS) + 1)}")
    for (kind, method), errors in groups.items():
        most = max(map(len, errors.values()))
        fewer = [f", {name} {len(errors[name])}" for name in SPEAKERS if len(errors[name]) < most]
        means = [statistics.mean(errors[name]) for name in SPEAKERS]
        shown = " | ".join(f"{value:.1f}" for value in [*means, statistics.mean(means)])
        print(f"| {kind} | {method} | {most}{''.join(fewer)} | {shown} |")


def value_of(text: str) -> Any:
    """Return a number where ``text`` is one."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def main() -> None:
    """Make the runs that are asked for and not there yet, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="FSDD; not needed for --table")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--split", default="own", choices=("tune", "own", *SPEAKERS))
    parser.add_argument("--kinds", default=";".join(KINDS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], dest="changed")
    parser.add_argument("--table", choices=("tune", "own", *SPEAKERS, "speakers"), help="print one, and train nothing")
    args = parser.parse_args()
    runs = kept(args.json)
    if args.table == "speakers":
        return by_speaker(runs)
    if args.table:
        found = [run for run in runs.values() if run["split"] == args.table]
        many = Counter(map(cells, found))
        # Settings were chosen with one seed; what is stated has more.
        shown = [run for run in found if args.table == "tune" or many[cells(run)] > 1]
        return table(shown, ("network", "method"), cells)
    if args.folder is None:
        parser.error("FSDD: the folder of the recordings is missing; --table needs none")
    if args.changed and args.split != "tune":
        parser.error("--set: settings are chosen on --split tune")
    changed = {name: value_of(value) for name, _, value in (text.partition("=") for text in args.changed)}
    for kind in args.kinds.split(";"):
        for method in args.methods.split(","):
            settings = settings_of(kind, method, changed)
            for seed in map(int, args.seeds.split(",")):
                name = " ".join(args.changed)
                key = "/".join((args.split, kind, method, name, str(seed)))
                if key in runs:
                    continue
                # Which bands are neighbours the encoder alone says.
                data = data_of(args.folder, args.split, settings["spikes"], not settings.get("shift_units"))
                found = measured(data, {k: v for k, v in settings.items() if k != "spikes"}, seed)
                own = {"split": args.split, "kind": kind, "method": method, "changed": name, "seed": seed}
                runs = keep(args.json, key, {**own, "settings": settings, "found": found})


if __name__ == "__main__":
    main()

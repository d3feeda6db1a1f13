"""Kinds of studies, whose tables stand in the pages of docs: what one runs, and how its table is made.

`scripts/measure_results.py` runs them and keeps the tables in docs/results.json; a page has a table where it has the
block of its name, `<!-- results: NAME -->`. The studies themselves stand in results_studies.py. One is of these kinds:

- `Trainings`: `conntra train` with each row's options, three seeds each;
- `Comparisons`: what `conntra compare` found, a row for each method;
- `Printed`: the tables that a script of this repository prints.

Words in capitals stand for what a study needs and the repository does not have; `--with NAME=PATH` names one: MNIST is
an .npz of its training images, IMAGENET a folder of ten classes in `train` and `val`, FSDD the recordings of spoken
digits, READERS a Python with snnTorch, Norse and sinabs, TONIC one with tonic and snnTorch, LAVADL one with lava-dl,
QONNX one with qonnx, PACKAGES a folder of networks that other packages wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Protocol

NEEDS = ("MNIST", "IMAGENET", "FSDD", "READERS", "TONIC", "LAVADL", "QONNX", "PACKAGES")
"""What a study may need from outside of the repository."""

Table = dict[str, Any]
"""A head, rows of as many cells, all of them text."""


class Runner(Protocol):
    """What runs the commands of a study."""

    def document(self, words: str) -> dict[str, Any]:
        """Run ``conntra words --json`` and return what it says."""
        ...

    def script(self, words: str) -> str:
        """Run ``python words`` and return what it prints."""
        ...


@dataclass(frozen=True)
class Trainings:
    """A row for each way to train, three seeds each: errors, the share of weights that are not 0, seconds if asked.

    With a ``chip`` each network is compiled for it and run, and columns may be modelled energies.
    """

    about: str
    common: str
    rows: Mapping[str, str]
    columns: tuple[str, ...] = ("test error", "training error", "weights not 0")
    seeds: int = 3
    first: str = "options"
    chip: str = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands as they are run, with S for the seed; of many rows one, with OPTIONS for theirs."""
        kept = " --out m.conntra" if self.chip else ""
        if len(self.rows) > 3:
            trained = (f"conntra {self.common} OPTIONS --seed S{kept}",)
        else:
            trained = tuple(f"conntra {self._words(options)} --seed S{kept}" for options in self.rows.values())
        return (*trained, *(f"conntra {words.replace('model', 'm')}" for words in self._on_chip()))

    def _on_chip(self) -> tuple[str, ...]:
        if not self.chip:
            return ()
        data = self.common.split()[1]
        compiled = f"compile model.conntra --chip {self.chip} --out model.program"
        return compiled, f"run model.program --data {data} --backend reference"

    def _words(self, options: str) -> str:
        return " ".join(f"{self.common} {options}".split())

    def tables(self, runner: Runner) -> list[Table]:
        """Train, and return one table."""
        rows = []
        for label, options in self.rows.items():
            words = self._words(options)
            runs = [self._run(runner, f"{words} --seed {n}") for n in range(self.seeds)]
            shown = f"{label}: `{options}`" if label and options else label or f"`{options}`"
            rows.append([shown if len(self.rows) > 3 else label, *(_CELLS[column](runs) for column in self.columns)])
        return [{"head": [self.first, *self.columns], "rows": rows}]

    def _run(self, runner: Runner, words: str) -> dict[str, Any]:
        """Train once, and return what the commands said together."""
        found = runner.document(f"{words} --out model.conntra")
        for command in self._on_chip():
            found = found | runner.document(command)
        return found


@dataclass(frozen=True)
class Comparisons:
    """A row for each method of ``conntra compare``, for each set of layers."""

    about: str
    commands: tuple[str, ...]
    timed: bool = False
    memory: bool = True

    def tables(self, runner: Runner) -> list[Table]:
        """Compare, and return one table of all commands."""
        head = ["hidden layers", "method", "training error", "test error"]
        head += [*(["seconds"] if self.timed else []), *(["memory"] if self.memory else [])]
        rows = []
        for command in self.commands:
            for row in runner.document(command.removeprefix("conntra "))["rows"]:
                layers = ", ".join(str(layer) for layer in row["layers"]) or "none"
                spread = row.get("test_error_spread")
                error = f"{100 * row['test_error']:.2f}" + (f" ± {100 * spread:.2f}" if spread is not None else "")
                cells = [layers, _method(row), f"{100 * row['train_error']:.2f} %", f"{error} %"]
                cells += [f"{row['train_seconds']:.0f}"] if self.timed else []
                rows.append([*cells, *([bytes_as_text(row["memory_bytes"])] if self.memory else [])])
        return [{"head": head, "rows": rows}]


@dataclass(frozen=True)
class Printed:
    """The tables that scripts print, without the columns in ``drop``; those of the same head are ``joined``."""

    about: str
    commands: tuple[str, ...]
    drop: tuple[str, ...] = ()
    joined: bool = True

    def tables(self, runner: Runner) -> list[Table]:
        """Run the scripts, and return what they print."""
        found: list[Table] = []
        for command in self.commands:
            tables = tables_in(runner.script(command.removeprefix("python ")))
            if not tables:
                raise SystemExit(f"{command}: printed no table")
            for table in tables:
                kept = [number for number, name in enumerate(table["head"]) if name not in self.drop]
                cut = {
                    "head": [table["head"][n] for n in kept],
                    "rows": [[row[n] for n in kept] for row in table["rows"]],
                }
                if self.joined and found and found[-1]["head"] == cut["head"]:
                    found[-1]["rows"] += cut["rows"]
                else:
                    found.append(cut)
        return found


Study = Trainings | Comparisons | Printed


def needs(study: Study) -> list[str]:
    """Return the names of what a study needs from outside."""
    text = " ".join(study.commands)
    return [name for name in NEEDS if re.search(rf"\b{name}\b", text)]


def tables_in(text: str) -> list[Table]:
    """Return the tables in Markdown in a text, in their order."""
    found: list[Table] = []
    for block in re.findall(r"(?:^\|.*\|[ ]*\n)+", text + "\n", flags=re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        if len(lines) > 1 and all(set(cell) <= set("-: ") for cell in lines[1]):
            found.append({"head": lines[0], "rows": lines[2:]})
    return found


def bytes_as_text(count: float) -> str:
    """Return a memory in bytes, kB or MB, in powers of ten, with three digits."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:,.{2 if count < 10 * factor else 1 if count < 100 * factor else 0}f} {unit}"
    return f"{count:.0f} B"


def _method(row: Mapping[str, Any]) -> str:
    count = row["levels"].count(",") + 1
    levels = row["levels"] if count == 1 else f"{count} levels"
    names = {
        "backprop-float64": "backpropagation, float64",
        "straight-through": f"straight-through, {levels}",
        "conntra": f"CoNNTrA, {levels}, no gradient",
        "warm": f"CoNNTrA, {levels}, warm start",
    }
    return names[row["method"]]


def _percent(runs: Sequence[Mapping[str, Any]], key: str, digits: int = 2) -> str:
    values = [100 * run[key] for run in runs]
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 and digits > 1 else ""
    return f"{mean(values):.{digits}f}{spread} %"


def _energy(runs: Sequence[Mapping[str, Any]], source: str) -> str:
    """Return the modelled dynamic energy of an inference."""
    values = [
        1e6 * found["per_inference_j"] for run in runs for found in run["energy"] if found["coefficients"] == source
    ]
    return f"{mean(values):.3f} uJ"


_CELLS = {
    "test error": lambda runs: _percent(runs, "test_error"),
    "training error": lambda runs: _percent(runs, "train_error"),
    "weights not 0": lambda runs: _percent(runs, "nonzero_fraction", 0),
    "weights": lambda runs: f"{runs[0]['parameters']:,}",
    "memory": lambda runs: bytes_as_text(runs[0]["memory_bytes"]),
    "synaptic operations": lambda runs: f"{mean(run['counts']['synops'] / run['samples'] for run in runs):,.0f}",
    "energy, davies2018": lambda runs: _energy(runs, "davies2018"),
    "energy, sanafe2025": lambda runs: _energy(runs, "sanafe2025"),
    "seconds": lambda runs: f"{mean(run['train_seconds'] for run in runs):.0f}",
}

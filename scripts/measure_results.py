"""Measures the figures that README.md and the pages of docs state, and writes them to docs/results.json.

    python scripts/measure_results.py [PART ...] [--mnist FILE] [--with NAME=PATH ...] [--again]

Each part runs commands of `conntra` or scripts of this repository, with three seeds where chance has a part; the parts
that are tables stand in scripts/results_studies.py. What a command has said is kept in build/results, and so is a part:
a run that was stopped goes on with the command that was cut short. `--again` measures parts that are there. MNIST is a
.npz or a folder of MNIST's own files; parts that need what is not named are left as they are in docs/results.json.
`python scripts/results_pages.py --write` then puts the figures into the pages.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from results_studies import STUDIES
from study_kinds import NEEDS, Study, needs

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.json"
KEPT = ROOT / "build" / "results"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Call:
    """A command of ``conntra``: its words, what it printed, its seconds, and processor seconds with its children."""

    words: str
    printed: str
    took: float
    processor: float


def _processor_seconds() -> float:
    """Return what children that have ended took of processors; of this one, where a system does not say."""
    times = os.times()
    return times.children_user + times.children_system


@dataclass
class Run:
    """A part while it is measured: the folder it runs in, what lies outside, what was run, and what came out."""

    folder: Path
    outside: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    calls: int = 0
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def conntra(self, words: str, **environment: str) -> Call:
        """Run ``conntra words``, unless it has been."""
        return self._run(["-m", "conntra_neuro"], f"conntra {words}", environment)

    def script(self, words: str) -> str:
        """Run ``python words``, words being a script of the repository and its arguments; return what it prints."""
        name, _, rest = words.partition(" ")
        return self._run([str(ROOT / name)], f"python {name} {rest}", {}).printed

    def _run(self, program: list[str], words: str, environment: dict[str, str]) -> Call:
        arguments = [self._filled(word) for word in shlex.split(words)]
        arguments = arguments[1:] if program[0] == "-m" else arguments[2:]
        self.commands.append(words.removesuffix(" --json --quiet"))
        self.calls += 1
        kept = self.folder / f"call-{self.calls}.json"
        if kept.exists():
            before = Call(**json.loads(kept.read_text(encoding="utf-8")))
            if before.words == words:
                return before
        start, spent = time.perf_counter(), _processor_seconds()
        done = subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{words}: exit status {done.returncode}\n{done.stderr}")
        call = Call(words, done.stdout, took, _processor_seconds() - spent)
        kept.write_text(json.dumps(asdict(call)), encoding="utf-8")
        return call

    def _filled(self, word: str) -> str:
        for name, path in self.outside.items():
            word = re.sub(rf"\b{name}\b", lambda _, path=path: path, word)
        return word

    def document(self, words: str) -> dict[str, Any]:
        """Run ``conntra words --json`` and return what it says."""
        return json.loads(self.conntra(f"{words} --json --quiet").printed)

    def add(self, name: str, values: Iterable[float], unit: str, timing: bool = False) -> None:
        """Keep a figure: a value for each seed or repetition, in ``unit``."""
        found = [float(f"{value:.6g}") for value in values]
        spread = {"sd": float(f"{stdev(found):.3g}")} if len(found) > 1 else {}
        self.figures[name] = {"unit": unit, "mean": float(f"{mean(found):.6g}"), **spread, "values": found}
        if timing:
            self.figures[name]["timing"] = True


def _for_readers(commands: Iterable[str]) -> list[str]:
    """Return each command once; those that were run with every seed as one, with S in its place."""
    forms: dict[str, dict[str, None]] = {}
    for command in commands:
        form = command
        for seed in SEEDS:
            form = form.replace(f"--seed {seed}", "--seed S").replace(f"m{seed}.", "mS.")
        forms.setdefault(form, {})[command] = None
    return [shown for form, run in forms.items() for shown in ([form] if len(run) == len(SEEDS) else run)]


def demo(run: Run) -> None:
    """The first minute: ``conntra demo`` where nothing was compiled before, and again."""
    calls = [run.conntra("demo", NUMBA_CACHE_DIR=str(run.folder / f"numba{n // 2}")) for n in range(6)]
    for name, some in (("first", calls[::2]), ("later", calls[1::2])):
        run.add(f"{name}_start", [call.took for call in some], "s", timing=True)
        run.add(f"{name}_processor", [call.processor for call in some], "s", timing=True)
    summary = calls[-1].printed.partition("\n\nNow with")[0].strip("\n")
    run.figures["output"] = {"unit": "text", "lines": [line.rstrip() for line in summary.splitlines()]}


def digits(run: Run) -> None:
    """Digits in five folds."""
    found = run.document("compare digits --layers 256 --methods conntra --seeds 3")
    (row,) = found["rows"]
    error, spread = (100 * row[key] for key in ("test_error", "test_error_spread"))
    run.figures["error"] = {"unit": "%", "mean": round(error, 4), "sd": round(spread, 4), "seeds": row["seeds"]}


def mnist(run: Run) -> None:
    """784-256-10, ternary weights, no gradient: trained, compiled, run."""
    trained, ran = [], []
    for seed in SEEDS:
        trained.append(run.document(f"train mnist:MNIST --layers 256 --seed {seed} --out m{seed}.conntra"))
        run.document(f"compile m{seed}.conntra --chip loihi1 --out m{seed}.program")
        ran.append(run.document(f"run m{seed}.program --data mnist:MNIST --backend reference"))
    run.add("error", [100 * found["test_error"] for found in trained], "%")
    run.add("training", [found["train_seconds"] for found in trained], "s", timing=True)
    run.add("memory", [trained[0]["memory_bytes"] / 1000], "kB")
    run.add("memory_float64", [trained[0]["memory_bytes_float64"] / 1000], "kB")
    _energy(run, ran)
    accuracies = {round(found["accuracy"], 6) for found in ran[:1]}
    for backend in ("reference", "lava", "brian2"):
        found = run.document(f"run m0.program --data mnist:MNIST --backend {backend}")
        accuracies.add(round(found["accuracy"], 6))
        run.add(f"simulated_{backend}", [found["run_seconds"]], "s", timing=True)
    run.add("accuracies_of_simulators", [len(accuracies)], "different")
    certificate = run.document("verify m0.program --data mnist:MNIST --samples 1000")
    run.add("verified_spikes", [certificate["compared"]["spikes"]], "spikes")
    run.add("verified_potentials", [certificate["compared"]["potentials"]], "potentials")
    for packing in ("bits", "digits"):
        found = run.document(f"export m0.conntra --out {packing}.h --packing {packing} --features uint8 --cc cc")
        run.add(f"flash_{packing}", [found["details"]["flash_measured_bytes"]], "bytes")


def penalty(run: Run) -> None:
    """The same with a penalty on modelled energy."""
    trained, ran = [], []
    for seed in SEEDS:
        words = f"train mnist:MNIST --layers 256 --penalty energy=1 --seed {seed} --out m{seed}.conntra"
        trained.append(run.document(words))
        run.document(f"compile m{seed}.conntra --chip loihi1 --out m{seed}.program")
        ran.append(run.document(f"run m{seed}.program --data mnist:MNIST --backend reference"))
    run.add("error", [100 * found["test_error"] for found in trained], "%")
    _energy(run, ran)


def _energy(run: Run, ran: list[dict[str, Any]]) -> None:
    for number, name in enumerate(("davies2018", "sanafe2025")):
        run.add(f"energy_{name}", [1e9 * found["energy"][number]["per_inference_j"] for found in ran], "nJ")
        run.add(f"latency_{name}", [1e6 * found["energy"][number]["latency_s"] for found in ran], "us")
    run.add("synops", [found["counts"]["synops"] / found["samples"] for found in ran], "synaptic operations")


def fuzz(run: Run) -> None:
    """Random programs on every simulator that is installed."""
    found = run.document("verify --fuzz 300 --budget 30 --seed 0")
    for name, row in found["backends"].items():
        for key in ("programs", "refused", "spikes", "potentials", "mismatches"):
            run.add(f"{name}_{key}", [row[key]], key)


def imports(run: Run) -> None:
    """Networks of other packages that stand under tests/data, and what those packages recorded."""
    import numpy as np

    from conntra_neuro.exchange.files import import_network, import_with_report
    from conntra_neuro.exchange.nir.spiking import SpikingImport

    for name in ("snntorch", "norse", "sinabs"):
        data = ROOT / "tests" / "data" / "spiking"
        with np.load(data / f"{name}_spikes.npz") as file:
            pairs = {"x": "shape", "spikes0": "shape0", "spikes1": "shape1"}
            x, hidden, last = (np.unpackbits(file[k])[: np.prod(file[s])].reshape(file[s]) for k, s in pairs.items())
        options: dict[str, Any] = {"reset": "subtract"} if name == "sinabs" else {}
        network, report = import_with_report(data / f"{name}.nir", steps=x.shape[1], source=name, **options)
        assert isinstance(report, SpikingImport)
        run.add(f"{name}_simulated", [100 * (report.simulate(x)[0] == hidden).mean()], "%")
        run.add(f"{name}_equal", [100 * layer.equal for layer in report.agreement(x)][:1], "%")
        run.add(f"{name}_within", [100 * layer.within_a_step for layer in report.agreement(x)][:1], "%")
        same = network.predict(x) == last.sum(axis=1).argmax(axis=1)
        run.add(f"{name}_classes", [100 * same.mean()], "%")
        run.add(f"{name}_samples", [len(x)], "samples")
    data = ROOT / "tests" / "data" / "lava_dl"
    spikes = {}
    for which, steps in (("input", 2000), ("output", 2002)):
        spikes[which] = np.zeros((steps, 200), np.uint8)
        with np.load(data / "oxford_spikes.npz") as file:
            spikes[which][tuple(file[which].T.astype(int))] = 1
    published = spikes["output"][2:]
    run.add("oxford_published", [published.sum()], "spikes")
    for rule, semantics in (("slayer", "slayer-0.3"), ("lava", "lava")):
        network = import_network(data / "oxford.net", steps=2000, semantics=semantics)
        found = network.outputs(spikes["input"][None])[-1]
        run.add(f"oxford_{rule}", [(found & published).sum()], "spikes")
    run.commands.append("python scripts/measure_results.py imports")


PARTS: dict[str, Callable[[Run], None]] = {
    "demo": demo,
    "digits": digits,
    "mnist": mnist,
    "penalty": penalty,
    "fuzz": fuzz,
    "imports": imports,
}
NEED_MNIST = {"mnist", "penalty"}


def needed(name: str) -> list[str]:
    """Return what a part needs from outside of the repository."""
    return ["MNIST"] if name in NEED_MNIST else needs(STUDIES[name]) if name in STUDIES else []


def machine() -> dict[str, Any]:
    """Return what is measured on: processor, cores that may be used, memory, system, versions."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    there = {found.name.lower(): found.version for found in distributions() if found.name}
    versions = {"python": platform.python_version()}
    versions |= {
        name: there[name] for name in ("numpy", "numba", "lava-nc", "brian2", "sanafe", "nir") if name in there
    }
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": processor, "cores": cores, "system": platform.system(), "versions": versions}


def measure(name: str, outside: dict[str, str], load: float) -> dict[str, Any]:
    """Measure one part in a folder of its own, or finish it there, and return what is kept of it.

    ``load`` is that of the machine before this run, whose own parts would count as other work.
    """
    folder = KEPT / f"{name}.begun"
    folder.mkdir(exist_ok=True)
    run, start = Run(folder, outside), time.perf_counter()
    study: Study | None = STUDIES.get(name)
    if study:
        found = {"tables": study.tables(run)}
        about, commands = study.about, list(study.commands)
    else:
        PARTS[name](run)
        found = {"figures": run.figures}
        about, commands = " ".join((PARTS[name].__doc__ or "").split()), _for_readers(run.commands)
    took = time.perf_counter() - start
    shutil.rmtree(folder)
    return {
        "about": about,
        "commands": commands,
        "date": datetime.date.today().isoformat(),
        "seconds": round(took),
        "load_before": round(load, 1),
        "machine": machine(),
        **found,
    }


def main() -> int:
    """Measure the parts named, or all that are missing, and write docs/results.json."""
    names = [*PARTS, *STUDIES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; all without")
    parser.add_argument("--mnist", default=os.environ.get("CONNTRA_MNIST", ""), help="also by CONNTRA_MNIST")
    parser.add_argument(
        "--with", dest="outside", action="append", default=[], metavar="NAME=PATH", help=", ".join(NEEDS)
    )
    parser.add_argument("--again", action="store_true", help="measure parts that are kept, too")
    arguments = parser.parse_args()
    for kind, given, allowed in (
        ("part", arguments.parts, names),
        ("--with", [text.partition("=")[0] for text in arguments.outside], NEEDS),
    ):
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            parser.error(f"{kind} {unknown[0]!r}: unknown; allowed: {', '.join(allowed)}")
    KEPT.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    given = dict(text.split("=", 1) for text in [f"MNIST={arguments.mnist}", *arguments.outside] if text[-1] != "=")
    # A command stays as it is where it is a word, and is a path where it is one.
    outside = {name: str(Path(path).absolute()) if Path(path).exists() else path for name, path in given.items()}
    for name in arguments.parts or names:
        kept = KEPT / f"{name}.json"
        missing = [word for word in needed(name) if word not in outside]
        if kept.exists() and not arguments.again:
            print(f"{name}: measured already ({kept.relative_to(ROOT)}); --again measures it anew")
        elif missing:
            print(f"{name}: left as it is: --with {missing[0]}=PATH names what it needs")
        else:
            print(f"{name}: measuring", flush=True)
            kept.write_text(json.dumps(measure(name, outside, load), indent=1), encoding="utf-8")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    found |= {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in KEPT.glob("*.json")}
    # In the order of the parts; one that a later version has measured, or has no more, is not this run's to drop.
    ordered = {name: found[name] for name in [*names, *found] if name in found}
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {RESULTS.relative_to(ROOT)}: {', '.join(ordered)}; now: python scripts/results_pages.py --write")
    return 0


if __name__ == "__main__":
    sys.exit(main())

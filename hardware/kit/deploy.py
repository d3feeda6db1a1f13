"""From a model file to a measured run on a Loihi 2 board, one checked step after the other; see README.md beside this.

    python hardware/kit/deploy.py digits.conntra --data digits            on the board that the environment names
    python hardware/kit/deploy.py digits.conntra --data digits --dry      a rehearsal on this machine's CPU

Each step is one ``conntra`` command, whose document is kept in the results folder. The first step that fails ends the
deployment, with what to look at. ``report.json`` is what to send back.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conntra_hardware.base.files import write_atomically

CONNTRA = [sys.executable, "-m", "conntra_neuro"]


class Stopped(Exception):
    """A step that did not give what it should, and what to do."""


@dataclass
class Deployment:
    """What was asked for, and the documents of the steps so far."""

    model: str
    data: list[str]
    results: Path
    backend: str
    samples: int
    measured_samples: list[str]
    repeats: int
    board_chips: list[str]
    documents: dict[str, Any] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """Where the compiled program goes."""
        return str(self.results / "program.conntra")

    def step(self, name: str, arguments: Sequence[str], advice: str) -> Any:
        """Run ``conntra ARGUMENTS --json``, keep its document as NAME.json and return it; Stopped where it fails."""
        print(f"\n{name}\n  conntra {shlex.join(arguments)}", flush=True)
        done = subprocess.run([*CONNTRA, *arguments, "--json"], stdout=subprocess.PIPE, text=True)
        write_atomically(self.results / f"{name}.json", done.stdout.encode())
        try:
            document = json.loads(done.stdout)
        except ValueError:
            raise Stopped(f"{name}: no JSON document; {advice}") from None
        if done.returncode:
            raise Stopped(f"{name}: {_refusal(document)}\n  {advice}")
        self.documents[name] = document
        return document


def _refusal(document: dict[str, Any]) -> str:
    """Return why a command's answer is no: it failed, or does not fit, or does not verify."""
    if "error" in document:
        return str(document["error"])
    if document.get("violations"):
        return "; ".join(f"{v['layer']}: {v['resource']} {v['used']} of {v['limit']}" for v in document["violations"])
    return f"first divergence {json.dumps(document.get('first_divergence'))}"


def check_installation(d: Deployment) -> None:
    """The extension is there."""
    found = {b["name"]: b for b in d.step("1-doctor", ["doctor"], "reinstall conntra-neuro")["backends"]}
    backend = found[d.backend]
    if not backend["ok"]:
        raise Stopped(f"1-doctor: {d.backend}: {backend['reason']}; {backend['remedy']}")
    print(f"  {', '.join(f'{name} {version}' for name, version in backend['versions'].items())}")


def compile_model(d: Deployment) -> None:
    """The network fits a Loihi 2."""
    arguments = ["compile", d.model, "--chip", "loihi2", "--out", d.program]
    document = d.step("2-compile", arguments, "conntra check MODEL --chip loihi2 names all that is in the way")
    print(f"  {document['cores_used']} of {document['cores_available']} cores")


def rehearse(d: Deployment) -> None:
    """The deployment, its graded readout and bias neurons included, is exact in Lava's fixed point."""
    _verify(d, "3-dry", "loihi-dry", "this is ours: send the results folder")


def reach_the_board(d: Deployment) -> None:
    """One sample goes in and comes out: the host answers, and all stock processes are on neuro-cores."""
    arguments = ["run", d.program, *d.data, "--backend", d.backend, "--samples", "1"]
    document = d.step("4-one-sample", arguments, "set SLURM, PARTITION, BOARD or NXSDKHOST; `sinfo` lists boards")
    late = document["measured"]["latency_steps"]
    print("  no board, no adapters" if late is None else f"  {late} step(s) lost in the adapters")


def verify_on_the_board(d: Deployment) -> None:
    """Every spike and every potential is the reference's."""
    _verify(d, "5-verify", d.backend, "the chip differs: certificate and first divergence are in 5-verify.json")


def measure(d: Deployment) -> None:
    """Power, time and activity, with only the readout leaving the chip."""
    run = ["run", d.program, *d.data, *d.measured_samples]
    reference = d.step("6-reference", run, "the reference failed, and nothing of the board")
    chip = ["--backend", d.backend, "--no-probe"]
    if d.backend == "loihi":
        chip += ["--measure", *d.board_chips]
    for repeat in range(1, d.repeats + 1):
        document = d.step(f"7-measured-{repeat}", [*run, *chip], "try fewer samples, or --time-limit")
        if document["accuracy"] != reference["accuracy"]:
            raise Stopped(f"7-measured-{repeat}: accuracy {document['accuracy']}, {reference['accuracy']} expected")


def _verify(d: Deployment, name: str, backend: str, advice: str) -> None:
    arguments = ["verify", d.program, *d.data, "--backends", f"reference,{backend}", "--samples", str(d.samples)]
    compared = d.step(name, arguments, advice)["compared"]
    print(f"  equal: {compared['spikes']:,} spikes, {compared['potentials']:,} potentials")


def report(d: Deployment) -> dict[str, Any]:
    """Return what to send back: measured medians beside what is modelled, and the counters beside our counts."""
    runs = [document for name, document in d.documents.items() if name.startswith("7-")]
    measured = {key: _median([run["measured"][key] for run in runs]) for key in runs[0]["measured"]}
    samples, reference = runs[0]["samples"], d.documents["6-reference"]
    steps, activity = measured["steps"] or samples, measured["activity"] or {}
    counters = {
        name: {
            "ours_a_step": ours / (samples * (measured["sample_steps"] or 1)),
            "chip_a_step": activity[name] / steps if name in activity else None,
        }
        for name, ours in reference["counts_hardware_names"].items()
    }
    return {
        "on_a_board": d.backend == "loihi",
        "backend_versions": next(b for b in d.documents["1-doctor"]["backends"] if b["name"] == d.backend)["versions"],
        "program_sha256": d.documents["2-compile"]["program_sha256"],
        "cores_used": d.documents["2-compile"]["cores_used"],
        "verified_samples": d.documents["5-verify"]["samples"],
        "samples": samples,
        "accuracy": reference["accuracy"],
        "repeats": len(runs),
        "measured": measured,
        "modelled": [
            {key: e[key] for key in ("coefficients", "proxy", "per_inference_j", "latency_s", "throughput_hz")}
            for e in reference["energy"]
        ],
        "counters": counters,
    }


def _median(values: list[Any]) -> Any:
    """Return the median of what was measured; names and counters are the first run's."""
    numbers = [value for value in values if isinstance(value, (int, float))]
    return statistics.median(numbers) if numbers else values[0]


STEPS = (check_installation, compile_model, rehearse, reach_the_board, verify_on_the_board, measure)


def main(argv: Sequence[str] | None = None) -> int:
    """Deploy; the exit status is 1 where a step failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="a file of `conntra train`, or of `cn.save`")
    parser.add_argument("--data", help="what it is run on; default: what it was trained with")
    parser.add_argument("--results", type=Path, default=Path("loihi-results"), help="a folder, made where missing")
    parser.add_argument("--samples", type=int, default=64, help="of steps 3 and 5, all spikes read (default 64)")
    parser.add_argument("--measured-samples", type=int, help="of the measured runs (default: the whole test set)")
    parser.add_argument("--repeats", type=int, default=3, help="measured runs (default 3)")
    parser.add_argument("--board-chips", type=int, help="chips on the board, to subtract what idle ones draw")
    parser.add_argument("--dry", action="store_true", help="rehearse on the CPU; nothing is measured")
    a = parser.parse_args(argv)
    a.results.mkdir(parents=True, exist_ok=True)
    d = Deployment(
        model=a.model,
        data=["--data", a.data] if a.data else [],
        results=a.results,
        backend="loihi-dry" if a.dry else "loihi",
        samples=a.samples,
        measured_samples=["--samples", str(a.measured_samples)] if a.measured_samples else [],
        repeats=1 if a.dry else a.repeats,
        board_chips=["--board-chips", str(a.board_chips)] if a.board_chips else [],
    )
    try:
        for step in STEPS:
            step(d)
    except Stopped as stopped:
        print(f"\nstopped at {stopped}", file=sys.stderr)
        return 1
    path = a.results / "report.json"
    write_atomically(path, (json.dumps(report(d), indent=2) + "\n").encode())
    print(f"\nrehearsed: nothing was measured; see {path}" if a.dry else f"\ndeployed and measured; send back {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

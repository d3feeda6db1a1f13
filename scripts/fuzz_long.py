"""Fuzz the simulators for as long as there is time, go on later, and add up what was run.

    python scripts/fuzz_long.py --goals reference=100000,lava=2000,brian2=2000,sanafe=1000
    python scripts/fuzz_long.py --seconds 800 --state counts.json      # and again, until the goals are reached
    python scripts/fuzz_long.py --seconds 0 --state counts.json        # the table of what was run so far

Programs are those of ``conntra verify --fuzz``, a hundred from each seed (ten of simulators, which are slower), the
seeds one after the other from --seed on; every backend is compared with the plain loop. The state file has, for each
backend, the seed that comes next and the counts. Whatever differs or fails is printed and saved beside it, in a folder.
Exit status 1 where something did. Brian2 and Lava run in processes forked from one that has imported them, as in the
tests (a quarter of the time); with CONNTRA_COLD_CHILDREN=1 they start as a user's do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from conntra_hardware.base.files import write_atomically
from conntra_hardware.proof.fuzz import fuzz

_SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
_EACH, _EACH_SLOW = 100, 10
_COUNTED = ("programs", "refused", "failed", "mismatches", "samples", "spikes", "potentials", "seconds")
_GOALS = "reference=100000,lava=2000,brian2=2000,sanafe=1000"


def main() -> int:
    """Run what is missing to the goals, print the table, and return 1 where something differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", default=_GOALS, help=f"programs of each backend; {_GOALS}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all backends together")
    parser.add_argument("--seed", type=int, default=1000, help="the first one, where the state has none")
    parser.add_argument("--state", type=Path, default=Path("fuzz-counts.json"))
    asked = parser.parse_args()
    goals = {name: int(count) for name, _, count in (goal.partition("=") for goal in asked.goals.split(","))}
    state: dict[str, Any] = json.loads(asked.state.read_text()) if asked.state.exists() else {}
    with _children():
        _reach(goals, state, asked)
    _show(state)
    return int(any(counts["mismatches"] or counts["failed"] for counts in state.values()))


def _reach(goals: dict[str, int], state: dict[str, Any], asked: argparse.Namespace) -> None:
    """Run each backend until its goal, or its share of the time, is reached."""
    for index, (name, goal) in enumerate(goals.items()):
        counts = state.setdefault(
            name, {"first_seed": asked.seed, "next_seed": asked.seed, **dict.fromkeys(_COUNTED, 0)}
        )
        share = asked.seconds / len(goals)
        deadline = time.monotonic() + share
        while counts["programs"] < goal and time.monotonic() < deadline:
            _chunk(name, counts, asked.state)
            write_atomically(asked.state, (json.dumps(state, indent=2) + "\n").encode())
        print(f"{index + 1} of {len(goals)}: {name}", file=sys.stderr, flush=True)


def _children() -> AbstractContextManager[Any]:
    """Have simulators forked from processes that have imported them; these end with the block."""
    if not hasattr(os, "fork") or os.environ.get("CONNTRA_COLD_CHILDREN"):
        return nullcontext()
    sys.path.append(str(_SUPPORT))
    from warm_children import warm_children  # pyright: ignore[reportMissingImports]

    return warm_children()


def _chunk(name: str, counts: dict[str, Any], state: Path) -> None:
    each = _EACH if name == "reference" else _EACH_SLOW
    report = fuzz(
        each,
        seed=counts["next_seed"],
        backends=[name],
        limits={name: each},
        save_to=state.with_suffix(".failures"),
    )
    tally = report.to_dict()["backends"][name]
    for key in _COUNTED:
        counts[key] += tally[key]
    counts["next_seed"] += 1
    for failure in report.failures:
        print(f"{name}, seed {report.seed}, program {failure['index']}: {failure['diagnosis']}", flush=True)


def _show(state: dict[str, Any]) -> None:
    heads = ("backend", "seeds", "programs", "refused", "samples", "spikes", "potentials", "wrong", "failed", "time, s")
    print(f"| {' | '.join(heads)} |", f"|---|---|{'---:|' * (len(heads) - 2)}", sep="\n")
    keys = ("programs", "refused", "samples", "spikes", "potentials", "mismatches", "failed", "seconds")
    for name, counts in state.items():
        seeds = f"{counts['first_seed']} to {counts['next_seed'] - 1}"
        print(f"| `{name}` | {seeds} | {' | '.join(f'{counts[key]:,.0f}' for key in keys)} |")


if __name__ == "__main__":
    sys.exit(main())

"""Mutation scores of the modules that correctness rests on, each with the narrowest tests that cover it.

    python scripts/mutation_scores.py --limit 12 --seed 1
    python scripts/mutation_scores.py --limit 12 --seed 1 --only overflow,lif
    python scripts/mutation_scores.py --limit 12 --seed 1 --share 0/2     # every second module: half on another machine

So many mutants are drawn from each module and tried by ``mutate_modules.py``. The table says how many there are, how
many were tried and found; survivors are printed with their lines. Exit status 1 where the score is below 90 %.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_COMPILED = "tests/hardware/test_compiled_neurons.py"
_VALUES = "tests/hardware/test_neuron_values.py"
_LAYERS = ("tests/layers/test_layer_values.py", "tests/layers/test_layer_refusals.py")
_LOWER = "tests/compiler/test_lower_values.py"
_FOLD = "tests/compiler/test_fold_values.py"
_PLACE = "tests/compiler/test_place.py"
_CHECK = "tests/compiler/test_check.py"
_COMPILE = "tests/compiler/test_compile.py"
_PROJECTION = "tests/hardware/test_projection_values.py"
_COUNTS = "tests/hardware/test_count_values.py"
_ENERGY = "tests/hardware/test_energy.py"

TESTS: dict[str, tuple[str, ...]] = {
    "hardware/conntra_hardware/neurons/base.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/compiled.py": (_COMPILED,),
    "hardware/conntra_hardware/neurons/compiled_loops.py": (_COMPILED,),
    "hardware/conntra_hardware/neurons/graded_relu.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/integrate_and_fire.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/lif.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/readout.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/recurrence.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/registers.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/sigma_delta.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/stream.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/table.py": (_VALUES,),
    "hardware/conntra_hardware/neurons/threshold.py": (_VALUES,),
    "conntra_neuro/network/network.py": _LAYERS,
    "conntra_neuro/network/layers/conv.py": _LAYERS,
    "conntra_neuro/network/layers/dense.py": _LAYERS,
    "conntra_neuro/network/layers/layer.py": _LAYERS,
    "conntra_neuro/network/layers/pooling.py": _LAYERS,
    "conntra_neuro/network/layers/recurrent.py": _LAYERS,
    "conntra_neuro/network/layers/residual.py": _LAYERS,
    "conntra_neuro/compiler/check.py": ("tests/compiler/test_check_values.py", _CHECK),
    "conntra_neuro/compiler/cut.py": ("tests/compiler/test_cut_values.py",),
    "conntra_neuro/compiler/fold.py": (_FOLD,),
    "conntra_neuro/compiler/lower.py": (_LOWER,),
    "conntra_neuro/compiler/partition.py": (_PLACE, _COMPILE, _CHECK),
    "conntra_neuro/compiler/place.py": (_PLACE, _COMPILE),
    "hardware/conntra_hardware/program/projection.py": (_PROJECTION,),
    "hardware/conntra_hardware/program/convolution.py": (_PROJECTION,),
    "hardware/conntra_hardware/cost/energy.py": (_ENERGY,),
    "hardware/conntra_hardware/cost/events.py": (_COUNTS,),
    "hardware/conntra_hardware/cost/tally.py": (_COUNTS,),
    "hardware/conntra_hardware/proof/verify.py": ("tests/hardware/test_verify_values.py",),
    "hardware/conntra_hardware/proof/recheck.py": (
        "tests/hardware/test_recheck.py",
        "tests/hardware/test_certificates_bind.py",
    ),
    "hardware/conntra_hardware/fit/overflow.py": ("tests/hardware/test_overflow_values.py",),
    "conntra_neuro/training/checkpoint.py": ("tests/training/test_checkpoint_values.py",),
}


def main() -> int:
    """Measure, print survivors and the table, and return 1 where fewer than 90 % were found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=12, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="modules whose paths contain one of these words")
    parser.add_argument("--share", default="0/1", help="I/N: every N-th module, from the I-th")
    asked = parser.parse_args()
    words, (first, of) = [word for word in asked.only.split(",") if word], map(int, asked.share.split("/"))
    modules = [path for path in TESTS if not words or any(word in path for word in words)][first::of]
    tried = found = there = 0
    rows = []
    for module in modules:
        counts = _measured(module, asked.limit, asked.seed)
        if counts is None:
            rows.append(f"| `{module}` | ? | ? | ? |")
            continue
        tried, found, there = tried + counts[1], found + counts[0], there + counts[2]
        rows.append(f"| `{module}` | {counts[2]:,} | {counts[1]:,} | {counts[0]:,} |")
    print("| module | mutants there are | tried | found |", "|---|---|---|---|", *rows, sep="\n")
    print(f"| together | {there:,} | {tried:,} | {found:,} ({found / max(tried, 1):.1%}) |")
    return int(found < 0.9 * tried or not tried)


def _measured(module: str, limit: int, seed: int) -> tuple[int, int, int] | None:
    """Return how many mutants were found, tried, and are there; None where the tests fail on the module as it is."""
    tests = [test for test in TESTS[module] if (_ROOT / test).exists()]
    options = ["--limit", str(limit), "--seed", str(seed)]
    command = [sys.executable, str(_ROOT / "scripts" / "mutate_modules.py"), module, *tests, *options]
    ran = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    print(ran.stdout, end="", flush=True)
    counts = re.search(r"(\d+) of (\d+) mutants found \((\d+) there are\)", ran.stdout)
    return None if counts is None else (int(counts[1]), int(counts[2]), int(counts[3]))


if __name__ == "__main__":
    sys.exit(main())

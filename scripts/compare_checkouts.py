"""Two checkouts side by side: do they train, compile and run to the same bits, and is the second one slower?

    git worktree add --detach ../before COMMIT
    python scripts/compare_checkouts.py ../before . --mnist mnist.npz
    python scripts/compare_checkouts.py ../before . --mnist mnist.npz --only train-dense,reference --rounds 9

Every job runs in a process of its own with the checkout's packages on the path, on both checkouts in turn, so that a
machine that is busy for a while is busy for both. A job prints a digest of what it made and the seconds of what it
times; the table has the ratio of the medians, and whether all digests are equal. Exit status 1 where one differs.

``--mnist`` is an .npz with x_train, y_train, x_test, y_test; without it random images of MNIST's density stand in.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

Result = tuple[str, float]  # a digest, and seconds
JOBS: dict[str, Callable[[str | None], Result]] = {}


def job(function: Callable[[str | None], Result]) -> Callable[[str | None], Result]:
    """Enter a job under its name, dashes for underscores."""
    JOBS[function.__name__.replace("_", "-")] = function
    return function


def _module(*names: str) -> Any:
    """Return the first module of ``names`` that this checkout has: files move between commits."""
    found = [name for name in names if _exists(name)]
    if not found:
        raise SystemExit(f"none of {', '.join(names)} is in this checkout")
    return importlib.import_module(found[0])


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a package above it is not there
        return False


def _digest(*arrays: Any) -> str:
    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        values = np.ascontiguousarray(array, dtype="<i8")
        digest.update(repr(values.shape).encode())
        digest.update(values.data)
    return digest.hexdigest()[:16]


def _network_digest(network: Any) -> str:
    weighted = [layer for layer in network.layers if getattr(layer, "weight", None) is not None]
    joined = [residual.weight for residual in network.residuals if getattr(residual, "weight", None) is not None]
    return _digest(*(array for layer in weighted for array in (layer.weight, layer.bias)), *joined)


def _images(mnist: str | None, train: int, test: int) -> Any:
    import numpy as np

    import conntra_neuro as cn

    if mnist is None:
        rng = np.random.default_rng(0)
        x = np.where(rng.random((train + test, 28, 28)) < 0.13, 255, 0).astype(np.uint8)
        y = rng.integers(0, 10, train + test)
        return cn.Dataset("random", x[:train], y[:train], x[train:], y[train:], tuple(range(10)))
    with np.load(mnist) as file:
        x, y, xt, yt = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    return cn.Dataset("mnist", x[:train], y[:train], xt[:test], yt[:test], tuple(range(10)))


def _train(data: Any, **options: Any) -> Result:
    import conntra_neuro as cn

    start = time.perf_counter()
    trained = cn.train(data, seed=0, **options)
    return _network_digest(trained.network), time.perf_counter() - start


def _train_warm(data: Any, **options: Any) -> Result:
    """Time a training whose kernels are compiled and cached already."""
    _train(data, **options | {"sweeps": 1})
    return _train(data, **options)


@job
def train_dense(mnist: str | None) -> Result:
    """784-256-10, blocks."""
    return _train_warm(_images(mnist, 12_000, 100), layers=[256], sweeps=3)


@job
def train_conv(mnist: str | None) -> Result:
    """conv16k5s2,conv32k3s2,100, blocks."""
    return _train_warm(_images(mnist, 4_000, 100), layers="conv16k5s2,conv32k3s2,100", sweeps=2)


@job
def train_if8(mnist: str | None) -> Result:
    """784-64-10 of integrate-and-fire neurons over 8 steps, blocks."""
    return _train(_images(mnist, 2_000, 100), layers=[64], neuron="if8", sweeps=2)


@job
def train_graded(mnist: str | None) -> Result:
    """784-64-10 of graded neurons, blocks."""
    return _train(_images(mnist, 2_000, 100), layers=[64], neuron="relu", sweeps=2)


@job
def train_warm_start(mnist: str | None) -> Result:
    """784-64-10, straight-through, then blocks."""
    return _train(_images(mnist, 2_000, 100), layers=[64], method="warm", sweeps=4)


@job
def train_exact(mnist: str | None) -> Result:
    """digits-32-10, the exact gear."""
    import conntra_neuro as cn

    return _train(cn.load_dataset("digits"), layers=[32], gear="exact", sweeps=2)


@job
def train_exact_conv(mnist: str | None) -> Result:
    """conv4k5s2,16 on 300 images, the exact gear."""
    return _train(_images(mnist, 300, 50), layers="conv4k5s2,16", gear="exact", sweeps=1)


@job
def train_annealed(mnist: str | None) -> Result:
    """digits-32-10, the annealed gear."""
    import conntra_neuro as cn

    return _train(cn.load_dataset("digits"), layers=[32], gear="annealed", sweeps=2)


@job
def train_cluster(mnist: str | None) -> Result:
    """784-64-10, blocks, two workers."""
    return _train(_images(mnist, 2_000, 100), layers=[64], sweeps=2, cluster="local:2")


def _wide(n: int) -> tuple[Any, Any]:
    import numpy as np

    import conntra_neuro as cn

    rng = np.random.default_rng(0)
    sizes = (784, 512, 10)
    layers = [
        cn.Dense(
            rng.integers(-1, 2, (n_out, n_in)),
            rng.integers(-3, 4, n_out),
            activation="readout" if n_out == 10 else "threshold",
        )
        for n_in, n_out in pairwise(sizes)
    ]
    program = cn.compile(cn.DiscreteNetwork(layers), chip="loihi1")
    return program, (rng.random((n, 784)) < 0.13).astype(np.uint8)


def _run(backend: str, n: int) -> Result:
    program, x = _wide(n)
    program.run(x[:10], backend=backend)
    start = time.perf_counter()
    result = program.run(x, backend=backend)
    seconds = time.perf_counter() - start
    counts = {str(key): int(value) for key, value in result.counts.totals().items()}
    return _digest(result.logits, *result.spikes.values()) + hashlib.sha256(
        json.dumps(counts, sort_keys=True).encode()
    ).hexdigest()[:8], seconds


@job
def reference(mnist: str | None) -> Result:
    """784-512-10, 10,000 samples."""
    return _run("reference", 10_000)


@job
def lava(mnist: str | None) -> Result:
    """784-512-10, 10,000 samples, its start included."""
    return _run("lava", 10_000)


@job
def brian2(mnist: str | None) -> Result:
    """784-512-10, 10,000 samples, its start included."""
    return _run("brian2", 10_000)


@job
def compile_wide(mnist: str | None) -> Result:
    """20 million synapses: 4096-4096-784-10 for loihi1."""
    import numpy as np

    import conntra_neuro as cn

    fingerprint = _module("conntra_hardware.program.fingerprint", "conntra_hardware.fingerprint")
    rng = np.random.default_rng(0)
    sizes = (4096, 4096, 784, 10)
    layers = [
        cn.Dense(rng.integers(-1, 2, (b, a)), np.zeros(b, int), activation="readout" if b == 10 else "threshold")
        for a, b in pairwise(sizes)
    ]
    network = cn.DiscreteNetwork(layers)
    start = time.perf_counter()
    program = cn.compile(network, chip="loihi1")
    seconds = time.perf_counter() - start
    return fingerprint.program_sha256(program)[:16], seconds


@job
def fuzz_cases(mnist: str | None) -> Result:
    """50 random programs: fingerprint, inputs, spikes, logits, counts, energies."""
    cases = _module("conntra_hardware.proof.fuzz_case", "conntra_hardware.fuzz_case")
    fingerprint = _module("conntra_hardware.program.fingerprint", "conntra_hardware.fingerprint")
    energy = _module("conntra_hardware.cost.energy", "conntra_hardware.energy")
    events = _module("conntra_hardware.cost.events", "conntra_hardware.events")
    backends = _module("conntra_hardware.backends")
    protocol = _module("conntra_hardware.backends.protocol", "conntra_hardware.runtime")
    digest = hashlib.sha256()
    start = time.perf_counter()
    for index in range(50):
        case = cases.random_case(0, index)
        seen = backends.load_backend("reference").execute(case.program, case.inputs, protocol.RunOptions())
        counts = events.count_events(case.program, case.inputs, seen.spikes)
        estimates = energy.estimate_all(counts, case.program)
        digest.update(
            json.dumps(
                [
                    fingerprint.program_sha256(case.program),
                    fingerprint.inputs_sha256(case.inputs),
                    fingerprint.recording_sha256(case.program, seen.spikes, seen.logits),
                    {str(key): int(value) for key, value in counts.totals().items()},
                    [[e.total_j, e.dynamic_j, e.latency_s] for e in estimates],
                ],
                sort_keys=True,
            ).encode()
        )
    return digest.hexdigest()[:16], time.perf_counter() - start


def _child(checkout: Path, name: str, mnist: str | None) -> Result:
    path = os.pathsep.join(str(p) for p in (checkout, checkout / "hardware"))
    command = [sys.executable, str(Path(__file__).resolve()), "--job", name, *(["--mnist", mnist] if mnist else [])]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, cwd=checkout, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{name} on {checkout}: {done.stderr.strip().splitlines()[-1]}")
    digest, seconds = json.loads(done.stdout.strip().splitlines()[-1])
    return digest, seconds


def main() -> None:
    """Compare two checkouts, or run one job (which is what the comparison starts)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="CHECKOUT", help="the one before, the one after")
    parser.add_argument("--mnist", help="an .npz of MNIST")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help=f"jobs, with commas, of {', '.join(JOBS)}")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        print(json.dumps(JOBS[args.job](args.mnist)))
        return
    if len(args.checkouts) != 2:
        parser.error("two checkouts expected, the one before and the one after")
    names = args.only.split(",") if args.only else list(JOBS)
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        parser.error(f"no such job: {', '.join(unknown)}; there are {', '.join(JOBS)}")
    mnist = None if args.mnist is None else str(Path(args.mnist).resolve())
    before, after = (checkout.resolve() for checkout in args.checkouts)
    equal = True
    print(f"{'job':18} {'before':>8} {'after':>8} {'ratio':>6}  bits")
    for name in names:
        runs: tuple[list[Result], list[Result]] = ([], [])
        for turn in range(args.rounds):
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                runs[side].append(_child((before, after)[side], name, mnist))
        digests = {digest for side in runs for digest, _ in side}
        old, new = (statistics.median(seconds for _, seconds in side) for side in runs)
        equal &= len(digests) == 1
        print(
            f"{name:18} {old:7.2f}s {new:7.2f}s {new / old:6.3f}  {'equal' if len(digests) == 1 else 'DIFFERENT'}",
            flush=True,
        )
    raise SystemExit(0 if equal else 1)


if __name__ == "__main__":
    main()

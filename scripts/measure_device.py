"""One training on the processor and on a GPU: the same network bit for bit, and the seconds of each.

    python scripts/measure_device.py mnist.npz [--device gpu] [--repeat 2] [--json FILE]

Needs JAX for the GPU; ``--device jax`` takes whatever device JAX has. Each network of CASES is trained with
``threads`` all cores: a few steps first, so that everything is compiled, then ``--repeat`` times on each in turn; the
median of the seconds is printed, and whether weights, biases and objectives are equal. Random images of 3 x 32 x 32
stand for a set of photographs: time does not depend on what they show.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import conntra_neuro as cn

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dense 784-1024-10": ("mnist", {"layers": "1024", "sweeps": 1}),
    "dense 784-4096-4096-10": ("mnist", {"layers": "4096,4096", "sweeps": 1}),
    "MNIST conv16k5s2,conv32k5s2,128": ("mnist", {"layers": "conv16k5s2,conv32k5s2,128", "sweeps": 1}),
    "3 x 32 x 32, conv32k3s2p1,conv64k3s2p1,conv128k3s2p1": (
        "photographs",
        {"layers": "conv32k3s2p1,conv64k3s2p1,conv128k3s2p1", "encoder": "thermometer:4", "sweeps": 1},
    ),
    "3 x 32 x 32, conv128k3p1,conv128k3s2p1,conv256k3s2p1": (
        "photographs",
        {"layers": "conv128k3p1,conv128k3s2p1,conv256k3s2p1", "encoder": "thermometer:4", "sweeps": 1, "few": 5000},
    ),
}
SAMPLES = 10_000


def _data(name: str, mnist: Path, samples: int) -> Any:
    data = cn.load_dataset(f"mnist:{mnist}")
    if name == "photographs":
        rng = np.random.default_rng(0)
        shown = rng.integers(0, 256, (samples, 3, 32, 32), dtype=np.uint8)
        parts = {"x_train": shown, "y_train": rng.integers(0, 10, samples), "x_test": shown[:500]}
        return dataclasses.replace(data, **parts, y_test=parts["y_train"][:500], name="photographs")
    return dataclasses.replace(data, x_train=data.x_train[:samples], y_train=data.y_train[:samples])


def _same(ours: Any, other: Any) -> bool:
    """Say whether two results have the same weights, biases, and objectives at the end."""
    for one, two in zip(ours.network.layers, other.network.layers, strict=True):
        for name in {"weight", "bias"} & set(dir(one)):
            if not np.array_equal(getattr(one, name), getattr(two, name)):
                return False
    return ours.history[-1].objective == other.history[-1].objective


def measure(name: str, mnist: Path, device: str, repeat: int) -> dict[str, Any]:
    """Train one of CASES on the processor and on ``device``; return the seconds and whether they agree."""
    kind, options = CASES[name]
    options = dict(options)
    samples = options.pop("few", SAMPLES)
    data, brief = _data(kind, mnist, samples), _data(kind, mnist, 1500)
    seconds: dict[str, list[float]] = {"cpu": [], device: []}
    results = {}
    for where in seconds:
        cn.train(brief, shift=0, device=where, **options)
    for _ in range(repeat):
        for where, spent in seconds.items():
            begin = time.monotonic()
            results[where] = cn.train(data, shift=0, device=where, **options)
            spent.append(time.monotonic() - begin)
    row: dict[str, Any] = {"network": name, "samples": samples, "same bits": _same(results["cpu"], results[device])}
    return row | {f"{where} seconds": round(statistics.median(spent), 2) for where, spent in seconds.items()}


def main() -> int:
    """Measure every case; exit status 1 if a network differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--device", default="gpu", choices=("gpu", "jax"))
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--only", help="cases whose names contain this")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for name in CASES:
        if args.only and args.only not in name:
            continue
        rows.append(measure(name, args.mnist, args.device, args.repeat))
        print(json.dumps(rows[-1]), flush=True)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(not all(row["same bits"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())

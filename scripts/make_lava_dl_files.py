"""Random networks of lava-dl's slayer blocks, exported by lava-dl, with the spikes that slayer itself gives.

    lavaenv/bin/python scripts/make_lava_dl_files.py FOLDER [--count 300] [--seed 0]
    .venv/bin/python scripts/measure_lava_dl.py FOLDER

Dense, recurrent and convolutional CUBA blocks with decays, thresholds, delays of their outputs, strides, padding and
groups, and a flatten block. FOLDER gets a .net file and an archive a network: spikes in (n, steps, inputs) and what
each layer of neurons sends, (n, steps, size). slayer delays each block by a step; that is kept. Runs with torch and
lava-dl 0.6.0, without this project.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES, STEPS = 3, 24


def _neuron(rng: np.random.Generator) -> dict[str, Any]:
    def decay() -> float:
        return float(rng.choice([0.0, 1.0, rng.uniform(0.02, 0.98)], p=[0.1, 0.2, 0.7]))

    return {
        "threshold": float(rng.uniform(0.2, 1.5)),
        "current_decay": decay(),
        "voltage_decay": decay(),
        "requires_grad": False,
    }


def _blocks(slayer: Any, rng: np.random.Generator) -> tuple[list[Any], tuple[int, ...]]:
    """Return blocks, and the input's shape."""
    blocks: list[Any] = []
    size = int(rng.integers(2, 9))
    shape: tuple[int, ...] = (size,)
    if rng.random() < 0.35:
        channels, side = int(rng.choice([1, 2])), int(rng.integers(5, 8))
        shape, size, inner = (channels, side, side), channels, side
        blocks.append(slayer.block.cuba.Input(None, delay_shift=False))  # says the shape
        for _ in range(int(rng.integers(1, 3))):
            if inner < 3:
                break
            groups = size if rng.random() < 0.3 else 1
            out, stride, padding = size * int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.integers(0, 2))
            window = {"stride": stride, "padding": padding, "groups": groups}
            blocks.append(slayer.block.cuba.Conv(_neuron(rng), size, out, 3, weight_scale=2, **window))
            size, inner = out, (inner + 2 * padding - 3) // stride + 1
        blocks.append(slayer.block.cuba.Flatten())
        size *= inner * inner
    for _ in range(int(rng.integers(1, 3))):
        out, delays = int(rng.integers(2, 9)), bool(rng.random() < 0.4)
        given: dict[str, Any] = {"weight_scale": 2, "weight_norm": bool(rng.random() < 0.3), "delay": delays}
        if rng.random() < 0.35:
            blocks.append(slayer.block.cuba.Recurrent(_neuron(rng), size, out, **given))
        else:
            blocks.append(slayer.block.cuba.Dense(_neuron(rng), size, out, **given))
        size = out
    return blocks, shape


def make(path: Path, seed: int) -> None:
    """Write a network and what it does."""
    import h5py
    import torch
    from lava.lib.dl import slayer

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    blocks, shape = _blocks(slayer, rng)
    x = (rng.random((SAMPLES, STEPS, *shape)) < rng.uniform(0.2, 0.6)).astype(np.uint8)
    below, sent = torch.tensor(np.moveaxis(x, 1, -1).astype(np.float32)), []
    with torch.no_grad():
        for block in blocks:
            if getattr(block, "delay", None) is not None:
                block(below)  # makes the delays, one a neuron
                block.delay.delay.data = torch.tensor(rng.integers(0, 6, block.delay.delay.shape).astype(np.float32))
                block.neuron.current_state.zero_()
                block.neuron.voltage_state.zero_()
            below = block(below)
            if getattr(block, "neuron", None) is not None:
                rows = below.reshape(SAMPLES, -1, STEPS).numpy() > 0
                sent.append(np.moveaxis(rows, -1, 1).astype(np.uint8))
        with h5py.File(path, "w") as file:
            for index, block in enumerate(blocks):
                block.export_hdf5(file.create_group(f"layer/{index}"))
    arrays = {f"spikes{index}": rows for index, rows in enumerate(sent)}
    np.savez(path.with_suffix(".npz"), inputs=x.reshape(SAMPLES, STEPS, -1), **arrays)


def main() -> None:
    """Write networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seed, args.seed + args.count):
        make(args.folder / f"lava-{seed}.net", seed)
    print(f"{args.count} networks")


if __name__ == "__main__":
    main()

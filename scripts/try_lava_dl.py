"""Run the networks that lava-dl publishes, and print what came out beside what its authors have recorded.

    python scripts/try_lava_dl.py FOLDER [--mnist mnist.npz] [--lava]

FOLDER holds tiny.net, oxford.net, pilotnet_lif.net and mnist_cuba.net with the arrays that belong to them, from
lava-dl's tests and tutorials. ``--mnist`` is an .npz with x_test and y_test. ``--lava`` runs mnist_cuba on Lava, too,
batched and, for 20 images, one image a time step, and prints the ratio.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import conntra_neuro as cn

FRAME_MJ, STEP_US = 1.094, 153.0
"""PilotNet on a Loihi 2 chip as Intel measured it (lava-dl's tutorial): dynamic energy of a frame, a time step."""


def oxford(folder: Path) -> None:
    """Both rules at the threshold, against the published spikes, which are a step a hop later."""
    truth = np.load(folder / "oxford_ground_truth.npy").astype(int)
    events = np.load(folder / "oxford_input.npy")
    expected = np.zeros((2002, 200), np.uint8)
    expected[truth[:, 2], truth[:, 0]] = 1
    x = np.zeros((1, 2000, 200), np.uint8)
    x[0, np.rint(events[:, 2]).astype(int), events[:, 0].astype(int)] = 1
    before = np.zeros(0)
    for rule in ("slayer-0.3", "lava"):
        network = cn.import_network(folder / "oxford.net", steps=2000, semantics=rule)
        hidden, found = network.outputs(x)
        same = int((found & expected[2:]).sum())
        print(f"oxford, {rule}: {found.sum():,} spikes, {same:,} of the {len(truth):,} published ones")
        if rule == "slayer-0.3":
            before = hidden
        else:
            step, neuron = np.argwhere(before != hidden)[0]
            print(f"  first divergence: hidden neuron {neuron} at step {step}, whose v is the threshold, not above it")


def tiny(folder: Path) -> None:
    """lava-dl's unit test: 15 steps of output."""
    network = cn.import_network(folder / "tiny.net", steps=15)
    drive = np.load(folder / "tiny_input_bias.npy").astype(int).transpose(2, 1, 0).reshape(1, -1)
    found = network.outputs(network.encode(drive))[-1].reshape(15, 36, 1, 1).transpose(1, 2, 3, 0)
    expected = np.load(folder / "tiny_output.npy")[0][..., 1:]
    print(f"tiny: {int((found == expected).sum())} of {expected.size} outputs equal, {int(expected.sum())} spikes")


def pilotnet(folder: Path) -> None:
    """A Loihi 2 board's spikes and states, and its energy beside the modelled one."""
    network = cn.import_network(folder / "pilotnet_lif.net", steps=16)
    image = np.load(folder / "pilotnet_image.npy").astype(int).transpose(2, 1, 0).reshape(1, -1)
    outputs = network.outputs(network.encode(image))
    for index, name, hops in ((6, "fc-0", 6), (7, "fc-1", 7), (8, "fc-2", 8)):
        board = np.load(folder / f"pilotnet_{name}.npy")[:, hops : hops + 16]
        print(f"pilotnet, {name}: {int((board == outputs[index].T).sum())} of {board.size} values equal")
    conv = outputs[4].reshape(16, 64, 2, 20).transpose(3, 2, 1, 0)
    board = np.load(folder / "pilotnet_conv-4.npy")[..., 5:21]
    print(f"pilotnet, conv-4: {int((conv == board).sum())} of {board.size} values equal")
    for cores in (None, 64):
        program = cn.compile(network, chip="loihi2", cores=cores)
        estimate = cn.estimate(program.run(image).counts, program, "loihi2-proxy")
        energy, step = 1e3 * estimate.dynamic_j, 1e6 * estimate.step_time_s
        print(
            f"pilotnet on {program.cores_used} cores of one loihi2, modelled: {energy:.3f} mJ "
            f"({energy / FRAME_MJ:.2f} of measured), {1e3 * estimate.breakdown['input']:.3f} of it input spikes; "
            f"{step:.0f} us a step ({step / STEP_US:.2f} of measured)"
        )


def digits(folder: Path, path: Path, lava: bool) -> None:
    """784-128-64-10, pixels integrated and fired, 32 steps: accuracy, and seconds on each simulator."""
    with np.load(path) as data:
        x, y = data["x_test"].reshape(len(data["x_test"]), -1), data["y_test"].astype(np.int64)
    network = cn.import_network(folder / "mnist_cuba.net", steps=32, drive=255)
    program = cn.compile(network, chip="loihi1")
    start = time.perf_counter()
    found = program.run(x, y)
    assert found.accuracy is not None
    print(f"mnist_cuba, reference: {100 * found.accuracy:.2f} % of {len(y):,}, {time.perf_counter() - start:.1f} s")
    if lava:
        start = time.perf_counter()
        other = program.run(x, y, backend="lava", time_limit_s=3600)
        batched = time.perf_counter() - start
        counts = "equal" if np.array_equal(found.logits, other.logits) else "DIFFER"
        print(f"mnist_cuba, lava: counts {counts}, {batched:.1f} s")
        by_lava = cn.import_network(folder / "mnist_cuba.net", steps=32, drive=255, semantics="lava")
        strict = cn.compile(by_lava, "loihi1")
        start = time.perf_counter()
        strict.run(x[:20], backend="lava-stock", time_limit_s=3600)
        plain = (time.perf_counter() - start) * len(y) / 20
        print(
            f"mnist_cuba, plain Lava, one image at a time: {plain:,.0f} s from 20 images; ratio {plain / batched:.0f}"
        )


def main() -> None:
    """Run all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--lava", action="store_true")
    args = parser.parse_args()
    tiny(args.folder)
    oxford(args.folder)
    pilotnet(args.folder)
    if args.mnist:
        digits(args.folder, args.mnist, args.lava)


if __name__ == "__main__":
    main()

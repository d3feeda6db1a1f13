"""Run the networks that lava-dl publishes, and print what came out beside what its authors have recorded.

    python scripts/try_lava_dl.py FOLDER [--mnist mnist.npz] [--lava] [--recorded]

FOLDER holds tiny.net, oxford.net, pilotnet_lif.net and mnist_cuba.net with the arrays that belong to them, from
lava-dl's tests and tutorials. ``--mnist`` is an .npz with x_test and y_test. ``--lava`` runs mnist_cuba on Lava, too,
batched and, for 20 images, one image a time step, and prints the ratio. ``--recorded`` prints a table in Markdown of
what is equal, and no energies or times.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from markdown_tables import as_markdown

import conntra_neuro as cn

FRAME_MJ, STEP_US = 1.094, 153.0
"""PilotNet on a Loihi 2 chip as Intel measured it (lava-dl's tutorial): dynamic energy of a frame, a time step."""

Row = tuple[str, str, str]
"""A network, what it is held to, what is equal."""


def oxford(folder: Path) -> list[Row]:
    """Both rules at the threshold, against the published spikes, which are a step a hop later."""
    truth = np.load(folder / "oxford_ground_truth.npy").astype(int)
    events = np.load(folder / "oxford_input.npy")
    expected = np.zeros((2002, 200), np.uint8)
    expected[truth[:, 2], truth[:, 0]] = 1
    x = np.zeros((1, 2000, 200), np.uint8)
    x[0, np.rint(events[:, 2]).astype(int), events[:, 0].astype(int)] = 1
    before, rows = np.zeros(0), []
    for rule in ("slayer-0.3", "lava"):
        network = cn.import_network(folder / "oxford.net", steps=2000, semantics=rule)
        hidden, found = network.outputs(x)
        same = int((found & expected[2:]).sum())
        said = f"{same:,} of {len(truth):,}; {found.sum():,} spikes in all"
        rows.append((f"oxford.net, 200-256-200, `{rule}`", "the published spikes, two hops later", said))
        if rule == "slayer-0.3":
            before = hidden
        else:
            step, neuron = np.argwhere(before != hidden)[0]
            why = f"hidden neuron {neuron} at step {step}, whose v is the threshold, not above it"
            rows.append(("the two rules", "each other", f"until {why}"))
    return rows


def tiny(folder: Path) -> list[Row]:
    """lava-dl's unit test: 15 steps of output."""
    network = cn.import_network(folder / "tiny.net", steps=15)
    drive = np.load(folder / "tiny_input_bias.npy").astype(int).transpose(2, 1, 0).reshape(1, -1)
    found = network.outputs(network.encode(drive))[-1].reshape(15, 36, 1, 1).transpose(1, 2, 3, 0)
    expected = np.load(folder / "tiny_output.npy")[0][..., 1:]
    same = f"{int((found == expected).sum()):,} of {expected.size:,} outputs"
    return [("tiny.net, two convolutions", "lava-dl's unit test, 15 steps", same)]


def pilotnet(folder: Path, energies: bool) -> list[Row]:
    """A Loihi 2 board's spikes, and its energy beside the modelled one."""
    network = cn.import_network(folder / "pilotnet_lif.net", steps=16)
    image = np.load(folder / "pilotnet_image.npy").astype(int).transpose(2, 1, 0).reshape(1, -1)
    outputs = network.outputs(network.encode(image))
    counts = np.zeros(2, int)
    for index, name, hops in ((6, "fc-0", 6), (7, "fc-1", 7), (8, "fc-2", 8)):
        board = np.load(folder / f"pilotnet_{name}.npy")[:, hops : hops + 16]
        counts += int((board == outputs[index].T).sum()), board.size
    conv = outputs[4].reshape(16, 64, 2, 20).transpose(3, 2, 1, 0)
    board = np.load(folder / "pilotnet_conv-4.npy")[..., 5:21]
    counts += int((conv == board).sum()), board.size
    for cores in (None, 64) if energies else ():
        program = cn.compile(network, chip="loihi2", cores=cores)
        estimate = cn.estimate(program.run(image).counts, program, "loihi2-proxy")
        energy, step = 1e3 * estimate.dynamic_j, 1e6 * estimate.step_time_s
        print(
            f"pilotnet on {program.cores_used} cores of one loihi2, modelled: {energy:.3f} mJ "
            f"({energy / FRAME_MJ:.2f} of measured), {1e3 * estimate.breakdown['input']:.3f} of it input spikes; "
            f"{step:.0f} us a step ({step / STEP_US:.2f} of measured)"
        )
    layers = "a Loihi 2 board's spikes: conv-4, fc-0, fc-1, fc-2"
    return [("pilotnet_lif.net, 9 layers, 16 steps", layers, f"{counts[0]:,} of {counts[1]:,} values")]


def digits(folder: Path, path: Path, lava: bool, times: bool) -> list[Row]:
    """784-128-64-10, pixels integrated and fired, 32 steps: accuracy, and seconds on each simulator."""
    with np.load(path) as data:
        x, y = data["x_test"].reshape(len(data["x_test"]), -1), data["y_test"].astype(np.int64)
    network = cn.import_network(folder / "mnist_cuba.net", steps=32, drive=255)
    program = cn.compile(network, chip="loihi1")
    start = time.perf_counter()
    found = program.run(x, y)
    assert found.accuracy is not None
    took = time.perf_counter() - start
    network_name = "mnist_cuba.net, 784-128-64-10, 32 steps"
    rows = [(network_name, f"the classes of {len(y):,} validation images", f"{100 * found.accuracy:.2f} % right")]
    if times:
        print(f"mnist_cuba, reference: {took:.1f} s")
    if lava:
        start = time.perf_counter()
        other = program.run(x, y, backend="lava", time_limit_s=3600)
        batched = time.perf_counter() - start
        same = f"{(found.logits == other.logits).sum():,} of {found.logits.size:,} spike counts"
        rows.append((network_name, "Lava, batched", same))
        if not times:
            return rows
        print(f"mnist_cuba, lava: {batched:.1f} s")
        by_lava = cn.import_network(folder / "mnist_cuba.net", steps=32, drive=255, semantics="lava")
        strict = cn.compile(by_lava, "loihi1")
        start = time.perf_counter()
        strict.run(x[:20], backend="lava-stock", time_limit_s=3600)
        plain = (time.perf_counter() - start) * len(y) / 20
        print(
            f"mnist_cuba, plain Lava, one image at a time: {plain:,.0f} s from 20 images; ratio {plain / batched:.0f}"
        )
    return rows


def main() -> None:
    """Run all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--lava", action="store_true")
    parser.add_argument("--recorded", action="store_true", help="no energies, no times")
    args = parser.parse_args()
    rows = [*tiny(args.folder), *oxford(args.folder), *pilotnet(args.folder, not args.recorded)]
    if args.mnist:
        rows += digits(args.folder, args.mnist, args.lava, not args.recorded)
    print(as_markdown("network|against|equal", rows))


if __name__ == "__main__":
    main()

"""Train a small spiking network with another package, and write what docs/bring_your_network.md imports.

    python -m venv readers && readers/bin/pip install snntorch norse sinabs "nir>=1.0.8" "nirtorch>=2.6" torch
    readers/bin/python scripts/bring_your_network.py PACKAGE mnist.npz --out FOLDER [--side 14] [--hidden 64]
        [--epochs 2] [--samples 100]

PACKAGE is snntorch, norse or sinabs. mnist.npz has x_train, y_train, x_test, y_test, images of (28, 28). Pixels become
spikes, each at random with the pixel as its probability (seeded). FOLDER gets PACKAGE.nir, written by the package's own
exporter; PACKAGE.npz, the data of the import (x_test, y_test: spikes (n, steps, features)); and PACKAGE_spikes.npz,
what each layer of the package sends at the first images. Runs in the environment of the packages, without this project.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

STEPS, TRAINED, TESTED, RECORDED = 25, 10_000, 1000, 40


def spikes(images: np.ndarray, side: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return spikes (n, steps, side * side), uint8, of images (n, 28, 28), averaged to ``side``."""
    step = 28 // side
    small = images[:, : step * side, : step * side].reshape(len(images), side, step, side, step).mean(axis=(2, 4)) / 255
    return (rng.random((len(images), steps, side * side)) < small.reshape(len(images), 1, -1)).astype(np.uint8)


class Net:
    """Two layers of neurons behind two of weights, stepped by hand; ``neurons`` makes a layer of the package's."""

    def __init__(self, torch: Any, sizes: tuple[int, int, int], neurons: Any) -> None:
        self.torch = torch
        self.weights = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.neurons = [neurons(size) for size in sizes[1:]]

    def layers(self) -> list[Any]:
        """Return the modules in order, as an exporter takes them."""
        return [m for pair in zip(self.weights, self.neurons, strict=True) for m in pair]


def run_snntorch(net: Net, x: Any) -> list[Any]:
    """Return what both layers send at x (n, steps, features)."""
    return _stepped(net, x, [n.reset_mem() for n in net.neurons])


def run_norse(net: Net, x: Any) -> list[Any]:
    """Return what both layers send at x (n, steps, features)."""
    return _stepped(net, x, [None, None])


def _stepped(net: Net, x: Any, state: list[Any]) -> list[Any]:
    sent: list[list[Any]] = [[], []]
    for step in range(x.shape[1]):
        below = x[:, step]
        for index in range(2):
            below, state[index] = net.neurons[index](net.weights[index](below), state[index])
            sent[index].append(below)
    return [net.torch.stack(s, 1) for s in sent]


def run_sinabs(net: Net, x: Any) -> list[Any]:
    """Return what both layers send at x (n, steps, features)."""
    found, below = [], x
    for weights, neurons in zip(net.weights, net.neurons, strict=True):
        neurons.reset_states()
        below = neurons(weights(below))
        found.append(below)
    return found


def make(package: str) -> tuple[Any, Any]:
    """Return what makes a layer of neurons of a size, and what runs a network."""
    if package == "snntorch":
        import snntorch as snn
        import torch

        def leaky(size: int) -> Any:
            return snn.Leaky(beta=torch.full((size,), 0.9), threshold=torch.ones(size))

        return leaky, run_snntorch
    if package == "norse":
        import torch
        from norse.torch import LIFBoxCell, LIFBoxParameters

        # dt is 1e-3: v moves by a tenth of the way to its input in a step.
        def cells(size: int) -> Any:
            whole = {"tau_mem_inv": 100.0, "v_th": 0.4, "v_leak": 0.0, "v_reset": 0.0}
            return LIFBoxCell(LIFBoxParameters(**{k: torch.full((size,), v) for k, v in whole.items()}))

        return cells, run_norse
    import sinabs.layers as sl
    from sinabs.activation import MembraneSubtract, SingleSpike

    def neurons(size: int) -> Any:
        return sl.IAF(spike_threshold=1.0, spike_fn=SingleSpike, reset_fn=MembraneSubtract(), min_v_mem=None)

    return neurons, run_sinabs


def graph_of(package: str, net: Net, torch: Any, features: int) -> Any:
    """Return the NIR graph by the package's exporter, parameters in full: nir 1.0.8 stumbles over scalars."""
    sample = torch.zeros(1, features)
    if package == "snntorch":
        from snntorch.export_nir import export_to_nir

        for neurons in net.neurons:  # it traces a Sequential, in which neurons keep their own state
            neurons.init_hidden = True
            neurons.reset_mem()
        graph = export_to_nir(torch.nn.Sequential(*net.layers()), sample[0])
    elif package == "norse":
        import norse.torch

        graph = norse.torch.to_nir(norse.torch.SequentialState(*net.layers()), sample)
    else:
        from sinabs.nir import to_nir

        graph = to_nir(torch.nn.Sequential(*net.layers()), sample[:, None])
    return graph


def main() -> None:
    """Train, export, record."""
    import nir
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=("snntorch", "norse", "sinabs"))
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=100, help="training samples to write, for import --repair")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    neurons, run = make(args.package)
    net = Net(torch, (args.side**2, args.hidden, 10), neurons)
    with np.load(args.mnist) as data:
        images, labels = data["x_train"][:TRAINED], torch.tensor(data["y_train"][:TRAINED].astype(np.int64))
        test, truth = data["x_test"][:TESTED], data["y_test"][:TESTED].astype(np.int64)
    optimiser = torch.optim.Adam([p for w in net.weights for p in w.parameters()], lr=2e-3)
    loss = torch.zeros(())
    for epoch in range(args.epochs):
        order = rng.permutation(TRAINED)
        for start in range(0, TRAINED, 100):
            rows = order[start : start + 100]
            x = torch.tensor(spikes(images[rows], args.side, STEPS, rng)).float()
            loss = torch.nn.functional.cross_entropy(run(net, x)[-1].mean(1) * 10, labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}", flush=True)
    x = spikes(test, args.side, STEPS, rng)
    with torch.no_grad():
        sent = [s.numpy() for s in run(net, torch.tensor(x).float())]
    print(f"{args.package}: {100 * np.mean(sent[-1].sum(1).argmax(1) == truth):.2f} % of {TESTED} validation images")
    args.out.mkdir(parents=True, exist_ok=True)
    nir.write(args.out / f"{args.package}.nir", graph_of(args.package, net, torch, args.side**2))
    # Of the training images, as they say: repair moves weights on them, and the test samples are for the report alone.
    given = spikes(images[: args.samples], args.side, STEPS, rng)
    written = {"x_train": given, "y_train": labels.numpy()[: args.samples], "x_test": x, "y_test": truth}
    np.savez_compressed(args.out / f"{args.package}.npz", **written)
    recorded = {f"spikes{index}": np.packbits(s[:RECORDED].astype(np.uint8)) for index, s in enumerate(sent)}
    shapes = {f"shape{index}": s[:RECORDED].shape for index, s in enumerate(sent)}
    shapes["shape"] = x[:RECORDED].shape
    np.savez_compressed(args.out / f"{args.package}_spikes.npz", x=np.packbits(x[:RECORDED]), **recorded, **shapes)


if __name__ == "__main__":
    main()

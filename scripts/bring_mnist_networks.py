"""The networks of ``bring_mnist.py``, each trained with its own package: what is trained, run and exported.

Runs in the environment of a package, without this project. ``NETWORKS`` maps a name to what trains it and to the
options that its import takes.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bring_quantised import export_keras, residual_cnn

__all__ = ["NETWORKS", "Images", "Network", "spikes"]

HIDDEN, BATCH, BLOCK = 128, 100, 250


@dataclass(frozen=True)
class Images:
    """Images (n, 28, 28) uint8 and classes to train on, and others to report."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@dataclass(frozen=True)
class Network:
    """How a network is made: ``train`` (path without suffix, images, test spikes, seed, seconds) writes its file and
    returns what the package itself gets right; ``steps`` of its samples, None of networks that take pixels.
    """

    train: Callable[..., float]
    packages: tuple[str, ...]
    suffix: str
    options: tuple[str, ...]
    steps: int | None = None

    def versions(self) -> str:
        """Return the packages and their versions, in words."""
        return ", ".join(f"{name} {version(name)}" for name in self.packages)


def spikes(images: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return spikes (n, steps, 784), uint8, each at random with its pixel's brightness as the probability."""
    level = images.reshape(len(images), 1, -1)
    return (rng.integers(0, 255, (len(images), steps, level.shape[2]), dtype=np.uint8) < level).astype(np.uint8)


def _batches(images: Images, seed: int, seconds: float) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Yield images and classes for so many seconds, whole epochs one after the other, and the share of time spent."""
    rng, begin, seen = np.random.default_rng(seed), time.process_time(), 0
    while True:
        order = rng.permutation(len(images.x))
        for start in range(0, len(order), BATCH):
            spent = (time.process_time() - begin) / seconds
            if spent >= 1:
                print(f"{seen / len(images.x):.2f} epochs of {len(images.x):,} images", flush=True)
                return
            rows = order[start : start + BATCH]
            seen += len(rows)
            yield images.x[rows], images.y[rows], spent


def _fit(torch: Any, parameters: Any, images: Images, seed: int, seconds: float, rate: float, loss_of: Any) -> None:
    """Train with Adam, its rate falling to zero along a cosine; ``loss_of`` takes images and classes."""
    parameters = list(parameters)
    optimiser = torch.optim.Adam(parameters, lr=rate)
    for x, y, spent in _batches(images, seed, seconds):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 + np.cos(np.pi * spent)) / 2
        optimiser.zero_grad()
        loss_of(x, torch.tensor(y.astype(np.int64))).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()


def _right(torch: Any, logits: Any, x: np.ndarray, y: np.ndarray) -> float:
    with torch.no_grad():
        parts = [logits(x[start : start + BLOCK]).numpy().argmax(axis=1) for start in range(0, len(x), BLOCK)]
    return float((np.concatenate(parts) == y).mean())


def _torch(seed: int) -> Any:
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    return torch


# Spiking networks, 784-128-10 over 25 steps: weights and neurons by turns, stepped by hand.


def _stepped(torch: Any, weights: list[Any], neurons: list[Any], kind: str, x: Any) -> Any:
    """Return the spikes of the last layer, (n, steps, 10), at x (n, steps, 784)."""
    state: list[Any] = [None if kind == "norse" else neuron.reset_mem() for neuron in neurons]
    out = []
    for step in range(x.shape[1]):
        below = x[:, step]
        for index, neuron in enumerate(neurons):
            total = weights[index](below)
            if kind in ("rleaky", "synaptic") and index == 0:  # its spikes or a current, and v
                found = neuron(total, *state[index])
                below, state[index] = found[0], found if kind == "rleaky" else found[1:]
            else:
                below, state[index] = neuron(total, state[index])
        out.append(below)
    return torch.stack(out, 1)


def _snntorch_neurons(torch: Any, kind: str, size: int) -> Any:
    import snntorch as snn

    beta, ones = torch.full((size,), 0.9), torch.ones(size)
    if kind == "leaky":
        return snn.Leaky(beta=beta, threshold=ones)
    if kind == "rleaky":
        return snn.RLeaky(beta=beta, threshold=ones, all_to_all=True, linear_features=size)
    return snn.Synaptic(alpha=torch.full((size,), 0.8), beta=beta, threshold=ones)


def _norse_neurons(torch: Any, size: int) -> Any:
    from norse.torch import LIFBoxCell, LIFBoxParameters

    # dt is 1e-3: v moves by a tenth of the way to its input in a step.
    whole = {"tau_mem_inv": 100.0, "v_th": 0.4, "v_leak": 0.0, "v_reset": 0.0}
    parameters = {name: torch.full((size,), value) for name, value in whole.items()}
    return LIFBoxCell(LIFBoxParameters(**parameters, alpha=torch.tensor(10.0)))


def _spiking(kind: str) -> Callable[..., float]:
    def train(path: Path, images: Images, test: np.ndarray, seed: int, seconds: float) -> float:
        torch = _torch(seed)
        weights = [torch.nn.Linear(784, HIDDEN), torch.nn.Linear(HIDDEN, 10)]
        if kind == "norse":
            neurons = [_norse_neurons(torch, size) for size in (HIDDEN, 10)]
            for layer in weights:  # a tenth of a sum enters v
                layer.weight.data *= 4
        else:
            neurons = [_snntorch_neurons(torch, kind, HIDDEN), _snntorch_neurons(torch, "leaky", 10)]
            if kind == "rleaky":  # by default its ways back drown what comes in
                neurons[0].recurrent.weight.data *= 0.1
        rng, steps = np.random.default_rng(seed + 1), test.shape[1]
        moving = [p for part in (*weights, *neurons) for p in part.parameters() if p.requires_grad]

        def logits(x: np.ndarray) -> Any:
            return _stepped(torch, weights, neurons, kind, torch.tensor(x).float()).mean(1)

        def loss(x: np.ndarray, y: Any) -> Any:
            return torch.nn.functional.cross_entropy(logits(spikes(x, steps, rng)) * 10, y)

        _fit(torch, moving, images, seed, seconds, 8e-3 if kind == "norse" else 2e-3, loss)
        right = _right(torch, logits, test, images.test_y)
        _write_spiking(torch, kind, weights, neurons, path)
        return right

    return train


def _write_spiking(torch: Any, kind: str, weights: list[Any], neurons: list[Any], path: Path) -> None:
    import nir

    chain = [part for pair in zip(weights, neurons, strict=True) for part in pair]
    if kind == "norse":
        import norse.torch

        graph = norse.torch.to_nir(norse.torch.SequentialState(*chain), torch.zeros(1, 784))
    else:
        from snntorch.export_nir import export_to_nir

        for neuron in neurons:  # the exporter traces a Sequential, in which neurons keep their own state
            neuron.init_hidden = True
            neuron.reset_mem()
        graph = export_to_nir(torch.nn.Sequential(*chain), torch.zeros(784))
    nir.write(path.with_name(f"{path.name}.nir"), graph)


def _sinabs(path: Path, images: Images, test: np.ndarray, seed: int, seconds: float) -> float:
    """Train a ReLU CNN on pixels, convert it with ``from_model``, and run it on spikes."""
    import nir
    from sinabs.from_torch import from_model
    from sinabs.nir import to_nir

    torch = _torch(seed)
    nn = torch.nn
    layers = [
        ("conv0", nn.Conv2d(1, 8, 3, 2, 1, bias=False)),
        ("relu0", nn.ReLU()),
        ("conv1", nn.Conv2d(8, 16, 3, 2, 1, bias=False)),
        ("relu1", nn.ReLU()),
        ("flat", nn.Flatten()),
        ("read", nn.Linear(784, 10, bias=False)),
    ]
    net = nn.Sequential()
    for name, layer in layers:
        net.add_module(name, layer)

    def pixels(x: np.ndarray) -> Any:
        return torch.tensor(x[:, None]).float() / 255

    _fit(
        torch,
        net.parameters(),
        images,
        seed,
        seconds,
        3e-3,
        lambda x, y: nn.functional.cross_entropy(net(pixels(x)), y),
    )
    print(f"before conversion: {100 * _right(torch, lambda x: net(pixels(x)), images.test_x, images.test_y):.2f} %")
    with torch.no_grad():  # no unit is to be above one spike a step, but for a few in a thousand
        below, shrunk = pixels(images.x[:2000]), 1.0
        for name, layer in layers:
            below = layer(below)
            if name.startswith("conv"):
                most = float(torch.quantile(below[below > 0][:: max(1, int((below > 0).sum()) // 1_000_000)], 0.999))
                layer.weight.data *= 1 / most
                below, shrunk = below / most, shrunk * most
    steps = test.shape[1]
    snn = from_model(net, min_v_mem=None, batch_size=1, num_timesteps=None).spiking_model

    def logits(x: np.ndarray) -> Any:
        for part in snn.modules():
            if hasattr(part, "reset_states"):
                part.batch_size, part.num_timesteps = len(x), -1
                part.reset_states()
        return snn(torch.tensor(x).float().reshape(-1, 1, 28, 28)).reshape(len(x), steps, 10).sum(1)

    right = _right(torch, logits, test, images.test_y)
    logits(test[:1])
    graph = to_nir(snn, torch.zeros(1, 1, 28, 28))
    graph.infer_types()  # shapes of what convolutions take, which the exporter leaves open
    nir.write(path.with_name(f"{path.name}.nir"), graph)
    return right


# Networks that take pixels from 0 to 1.


def _pixels(torch: Any, x: np.ndarray) -> Any:
    return torch.tensor(x[:, None]).float() / 255


def _fit_pixels(net: Any, torch: Any, images: Images, seed: int, seconds: float, rate: float = 3e-3) -> float:
    def loss(x: np.ndarray, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(net(_pixels(torch, x)), y)

    _fit(torch, net.parameters(), images, seed, seconds, rate, loss)
    net.eval()
    return _right(torch, lambda x: net(_pixels(torch, x)), images.test_x, images.test_y)


def _brevitas(path: Path, images: Images, test: np.ndarray, seed: int, seconds: float) -> float:
    """2-bit weights and activations, batch normalisation behind every convolution."""
    import brevitas.nn as qnn
    import onnx
    from brevitas.export import export_qonnx
    from brevitas.quant import Uint8ActPerTensorFixedPoint

    torch = _torch(seed)
    nn, act = torch.nn, {"act_quant": Uint8ActPerTensorFixedPoint, "bit_width": 2}

    def block(inner: int, out: int) -> list[Any]:
        conv = qnn.QuantConv2d(inner, out, 3, 2, 1, bias=False, weight_bit_width=2)
        return [conv, nn.BatchNorm2d(out), qnn.QuantReLU(**act)]

    read = qnn.QuantLinear(32 * 49, 10, bias=True, weight_bit_width=2)
    net = nn.Sequential(qnn.QuantIdentity(**act), *block(1, 16), *block(16, 32), nn.Flatten(), read)
    right = _fit_pixels(net, torch, images, seed, seconds)
    file = path.with_name(f"{path.name}.onnx")
    export_qonnx(net, torch.zeros(1, 1, 28, 28), str(file))
    onnx.save(onnx.load(file), file)  # its weights may stand in a file beside it: one file
    file.with_name(f"{file.name}.data").unlink(missing_ok=True)
    return right


def _float(shape: str) -> Callable[..., float]:
    def train(path: Path, images: Images, test: np.ndarray, seed: int, seconds: float) -> float:
        torch = _torch(seed)
        nn = torch.nn
        if shape == "mlp":
            parts = [nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 64), nn.ReLU()]
            net = nn.Sequential(*parts, nn.Linear(64, 10))
        else:
            parts = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
            parts += [nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
            net = nn.Sequential(*parts, nn.Linear(16 * 49, 64), nn.ReLU(), nn.Linear(64, 10))
        right = _fit_pixels(net, torch, images, seed, seconds)
        file = path.with_name(f"{path.name}.onnx")
        torch.onnx.export(
            net, (torch.zeros(1, 1, 28, 28),), str(file), input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False
        )
        return right

    return train


def _keras(path: Path, images: Images, test: np.ndarray, seed: int, seconds: float) -> float:
    """Train a residual CNN, padding "same", as many epochs as fit."""
    _torch(seed)
    model = residual_cnn(seed, (16, 24), 2e-3)
    train, shown = (part.astype(np.float32)[..., None] / 255 for part in (images.x, images.test_x))
    begin, epochs = time.process_time(), 0
    while True:
        model.fit(train, images.y, batch_size=BATCH, epochs=1, verbose=0)
        epochs += 1
        if (time.process_time() - begin) * (epochs + 1) / epochs > seconds:
            break
        model.optimizer.learning_rate = 2e-3 / (1 + epochs)
    print(f"{epochs} epochs of {len(train):,} images", flush=True)
    return export_keras(model, path.with_name(f"{path.name}.onnx"), shown, images.test_y)


_SNN = ("snntorch", "torch")
NETWORKS: dict[str, Network] = {
    "snntorch-leaky": Network(_spiking("leaky"), _SNN, "nir", ("--source", "snntorch"), 25),
    "snntorch-rleaky": Network(_spiking("rleaky"), _SNN, "nir", ("--source", "snntorch"), 25),
    "snntorch-synaptic": Network(_spiking("synaptic"), _SNN, "nir", ("--source", "snntorch"), 25),
    "norse-lif": Network(_spiking("norse"), ("norse", "torch"), "nir", ("--source", "norse"), 25),
    "sinabs-cnn": Network(_sinabs, ("sinabs", "torch"), "nir", ("--source", "sinabs"), 32),
    "brevitas-2bit": Network(_brevitas, ("brevitas", "torch"), "onnx", ("--scale", "255")),
    "torch-mlp": Network(_float("mlp"), ("torch",), "onnx", ("--scale", "255")),
    "torch-cnn": Network(_float("cnn"), ("torch",), "onnx", ("--scale", "255")),
    "keras-residual": Network(_keras, ("keras", "torch"), "onnx", ("--scale", "255")),
}
"""What can be trained, by name."""

"""Brevitas, Keras and lava-dl for ``bring_your_network.py``: train, export, and say what the package itself gets."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["BATCH", "MAKERS", "export_keras", "residual_cnn"]

BATCH = 100
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _train(net: Any, logits: Any, x: np.ndarray, y: np.ndarray, epochs: int, rate: float = 2e-3) -> None:
    """Train ``net`` with Adam; ``logits`` gives them of inputs as ``x`` has them."""
    import torch

    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    order, loss = np.random.default_rng(0), torch.zeros(())
    for epoch in range(epochs):
        rows = order.permutation(len(x))
        for start in range(0, len(x), BATCH):
            part = rows[start : start + BATCH]
            loss = torch.nn.functional.cross_entropy(logits(torch.tensor(x[part])), torch.tensor(y[part]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}", flush=True)


def _right(logits: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of classes that are right."""
    import torch

    with torch.no_grad():
        parts = [logits(torch.tensor(x[start : start + 500])).numpy() for start in range(0, len(x), 500)]
    return float((np.concatenate(parts).argmax(axis=1) == y).mean())


def brevitas(path: Path, arrays: Arrays, epochs: int) -> float:
    """Write a residual CNN of 2-bit weights and activations as QONNX; both branches of the sum have one quantiser."""
    import brevitas.nn as qnn
    import onnx
    import torch
    from brevitas.export import export_qonnx
    from brevitas.quant import Int8ActPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
    from torch import nn

    def conv(inner: int, out: int, stride: int) -> Any:
        return qnn.QuantConv2d(inner, out, 3, stride, 1, bias=False, weight_bit_width=2)

    def relu() -> Any:
        return qnn.QuantReLU(act_quant=Uint8ActPerTensorFixedPoint, bit_width=2)

    class Net(nn.Module):
        """A stem and a block that its input is added to."""

        def __init__(self) -> None:
            super().__init__()
            self.pixels = qnn.QuantIdentity(act_quant=Uint8ActPerTensorFixedPoint, bit_width=2)
            self.stem = nn.Sequential(conv(1, 8, 2), nn.BatchNorm2d(8), relu())
            self.block = nn.Sequential(conv(8, 8, 1), nn.BatchNorm2d(8), relu(), conv(8, 8, 1), nn.BatchNorm2d(8))
            self.sum = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=3)
            self.after = relu()
            self.down = nn.Sequential(conv(8, 12, 2), nn.BatchNorm2d(12), relu(), nn.Flatten())
            self.read = qnn.QuantLinear(12 * 49, 10, bias=True, weight_bit_width=4)

        def forward(self, x: Any) -> Any:
            x = self.stem(self.pixels(x))
            return self.read(self.down(self.after(self.sum(self.block(x)) + self.sum(x))))

    torch.manual_seed(0)
    net = Net()
    x, test = (part.astype(np.float32)[:, None] / 255 for part in (arrays[0], arrays[2]))
    _train(net, net, x, arrays[1], epochs)
    net.eval()
    export_qonnx(net, torch.zeros(1, 1, 28, 28), str(path))
    onnx.save(onnx.load(path), path)  # its weights may stand in a file beside it: one file
    return _right(net, test, arrays[3])


def residual_cnn(seed: int, channels: tuple[int, int], rate: float) -> Any:
    """Return a residual CNN of Keras for images (28, 28, 1), padding "same", to be trained with Adam at ``rate``."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras as package

    package.utils.set_random_seed(seed)
    layers, (first, second) = package.layers, channels
    given = package.Input((28, 28, 1))
    x = layers.Conv2D(first, 3, strides=2, padding="same", activation="relu")(given)
    y = layers.Conv2D(first, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(layers.Conv2D(first, 3, padding="same")(y))
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Conv2D(second, 3, strides=2, padding="same", activation="relu")(x)
    model = package.Model(given, layers.Dense(10)(layers.Flatten()(x)))
    loss = package.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(package.optimizers.Adam(rate), loss)
    return model


def export_keras(model: Any, path: Path, x: np.ndarray, y: np.ndarray) -> float:
    """Write ``model`` as Keras exports ONNX on its torch backend; return the share of classes it gets right."""
    model.export(str(path), format="onnx", verbose=False)
    return float((model.predict(x, batch_size=500, verbose=0).argmax(axis=1) == y).mean())


def keras(path: Path, arrays: Arrays, epochs: int) -> float:
    """Write a residual CNN in floating point, padding "same"."""
    model = residual_cnn(0, (8, 12), 2e-3)
    train, test = (part.astype(np.float32)[..., None] / 255 for part in (arrays[0], arrays[2]))
    model.fit(train, arrays[1], batch_size=BATCH, epochs=epochs, verbose=0)
    return export_keras(model, path, test, arrays[3])


def lava_dl(path: Path, arrays: Arrays, epochs: int) -> float:
    """Write CUBA neurons over 25 steps, pixels driving those of the input, as lava-dl's .net file."""
    import h5py
    import torch
    from lava.lib.dl import slayer

    steps, options = 25, {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1, "requires_grad": False}

    class Net(torch.nn.Module):
        """784-64-10."""

        def __init__(self) -> None:
            super().__init__()
            dense = slayer.block.cuba.Dense
            self.blocks = torch.nn.ModuleList([dense(options, 196, 64, weight_norm=False), dense(options, 64, 10)])

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return x.sum(dim=-1)

    torch.manual_seed(0)
    net = Net()
    rng = np.random.default_rng(0)

    def spikes(images: np.ndarray) -> np.ndarray:
        small = images.reshape(len(images), 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(images), 196, 1) / 255
        return (rng.random((len(images), 196, steps)) < small).astype(np.float32)

    x, test = spikes(arrays[0]), spikes(arrays[2])
    _train(net, net, x, arrays[1], epochs)
    with h5py.File(path, "w") as file:
        layer = file.create_group("layer")
        for index, block in enumerate(net.blocks):
            block.export_hdf5(layer.create_group(str(index)))
    rows = {"x_train": arrays[0][:0], "x_test": test.transpose(0, 2, 1).astype(np.uint8), "y_test": arrays[3]}
    rows |= {"x_train": x[:100].transpose(0, 2, 1).astype(np.uint8), "y_train": arrays[1][:100]}
    np.savez_compressed(path.with_suffix(".npz"), **rows)
    return _right(net, test, arrays[3])


MAKERS: dict[str, tuple[Any, str]] = {
    "brevitas": (brevitas, "onnx"),
    "keras": (keras, "onnx"),
    "lava-dl": (lava_dl, "net"),
}
"""What writes each package's network, and the suffix of its file."""

"""Train small ReLU networks with the packages that people use, and export them to ONNX: material for tests.

    python scripts/make_float_networks.py FOLDER mnist-dev.npz [NAME ...]

In an environment of its own, with scikit-learn, skl2onnx, onnx, onnxruntime, torch and onnxscript; ``keras_cnn`` needs
tensorflow-cpu and tf2onnx. The .npz has x_train, y_train, x_test, y_test; it trains on the first two alone. The files
under tests/data/float_onnx are what it wrote, those above 100 kB left out.
"""

# What it imports is in an environment of its own.
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np


def pixels(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return training images (n, 784), 0 to 1, and their classes."""
    return (data["x_train"].reshape(len(data["x_train"]), -1) / 255).astype(np.float32), data["y_train"].astype(int)


def sklearn_digits(path: Path, _data: Any) -> None:
    """Write an MLPClassifier on scikit-learn's digits (0 to 16), labels and probabilities as skl2onnx writes them."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    model = MLPClassifier((48, 32), max_iter=60, random_state=0).fit(x, y)
    path.write_bytes(to_onnx(model, x[:1].astype(np.float32)).SerializeToString())


def sklearn_binary(path: Path, _data: Any) -> None:
    """Write a classifier of two classes, one logit behind a sigmoid: whether a digit is 5 or more."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    model = MLPClassifier((24,), max_iter=60, random_state=0).fit(x, y >= 5)
    made = to_onnx(model, x[:1].astype(np.float32), options={"zipmap": False})
    path.write_bytes(made.SerializeToString())


def train(model: Any, data: Any, shape: tuple[int, ...], epochs: int) -> Any:
    """Train a torch model with Adam, and return it in evaluation mode."""
    import torch

    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    x, y = pixels(data)
    inputs, targets = torch.tensor(x).reshape(-1, *shape), torch.tensor(y)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(128):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimiser.step()
        schedule.step()
    return model.eval()


def write_torch(model: Any, path: Path, shape: tuple[int, ...], dynamo: bool) -> None:
    """Export by the exporter of today, or by that of yesterday."""
    import torch

    torch.onnx.export(
        model,
        (torch.zeros(1, *shape),),
        str(path),
        input_names=["x"],
        output_names=["logits"],
        dynamo=dynamo,
        **({"external_data": False} if dynamo else {}),
        **({"dynamic_shapes": ({0: "n"},)} if dynamo else {"dynamic_axes": {"x": {0: "n"}}}),
    )


def torch_mlp(path: Path, data: Any, widths: tuple[int, ...] = (28,)) -> None:
    """Write a perceptron 784-28-10."""
    from torch import nn

    layers: list[Any] = []
    for before, after in zip((784, *widths), widths, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    model = train(nn.Sequential(*layers, nn.Linear(widths[-1], 10)), data, (784,), 8)
    write_torch(model, path, (784,), dynamo=True)


def torch_mlp_large(path: Path, data: Any) -> None:
    """Write a perceptron 784-256-128-10, for measurements."""
    torch_mlp(path, data, (256, 128))


def cnn(channels: tuple[int, int]) -> Any:
    """Return convolutions with batch normalisation and maxima."""
    from torch import nn

    a, b = channels
    return nn.Sequential(
        nn.Conv2d(1, a, 3, padding=1),
        nn.BatchNorm2d(a),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(a, b, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(b * 49, 10),
    )


def torch_cnn(path: Path, data: Any) -> None:
    """Write a small convolutional network with BatchNorm and MaxPool."""
    write_torch(train(cnn((6, 12)), data, (1, 28, 28), 3), path, (1, 28, 28), dynamo=True)


def torch_cnn_average(path: Path, data: Any) -> None:
    """Write one with averages, batch normalisation behind ReLU before a padded convolution, and the older exporter."""
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2),
        nn.ReLU(),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 12, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * 36, 10),
        nn.Softmax(1),
    )

    class Logits(nn.Module):
        """All but the softmax: cross_entropy has its own."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model[:-1]

        def forward(self, x: Any) -> Any:
            return self.body(x)

    train(Logits(), data, (1, 28, 28), 3)
    write_torch(model.eval(), path, (1, 28, 28), dynamo=False)


def qdq_cnn(path: Path, data: Any) -> None:
    """Write the first convolutional network, quantised to 8 bits by onnxruntime (QuantizeLinear, DequantizeLinear)."""
    import tempfile

    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    x, _ = pixels(data)

    class Reader(CalibrationDataReader):
        """The first 512 training images."""

        def __init__(self) -> None:
            self.rows = iter(np.split(x[:512].reshape(-1, 1, 28, 28), 8))

        def get_next(self) -> Any:
            rows = next(self.rows, None)
            return None if rows is None else {"x": rows}

    with tempfile.TemporaryDirectory() as folder:
        plain, ready = Path(folder) / "plain.onnx", Path(folder) / "ready.onnx"
        torch_cnn(plain, data)
        quant_pre_process(str(plain), str(ready))
        quantize_static(str(ready), str(path), Reader(), quant_format=QuantFormat.QDQ)


def keras_cnn(path: Path, data: Any) -> None:
    """Write a Keras network, channels last, through tf2onnx."""
    import tensorflow as tf
    import tf2onnx

    tf.keras.utils.set_random_seed(0)
    keep = tf.keras.layers
    model = tf.keras.Sequential(
        [
            keep.Input((28, 28, 1)),
            keep.Conv2D(6, 3, padding="same", use_bias=False),
            keep.BatchNormalization(),
            keep.ReLU(),
            keep.MaxPooling2D(2),
            keep.Conv2D(12, 3, activation="relu"),
            keep.AveragePooling2D(2),
            keep.Flatten(),
            keep.Dense(10, activation="softmax"),
        ]
    )
    x, y = pixels(data)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x.reshape(-1, 28, 28, 1), y, batch_size=128, epochs=2, verbose=0)
    model.output_names = ["y"]
    tf2onnx.convert.from_keras(model, [tf.TensorSpec((None, 28, 28, 1), tf.float32)], output_path=str(path))


MAKERS = {
    maker.__name__: maker
    for maker in (
        sklearn_digits,
        sklearn_binary,
        torch_mlp,
        torch_mlp_large,
        torch_cnn,
        torch_cnn_average,
        qdq_cnn,
        keras_cnn,
    )
}


def main() -> None:
    """Make what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", help=", ".join(MAKERS))
    arguments = parser.parse_args()
    data = np.load(arguments.data)
    for name in arguments.names or MAKERS:
        path = arguments.folder / f"{name}.onnx"
        MAKERS[name](path, data)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

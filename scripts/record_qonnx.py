"""Record what the qonnx package makes of published networks: tests/data/qonnx/logits.npz.

    python -m venv qonnx-env && qonnx-env/bin/pip install qonnx
    qonnx-env/bin/python scripts/record_qonnx.py FOLDER mnist.npz [--images 200] [--out tests/data/qonnx/logits.npz]

FOLDER holds TFC_1W1A.onnx, TFC_1W2A.onnx and qkeras_jettagging.onnx of the QONNX model zoo, and finn_tfc.onnx of FINN's
tutorial; the .npz has x_test, images of (28, 28). The package is an oracle for tests, in an environment of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

SCALES = {"TFC_1W1A": 255.0, "TFC_1W2A": 255.0, "finn_tfc": 1.0}


def outputs(path: Path, rows: np.ndarray) -> np.ndarray:
    """Return the first output of a network for each row, in the shape of its input."""
    from qonnx.core.modelwrapper import ModelWrapper  # type: ignore[import-not-found]
    from qonnx.core.onnx_exec import execute_onnx  # type: ignore[import-not-found]
    from qonnx.util.cleanup import cleanup_model  # type: ignore[import-not-found]

    model: Any = cleanup_model(ModelWrapper(str(path)))
    given, made = model.graph.input[0].name, model.graph.output[0].name
    shape = model.get_tensor_shape(given)
    return np.array([execute_onnx(model, {given: row.reshape(shape)})[made].ravel() for row in rows])


def main() -> None:
    """Record all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("tests/data/qonnx/logits.npz"))
    args = parser.parse_args()
    with np.load(args.mnist) as data:
        images = data["x_test"][: args.images].reshape(args.images, -1)
    found = {"images": images}
    for name, scale in SCALES.items():
        rows = images.astype(np.float32) / np.float32(scale)
        found[name] = outputs(args.folder / f"{name}.onnx", rows).astype(np.float32)
    x = (np.random.default_rng(0).random((args.images, 16)) < 0.5).astype(np.uint8)
    found |= {"qkeras_x": x, "qkeras": outputs(args.folder / "qkeras_jettagging.onnx", x.astype(np.float32))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **found)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

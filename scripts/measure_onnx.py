"""Random ONNX graphs, quantised and in floating point: what `conntra import` makes of them against onnxruntime.

    .venv/bin/python scripts/measure_onnx.py [few eight float residual] [--count 300] [--seed 0] [--json out.json]

onnxruntime runs with its optimisations off: on, it joins nodes into integer products with rounded biases. Kinds:

    few       QuantizeLinear and DequantizeLinear around activations of 2 to 8 values, weights of int8 by tensor or
              channel: read exactly, every class is compared
    eight     random float graphs that onnxruntime's own static quantisation made 8-bit graphs with QDQ nodes
    float     dense and convolutional ReLU networks as PyTorch, tf2onnx and skl2onnx write them
    residual  the same with branches

Of the last three the float network that is read is compared first (logits off by more than 2e-3 of the largest; of
``eight``, whose activations are rounded in the file and not in what is read, classes), then the 8-bit integer network
that is made of it on 300 random samples, on 200 others. Classes are compared where onnxruntime's two best logits are
further apart than 1e-4 (integers of 8 bits: than 5 % of the spread of logits). Prints what differs, and a table in
Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError
from conntra_neuro.exchange.files import import_with_report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import float_graphs  # type: ignore[import-not-found]
import onnx
import onnx_graphs  # type: ignore[import-not-found]
import onnx_qdq  # type: ignore[import-not-found]
from markdown_tables import as_markdown

COLUMNS = ("graphs", "refused", "logits", "differ", "classes", "other_class", "integer_classes", "other_integer_class")
WRONG = ("differ", "other_class", "other_integer_class")
KINDS = {
    "few": "QDQ, activations of 2 to 8 values: exact",
    "eight": "QDQ of 8 bits, by onnxruntime's own static quantisation",
    "float": "floating point: PyTorch, tf2onnx, skl2onnx",
    "residual": "the same with branches",
}
ROWS, FITTED = 200, 300


def made(kind: str, seed: int) -> tuple[Any, tuple[int, ...]]:
    """Return a graph and the shape of a sample."""
    if kind == "few":
        return onnx_qdq.few(seed)
    make = float_graphs.residual_graph if kind == "residual" else float_graphs.random_graph
    model = make(seed)
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    return (onnx_qdq.eight(model, shape, seed) if kind == "eight" else model), shape


def _clear(logits: np.ndarray, apart: float) -> np.ndarray:
    best = np.sort(logits, axis=1)
    return best[:, -1] - best[:, -2] > apart


def _classes(expected: np.ndarray, found: np.ndarray, apart: float) -> tuple[int, int]:
    clear = _clear(expected, apart)
    return int(clear.sum()), int((found != expected.argmax(axis=1))[clear].sum())


def _count(of: dict[str, int], names: tuple[str, str], counts: tuple[int, int]) -> None:
    for name, count in zip(names, counts, strict=True):
        of[name] += count


def exactly(path: Path, expected: np.ndarray, x: np.ndarray, of: dict[str, int]) -> None:
    """Count the classes of a graph that is read exactly."""
    found = cn.import_network(path).predict(x.reshape(len(x), -1))
    _count(of, ("classes", "other_class"), _classes(expected, found, 1e-4))


def in_bits(path: Path, kind: str, expected: np.ndarray, x: np.ndarray, of: dict[str, int]) -> None:
    """Count logits and classes of a float network and of its integers."""
    data = onnx_qdq.dataset(x.shape[1:], expected.shape[1], FITTED)
    network, report = import_with_report(path, data=data, scale=255.0)
    assert report is not None
    flat = (x.reshape(len(x), -1) * 255).astype(np.uint8)
    net = report.net  # type: ignore[union-attr]
    logits = net.logits(x.reshape(len(x), -1)[:, net.order].astype(np.float64))
    if kind != "eight":
        ours, theirs = (part - part.mean(axis=1, keepdims=True) for part in (logits, expected))
        wrong = np.abs(ours - theirs) > 2e-3 * np.abs(theirs).max()
        _count(of, ("logits", "differ"), (wrong.size, int(wrong.sum())))
    apart = 1e-4 if kind != "eight" else 0.05 * float(expected.std())
    _count(of, ("classes", "other_class"), _classes(expected, logits.argmax(axis=1), apart))
    counts = _classes(expected, network.predict(flat), 0.05 * float(expected.std()))
    _count(of, ("integer_classes", "other_integer_class"), counts)


def compared(kind: str, seed: int, path: Path, of: dict[str, int]) -> None:
    """Count a graph."""
    model, shape = made(kind, seed)
    onnx.save(model, path)
    rng = np.random.default_rng(seed + 1)
    # Features in 256 steps, so that the integer network takes the same.
    x = rng.random((ROWS, *shape)) if kind == "few" else rng.integers(0, 256, (ROWS, *shape)) / 255
    expected = onnx_graphs.logits(model, x, as_written=True)
    of["graphs"] += 1
    if model.graph.node[-1].op_type == "Softmax":
        expected = np.log(np.maximum(expected, 1e-30))
    try:
        exactly(path, expected, x, of) if kind == "few" else in_bits(path, kind, expected, x, of)
    except ConntraError as error:
        of["refused"] += 1
        print(f"{kind} {seed}: {error}")


def table(found: dict[str, dict[str, int]]) -> str:
    """Return a row a kind; counts that differ stand with those that were compared."""
    rows = []
    for kind, of in found.items():
        logits = f"{of['differ']:,} of {of['logits']:,}" if of["logits"] else ""
        net = f"{of['other_class']:,} of {of['classes']:,}"
        integers = f"{of['other_integer_class']:,} of {of['integer_classes']:,}"
        if kind == "few":  # read exactly: there is no network but that of integers
            net, integers = "", net
        rows.append([KINDS[kind], of["graphs"], of["refused"], logits, net, integers])
    head = "kind|graphs|refused|float network: logits that differ|float network: other class"
    return as_markdown(f"{head}|integers: other class", rows)


def main() -> None:
    """Compare, and print a line a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=tuple(KINDS))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: dict[str, dict[str, int]] = {kind: dict.fromkeys(COLUMNS, 0) for kind in args.kinds}
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.kinds:
            for seed in range(args.seed, args.seed + args.count):
                before = dict(found[kind])
                compared(kind, seed, Path(folder, "graph.onnx"), found[kind])
                new = {name: found[kind][name] - before[name] for name in COLUMNS if name in WRONG}
                if any(new.values()):
                    print(f"{kind} {seed}: {new}")
            print(kind, found[kind], flush=True)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

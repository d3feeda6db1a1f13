"""Random quantised ONNX graphs in exporters' notations: what import makes of them against the qonnx package.

    .venv/bin/python scripts/measure_qonnx.py make FOLDER --seeds 50
    qonnx-env/bin/python scripts/measure_qonnx.py run FOLDER          (pip install qonnx, in an environment of its own)
    .venv/bin/python scripts/measure_qonnx.py compare FOLDER --json out.json
    .venv/bin/python scripts/measure_qonnx.py all --python qonnx-env/bin/python    (all three, in a folder of its own)

Six notations (tests/support/onnx_graphs.py, onnx_branches.py), so many seeds of each, 40 inputs a graph. Classes are
compared where the two best logits are further apart than 1e-4: float32, in which the package computes, has no order of
what is nearer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from markdown_tables import as_markdown

ROWS, APART = 40, 1e-4
NAMES = {
    "brevitas": "Brevitas, binary",
    "larq": "Larq, through tf2onnx",
    "qkeras": "QKeras",
    "pytorch": "PyTorch",
    "dense": "dense layers with residual additions",
    "residual": "residual convolutional networks with `Trunc`",
}


def make(folder: Path, seeds: int) -> None:
    """Write graphs and inputs; their functions are left out, so that nothing but the package runs QONNX's operators."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    import onnx
    import onnx_branches  # type: ignore[import-not-found]
    import onnx_graphs  # type: ignore[import-not-found]
    from onnx import helper

    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        graphs: dict[str, Any] = {
            name: getattr(onnx_graphs, name)(seed) for name in ("brevitas", "larq", "pytorch", "qkeras")
        }
        version = 1 + seed % 2
        graphs |= {"residual": onnx_branches.residual(seed, version), "dense": onnx_branches.dense(seed)}
        for name, (model, shape, *_) in graphs.items():
            del model.functions[:]
            for value in (model.graph.input[0], model.graph.output[0]):
                value.type.tensor_type.shape.dim[0].ClearField("dim_param")
                value.type.tensor_type.shape.dim[0].dim_value = ROWS
            if name == "residual":
                del model.opset_import[:]
                model.opset_import.extend(
                    [helper.make_opsetid("", 13), helper.make_opsetid(onnx_graphs.QONNX, version)]
                )
            x = np.random.default_rng(seed).random((ROWS, *shape))
            if name in ("larq", "pytorch", "qkeras"):
                x = np.rint(x)
            onnx.save(model, folder / f"{name}-{seed}.onnx")
            np.save(folder / f"{name}-{seed}.x.npy", x.astype(np.float32))


def run(folder: Path) -> None:
    """Have the qonnx package compute the logits of all."""
    from qonnx.core.modelwrapper import ModelWrapper  # type: ignore[import-not-found]
    from qonnx.core.onnx_exec import execute_onnx  # type: ignore[import-not-found]
    from qonnx.transformation.infer_shapes import InferShapes  # type: ignore[import-not-found]

    for path in sorted(folder.glob("*.onnx")):
        model: Any = ModelWrapper(str(path)).transform(InferShapes())
        x = np.load(path.with_suffix(".x.npy"))
        np.save(path.with_suffix(".y.npy"), execute_onnx(model, {"x": x})["y"])


def compare(folder: Path) -> dict[str, dict[str, int]]:
    """Return for each notation how many graphs and classes there are, and how many are refused or differ."""
    import conntra_neuro as cn

    found: dict[str, dict[str, int]] = {}
    for path in sorted(folder.glob("*.onnx")):
        name = path.stem.split("-")[0]
        of = found.setdefault(name, dict.fromkeys(("graphs", "refused", "compared", "differ", "unclear"), 0))
        of["graphs"] += 1
        x, logits = np.load(path.with_suffix(".x.npy")), np.load(path.with_suffix(".y.npy"))
        try:
            network = cn.import_network(path)
        except cn.ConntraError as error:
            of["refused"] += 1
            print(error)
            continue
        rows = (x.transpose(0, 3, 1, 2) if name == "larq" else x).reshape(len(x), -1)
        best = np.sort(logits, axis=1)
        clear = best[:, -1] - best[:, -2] > APART
        of["compared"] += int(clear.sum())
        of["unclear"] += int((~clear).sum())
        of["differ"] += int((network.predict(rows) != logits.argmax(axis=1))[clear].sum())
    return found


def main() -> None:
    """Make, run or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "run", "compare", "all"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--python", help="of an environment with qonnx, for all")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.folder is None and (args.what != "all" or args.python is None):
        parser.error("FOLDER, or all --python: missing")
    with tempfile.TemporaryDirectory() as own:
        folder = args.folder or Path(own)
        if args.what in ("make", "all"):
            make(folder, args.seeds)
        if args.what == "all":
            subprocess.run([args.python, "-W", "ignore", __file__, "run", own], check=True, stdout=sys.stderr)
        if args.what == "run":
            run(folder)
        if args.what in ("compare", "all"):
            show(compare(folder), args.json)


def show(found: dict[str, dict[str, int]], path: Path | None) -> None:
    """Print a table of the notations, and write it where asked."""
    keys = ("graphs", "refused", "compared", "differ")
    rows = [[said, *(found[name][key] for key in keys)] for name, said in NAMES.items() if name in found]
    print(as_markdown("notation|graphs|refused|classes compared|differ", rows))
    if path:
        path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

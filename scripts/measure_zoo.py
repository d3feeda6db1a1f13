"""Published quantised networks: what `conntra import` makes of them against the qonnx package, and what they cost.

    .venv/bin/python scripts/measure_zoo.py classes FOLDER mnist.npz --python qonnx-env/bin/python [--images 1000]
    .venv/bin/python scripts/measure_zoo.py neurons FOLDER mnist.npz [--images 1000]

FOLDER holds the files that scripts/record_qonnx.py names. ``classes`` has the qonnx package, in an environment of its
own, run them on images of x_test and compares classes; accuracy is that of all images of x_test. ``neurons`` counts
what an image takes as neurons with one threshold and with several. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from markdown_tables import as_markdown
from record_qonnx import SCALES

import conntra_neuro as cn

QKERAS = "qkeras_jettagging"
FROM = {
    "TFC_1W1A": "Brevitas",
    "TFC_1W2A": "Brevitas",
    "finn_tfc": "FINN: MultiThreshold, TopK",
    QKERAS: "QKeras, 6 bits",
}
RANDOM = 300
"""Random inputs that count the larger network."""


def _wide(network: cn.DiscreteNetwork) -> str:
    return "-".join(f"{size:,}" for size in (network.n_in, *(layer.n_out for layer in network.layers)))


def classes(folder: Path, mnist: Path, images: int, python: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each file: how wide it is, classes as qonnx has them, accuracy."""
    with tempfile.TemporaryDirectory() as own:
        record = Path(own) / "record.npz"
        words = [str(folder), str(mnist), "--images", str(images), "--out", str(record)]
        script = Path(__file__).parent / "record_qonnx.py"
        subprocess.run([python, "-W", "ignore", str(script), *words], check=True, stdout=sys.stderr)
        with np.load(record) as file:
            recorded = dict(file)
    with np.load(mnist) as data:
        x, y = data["x_test"].reshape(len(data["x_test"]), -1), data["y_test"]
    for name, scale in SCALES.items():
        network = cn.import_network(folder / f"{name}.onnx", scale=scale)
        right = 100 * (network.predict(x) == y).mean()
        same = _same(network.predict(recorded["images"]), recorded[name])
        yield f"{name} ({FROM[name]})", _wide(network), same, f"{right:.2f} %"
    network = cn.import_network(folder / f"{QKERAS}.onnx")
    same = _same(network.predict(recorded["qkeras_x"]), recorded["qkeras"])
    yield f"{QKERAS} ({FROM[QKERAS]})", _wide(network), same, ""


def _same(ours: np.ndarray, theirs: np.ndarray) -> str:
    given = theirs.argmax(axis=1) if theirs.shape[1] > 1 else theirs[:, 0]
    return f"{(ours == given).sum():,} of {len(ours):,}"


def neurons(folder: Path, mnist: Path, images: int) -> Iterator[tuple[object, ...]]:
    """Yield what an image takes, of two files with several values in activations, as neurons of either kind."""
    with np.load(mnist) as data:
        pixels = data["x_test"][:images].reshape(images, -1)
    bits = (np.random.default_rng(0).random((RANDOM, 16)) < 0.5).astype(np.uint8)
    for name, scale, x in (("TFC_1W2A", 255.0, pixels), (QKERAS, 1.0, bits)):
        for neuron, chip in (("threshold", "loihi1"), ("multithreshold", "loihi2")):
            network = cn.import_network(folder / f"{name}.onnx", scale=scale, neuron=neuron)
            program = cn.compile(network, chip)
            counts = program.run(x).counts
            sizes = sum(population.size for population in program.populations)
            synapses = sum(int((projection.weights != 0).sum()) for projection in program.projections)
            each = (counts.synops.sum() / len(x), counts.spikes.sum() / len(x))
            cells = (sizes, synapses, f"{each[0]:,.0f}", f"{each[1]:,.1f}")
            yield (f"{name}, `{neuron}`", f"{chip}, {program.cores_used}", *cells)


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["classes", "neurons"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--python", help="of an environment with qonnx")
    args = parser.parse_args()
    if args.what == "neurons":
        head = "file, neurons|chip, cores|neurons|synapses|synops|spikes"
        print(as_markdown(head, neurons(args.folder, args.mnist, args.images)))
        return
    if args.python is None:
        parser.error("--python: the Python of an environment with qonnx")
    rows = classes(args.folder, args.mnist, args.images, args.python)
    print(as_markdown("file|neurons after import|same class as qonnx|accuracy", rows))


if __name__ == "__main__":
    main()

"""One trained network through every format: how many of its logits differ, and what its files take.

    python tests/benchmarks/bench_exchange.py [[MODEL] DATA]

MODEL is trained before, as by ``conntra train mnist:mnist.npz --layers 256 --out mnist.conntra``, and is dense;
without one, a network with a hidden layer of 256 is trained on DATA, on digits without that either. NIR and NetX files
are run by the readers of tests/support, which know nothing of conntra, C is compiled, and for ONNX the network is
written as MatMul, Add and Greater, run by onnxruntime and imported again. Prints a table in Markdown.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nir
import numpy as np
import onnx

import conntra_neuro as cn

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import compiled_c
import markdown_tables
import netx_numpy
import nir_numpy
import onnx_graphs

_BY_READERS = 500  # the readers in plain NumPy take milliseconds a sample


def main() -> None:
    data = cn.load_dataset(sys.argv[-1] if len(sys.argv) > 1 else "digits")
    network = cn.load(sys.argv[1]) if len(sys.argv) == 3 else cn.train(data, layers=[256], seed=0).network
    assert isinstance(network, cn.DiscreteNetwork)
    spikes = network.encode(data.x_test.reshape(len(data.x_test), -1))
    logits = network.forward(spikes)
    error = 100 * network.error(rows(data.x_test), data.y_test)
    print(f"{network!r}: {len(spikes):,} test samples, error {error:.2f} %\n")
    found: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found += by_nir(network, spikes, logits, folder / "a.nir")
        found += by_netx(network, spikes, logits, folder / "a.net")
        bare = cn.DiscreteNetwork(network.layers)  # takes spikes, as the others do
        for packing in ("bits", "digits"):
            (run,) = compiled_c.run_all([bare], [spikes[:, None]], folder, packing)
            found.append(row(f"C, packing `{packing}`", None, "the compiled header", run[:, :-2], logits))
        found += by_onnx(network, spikes, logits, folder / "a.onnx")
    print(markdown_tables.as_markdown("format|bytes of the file|run by|compared|differ", found))


def by_nir(
    network: cn.DiscreteNetwork, spikes: np.ndarray, logits: np.ndarray, path: Path
) -> Iterator[tuple[str, ...]]:
    cn.export(network, path)
    yield row("NIR", path, "`conntra import`, then `forward`", cn.import_network(path).forward(spikes), logits)
    graph = nir.read(path)
    run = [nir_numpy.run(graph, sample[None])[1] for sample in spikes[:_BY_READERS]]
    yield row("NIR", path, "NIR's equations in NumPy", np.stack(run), logits[:_BY_READERS])


def by_netx(
    network: cn.DiscreteNetwork, spikes: np.ndarray, logits: np.ndarray, path: Path
) -> Iterator[tuple[str, ...]]:
    cn.export(network, path)
    found = netx_numpy.run(path, spikes[:_BY_READERS, None])[1]
    yield row("NetX", path, "Lava's rules in NumPy", found / 64, logits[:_BY_READERS])


def by_onnx(
    network: cn.DiscreteNetwork, spikes: np.ndarray, logits: np.ndarray, path: Path
) -> Iterator[tuple[str, ...]]:
    builder = onnx_graphs.Builder(0)
    for layer in network.layers:
        assert isinstance(layer, cn.Dense), "dense networks only"
        builder.add("MatMul", "", builder.constant(layer.weight.T))
        builder.add("Add", "", builder.constant(layer.bias))
        if layer is not network.layers[-1]:
            builder.add("Greater", "", builder.constant(0.0))
            builder.add("Cast", "", to=1)
    model = builder.model((network.n_in,), network.n_classes)
    onnx.save(model, path)
    theirs = onnx_graphs.logits(model, spikes)
    yield row("ONNX (MatMul, Add, Greater)", path, "onnxruntime", theirs, logits)
    imported = cn.import_network(path)
    wrong = np.count_nonzero(imported.predict(spikes) != theirs.argmax(axis=1))
    yield "the same, imported", "", "`predict`, against onnxruntime", f"{len(spikes):,} classes", str(wrong)


def row(what: str, path: Path | None, by: str, found: np.ndarray, logits: np.ndarray) -> tuple[str, ...]:
    size = f"{path.stat().st_size:,}" if path else ""
    return what, size, by, f"{logits.size:,} logits", str(np.count_nonzero(found != logits))


def rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


if __name__ == "__main__":
    main()

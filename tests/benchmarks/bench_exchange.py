"""One trained network through every format: how many of its logits differ, and what its files take.

    python tests/benchmarks/bench_exchange.py [MODEL DATA]

MODEL is trained before, as by ``conntra train mnist:mnist.npz --layers 256 --out mnist.conntra``, and is dense;
without one, a network for digits is trained for a moment. NIR and NetX files are run by the readers of tests/support,
which know nothing of conntra, C is compiled, and for ONNX the network is written as MatMul, Add and Greater, run by
onnxruntime and imported again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nir
import numpy as np
import onnx

import conntra_neuro as cn

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
import compiled_c
import netx_numpy
import nir_numpy
import onnx_graphs

_BY_READERS = 500  # the readers in plain NumPy take milliseconds a sample


def main() -> None:
    if len(sys.argv) == 3:
        network, data = cn.load(sys.argv[1]), cn.load_dataset(sys.argv[2])
        assert isinstance(network, cn.DiscreteNetwork)
    else:
        data = cn.load_dataset("digits")
        network = cn.train(data, layers=[64], seed=0, sweeps=3, shift=0).network
    spikes = network.encode(data.x_test.reshape(len(data.x_test), -1))
    logits = network.forward(spikes)
    print(
        f"{network!r}: {len(spikes):,} test samples, error {100 * network.error(rows(data.x_test), data.y_test):.2f} %"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_nir(network, spikes, logits, folder / "a.nir")
        by_netx(network, spikes, logits, folder / "a.net")
        bare = cn.DiscreteNetwork(network.layers)  # takes spikes, as the others do
        for packing in ("bits", "digits"):
            (found,) = compiled_c.run_all([bare], [spikes[:, None]], folder, packing)
            report(f"C, {packing}, compiled", found[:, :-2], logits)
        by_onnx(network, spikes, logits, folder / "a.onnx")


def by_nir(network: cn.DiscreteNetwork, spikes: np.ndarray, logits: np.ndarray, path: Path) -> None:
    cn.export(network, path)
    report(
        f"NIR ({path.stat().st_size:,} bytes), exported and imported", cn.import_network(path).forward(spikes), logits
    )
    graph = nir.read(path)
    run = [nir_numpy.run(graph, sample[None])[1] for sample in spikes[:_BY_READERS]]
    report("NIR, by NIR's equations", np.stack(run), logits[:_BY_READERS])


def by_netx(network: cn.DiscreteNetwork, spikes: np.ndarray, logits: np.ndarray, path: Path) -> None:
    cn.export(network, path)
    found = netx_numpy.run(path, spikes[:_BY_READERS, None])[1]
    report(f"NetX ({path.stat().st_size:,} bytes), by Lava's rules", found / 64, logits[:_BY_READERS])


def by_onnx(network: cn.DiscreteNetwork, spikes: np.ndarray, logits: np.ndarray, path: Path) -> None:
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
    report("ONNX, by onnxruntime", theirs, logits)
    imported = cn.import_network(path)
    wrong = np.count_nonzero(imported.predict(spikes) != theirs.argmax(axis=1))
    print(f"ONNX, imported: {wrong} of {len(spikes):,} predictions differ from onnxruntime's")


def report(what: str, found: np.ndarray, logits: np.ndarray) -> None:
    print(f"{what}: {np.count_nonzero(found != logits)} of {logits.size:,} logits differ")


def rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


if __name__ == "__main__":
    main()

"""Compare what lava-dl's own loader makes of random sigma-delta files with what `conntra import` makes of them, and of
files of `conntra export` with delays and ways back with the networks that they came from.

    pip install --no-deps --target FOLDER lava-dl==0.6.0
    python scripts/compare_netx.py FOLDER [--files 20]

Run it with the Python that has lava-nc 0.10. lava-dl needs torch only to train: an empty module stands in for it. Files
have the layout that lava-dl's `export_hdf5` writes: an input block, convolutions, a flatten block, dense blocks and a
sigma output. Lava runs all layers from the first step on, each a step behind the one before; a network with a delay of
1 between its layers does the same, and is what is compared, at every step.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import types
from pathlib import Path

import h5py
import numpy as np

import conntra_neuro as cn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from lava_hops import behind  # type: ignore[import-not-found]

STEPS = 12


def write_random(path: Path, seed: int) -> np.ndarray:
    """Write a random file, and return data for it, (channels, height, width)."""
    rng = np.random.default_rng(seed)
    channels, height, width = (int(n) for n in rng.integers((1, 4, 4), (4, 8, 8)))
    with h5py.File(path, "w") as file:
        _head(file, 0, "input", (channels, height, width))
        _neuron(file, 0, int(rng.integers(0, 20)))
        shape = (int(rng.integers(1, 5)), height - 2, width - 2)
        _head(file, 1, "conv", shape)
        _neuron(file, 1, int(rng.integers(0, 30)))
        file["layer/1/weight"] = 2.0 * rng.integers(-15, 16, (shape[0], channels, 3, 3)).astype(np.float32)
        file["layer/1/bias"] = rng.integers(-20, 21, shape[0]).astype(np.float32)
        for name, value in {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}.items():
            file[f"layer/1/{name}"] = np.array(value)
        size = int(np.prod(shape))
        _head(file, 2, "flatten", (size, 1, 1))
        for index, n_out in ((3, int(rng.integers(2, 7))), (4, int(rng.integers(1, 4)))):
            _head(file, index, "dense", (n_out,))
            _neuron(file, index, int(rng.integers(0, 9)))
            file[f"layer/{index}/weight"] = 2.0 * rng.integers(-6, 10, (n_out, size)).astype(np.float32)
            if index == 3:
                file["layer/3/bias"] = rng.integers(-20, 21, n_out).astype(np.float32)
            size = n_out
        file["layer/4/neuron/sigma_output"] = True
    return rng.integers(-128, 128, (channels, height, width))


def _head(file: h5py.File, index: int, kind: str, shape: tuple[int, ...]) -> None:
    group = file.create_group(f"layer/{index}")
    group.create_dataset("type", (1,), "S10", [kind.encode()])
    group["shape"] = np.array(shape)


def _neuron(file: h5py.File, index: int, threshold: int) -> None:
    for name, value in {"type": "SDNN", "activation": "relu", "vThMant": threshold}.items():
        file[f"layer/{index}/neuron/{name}"] = value


def by_netx(path: Path, data: np.ndarray) -> np.ndarray:
    """Return what lava-dl's loader and Lava send out at each step, (steps, size)."""
    from lava.lib.dl import netx  # type: ignore[import-not-found]
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    network = netx.hdf5.Network(net_config=str(path))
    source = io.source.RingBuffer(data=data.transpose(2, 1, 0)[..., None].astype(np.int32))
    sink = io.sink.RingBuffer(shape=network.out.shape, buffer=STEPS)
    source.s_out.connect(network.in_layer.neuron.a_in)
    network.out.connect(sink.a_in)
    network.run(condition=RunSteps(num_steps=STEPS), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    sent = sink.data.get()
    network.stop()
    return sent.T.astype(np.int64)


def by_us(path: Path, data: np.ndarray) -> np.ndarray:
    """Return the sums of the imported network at each step, (steps, size), every layer a step behind."""
    network = cn.import_network(path, steps=STEPS)
    layers = [network.layers[0], *map(behind, network.layers[1:])]
    hops = cn.DiscreteNetwork(layers, network.encoder, steps=STEPS)
    return hops.stream().push(network.encode(data.reshape(1, -1))).cumsum(axis=0)


def exported(path: Path, seed: int) -> tuple[int, int, int]:
    """Export a random network with delays or ways back; return its hidden spikes that are equal, all, and not 0."""
    from lava.lib.dl import netx  # type: ignore[import-not-found]
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    rng, back = np.random.default_rng(seed), bool(seed % 2)

    def layer(n_out: int, n_in: int) -> cn.Dense:
        neuron = cn.Lif(int(rng.integers(2, 6)), voltage_decay=int(rng.integers(4096)), current_decay=1500)
        delay = 0 if back else rng.integers(0, 6, (n_out, n_in))
        return cn.Dense(rng.integers(-3, 5, (n_out, n_in)), None, neuron, delay=delay)

    layers = [layer(8, 6), layer(7, 8), cn.Dense(rng.integers(-3, 4, (3, 7)), None, "readout")]
    loops = [cn.Recurrent(i, rng.integers(-3, 4, (n, n))) for i, n in ((0, 8), (1, 7))] if back else []
    network = cn.DiscreteNetwork(layers, steps=STEPS, recurrent=loops)
    cn.export(network, path)
    spikes = (rng.random((1, STEPS, 6)) < 0.4).astype(np.uint8)
    loaded = netx.hdf5.Network(net_config=str(path), input_shape=(6,))
    total = STEPS + len(layers)
    source = io.source.RingBuffer(data=np.pad(spikes[0].T, ((0, 0), (0, len(layers)))).astype(np.int32))
    source.s_out.connect(loaded.inp)
    sinks = [io.sink.RingBuffer(shape=part.out.shape, buffer=total) for part in loaded.layers[:2]]
    for sink, part in zip(sinks, loaded.layers, strict=False):
        part.out.connect(sink.a_in)
    loaded.run(condition=RunSteps(num_steps=total), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    theirs = [sink.data.get().T.astype(int) for sink in sinks]
    loaded.stop()
    ours = network.outputs(spikes)[:2]
    pairs = [(sent[1 + hop : 1 + hop + STEPS], own) for hop, (sent, own) in enumerate(zip(theirs, ours, strict=True))]
    return (
        sum(int((sent == own).sum()) for sent, own in pairs),
        sum(own.size for _, own in pairs),
        sum(int(np.count_nonzero(own)) for _, own in pairs),
    )


def load(folder: Path) -> None:
    """Make lava-dl importable: its part of the package ``lava``, and empty modules in place of torch and slayer."""
    import lava

    lava.__path__ = [*lava.__path__, str(folder / "lava")]
    for name in ("torch", *(f"lava.lib.dl.{part}" for part in ("slayer", "slayer.neuron", "slayer.neuron.rf"))):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__file__ = __file__  # Lava looks for models beside it
    sys.modules["torch"].tensor = object  # type: ignore[attr-defined]
    sys.modules["lava.lib.dl.slayer.neuron.rf"].neuron_params = None  # type: ignore[attr-defined]


def main() -> None:
    """Compare files, and print how many outputs are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=20)
    args = parser.parse_args()
    load(args.folder)
    equal = total = nonzero = 0
    with tempfile.TemporaryDirectory() as name:
        for seed in range(args.files):
            path = Path(name, f"{seed}.net")
            data = write_random(path, seed)
            theirs, ours = by_netx(path, data), by_us(path, data)
            equal, total = equal + int((theirs == ours).sum()), total + theirs.size
            nonzero += int((theirs != 0).sum())
            if not np.array_equal(theirs, ours):
                print(f"seed {seed}: Lava {theirs.tolist()}, imported {ours.tolist()}")
        print(f"{args.files} files, {STEPS} steps: {equal} of {total} outputs equal, {nonzero} of them not 0")
        counts = np.array([exported(Path(name, "a.net"), seed) for seed in range(args.files)]).sum(axis=0)
        print(f"{args.files} exported: {counts[0]} of {counts[1]} hidden spikes equal, {counts[2]} of them not 0")


if __name__ == "__main__":
    main()

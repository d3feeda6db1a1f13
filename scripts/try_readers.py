"""Load what ``conntra export --format nir --reader`` writes with the packages themselves, and compare spike for spike.

    python -m venv readers && readers/bin/pip install snntorch norse sinabs "nir>=1.0.8" "nirtorch>=2.6" torch
    python scripts/try_readers.py --python readers/bin/python [--data digits]

trains small networks on the data (threshold, integrate-and-fire, leaky), changes some of them (convolution, recurrence,
soft reset), exports each for each package, loads it there by the package's own importer with the settings that the
export prints, and compares what comes out at every step of 200 test samples: the last layer's potentials, and the
class. The packages need an environment of their own: torch is no dependency of this project.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportArgumentType=false
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

READERS = {"snntorch": "snnTorch", "norse": "Norse", "sinabs": "sinabs"}
SAMPLES = 200


def networks(data: Any) -> dict[str, Any]:
    """Return networks by name, trained on ``data``, and the last two changed from one that is."""
    import conntra_neuro as cn

    found = {"threshold": cn.train(data, layers=[32], sweeps=3, seed=0).network, "threshold, images": images()}
    found["if, 8 steps"] = cn.train(data, layers=[32], neuron="if8", sweeps=3, seed=0).network
    leaky: dict[str, Any] = {"layers": [32], "steps": 16, "sweeps": 3, "seed": 0}
    lif = found["lif, 16 steps"] = cn.train(data, neuron="lif:163", **leaky).network
    biased = found["lif with current, 16 steps"] = cn.train(data, neuron="lif:163:1024", **leaky).network
    hidden, last = lif.layers
    assert isinstance(hidden.neuron, cn.Lif)
    soft = cn.Lif(hidden.neuron.threshold, voltage_decay=163, reset="soft")
    per = tuple((np.arange(32) % 3 + hidden.neuron.threshold).tolist())
    several = cn.Lif(per, voltage_decay=163)
    back = [cn.Recurrent(0, np.random.default_rng(0).integers(-2, 3, (32, 32)))]
    given = {"steps": lif.steps, "encoder": lif.encoder}
    found["lif, soft reset"] = cn.DiscreteNetwork([cn.Dense(hidden.weight, hidden.bias, soft), last], **given)
    found["lif, a threshold a neuron"] = cn.DiscreteNetwork(
        [cn.Dense(hidden.weight, hidden.bias, several), last], **given
    )
    current = biased.layers[0].neuron
    assert current is not None
    first = cn.Dense(biased.layers[0].weight, None, current)
    found["lif with current, no biases"] = cn.DiscreteNetwork([first, biased.layers[1]], **given)
    found["lif, recurrent"] = cn.DiscreteNetwork([hidden, last], recurrent=back, **given)
    return found


def images() -> Any:
    """Return a convolutional network of random weights: groups, both poolings, three dense classes."""
    import conntra_neuro as cn

    rng = np.random.default_rng(1)
    first = cn.Conv2d(rng.integers(-1, 2, (4, 2, 3, 3)), rng.integers(-1, 2, 4), input_shape=(2, 9, 9), padding=1)
    grouped = cn.Conv2d(rng.integers(-2, 3, (4, 2, 3, 2)), rng.integers(-1, 2, 4), input_shape=(4, 4, 4), groups=2)
    pools = cn.MaxPool(2, input_shape=(4, 9, 9)), cn.SumPool(2, input_shape=(4, 2, 3), stride=1)
    last = cn.Dense(rng.integers(-2, 3, (3, 8)), activation="readout")
    return cn.DiscreteNetwork([first, pools[0], grouped, pools[1], cn.Flatten((4, 1, 2)), last])


def write(folder: Path, name: str) -> None:
    """Export all networks for all readers, and write down what they do on the first test samples."""
    import conntra_neuro as cn
    from conntra_hardware.base.errors import InputError

    data = cn.load_dataset(name)
    tries: list[dict[str, Any]] = []
    for index, (name, network) in enumerate(networks(data).items()):
        random = (np.random.default_rng(0).random((SAMPLES, network.n_in)) < 0.3).astype(np.uint8)
        spikes = random if network.encoder is None else network.encode(data.x_test[:SAMPLES])
        n, steps = len(spikes) // network.steps, network.steps
        last = network.layers[-1]
        inputs = network.outputs(spikes)[-2].astype(np.int64)
        sums = (inputs @ last.weight.T.astype(np.int64) + last.bias).reshape(n, steps, -1)
        shape = list(network.layers[0].input_shape)
        np.savez(folder / f"{index}.npz", x=spikes.reshape(n, steps, -1), sums=sums, shape=shape)
        for reader in READERS:
            path = folder / f"{index}_{reader}.nir"
            entry = {"network": name, "reader": reader, "file": path.name, "expected": f"{index}.npz", "refused": None}
            entry["soft"] = any(
                layer.neuron is not None and layer.neuron.facts.reset == "soft" for layer in network.layers
            )
            try:
                cn.export(network, path, reader=reader)
                same = np.array_equal(cn.import_network(path).forward(spikes), network.forward(spikes))
                assert same, "our own import of the export is another network"
            except InputError as error:
                entry["refused"] = str(error)
            tries.append(entry)
    (folder / "tries.json").write_text(json.dumps(tries))


def load(folder: Path) -> None:
    """Load every file with its package, and print the table: outputs and classes that are equal, in %."""
    import importlib.metadata as metadata

    print(", ".join(f"{p} {metadata.version(p)}" for p in (*READERS, "nir", "nirtorch")), "\n")
    rows: dict[str, list[str]] = {}
    for entry in json.loads((folder / "tries.json").read_text()):
        rows.setdefault(entry["network"], [entry["network"]]).append(_cell(folder, entry))
    print(as_markdown("|".join(("network", *READERS.values())), rows.values()))


def _cell(folder: Path, entry: dict[str, Any]) -> str:
    """Return what came of one file: two shares, or why there are none."""
    if entry["refused"]:
        return "refused: " + entry["refused"].split(": ", 3)[-1].partition(";")[0]  # behind it is the remedy
    with np.load(folder / entry["expected"]) as expected:
        x, sums = expected["x"], expected["sums"]
        x = x.reshape(*x.shape[:2], *expected["shape"])
    try:
        found = RUN[entry["reader"]](folder / entry["file"], x.astype(np.float32), entry["soft"])
    except Exception as error:
        what = " ".join(str(error).split())[:160].replace("|", "/")
        return f"does not load: {type(error).__name__}: {what}"
    equal = 100 * np.mean(np.abs(found - sums) < 1e-3)
    classes = 100 * np.mean(found.sum(axis=1).argmax(axis=1) == sums.sum(axis=1).argmax(axis=1))
    return f"{equal:.2f} / {classes:.1f}"


def snntorch(path: Path, x: np.ndarray, soft: bool) -> np.ndarray:
    """Return what comes out at each step, (n, steps, classes)."""
    import nir
    import snntorch as snn
    import torch
    from snntorch.import_nir import import_from_nir

    model = import_from_nir(nir.read(path, type_check=False))
    for module in model.modules():
        if isinstance(module, (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic)):
            module.reset_mechanism = "subtract" if soft else "zero"
            module.init_hidden = True
            module.reset_mem()
    return _stepped(model, torch.tensor(x))


def norse(path: Path, x: np.ndarray, soft: bool) -> np.ndarray:
    """Return what comes out at each step, (n, steps, classes)."""
    import nir
    import norse.torch
    import torch

    model = norse.torch.from_nir(nir.read(path, type_check=False), dt=1e-4)
    if soft:
        for module in model.modules():
            if hasattr(getattr(module, "p", None), "reset_method"):
                module.p = module.p._replace(reset_method=norse.torch.functional.reset.reset_subtract)
    return _stepped(model, torch.tensor(x))


def sinabs(path: Path, x: np.ndarray, soft: bool) -> np.ndarray:
    """Return what comes out at each step, (n, steps, classes)."""
    import nir
    import sinabs.layers as sl
    import torch
    from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
    from sinabs.nir import from_nir

    n, steps = x.shape[:2]
    model = from_nir(nir.read(path, type_check=False), batch_size=n)
    for module in model.modules():
        if isinstance(module, (sl.IAFSqueeze, sl.LIFSqueeze)):
            module.spike_fn = SingleSpike
            module.reset_fn = MembraneSubtract() if soft else MembraneReset()
            module.min_v_mem = None
    out = model(torch.tensor(x).flatten(0, 1))
    out = out[0] if isinstance(out, tuple) else out
    return out.detach().numpy().reshape(n, steps, -1)


def _stepped(model: Any, x: Any) -> np.ndarray:
    outputs, state = [], None
    for step in range(x.shape[1]):
        found = model(x[:, step]) if state is None else model(x[:, step], state)
        out, state = found if isinstance(found, tuple) else (found, None)
        outputs.append(out.detach().numpy())
    return np.stack(outputs, axis=1)


RUN = {"snntorch": snntorch, "norse": norse, "sinabs": sinabs}


def main() -> None:
    """Export here, load there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, help="of the environment with the packages")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        load(args.load)
        return
    if args.python is None:
        parser.error("--python: the Python of an environment with the packages")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), args.data)
        command = [str(args.python), "-W", "ignore", __file__, "--load", folder]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()

"""What each format can say: found by exporting a network of every kind, and reading it back where that can be done.

"In" is what comes back: of NIR the same layers, of NetX and ONNX, where notations differ, a network that does the same.

    python -m conntra_neuro.exchange.support

prints the table of docs/exchange.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Lif, MultiThreshold, Neuron, Readout, SigmaDelta
from conntra_hardware.program.input_encoding import ThresholdEncoder
from conntra_neuro.exchange.files import FORMATS, export, import_network
from conntra_neuro.exchange.onnx.sample import comes_from_onnx
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, Recurrent, Residual, SumPool
from conntra_neuro.network.single_thresholds import single_thresholds

__all__ = ["KINDS", "LIMITS", "support", "support_table"]

_IMAGE = (2, 4, 4)


def _network(*layers: Layer, residuals: Sequence[Residual] = (), **options: object) -> DiscreteNetwork:
    readout = Dense(np.eye(2, layers[-1].n_out, dtype=int), activation="readout")
    return DiscreteNetwork([*layers, readout], residuals=residuals, **options)  # type: ignore[arg-type]


def _dense(n_in: int = 4, n_out: int = 4, neuron: str | Neuron = "threshold") -> Dense:
    return Dense(np.eye(n_out, n_in, dtype=int), activation=neuron)


def _conv(kernel: tuple[int, int] = (3, 3), groups: int = 1, dilation: int = 1) -> Conv2d:
    weight = np.zeros((2, 2 // groups, *kernel), int)
    weight[:, 0, 0, 0] = 1
    return Conv2d(weight, input_shape=_IMAGE, groups=groups, dilation=dilation)


def _skipping(connection: Dense | None, scale: int) -> DiscreteNetwork:
    return _network(_dense(), _dense(), _dense(), residuals=[Residual(0, 2, connection, scale)])


_ENCODER = ThresholdEncoder(np.array([0.1, 0.2, 0.5, 0.6]))
KINDS: dict[str, DiscreteNetwork] = {
    "Dense": _network(_dense()),
    "Conv2d": _network(_conv()),
    "Conv2d, groups": _network(_conv(groups=2)),
    "Conv2d, dilation": _network(_conv((2, 2), dilation=2)),
    "Conv2d, kernel not square": _network(_conv((2, 3))),
    "SumPool": _network(_conv(), SumPool(2, input_shape=(2, 2, 2))),
    "MaxPool": _network(_conv(), MaxPool(2, input_shape=(2, 2, 2))),
    "Flatten": _network(_conv(), Flatten((2, 2, 2))),
    "rows to images": _network(_dense(), MaxPool(2, input_shape=(1, 2, 2))),
    "Residual, by a factor": _skipping(None, -2),
    "Residual, through weights": _skipping(_dense(neuron="readout"), 1),
    "Threshold": _network(_dense()),
    "MultiThreshold": _network(Dense(7 * np.eye(4, dtype=int) - 2, activation=MultiThreshold([-4, 0, 3]))),
    "GradedRelu": _network(Dense(7 * np.eye(4, dtype=int) + 2, activation=GradedRelu(1))),
    "IntegrateAndFire, hard reset": _network(_dense(neuron=IntegrateAndFire(3, 4, "hard"))),
    "IntegrateAndFire, soft reset": _network(_dense(neuron=IntegrateAndFire(3, 4, "soft"))),
    "Lif": _network(_dense(neuron=Lif(3, voltage_decay=163)), steps=4),
    "Lif, with a current": _network(_dense(neuron=Lif(3, voltage_decay=163, current_decay=410)), steps=4),
    "Lif, soft reset": _network(_dense(neuron=Lif(3, voltage_decay=163, reset="soft")), steps=4),
    "SigmaDelta": _network(_dense(neuron=SigmaDelta(3)), steps=4),
    "Readout that leaks": DiscreteNetwork([_dense(neuron=Readout("last", voltage_decay=163))], steps=4),
    "spikes that are counted": DiscreteNetwork([_dense(neuron=Lif(3, voltage_decay=163))], steps=4),
    "delay": _network(Dense(np.eye(4, dtype=int), activation=IntegrateAndFire(3, 4), delay=1)),
    "Recurrent": _network(_dense(neuron=IntegrateAndFire(3, 4)), recurrent=[Recurrent(0, np.eye(4, dtype=int))]),
    "encoder": _network(_dense(), encoder=_ENCODER),
    "labels": _network(_dense(), labels=("no", "yes")),
}
"""A network of each kind of layer, neuron and input."""

LIMITS: Mapping[tuple[str, str], str] = {
    ("Dense", "netx"): "weights -128 to 127, biases of 13 bits",
    ("Conv2d", "netx"): "biases of 13 bits",
    ("Conv2d, groups", "nir"): "read it with `type_check=False`",
    ("Conv2d, dilation", "netx"): "as Conv2d",
    ("Conv2d, kernel not square", "nir"): "read it with `type_check=False`",
    ("SumPool", "netx"): "folded into the next weights",
    ("MaxPool", "nir"): "as SumPool2d and Threshold",
    ("MaxPool", "netx"): "as a grouped convolution",
    ("MultiThreshold", "nir"): "as so many threshold neurons",
    ("MultiThreshold", "nir in"): "as written: threshold neurons",
    ("MultiThreshold", "netx"): "as so many threshold neurons",
    ("MultiThreshold", "netx in"): "as written",
    ("MultiThreshold", "onnx"): "as a sum of comparisons",
    ("MultiThreshold", "onnx in"): "as threshold neurons; with `--neuron multithreshold` as written",
    ("GradedRelu", "c"): "says where a spike exceeds 24 bits",
    ("IntegrateAndFire, hard reset", "nir"): "the time steps stand in the metadata",
    ("IntegrateAndFire, hard reset", "netx"): "load with `reset_interval=steps, reset_offset=1`",
    ("encoder", "nir"): "in the metadata",
    ("encoder", "netx"): "in an entry that NetX does not read",
    ("labels", "nir"): "in the metadata",
    ("labels", "netx"): "in an entry that NetX does not read",
    ("labels", "c"): "in a comment",
    ("Dense", "onnx in"): "Gemm, MatMul",
    ("Conv2d", "onnx in"): "padding by zeros, or by a value that the activation takes",
    ("Residual, by a factor", "onnx in"): "where both sides are whole multiples of one unit",
    ("Residual, through weights", "onnx in"): "alike",
    ("Conv2d, groups", "onnx in"): "as Conv2d",
    ("Conv2d, dilation", "onnx in"): "as Conv2d; pooling without",
    ("SumPool", "onnx in"): "from AveragePool, GlobalAveragePool",
    ("MaxPool", "onnx in"): "before or behind the step",
    ("Flatten", "onnx in"): "goes into the order of weights",
    ("Threshold", "onnx in"): "from any notation of a step between two values",
    ("GradedRelu", "onnx in"): "from any staircase of up to 64 values: as many thresholds",
    ("encoder", "onnx in"): "steps of each input feature",
}
"""What is to be known where the answer is yes, by kind and format."""


def support() -> dict[str, dict[str, bool]]:
    """Return for each kind whether it can be written in each format, and read back: "nir in", "netx in", "onnx in"."""
    found: dict[str, dict[str, bool]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, network in KINDS.items():
            found[kind] = {name: _written(network, name, Path(folder, "a")) for name in FORMATS}
            found[kind]["nir in"] = found[kind]["nir"] and _comes_back(network, Path(folder, "a.nir"))
            found[kind]["netx in"] = found[kind]["netx"] and _comes_from_netx(network, Path(folder, "a.net"))
            found[kind]["onnx in"] = comes_from_onnx(network, Path(folder, "a.onnx"))
    return found


def support_table() -> str:
    """Return ``support`` as a Markdown table."""
    columns = {"nir": "NIR, out", "nir in": "NIR, in", "onnx": "ONNX, out", "onnx in": "ONNX, in"}
    columns |= {"netx": "NetX, out", "netx in": "NetX, in", "c": "C, out"}
    lines = [f"| | {' | '.join(columns.values())} |", f"| --- |{' --- |' * len(columns)}"]
    for kind, answers in support().items():
        cells = [_cell(kind, name, answers[name]) for name in columns]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(kind: str, name: str, answer: bool) -> str:
    limit = LIMITS.get((kind, name))
    return "no" if not answer else "yes" if limit is None else f"yes: {limit}"


def _written(network: DiscreteNetwork, name: str, path: Path) -> bool:
    try:
        export(network, path, name)
    except InputError:
        return False
    return True


def _comes_back(network: DiscreteNetwork, path: Path) -> bool:
    export(network, path)
    again = import_network(path)
    return _described(again) == _described(single_thresholds(network))


def _comes_from_netx(network: DiscreteNetwork, path: Path) -> bool:
    """Return whether what is read back does the same on random spikes; its neurons are CUBA's, whatever they were."""
    export(network, path)
    again = import_network(path, steps=network.steps, semantics="lava")
    spikes = (np.random.default_rng(0).random((20, network.steps, network.n_in)) < 0.5).astype(np.uint8)
    told = (again.encoder, again.labels) == (network.encoder, network.labels)
    return told and np.array_equal(again.forward(spikes), network.forward(spikes))


def _described(network: DiscreteNetwork) -> list[str]:
    return [*map(repr, network.layers), *map(str, network.residuals)]


if __name__ == "__main__":
    print(support_table(), end="")

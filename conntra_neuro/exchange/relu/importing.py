"""A float ReLU network of an ONNX file as integers, calibrated on data, with the report of what was lost on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import seconds, whole
from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets import Unlabelled
from conntra_neuro.exchange.onnx.graph import Graph
from conntra_neuro.exchange.onnx.run import evaluator_name, outputs_of
from conntra_neuro.exchange.relu.calibrate import Rounded, calibrated
from conntra_neuro.exchange.relu.integer import IntNet
from conntra_neuro.exchange.relu.net import FloatNet
from conntra_neuro.exchange.relu.read import read_float_net
from conntra_neuro.exchange.relu.repair import repair_ints
from conntra_neuro.exchange.relu.spiking import calibrated_over_time
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.training.repair.loop import Repaired

if TYPE_CHECKING:
    from conntra_neuro.datasets import Dataset

__all__ = ["LayerAgreement", "ReluImport", "import_relu"]

_CALIBRATED, _LOOKED_AT = 4_000, 1_000
_COMPARED = 200  # samples, layer by layer
_PIXELS = 255.0
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerAgreement:
    """How a layer's activations agree with the float network's: ``alike``, the share of units that are on in both or
    off in both; ``error``, the root of the mean square of what differs, as a share of that of the float ones.
    """

    name: str
    alike: float
    error: float


@dataclass(frozen=True, eq=False)
class ReluImport:
    """The ``network``, what was ``rounded`` in each layer, and the float network of the file ``path``.

    ``scale``: what features are divided by before they enter the graph. ``before`` and ``repair``: the integers before
    repair and how it went, None where nothing was repaired.
    """

    path: str
    network: DiscreteNetwork
    rounded: tuple[Rounded, ...]
    ints: IntNet
    net: FloatNet
    graph: Graph
    scale: float
    before: IntNet | None = None
    repair: Repaired | None = None

    def float_logits(self, features: Array) -> Array:
        """Return what the file itself makes of features (n, ...): logits or probabilities (n, classes).

        By onnxruntime or onnx's evaluator. InputError for features of another number.
        """
        rows = _rows(features, self.net).astype(np.float64) / self.scale
        given = np.empty(rows.shape, np.float32)
        given[:, self.net.order] = rows
        found = outputs_of(self.path, self.graph.input, given.reshape(-1, *self.graph.input_shape), self.graph.output)
        found = found.reshape(len(found), -1)
        if self.net.single and found.shape[1] == 1:
            return np.concatenate([1 - found, found] if _probability(self.graph) else [0 * found, found], axis=1)
        return found

    def agreement(self, features: Array) -> list[LayerAgreement]:
        """Return layer by layer how the integers agree with the float network, at features (n, ...)."""
        rows = _rows(features, self.net)
        exact = self.net.activity((rows / self.scale).astype(np.float32))
        found = []
        for layer, ours, (z, _) in zip(self.net.layers, self._values(rows), exact, strict=True):
            theirs = np.clip(z, 0, layer.stops)
            if layer is self.net.layers[-1]:
                ours, theirs = (part - part.mean(axis=1, keepdims=True) for part in (ours, z))
            found.append(LayerAgreement(layer.name, float(((ours > 0) == (theirs > 0)).mean()), _share(ours, theirs)))
        return found

    def _values(self, rows: Array) -> Iterator[Array]:
        """Yield each layer's activations in float units, (n, units), of the last its logits."""
        outputs = self.network.outputs(self.network.encode(rows))
        index = 1  # behind the layer of codes
        for made in self.ints.layers:
            units = made.channels * (1 if made.geometry is None else made.geometry.positions)
            own = made.channels - bool(made.constant)
            sent = outputs[index].reshape(len(rows), -1, outputs[index].shape[1]).mean(axis=1)
            sent = sent[:, -made.channels :] if made is self.ints.layers[-1] else sent[:, :units]
            worth = np.exp2(made.shift.astype(np.float64)) if made.threshold is None else made.threshold
            worth = worth if made is not self.ints.layers[-1] else np.full(made.channels, 1 / self.ints.steps)
            shaped = sent.reshape(len(rows), made.channels, -1)[:, :own]
            yield (shaped * (worth / made.scale)[:own, None]).reshape(len(rows), -1)
            index += 1 + made.populations

    def compared(self, data: Dataset) -> dict[str, Any]:
        """Return accuracy of both networks on the test samples, and how they agree, as JSON values."""
        theirs = self.float_logits(data.x_test).argmax(axis=1)
        rows = data.x_test.reshape(len(data.x_test), -1)
        ours = self.network.predict(rows)
        repair: dict[str, Any] = {}
        if self.before is not None and self.repair is not None:
            right = self.before.network().predict(rows) == data.y_test
            repair = {"accuracy_before_repair": float(right.mean()), "repair": self.repair.to_dict()}
        return {
            **repair,
            "accuracy": float((ours == data.y_test).mean()),
            "float_accuracy": float((theirs == data.y_test).mean()),
            "float_evaluator": evaluator_name(),
            "same_class": float((ours == theirs).mean()),
            "agreement": [asdict(layer) for layer in self.agreement(data.x_test[:_COMPARED])],
        }


def _share(ours: Array, theirs: Array) -> float:
    return float(np.sqrt(((ours - theirs) ** 2).mean() / max(float((theirs**2).mean()), 1e-30)))


def _probability(graph: Graph) -> bool:
    return any(node.op == "Sigmoid" for node in graph.nodes)


def _rows(features: Array, net: FloatNet) -> Array:
    rows = np.asarray(features).reshape(len(features), -1)
    if rows.shape[1] != len(net.order):
        raise InputError(f"data: {rows.shape[1]} features a sample; the graph takes {len(net.order)}")
    return rows


def import_relu(
    path: str | Path,
    graph: Graph,
    data: Dataset | Unlabelled,
    scale: float | None,
    *,
    bits: int = 8,
    neuron: str = "relu",
    repair: float | None = None,
    seed: int = 0,
    aim: str = "both",
    assumed: list[str] | None = None,
) -> ReluImport:
    """Return the network of ``graph``, read from ``path``, as integers; ``import_network`` says what the options are.

    InputError for what has no counterpart, and for data of another shape. With ``assumed`` a scale that is not given is
    looked for, and it gets a line for what was taken. ``aim``: what repair aims at, as ``files.TARGETS`` has it.
    """
    with np.errstate(all="ignore"):
        net = read_float_net(graph)
    whole(bits, "bits", 2, 8)
    classes = 2 if net.single else len(net.layers[-1].bias)
    if isinstance(data, Unlabelled):
        data, scale = _told(net, data, classes, scale)
    if classes != len(data.labels):
        raise InputError(
            f"{classes} classes; {data.name} has {len(data.labels)}: give --data of what it was trained on"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(data.x_train))[:_CALIBRATED])
    features, targets = _rows(data.x_train[chosen], net), data.y_train[chosen]
    with np.errstate(all="ignore"):  # a damaged file may hold any number: what comes of it is checked
        taken = _scale(net, features, targets, scale, assumed)
        if not np.isfinite(net.logits((features / taken).astype(np.float32))).all():
            raise InputError("its logits are not finite on the training samples; export a sound network")
        steps = _steps(neuron)
        if steps is None:
            ints, rounded = calibrated(net, features, taken, bits, seed)
        else:
            ints, rounded = calibrated_over_time(net, features, taken, steps, bits, seed)
    if assumed is not None:
        assumed += net.notes
    before, how = None, None
    if repair is not None:
        before = ints
        rows = _rows(data.x_train, net)
        y, wanted = data.y_train, None
        if aim != "labels":
            wanted = _softmax(net.logits((rows / taken).astype(np.float32)))
            if aim == "float":
                y = wanted.argmax(axis=1)
            else:
                wanted = (wanted + np.eye(wanted.shape[1])[y]) / 2
        ints, how = repair_ints(ints, rows, y, bits, seed, wanted=wanted, seconds=seconds(repair, "repair"))
    network = ints.network(data.labels)
    return ReluImport(str(path), network, tuple(rounded), ints, net, graph, taken, before, how)


def _told(net: FloatNet, data: Unlabelled, classes: int, scale: float | None) -> tuple[Dataset, float]:
    """Return samples with the classes that the float network gives them, and the scale; InputError where it is open."""
    if scale is None and float(data.x_train.max()) > 1:
        raise InputError(
            f"scale: {data.name} has features up to {float(data.x_train.max()):g} and no classes that would tell what "
            "they are divided by; give --scale, as 255, or 1"
        )
    taken = 1.0 if scale is None else scale

    def classes_of(features: Array) -> Array:
        with np.errstate(all="ignore"):
            return net.logits((_rows(features, net) / taken).astype(np.float32)).argmax(axis=1)

    return data.told(classes_of, classes), taken


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _steps(neuron: str) -> int | None:
    """Return the time steps of "ifT", None of "relu"; InputError for anything else."""
    found = re.fullmatch(r"if(\d{1,4})", neuron)
    if neuron != "relu" and not found:
        raise InputError(
            f"neuron {neuron!r}: relu (graded, Loihi 2), or ifT over T time steps, as if32, expected of a graph in "
            "floating point"
        )
    return int(found[1]) if found else None


def _scale(net: FloatNet, features: Array, y: Array, given: float | None, assumed: list[str] | None) -> float:
    """Return what features are divided by: what is given, else 1, or 255 where the graph does better with that."""
    rows = features[:_LOOKED_AT]
    if given is not None or assumed is None:
        return 1.0 if given is None else given
    looked = {1.0: _right(net, rows, y)}
    if 1 < rows.max() <= _PIXELS and (rows == np.rint(rows)).all():
        looked[_PIXELS] = _right(net, rows / _PIXELS, y)
    best = max(looked, key=lambda scale: looked[scale])
    if len(looked) > 1:
        shown = " and ".join(f"{100 * right[0]:.1f} % right divided by {s:g}" for s, right in looked.items())
        assumed.append(f"features divided by {best:g}: on {len(rows):,} training samples {shown} (--scale)")
    if looked[best][0] < 2 / max(len(np.unique(y)), 2) and len(np.unique(y)) > 2:
        assumed.append(
            f"the float network is right on {100 * looked[best][0]:.1f} % of the training samples: --scale, the order "
            "of features, or that of classes may be another one"
        )
    return best


def _right(net: FloatNet, rows: Array, y: Array) -> tuple[float, float]:
    """Return the share of classes that are right, in steps of a percent, and the negative cross-entropy."""
    logits = net.logits(rows.astype(np.float32)).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(logits)), y[: len(logits)]] - np.log(np.exp(logits).sum(axis=1))
    return round(float((logits.argmax(axis=1) == y[: len(logits)]).mean()), 2), float(own.mean())

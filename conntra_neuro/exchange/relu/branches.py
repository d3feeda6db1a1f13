"""Networks with branches that are added up, as chains: what a later layer adds is carried through those between.

A layer that is passed gets a channel more for each that is carried: its weight of 1 sees that channel alone, and what
was rectified once is not changed by another ReLU. What may be below 0 (the features; a convolution of its own on the
way past one with a stride) is carried as two, relu(x) and relu(-x), of which the sum takes the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.windows import in_one_window, ungrouped
from conntra_neuro.exchange.relu.net import FloatLayer, Part

__all__ = ["chained", "identity", "without_groups"]

Array = npt.NDArray[Any]
Key = tuple[Any, ...]


def identity(source: int, shape: Sequence[int], gain: Array) -> Part:
    """Return the outputs of ``source``, of ``shape``, times ``gain`` (one a channel, or a unit) as they are."""
    if len(shape) == 1:
        return Part(source, np.diag(gain))
    channels, height, width = shape
    geometry = Geometry((channels, height, width), channels, (1, 1))
    return Part(source, np.diag(gain)[:, :, None, None], geometry)


def chained(layers: Sequence[FloatLayer], output: int, shape: tuple[int, ...]) -> list[FloatLayer]:
    """Return ``layers`` as far as ``output``, the index of the last, depends on them, one behind the other.

    ``shape`` is that of the features. InputError for what cannot be carried past a layer between.
    """
    used = _used(layers, output)
    number = {old: new for new, old in enumerate(used)} | {-1: -1}
    nodes = [_numbered(layers[old], old, number) for old in used]
    if all(not node.parts and node.source == index - 1 for index, node in enumerate(nodes)):
        return list(nodes)
    return _Chain(nodes, shape).result()


def without_groups(layers: Sequence[FloatLayer]) -> list[FloatLayer]:
    """Return ``layers`` in which what is shifted before it is padded has no groups, nor what comes before: a channel
    that always sends the same stands for the shift.
    """
    found = list(layers)
    for index, layer in enumerate(layers):
        if layer.plane is not None:
            found[max(index - 1, 0) : index + 1] = map(_ungrouped, found[max(index - 1, 0) : index + 1])
    return found


def _ungrouped(layer: FloatLayer) -> FloatLayer:
    if layer.geometry is None:
        return layer
    weight, geometry = ungrouped(layer.weight, layer.geometry)
    return replace(layer, weight=weight, geometry=geometry)


def _parts(layer: FloatLayer, index: int) -> list[Part]:
    source = layer.source
    return [Part(source, layer.weight, layer.geometry, layer.plane), *layer.parts]


def _used(layers: Sequence[FloatLayer], output: int) -> list[int]:
    found, waiting = set(), {output}
    while waiting:
        index = waiting.pop()
        found.add(index)
        waiting |= {part.source for part in _parts(layers[index], index)} - found - {-1}
    return sorted(found)


def _numbered(layer: FloatLayer, index: int, number: dict[int, int]) -> FloatLayer:
    source = layer.source
    parts = tuple(replace(part, source=number[part.source]) for part in layer.parts)
    return replace(layer, source=number[source], parts=parts)


@dataclass
class _Carried:
    """What layer ``at`` makes for others: ``key`` names it, ``map`` are its weights on what ``source`` names."""

    key: Key
    source: Key
    map: Part


class _Chain:
    """The layers under way: what each takes, by name, and what it carries on."""

    def __init__(self, nodes: Sequence[FloatLayer], shape: tuple[int, ...]) -> None:
        self.nodes, self.shape = nodes, shape
        self.takes: list[list[tuple[Key, Part]]] = [[] for _ in nodes]
        self.carries: list[dict[Key, _Carried]] = [{} for _ in nodes]

    def result(self) -> list[FloatLayer]:
        """Return the chain."""
        for target, node in enumerate(self.nodes):
            for place, part in enumerate(_parts(node, target)):
                self._route(part, target, place)
        before: dict[Key, tuple[int, ...]] = {("out", -1): self.shape}
        found = []
        for index in range(len(self.nodes)):
            layer, before = self._layer(index, before)
            found.append(layer)
        return found

    def _out(self, index: int) -> tuple[int, ...]:
        return self.shape if index < 0 else self.nodes[index].shape_out

    def _route(self, part: Part, target: int, place: int) -> None:
        """Have ``part`` reach ``target``."""
        source = part.source
        if source == target - 1:
            self.takes[target].append((("out", source), part))
            return
        shape, stops = self._out(source), np.inf if source < 0 else self.nodes[source].stops
        made = self.nodes[target].shape
        # As late as it can be: all layers on the way have to let it pass.
        passed = source + 1
        while source >= 0 and passed < target and self._passes(passed, shape, stops):
            passed += 1
        if passed == target:
            for at in range(source + 1, target):
                before = ("out", source)
                self.carries[at][before] = _Carried(before, before, identity(0, shape, np.ones(shape[0])))
            self.takes[target].append((("out", source), part))
            return
        at = passed if self._makes(passed, part) else -1
        if at < 0 or not all(self._passes(layer, made, np.inf) for layer in range(at + 1, target)):
            raise InputError(
                f"{self.nodes[target].name}: adds what {self._name(source)} puts out, which cannot be carried past "
                f"{self.nodes[passed].name} (its stride, its pooling, or where its Relu ends)"
            )
        for sign in (1, -1):
            key = ("part", target, place, sign)
            plane = None if part.plane is None else sign * part.plane
            own = replace(part, weight=sign * part.weight, plane=plane)
            self.carries[at][key] = _Carried(key, ("out", source), own)
            for later in range(at + 1, target):
                self.carries[later][key] = _Carried(key, key, identity(0, made, np.ones(made[0])))
            self.takes[target].append((key, identity(0, made, np.full(made[0], float(sign)))))

    def _name(self, source: int) -> str:
        return "the input" if source < 0 else self.nodes[source].name

    def _plain(self, index: int, stops: float) -> bool:
        node = self.nodes[index]
        return not node.pools and node.grid is None and stops <= node.top and node.rectified

    def _passes(self, index: int, shape: tuple[int, ...], stops: float) -> bool:
        """Whether layer ``index`` can carry outputs of ``shape``, up to ``stops``, as they are."""
        g = self.nodes[index].geometry
        if not self._plain(index, stops):
            return False
        if g is None:
            return len(shape) == 1
        same = len(shape) == 3 and g.input_shape[1:] == shape[1:] == g.output_shape[1:]
        return same and g.stride == (1, 1)

    def _makes(self, index: int, part: Part) -> bool:
        """Whether layer ``index`` can compute ``part`` beside its own sums."""
        own, other = self.nodes[index].geometry, part.geometry
        if not self._plain(index, np.inf):
            return False
        if own is None or other is None:
            return own is other
        return own.stride == other.stride and own.output_shape[1:] == other.output_shape[1:]

    def _layer(self, index: int, before: dict[Key, tuple[int, ...]]) -> tuple[FloatLayer, dict[Key, tuple[int, ...]]]:
        """Return layer ``index`` with what it carries, and the shapes of all that it puts out, in order."""
        node, carried = self.nodes[index], list(self.carries[index].values())
        after = {("out", index): node.shape_out} | {c.key: self._shape_of(c) for c in carried}
        rows = [(0, key, part) for key, part in self.takes[index]]
        first = node.shape[0]
        for c in carried:
            rows.append((first, c.source, c.map))
            first += len(c.map.weight)
        bias = np.concatenate([node.bias, np.zeros(first - len(node.bias))])
        make = self._dense if node.geometry is None else self._images
        weight, geometry, plane = make(node, rows, before, first)
        found = replace(node, weight=weight, bias=bias, geometry=geometry, plane=plane, parts=())
        return found, after

    def _shape_of(self, carried: _Carried) -> tuple[int, ...]:
        g = carried.map.geometry
        return (len(carried.map.weight),) if g is None else g.output_shape

    def _dense(
        self, node: FloatLayer, rows: list[tuple[int, Key, Part]], before: dict[Key, tuple[int, ...]], size: int
    ) -> tuple[Array, None, None]:
        sizes = {key: int(np.prod(shape)) for key, shape in before.items()}
        start = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        weight = np.zeros((size, sum(sizes.values())))
        for first, key, part in rows:
            if part.geometry is not None:
                raise InputError(f"{node.name}: adds a dense layer and images; the same shape expected")
            places = slice(start[key], start[key] + sizes[key])
            weight[first : first + len(part.weight), places] += part.weight
        return weight, None, None

    def _images(
        self, node: FloatLayer, rows: list[tuple[int, Key, Part]], before: dict[Key, tuple[int, ...]], size: int
    ) -> tuple[Array, Geometry, Array | None]:
        if len(rows) == 1 and len(before) == 1:
            assert node.geometry is not None
            return node.weight, node.geometry, node.plane
        channels = {key: shape[0] for key, shape in before.items()}
        start = dict(zip(channels, np.cumsum([0, *channels.values()]).tolist(), strict=False))
        kernels: list[tuple[Array, Geometry]] = []
        for _, key, part in rows:
            if part.geometry is None or len(before[key]) != 3:
                raise InputError(f"{node.name}: adds a dense layer and images; the same shape expected")
            kernels.append(ungrouped(part.weight, part.geometry))
        planes = [
            (np.zeros((1, *g.kernel)) if part.plane is None else part.plane, g)
            for (_, g), (_, _, part) in zip(kernels, rows, strict=True)
        ]
        grown, (stride, padding, kernel) = in_one_window(kernels, node.name)
        flat, _ = in_one_window(planes, node.name)
        weight = np.zeros((size, sum(channels.values()), *kernel))
        plane = np.zeros((size, *kernel))
        for (first, key, part), own, shift in zip(rows, grown, flat, strict=True):
            weight[first : first + len(own), start[key] : start[key] + channels[key]] += own
            plane[first : first + len(part.weight)] += shift
        shape = next(iter(before.values()))
        geometry = Geometry((weight.shape[1], shape[1], shape[2]), size, kernel, stride, padding)
        return weight, geometry, plane if plane.any() else None

"""A whole NIR graph, node by node and step by step: what each node gives, by NIR's equations, in plain loops.

Written from NIR's definitions and nothing of this project's. A node asks those that lead into it; one that is asked
while it waits for itself, by a way back, gives what it sent a step ago.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["run_graph"]


def run_graph(graph: Any, spikes: np.ndarray, how: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return what each neuron node sends, (steps, size), by its name, at ``spikes`` (steps, n_in).

    how  dt, reset ("zero" or "subtract"), strict, several, decay ("euler" or "exponential")
    """
    run = _Run(graph, how)
    found: dict[str, list[np.ndarray]] = {}
    for row in spikes:
        for name, value in run.step(row).items():
            found.setdefault(name, []).append(value.ravel())
    return {name: np.stack(rows) for name, rows in found.items()}


class _Run:
    def __init__(self, graph: Any, how: dict[str, Any]) -> None:
        self.nodes, self.how = dict(graph.nodes), how
        self.into: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in graph.edges:
            self.into[target].append(source)
        self.before: dict[str, np.ndarray] = {}
        self.u: dict[str, np.ndarray] = {}
        self.v: dict[str, np.ndarray] = {}

    def step(self, row: np.ndarray) -> dict[str, np.ndarray]:
        self.row, self.now, self.waiting = row.astype(float), {}, set()
        for name in self.nodes:
            self.value(name)
        self.before = dict(self.now)
        kinds = {"IF", "LIF", "CubaLIF", "LI", "CubaLI", "I", "Threshold"}
        return {name: self.now[name] for name, node in self.nodes.items() if type(node).__name__ in kinds}

    def value(self, name: str) -> np.ndarray:
        if name in self.now:
            return self.now[name]
        if name in self.waiting:
            return self.before.get(name, np.zeros(1))
        self.waiting.add(name)
        node, kind = self.nodes[name], type(self.nodes[name]).__name__
        if kind == "Input":
            self.now[name] = self.row.reshape([int(n) for n in np.ravel(node.input_type["input"])])
            return self.now[name]
        parts = [self.value(source) for source in self.into[name]]
        total = sum(parts[1:], parts[0])
        self.now[name] = self.apply(name, kind, node, total)
        return self.now[name]

    def apply(self, name: str, kind: str, node: Any, x: np.ndarray) -> np.ndarray:
        if kind == "Linear":
            return np.array([math.fsum(w * x.ravel()) for w in node.weight]) if x.size == node.weight.shape[1] else x
        if kind == "Affine":
            return np.array([math.fsum(w * x.ravel()) for w in node.weight]) + node.bias
        if kind == "Conv2d":
            return _conv(node.weight, node.bias, x, _pair(node.stride), _pair(node.padding), int(node.groups))
        if kind in ("SumPool2d", "AvgPool2d"):
            size = _pair(node.kernel_size)
            share = 1 / (size[0] * size[1]) if kind == "AvgPool2d" else 1.0
            kernel = np.full((len(x), 1, *size), share)
            return _conv(kernel, np.zeros(len(x)), x, _pair(node.stride), _pair(node.padding), len(x))
        if kind == "Scale":
            return x * node.scale
        if kind in ("Flatten", "Output"):
            return x.ravel()
        return self.neurons(name, kind, node, x)

    def neurons(self, name: str, kind: str, node: Any, x: np.ndarray) -> np.ndarray:
        out = np.zeros(x.shape)
        u, v = self.u.setdefault(name, np.zeros(x.shape)), self.v.setdefault(name, np.zeros(x.shape))
        for i in np.ndindex(*x.shape):
            u[i], v[i], out[i] = self.one(kind, lambda part, i=i: _at(getattr(node, part), i), u[i], v[i], float(x[i]))
        return out

    def one(self, kind: str, of: Any, u: float, v: float, x: float) -> tuple[float, float, float]:
        if kind.startswith("Cuba"):
            u += self.moved(of("tau_syn"), of("w_in"), x, u)
            x = u
        if kind in ("IF", "I"):
            v += of("r") * x
        elif kind == "Threshold":
            v = x
        else:
            tau = of("tau_mem" if kind.startswith("Cuba") else "tau")
            v += self.moved(tau, of("r"), x, v, of("v_leak"))
        if kind in ("LI", "CubaLI", "I"):
            return u, v, v
        theta, count = of("threshold" if kind == "Threshold" else "v_threshold"), 0
        while v > theta or (v == theta and not self.how["strict"]):
            count += 1
            v = v - theta if self.how["reset"] == "subtract" else 0.0
            if not self.how["several"] or theta <= 0:
                break
        return u, v, float(count)

    def moved(self, tau: float, gain: float, x: float, state: float, rest: float = 0.0) -> float:
        """Return what a state moves by in a step; one that never decays adds what comes in."""
        if math.isinf(tau):
            return x if math.isinf(gain) else gain * x
        share = self.how["dt"] / tau
        if self.how["decay"] == "exponential":
            share = 1 - math.exp(-share)
        return share * (rest - state + gain * x)


def _at(values: Any, index: tuple[int, ...]) -> float:
    array = np.asarray(values)
    return float(array[index]) if array.ndim == len(index) else float(array.ravel()[0 if array.size == 1 else index])


def _pair(values: Any) -> tuple[int, int]:
    found = np.ravel(values).tolist()
    return int(found[0]), int(found[-1])


def _conv(
    weight: np.ndarray, bias: Any, x: np.ndarray, stride: tuple[int, int], pad: tuple[int, int], groups: int
) -> np.ndarray:
    """A convolution by its definition, one output at a time."""
    padded = np.pad(x, ((0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
    high, wide = weight.shape[2:]
    sides = (padded.shape[1] - high) // stride[0] + 1, (padded.shape[2] - wide) // stride[1] + 1
    ins, outs = len(x) // groups, len(weight) // groups
    out = np.zeros((len(weight), *sides))
    for o, r, c in np.ndindex(*out.shape):
        first, top, left = o // outs * ins, r * stride[0], c * stride[1]
        window = padded[first : first + ins, top : top + high, left : left + wide]
        out[o, r, c] = math.fsum((window * weight[o]).ravel()) + float(bias[o])
    return out

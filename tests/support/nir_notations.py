"""Random NIR graphs as converters and exporters write them: names, scalars, ways back, infinite constants.

``notations`` are those of which the packages themselves are not run by scripts/make_nir_graphs.py, or whose graphs have
whole numbers throughout; how to read one comes along.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np

__all__ = ["NOTATIONS", "WHOLE"]

Made = tuple[Any, int, dict[str, Any]]


def _chain(nodes: dict[str, Any], n_in: Any, n_out: Any, loops: list[tuple[str, str]] | None = None) -> Any:
    every = {"input": nir.Input({"input": np.array(n_in)}), **nodes, "output": nir.Output({"output": np.array(n_out)})}
    order = [name for name in every if not any(name == back for _, back in loops or ())]
    ways = [edge for name, back in loops or () for edge in ((name, back), (back, name))]
    return nir.NIRGraph(every, [*pairwise(order), *ways], type_check=False)


def nengo(seed: int) -> Made:
    """NIR's own example: an Affine for each connection, one more for the encoders, LIF with r of 1; numbered nodes."""
    rng = np.random.default_rng(seed)
    size = n_in = int(rng.integers(2, 6))
    nodes: dict[str, Any] = {}
    for _ in range(int(rng.integers(1, 3))):
        wide, out = (int(n) for n in rng.integers(2, 6, 2))
        tau = float(rng.uniform(0.005, 0.05))
        nodes[str(len(nodes))] = nir.Affine(rng.normal(0, 1, (wide, size)), np.tile(0, wide))
        nodes[str(len(nodes))] = nir.Affine(rng.normal(0, 8, (out, wide)), rng.normal(0, 0.5, out))
        v: dict[str, Any] = {"v_threshold": np.tile(1, out), "v_leak": np.tile(0, out)}
        nodes[str(len(nodes))] = nir.LIF(tau=np.tile(tau, out), r=np.tile(1, out), **v)
        size = out
    if rng.random() < 0.5:  # a probe with a synapse
        nodes[str(len(nodes))] = nir.Affine(np.eye(size) * float(rng.uniform(0.5, 2)), np.tile(0, size))
        nodes[str(len(nodes))] = nir.LI(
            tau=np.tile(float(rng.uniform(0.005, 0.1)), size), r=np.tile(1, size), v_leak=np.tile(0, size)
        )
    return _chain(nodes, [n_in], [size]), n_in, {"source": "nengo"}


def nengo_synapses(seed: int) -> Made:
    """NIR's example again, with a synapse between decoders and encoders: Affine, LI, Affine, LIF."""
    rng = np.random.default_rng(seed)
    size = n_in = int(rng.integers(2, 6))
    nodes: dict[str, Any] = {}
    for _ in range(int(rng.integers(1, 4))):
        wide, out = (int(n) for n in rng.integers(2, 6, 2))
        nodes[str(len(nodes))] = nir.Affine(rng.normal(0, 2, (wide, size)), rng.normal(0, 0.2, wide))
        gain, leak = np.tile(1, wide), np.tile(0, wide)
        if rng.random() < 0.3:  # not Nengo's, but NIR's
            gain, leak = rng.uniform(0.5, 2, wide), rng.normal(0, 0.2, wide)
        tau = float(rng.uniform(0.002, 0.02))
        nodes[str(len(nodes))] = nir.LI(tau=np.tile(tau, wide), r=gain, v_leak=leak)
        nodes[str(len(nodes))] = nir.Affine(rng.normal(0, 4, (out, wide)), rng.normal(0, 0.5, out))
        v: dict[str, Any] = {"v_threshold": np.tile(1, out), "v_leak": np.tile(0, out)}
        nodes[str(len(nodes))] = nir.LIF(tau=np.tile(float(rng.uniform(0.005, 0.05)), out), r=np.tile(1, out), **v)
        size = out
    return _chain(nodes, [n_in], [size]), n_in, {"source": "nengo"}


def lava_dl(seed: int) -> Made:
    """NIR's own example for .net files: weights and thresholds in 64ths, CubaLIF whose r and w_in are tau / dt."""
    rng = np.random.default_rng(seed)
    size = n_in = int(rng.integers(2, 8))
    nodes: dict[str, Any] = {}
    for _ in range(int(rng.integers(1, 4))):
        out = int(rng.integers(2, 8))
        weight = 2 * rng.integers(-127, 128, (out, size)) / 64
        biased = rng.random() < 0.3
        nodes[str(len(nodes))] = nir.Affine(weight, np.zeros(out)) if biased else nir.Linear(weight)
        i, v = (int(rng.choice([0, 4096, rng.integers(1, 4096)])) / 4096 for _ in range(2))
        tau_syn, tau_mem = (1e-4 / d if d else np.inf for d in (i, v))
        theta = int(rng.integers(40, 400)) / 64
        given: dict[str, Any] = {
            "tau_syn": tau_syn,
            "tau_mem": tau_mem,
            "r": tau_mem / 1e-4,
            "w_in": tau_syn / 1e-4,
            "v_leak": 0.0,
        }
        given |= {"v_threshold": theta, "v_reset": 0.0}
        arrays: dict[str, Any] = {name: np.full(out, x) for name, x in given.items()}
        nodes[str(len(nodes))] = nir.CubaLIF(**arrays)
        size = out
    return _chain(nodes, [n_in], [size]), n_in, {"source": "lava-dl"}


def paper(seed: int) -> Made:
    """The NIR paper's: CubaLIF or LIF with an Affine way back beside the chain, LI last, v_leak at times."""
    rng = np.random.default_rng(seed)
    size = n_in = int(rng.integers(2, 6))
    nodes: dict[str, Any] = {}
    loops, depth = [], int(rng.integers(1, 3))
    for number in range(depth):
        out, last = int(rng.integers(2, 6)), number == depth - 1 and rng.random() < 0.4
        name = f"lif{number + 1}"
        nodes[f"fc{number + 1}"] = nir.Affine(rng.normal(0, 1.5, (out, size)), rng.normal(0, 0.2, out))
        part: dict[str, Any] = {"tau": rng.uniform(2e-4, 3e-3, out), "r": rng.uniform(0.5, 3, out)}
        part["v_leak"] = rng.normal(0, 0.1, out) if rng.random() < 0.3 else np.zeros(out)
        if last:
            nodes[name] = nir.LI(**part)
        else:
            part["v_threshold"] = rng.uniform(0.05, 0.4, out)
            if rng.random() < 0.5:
                part["tau_mem"] = part.pop("tau")
                nodes[name] = nir.CubaLIF(tau_syn=rng.uniform(2e-4, 2e-3, out), w_in=rng.uniform(1, 4, out), **part)
            else:
                nodes[name] = nir.LIF(**part)
            if rng.random() < 0.5:
                nodes[f"{name}.w_rec"] = nir.Affine(rng.normal(0, 0.5, (out, out)), rng.normal(0, 0.05, out))
                loops.append((name, f"{name}.w_rec"))
        size = out
    return _chain(nodes, [n_in], [size], loops), n_in, {"source": "paper"}


def _whole(seed: int, names: Any, neuron: Any) -> tuple[Any, int]:
    """Return a graph of whole weights, dense or with a convolution and sums over windows; float32 as torch's are."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (int(rng.integers(2, 8)),)
    nodes: list[Any] = []
    if rng.random() < 0.5:
        shape = (int(rng.integers(1, 3)), 6, 6)
    start = shape
    if len(shape) == 3:
        out, stride, pad = int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(0, 2))
        weight = rng.integers(-3, 4, (out, shape[0], 3, 3)).astype(np.float32)
        bias = rng.integers(-1, 2, out).astype(np.float32)
        nodes.append(nir.Conv2d((6, 6), weight, (stride, stride), (pad, pad), (1, 1), 1, bias))
        side = (6 + 2 * pad - 3) // stride + 1
        shape = (out, side, side)
        nodes.append(neuron(rng, shape))
        if side >= 4:
            nodes.append(nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])))
            shape = (out, side // 2, side // 2)
        nodes.append(nir.Flatten({"input": np.array(shape)}, 0, -1))
        shape = (int(np.prod(shape)),)
    for _ in range(int(rng.integers(1, 3))):
        out = int(rng.integers(2, 7))
        weight = rng.integers(-4, 5, (out, shape[0])).astype(np.float32)
        plain = rng.random() < 0.4
        nodes.append(nir.Linear(weight) if plain else nir.Affine(weight, rng.integers(-2, 3, out).astype(np.float32)))
        nodes.append(neuron(rng, (out,)))
        shape = (out,)
    return _chain({names(i): node for i, node in enumerate(nodes)}, list(start), [shape[0]]), int(np.prod(start))


def sinabs_whole(seed: int) -> Made:
    """Whole weights and thresholds in sinabs' IF, which takes the threshold off, at it; one spike a step."""

    def neuron(rng: np.random.Generator, shape: Any) -> Any:
        return nir.IF(r=np.ones(shape, np.float32), v_threshold=np.full(shape, rng.integers(2, 9), np.float32))

    return *_whole(seed, str, neuron), {"source": "sinabs", "spikes": "one"}


def norse_whole(seed: int) -> Made:
    """Whole weights in Norse's IAFCell: reset to zero, above the threshold, which has a half at times."""

    def neuron(rng: np.random.Generator, shape: Any) -> Any:
        return nir.IF(r=np.ones(shape, np.float32), v_threshold=np.full(shape, rng.integers(2, 18) / 2, np.float32))

    return *_whole(seed, str, neuron), {"source": "norse"}


def snntorch_whole(seed: int) -> Made:
    """Whole weights in LIF that forgets all in a step, as snnTorch's Leaky with a beta of 0."""

    def neuron(rng: np.random.Generator, shape: Any) -> Any:
        tau = 1e-4
        given = {"tau": tau, "r": tau / 1e-4, "v_leak": 0.0, "v_threshold": rng.integers(2, 12) + 0.5, "v_reset": 0.0}
        arrays: dict[str, Any] = {name: np.full(shape, x, np.float32) for name, x in given.items()}
        return nir.LIF(**arrays)

    return *_whole(seed, str, neuron), {"source": "snntorch", "reset": "zero"}


NOTATIONS = {"nengo": nengo, "nengo, synapses": nengo_synapses, "lava-dl": lava_dl, "paper": paper}
"""Of floating point: simulated to rounding."""
WHOLE = {"sinabs, whole": sinabs_whole, "norse, whole": norse_whole, "snntorch, whole": snntorch_whole}
"""Of whole numbers: the network itself gives the same spikes, all of them."""

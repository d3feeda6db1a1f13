"""A reader of NetX files that knows nothing of conntra: lava-dl's rules of loading, and Lava's fixed-point neurons.

As ``lava.lib.dl.netx.hdf5.Network`` has it: shapes and pairs are reversed to (width, height, channels), kernels are
turned around twice (once on loading, once because Lava's Conv is a true convolution), iDecay - 1 is du, the bias has an
exponent of 6. The pipeline's delays are left out: every layer sees the spikes of the same step.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from scipy.signal import convolve2d

RESET = 1 << 23


def run(path: Any, samples: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the spikes of every layer but the last, flat rows (n * steps, size), and the last one's voltage by sample.

    ``samples`` (n, steps, inputs); neurons are reset every ``steps`` steps.
    """
    with h5py.File(path, "r") as file:
        layers = [dict(file[f"layer/{i}"].items()) for i in range(len(file["layer"]))]
        assert text(layers[0]["type"]) == "input"
        shape = tuple(layers[0]["shape"][()][::-1])
        loaded = [load(layer) for layer in layers[1:]]
    spikes: list[list[np.ndarray]] = [[] for layer in loaded if layer["type"] != "flatten"]
    voltages = []
    for sample in samples:
        state = [[0, 0] for _ in loaded]
        v: Any = 0
        for step in sample:
            # (channels, height, width) to (width, height, channels), where the first layer takes images
            x = step.astype(np.int64)
            if loaded[0]["type"] == "conv":
                x = x.reshape(shape[::-1]).transpose(2, 1, 0)
            found = 0
            for index, layer in enumerate(loaded):
                if layer["type"] == "flatten":
                    x = x.transpose(2, 1, 0).ravel()
                    continue
                x, v = neuron(layer, synapses(layer, x), state[index])
                spikes[found].append(x.transpose(2, 1, 0).ravel() if x.ndim == 3 else x)
                found += 1
        voltages.append(v.ravel())
    return [np.stack(rows) for rows in spikes[:-1]], np.stack(voltages)


def text(value: h5py.Dataset) -> str:
    return value[0].decode("ascii")


def load(layer: dict[str, Any]) -> dict[str, Any]:
    kind = text(layer["type"])
    if kind == "flatten":
        return {"type": kind}
    given = layer["neuron"]
    assert text(given["type"]) == "CUBA"
    loaded = {
        "type": kind,
        "bias": layer["bias"][()].astype(int),
        "weight": layer["weight"][()].astype(int),
        "du": int(given["iDecay"][()]) - 1,
        "dv": int(given["vDecay"][()]),
        "vth": int(given["vThMant"][()]),
    }
    if kind == "conv":
        loaded["weight"] = loaded["weight"][:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
        loaded |= {name: tuple(layer[name][()][::-1]) for name in ("stride", "padding", "dilation")}
        loaded["groups"] = int(layer["groups"][()])
        loaded["shape"] = tuple(layer["shape"][()][::-1])
        kernel, (right, down) = loaded["weight"], loaded["dilation"]  # images are (width, height, channels)
        width, height = ((k - 1) * d + 1 for k, d in zip(kernel.shape[1:3], (right, down), strict=True))
        loaded["weight"] = np.zeros((len(kernel), width, height, kernel.shape[3]), int)
        loaded["weight"][:, ::right, ::down] = kernel
    return loaded


def synapses(layer: dict[str, Any], x: np.ndarray) -> np.ndarray:
    weight = layer["weight"]
    if layer["type"] == "dense":
        mixed = weight.min() < 0 < weight.max()
        assert (weight.min() >= -128 and weight.max() <= 127) if mixed else np.abs(weight).max() <= 255
        return weight @ x
    x = np.pad(x, [(p, p) for p in layer["padding"]] + [(0, 0)])
    out = np.zeros(layer["shape"], np.int64)
    outer, inner = weight.shape[0] // layer["groups"], weight.shape[3]
    for o in range(weight.shape[0]):
        for c in range(inner):
            full = convolve2d(x[:, :, o // outer * inner + c], weight[o, :, :, c], "valid")
            out[:, :, o] += full[:: layer["stride"][0], :: layer["stride"][1]]
    return out


def neuron(layer: dict[str, Any], a: np.ndarray, state: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    u = np.trunc(state[0] * (4095 - layer["du"]) / 4096).astype(np.int64) + (a << 6)
    assert np.abs(u).max() < RESET
    v = np.trunc(state[1] * (4096 - layer["dv"]) / 4096).astype(np.int64) + u + (layer["bias"] << 6)
    v = np.clip(v, -RESET + 1, RESET - 1)
    fired = v > layer["vth"] << 6
    state[:] = [u, np.where(fired, 0, v)]
    return fired.astype(np.int64), v

"""Random spiking networks of six packages, exported by each package's own exporter, with the spikes that it sends.

    python -m venv packages && packages/bin/pip install snntorch norse sinabs rockpool spikingjelly spyx "nir>=1.0.8"
    packages/bin/python scripts/make_nir_graphs.py PACKAGE FOLDER [--count 300] [--seed 0]
    .venv/bin/python scripts/measure_nir.py FOLDER

PACKAGE is snntorch, norse, sinabs, rockpool, spikingjelly or spyx. FOLDER gets a graph and an archive a network:
spikes in (n, steps, features), what each layer of neurons sends (n, steps, size), and how the graph is to be read.
Runs in the environment of the packages, without this project.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportArgumentType=false
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES, STEPS = 4, 20
Made = tuple[Any, np.ndarray, list[np.ndarray], dict[str, Any]]


def _shapes(rng: np.random.Generator, images: float) -> tuple[tuple[int, ...], list[tuple[str, Any]]]:
    """Return an input's shape and layers: ("dense", size), ("conv", (out, kernel, stride, padding)), ("pool", side)."""
    layers: list[tuple[str, Any]] = []
    shape: tuple[int, ...] = (int(rng.integers(2, 9)),)
    if rng.random() < images:
        side = int(rng.integers(6, 9))
        shape = (int(rng.integers(1, 3)), side, side)
        stride, padding = int(rng.integers(1, 3)), int(rng.integers(0, 2))
        layers.append(("conv", (int(rng.integers(2, 5)), 3, stride, padding)))
        if rng.random() < 0.5:
            layers.append(("pool", 2))
        layers.append(("flat", None))
    layers += [("dense", int(rng.integers(2, 9))) for _ in range(int(rng.integers(1, 3)))]
    return shape, layers


def _weights(torch: Any, kind: str, of: Any, shape: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return a module of random weights and the shape behind it."""
    if kind == "conv":
        out, size, stride, padding = of
        made = torch.nn.Conv2d(shape[0], out, size, stride, padding)
        made.weight.data *= 3
        side = (shape[1] + 2 * padding - size) // stride + 1
        return made, (out, side, side)
    made = torch.nn.Linear(shape[0], of, bias=bool(rng.random() < 0.7))
    made.weight.data *= 3
    return made, (of,)


def _chain(
    torch: Any, rng: np.random.Generator, neurons: Any, pool: Any, images: float
) -> tuple[list[Any], list[int], Any]:
    """Return modules, the places of the neurons among them, and the input's shape; ``neurons(shape)`` makes a layer."""
    start, layers = _shapes(rng, images)
    shape: Any = start
    modules, places = [], []
    for kind, of in layers:
        if kind == "pool":
            if shape[1] >= of:
                modules.append(pool(of))
                shape = (shape[0], *((side - of) // of + 1 for side in shape[1:]))
        elif kind == "flat":
            modules.append(torch.nn.Flatten())
            shape = (int(np.prod(shape)),)
        else:
            made, shape = _weights(torch, kind, of, shape, rng)
            modules += [made, neurons(shape)]
            places.append(len(modules) - 1)
    return modules, places, start


def _input(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.random((SAMPLES, STEPS, *shape)) < rng.uniform(0.2, 0.6)).astype(np.uint8)


def _stepped(torch: Any, modules: list[Any], places: list[int], x: np.ndarray, step: Any) -> list[np.ndarray]:
    """Return what each layer of neurons sends; ``step(module, at, below)`` runs one module for one step."""
    sent: list[list[Any]] = [[] for _ in places]
    with torch.no_grad():
        for at in range(x.shape[1]):
            below = torch.tensor(x[:, at], dtype=torch.float32)
            for index, module in enumerate(modules):
                below = step(index, module, below)
                if index in places:
                    sent[places.index(index)].append(below.reshape(len(x), -1).numpy().copy())
    return [np.stack(rows, axis=1) for rows in sent]


def snntorch(rng: np.random.Generator) -> Made:
    """Leaky, Synaptic, RLeaky and RSynaptic, with a decay and a threshold for each neuron."""
    import snntorch as snn
    import torch
    from snntorch.export_nir import export_to_nir

    reset = str(rng.choice(["subtract", "zero"]))

    def neurons(shape: Any) -> Any:
        of = (shape[0], *[1] * (len(shape) - 1))  # of images one a channel
        beta, alpha = ((0.3 + 0.65 * torch.rand(of)) * torch.ones(*shape) for _ in range(2))
        given: dict[str, Any] = {"beta": beta, "threshold": 0.6 + torch.rand(1) * torch.ones(*shape)}
        given |= {"init_hidden": True, "reset_mechanism": reset}
        kind = str(rng.choice(["leaky", "synaptic", "rleaky", "rsynaptic"])) if len(shape) == 1 else "leaky"
        ways: dict[str, Any] = {"all_to_all": True, "linear_features": shape[0]}
        if rng.random() < 0.5:
            ways = {"all_to_all": False, "V": 0.5 * torch.randn(shape[0])}
        if kind == "leaky":
            return snn.Leaky(**given)
        if kind == "synaptic":
            return snn.Synaptic(alpha=alpha, **given)
        return snn.RLeaky(**given, **ways) if kind == "rleaky" else snn.RSynaptic(alpha=alpha, **given, **ways)

    modules, places, shape = _chain(torch, rng, neurons, torch.nn.AvgPool2d, 0.3)
    x = _input(rng, shape)
    graph = export_to_nir(torch.nn.Sequential(*modules), torch.zeros(1, *shape), ignore_dims=[0])
    for index in places:
        getattr(modules[index], "reset_mem", lambda: None)()
    for module in modules:
        if hasattr(module, "reset_hidden"):
            module.reset_hidden()
    sent = _stepped(torch, modules, places, x, lambda index, module, below: module(below))
    return graph, x, sent, {"source": "snntorch", "reset": "zero" if reset == "zero" else None}


def norse(rng: np.random.Generator) -> Made:
    """LIFBoxCell, LIFCell, IAFCell, and LIBoxCell last."""
    import norse.torch as nt
    import torch
    from norse.torch.module.iaf import IAFCell
    from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters

    def full(shape: Any, low: float, high: float) -> Any:
        return low + (high - low) * torch.rand(*shape)

    def neurons(shape: Any) -> Any:
        kind = str(rng.choice(["box", "cell", "iaf"]))
        zero = torch.zeros(*shape)
        if kind == "iaf":
            return IAFCell(nt.IAFParameters(v_th=full(shape, 0.5, 1.5), v_reset=zero))
        given = {"tau_mem_inv": full(shape, 60, 400), "v_th": full(shape, 0.2, 0.6), "v_leak": zero, "v_reset": zero}
        if kind == "box":
            return nt.LIFBoxCell(nt.LIFBoxParameters(**given))
        return nt.LIFCell(nt.LIFParameters(tau_syn_inv=full(shape, 100, 500), **given))

    modules, places, shape = _chain(torch, rng, neurons, torch.nn.AvgPool2d, 0.0)
    if rng.random() < 0.3:
        size = modules[-2].weight.shape[0]
        box = LIBoxParameters(tau_mem_inv=full((size,), 60, 400), v_leak=torch.zeros(size))
        modules[-1] = LIBoxCell(box)
    graph = nt.to_nir(nt.SequentialState(*modules), torch.zeros(1, *shape))
    x, state = _input(rng, shape), dict.fromkeys(places)

    def step(index: int, module: Any, below: Any) -> Any:
        if index not in places:
            return module(below)
        found, state[index] = module(below, state[index])
        return found

    return graph, x, _stepped(torch, modules, places, x, step), {"source": "norse"}


def sinabs(rng: np.random.Generator) -> Made:
    """IAF, LIF, and ExpLeak last, with one spike a step or several; potentials without an end below."""
    import sinabs.layers as sl
    import torch
    from sinabs.activation import MembraneSubtract, MultiSpike, SingleSpike
    from sinabs.nir import to_nir

    several = bool(rng.random() < 0.5)

    def neurons(shape: Any) -> Any:
        fires = {"spike_fn": MultiSpike if several else SingleSpike, "reset_fn": MembraneSubtract()}
        given: dict[str, Any] = {**fires, "min_v_mem": None, "batch_size": SAMPLES}
        if rng.random() < 0.5:
            return sl.IAFSqueeze(spike_threshold=0.5 + torch.rand(*shape), **given)
        of = (shape[0], *[1] * (len(shape) - 1))  # of images one a channel
        tau = (2 + 20 * torch.rand(of)) * torch.ones(*shape)
        given |= {"spike_threshold": 0.1 + 0.3 * torch.rand(*shape), "tau_mem": tau, "tau_syn": None}
        return sl.LIFSqueeze(norm_input=True, **given)

    modules, places, shape = _chain(torch, rng, neurons, sl.SumPool2d, 0.3)
    if rng.random() < 0.3:
        size = modules[-2].weight.shape[0]
        tau = 2 + 20 * torch.rand(size)
        modules[-1] = sl.ExpLeakSqueeze(tau_mem=tau, min_v_mem=None, norm_input=True, batch_size=SAMPLES)
    x, net = _input(rng, shape), torch.nn.Sequential(*modules)
    below, sent = torch.tensor(x, dtype=torch.float32).flatten(0, 1), []
    with torch.no_grad():
        graph = to_nir(net, torch.zeros(SAMPLES, *shape))
        graph.infer_types()  # shapes of images, which the exporter leaves open, and which a file has to have
        for index, module in enumerate(modules):
            if index in places:
                module.reset_states()
            below = module(below)
            if index in places:
                sent.append(below.reshape(SAMPLES, STEPS, -1).numpy())
    return graph, x, sent, {"source": "sinabs", "spikes": "several" if several else "one"}


def rockpool(rng: np.random.Generator) -> Made:
    """LIFTorch, and ExpSynTorch last, as Rockpool's exporter knows them; several spikes a step, or one at most."""
    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules.torch import ExpSynTorch, LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    shape, layers = _shapes(rng, 0.0)
    several, modules, size = bool(rng.random() < 0.5), [], shape[0]
    for number, (_, out) in enumerate(layers):
        biased = bool(rng.random() < 0.5)
        weight = LinearTorch((size, out), has_bias=biased)
        weight.weight.data *= 1.5
        size = out
        if number and number == len(layers) - 1 and rng.random() < 0.4:
            neuron = ExpSynTorch((out,), tau=0.002 + 0.03 * torch.rand(out))
            neuron.tau.requires_grad_(False)  # its exporter writes the parameter as it is, which nir refuses
        else:
            tau = {name: 0.002 + 0.03 * torch.rand(out) for name in ("tau_mem", "tau_syn")}
            most = torch.tensor(2.0**16 if several else 1.0)
            given: dict[str, Any] = {**tau, "threshold": 1 + 3 * torch.rand(out), "max_spikes_per_dt": most}
            neuron = LIFTorch(out, bias=torch.zeros(out), **given)
        modules += [weight, neuron]
    x, sent = _input(rng, shape), []
    graph = to_nir(Sequential(*modules), torch.zeros(1, 1, *shape))
    below = torch.tensor(x, dtype=torch.float32)
    with torch.no_grad():
        for index, module in enumerate(modules):
            module.reset_state()  # the exporter ran it
            below = module(below)[0]
            if index % 2:
                sent.append(below.numpy().copy())
    return graph, x, sent, {"source": "rockpool", "spikes": "several" if several else "one"}


def spikingjelly(rng: np.random.Generator) -> Made:
    """IFNode, LIFNode and ParametricLIFNode, some with a decay of the input. Its exporter refuses soft resets."""
    import torch
    from spikingjelly.activation_based import layer, neuron
    from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir

    def neurons(shape: Any) -> Any:
        given: dict[str, Any] = {"v_threshold": float(rng.uniform(0.5, 1.5)), "v_reset": 0.0}
        kind, decays = str(rng.choice(["if", "lif", "plif"])), bool(rng.random() < 0.5)
        if kind == "if":
            return neuron.IFNode(**given)
        if kind == "lif":
            return neuron.LIFNode(tau=float(rng.uniform(1.2, 12)), decay_input=decays, **given)
        return neuron.ParametricLIFNode(init_tau=float(rng.uniform(1.2, 12)), decay_input=decays, **given)

    modules, places, shape = _chain(torch, rng, neurons, layer.AvgPool2d, 0.3)
    graph = export_to_nir(torch.nn.Sequential(*modules), torch.zeros(1, *shape))
    for index in places:
        modules[index].reset()
    x = _input(rng, shape)
    sent = _stepped(torch, modules, places, x, lambda index, module, below: module(below))
    return graph, x, sent, {"source": "spikingjelly"}


def spyx(rng: np.random.Generator) -> Made:
    """IF, LIF, CuBaLIF and their recurrent kinds. Each spikes a step after it passes its threshold."""
    import jax.numpy as jnp
    from flax import nnx
    from spyx import nn
    from spyx.nir import to_nir

    shape, layers = _shapes(rng, 0.0)
    rngs, modules, size = nnx.Rngs(int(rng.integers(2**31))), [], shape[0]
    names = str(rng.choice(["LIF", "CuBaLIF"])), "IF"
    for number, (_, out) in enumerate(layers):
        # Layers that are a step behind take their bias alone in the first steps: only the first has one here.
        weight = nnx.Linear(size, out, use_bias=number == 0, rngs=rngs)
        weight.kernel[...] = weight.kernel[...] * 2
        if weight.bias is not None:
            weight.bias[...] = jnp.array(rng.uniform(-0.2, 0.3, out), jnp.float32)
        name = str(rng.choice(names))
        if rng.random() < 0.4:
            name = "R" + name
        given: dict[str, Any] = {} if name == "IF" else {"rngs": rngs}
        neuron = getattr(nn, name)((out,), threshold=float(rng.uniform(0.5, 1.5)), **given)
        for part in ("alpha", "beta"):
            if hasattr(neuron, part):
                setattr(neuron, part, nnx.Param(jnp.array(rng.uniform(0.2, 0.95, out), jnp.float32)))
        if hasattr(neuron, "recurrent_w"):
            neuron.recurrent_w[...] = neuron.recurrent_w[...] * 0.5
        modules += [weight, neuron]
        size = out
    graph = to_nir(nn.Sequential(*modules), {"input": np.array(shape)}, {"output": np.array([size])}, dt=1)
    x, below, sent = _input(rng, shape), None, []
    below = jnp.asarray(x.swapaxes(0, 1), jnp.float32)
    for index, module in enumerate(modules):
        if index % 2:
            state, rows = module.initial_state(SAMPLES), []
            for at in range(STEPS):
                out, state = module(below[at], state)
                rows.append(out)
            below = jnp.stack(rows)
            sent.append(np.asarray(below).swapaxes(0, 1))
        else:
            below = module(below)
    return graph, x, sent, {"source": "spyx"}


MAKERS = {made.__name__: made for made in (snntorch, norse, sinabs, rockpool, spikingjelly, spyx)}


def main() -> None:
    """Write graphs and what the package sends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=MAKERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    import nir

    args.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for number in range(args.seed, args.seed + args.count):
        if args.package != "spyx":
            import torch

            torch.manual_seed(number)
        try:
            graph, x, sent, read = MAKERS[args.package](np.random.default_rng(number))
            nir.write(args.folder / f"{args.package}-{number}.nir", graph)
        except Exception as error:  # whatever a package's own exporter makes of its own network
            failed += 1
            print(f"{args.package} {number}: its exporter fails: {type(error).__name__}: {error}")
            continue
        arrays = {f"spikes{index}": rows.astype(np.float32) for index, rows in enumerate(sent)}
        rows = x.reshape(*x.shape[:2], -1)
        np.savez(args.folder / f"{args.package}-{number}.npz", inputs=rows, read=json.dumps(read), **arrays)
    print(f"{args.package}: {args.count} networks, {failed} not exported")


if __name__ == "__main__":
    main()
